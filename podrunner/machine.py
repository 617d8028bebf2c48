"""What podrunner's state machines share: the error of an input that a state does not take. Pure.

The machines: the life of a pod (``podrunner.runner.lifecycle``) and following a log (``podrunner.logs.states``).
"""

from __future__ import annotations

__all__ = ["IllegalInputError"]


class IllegalInputError(Exception):
    """An input came in a state in which it has no meaning: a defect of podrunner. The state is as it was."""
