"""The public face is what the committed text says: no public name, parameter, default or value changes unseen."""

from __future__ import annotations

from tests.support.public_face import GOLDEN, public_face


def test_the_public_face_is_the_committed_one():
    """After an intended change, ``python -m tests.support.public_face`` rewrites the text; review its diff."""
    assert public_face().splitlines() == GOLDEN.read_text().splitlines()
