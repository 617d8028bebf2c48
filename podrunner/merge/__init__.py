"""The three ways to patch a Kubernetes object, as pure functions over JSON values.

:func:`strategic_merge` is Kubernetes' own (lists merged by key, directives such as ``$patch``),
:func:`json_merge` is RFC 7386, :func:`json_patch` is RFC 6902. Each returns a new object and leaves its
arguments unchanged; a patch that cannot be applied raises :class:`~podrunner.errors.SpecError` with the path
of the field.

What belongs here: the algorithms, and the table of merge keys. What does not: defaults, validation of the result, and
anything that knows a server.
"""

from podrunner.merge.json_merge import json_merge
from podrunner.merge.json_patch import json_patch
from podrunner.merge.strategic import strategic_merge

__all__ = ["json_merge", "json_patch", "strategic_merge"]
