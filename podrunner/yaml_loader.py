"""PyYAML's safe loader, for documents of which each alias is what a person would write.

What belongs here: the limit of what aliases repeat, as Go's YAML has one. How scalars are read does not: each kind of
file has a loader of its own, which is made of this one. PyYAML's import costs 20 ms: import this where a file is read.
"""

from __future__ import annotations

from typing import Any, Final

import yaml

__all__ = ["MAX_REPEATED", "BoundedLoader"]

MAX_REPEATED: Final = 1_000_000
"""Characters and items that aliases may add to a document: ten lists of nine aliases each would be 9^10 items."""

_LONGEST_INT_BITS: Final = 14_000
"""4,215 digits; ``sys.set_int_max_str_digits`` allows 4,300."""


class BoundedLoader(yaml.SafeLoader):
    """A safe loader that refuses what no reader could walk through or show: aliases of aliases, a value in itself.

    Raises:
        ConstructorError: The document is such a one.
    """

    def construct_document(self, node: yaml.Node) -> Any:
        """Construct a document, if its aliases are within the limit."""
        sizes: dict[int, int] = {}
        if _size(node, sizes) - sum(_own_size(each) for each in _nodes(node)) > MAX_REPEATED:
            raise _refused(node, "its aliases repeat more than any document means")
        return super().construct_document(node)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Return a number that can be written again: Python reads any hexadecimal one, and writes 4,300 digits."""
        value: int = super().construct_yaml_int(node)
        if value.bit_length() > _LONGEST_INT_BITS:
            raise _refused(node, "a number is too long")
        return value


BoundedLoader.add_constructor("tag:yaml.org,2002:int", BoundedLoader.construct_yaml_int)


def _refused(node: yaml.Node, problem: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Return the characters and items of a node with all that its aliases repeat."""
    known = sizes.get(id(node))
    if known == _UNDER_WAY:
        raise _refused(node, "a value contains itself")
    if known is None:
        sizes[id(node)] = _UNDER_WAY
        known = sizes[id(node)] = _own_size(node) + sum(_size(inner, sizes) for inner in _inner(node))
    return known


_UNDER_WAY: Final = -1


def _nodes(root: yaml.Node) -> list[yaml.Node]:
    """Return all nodes, each once."""
    found = {id(root): root}
    waiting = [root]
    while waiting:
        for inner in _inner(waiting.pop()):
            if id(inner) not in found:
                found[id(inner)] = inner
                waiting.append(inner)
    return [*found.values()]


def _own_size(node: yaml.Node) -> int:
    return 1 + (len(node.value) if isinstance(node, yaml.ScalarNode) else 0)


def _inner(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [each for pair in node.value for each in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []
