"""What of an answer's body is passed on, batch by batch. Pure: time and connections are the proxy's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from podrunner.testing.faults.rules import Effect

__all__ = ["Shape"]


class Shape:
    """Cuts, repeats and spoils a body as an effect says.

    Attributes:
        over: Whether the place was reached after which the effect ends or stalls the answer.
    """

    def __init__(self, effect: Effect) -> None:
        self.over: bool = effect.after_bytes == 0 and effect.insert is None
        self._effect = effect
        self._passed = 0
        self._events = 0
        self._held = b""
        self._inserted = effect.insert is None

    def feed(self, data: bytes) -> bytes:
        """Take a batch and return what is passed on of it now."""
        if self._effect.after_events is not None or self._effect.repeat > 1:
            return self._by_event(data)
        return self._by_byte(data)

    def rest(self) -> bytes:
        """Return what was held back, at the end of the body."""
        held, self._held = self._held, b""
        return held if self._inserted else held + self._spoil()

    def _by_byte(self, data: bytes) -> bytes:
        limit = self._effect.after_bytes
        if limit is None or self._passed + len(data) < limit:
            self._passed += len(data)
            return data
        head = data[: max(0, limit - self._passed)]
        self._passed += len(data)
        if self._effect.insert is None:
            self.over = True
            return head
        return data if self._inserted else head + self._spoil() + data[len(head) :]

    def _spoil(self) -> bytes:
        self._inserted = True
        return self._effect.insert or b""

    def _by_event(self, data: bytes) -> bytes:
        *lines, self._held = (self._held + data).split(b"\n")
        passed = []
        for line in lines:
            if self._events == self._effect.after_events:
                self.over = True
                passed.append(line[: len(line) // 2])
                break
            self._events += 1
            passed.append((line + b"\n") * self._effect.repeat)
        return b"".join(passed)
