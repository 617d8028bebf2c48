"""What the components of a cluster print, and whose fault each of their words means: pure data.

Each entry names where its words come from: a file of the component, a registry's specification, or an issue. A path
without a repository is one of kubernetes/kubernetes. The documentation prints these tables
(``docs/outcome_tables.py``). Which table is asked for which pod does not belong here (``podrunner.outcome.rules``,
``podrunner.outcome.pending``), nor does what a runner does with an answer of the API server
(``podrunner.kube.answers``).
"""

from __future__ import annotations

__all__: list[str] = []
