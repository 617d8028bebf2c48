"""Mount paths without mount namespaces: the real folders replace them in arguments and environment. Pure.

A program that is started with ``/root/airflow/dags/x.py`` as argument, in its environment or as working directory
gets the real path instead. Paths that the program computes itself are not rewritten: that is the fallback's limit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

__all__ = ["Rewrite", "rewriter"]

Rewrite = Callable[[str], str]


def rewriter(mounts: Iterable[tuple[str, str]]) -> Rewrite:
    """Return a function that replaces mount paths in a text.

    Args:
        mounts: Pairs of mount path and real path. The longest mount path that fits wins. A mount path is found
            only as a whole: not within a longer name, nor behind another path.
    """
    real = {path.rstrip("/"): source for path, source in mounts if path.rstrip("/")}
    if not real:
        return str
    names = "|".join(re.escape(path) for path in sorted(real, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w./~-])({names})(?![\w-]|\.\w)")
    return lambda text: pattern.sub(lambda match: real[match[1]], text)
