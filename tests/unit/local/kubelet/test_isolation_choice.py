"""Which isolation is tried, and the error where none works."""

from __future__ import annotations

import pytest
from podrunner.local.kubelet import isolation
from podrunner.local.kubelet.isolation import Isolation, candidates, choose_isolation


@pytest.mark.parametrize(
    ("wanted", "platform", "uid", "expected"),
    [
        ("auto", "linux", 0, (Isolation.ROOT, Isolation.USER)),
        ("auto", "linux", 1000, (Isolation.USER,)),
        ("namespaces", "linux", 1000, (Isolation.USER,)),
        ("none", "linux", 0, ()),
        ("auto", "darwin", 501, ()),
    ],
)
def test_the_best_is_tried_first(wanted, platform, uid, expected):
    assert candidates(wanted, platform=platform, uid=uid) == expected


@pytest.mark.asyncio
async def test_auto_goes_without_where_the_system_refuses(monkeypatch):
    """A plain container without privileges."""

    async def refuse(_):
        return "Operation not permitted"

    monkeypatch.setattr(isolation, "_refusal", refuse)
    assert await choose_isolation("auto") is Isolation.NONE


@pytest.mark.asyncio
async def test_asking_for_namespaces_says_why_there_are_none(monkeypatch):
    async def refuse(_):
        return "Operation not permitted"

    monkeypatch.setattr(isolation, "_refusal", refuse)
    with pytest.raises(RuntimeError, match=r"no namespaces.*Operation not permitted"):
        await choose_isolation("namespaces")


@pytest.mark.asyncio
async def test_any_other_word_is_refused():
    with pytest.raises(ValueError, match=r'"auto", "namespaces" or "none", not \'docker\''):
        await choose_isolation("docker")


@pytest.mark.asyncio
@pytest.mark.processes
async def test_a_trial_that_fails_gives_its_reason(monkeypatch):
    """The shim's own words."""
    monkeypatch.setattr(isolation, "_trial", lambda *_: {**_broken})
    reason = await isolation._refusal(Isolation.NONE)
    assert reason is not None
    assert "not found" in reason


_broken = {
    "isolation": "none",
    "cgroups": [],
    "program": {
        "argv": ["no-such-program"],
        "env": {},
        "cwd": "/",
        "uid": None,
        "gid": None,
        "groups": None,
        "tty": False,
    },
}
