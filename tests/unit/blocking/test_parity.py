"""Both faces say the same: names, parameters, defaults, annotations, docstrings; compared both ways."""

from __future__ import annotations

import inspect
import re

import pytest
from podrunner import blocking, runner

PAIRS = [
    (runner.AsyncPodRunner, blocking.PodRunner),
    (runner.AsyncPod, blocking.Pod),
    (runner.AsyncRun, blocking.Run),
    (runner.AsyncEvents, blocking.Events),
    (runner.AsyncLogStream, blocking.LogStream),
]
MAGIC = {
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
}


def members(cls: type) -> dict[str, object]:
    own = {
        MAGIC.get(name, name): member
        for name, member in vars(cls).items()
        if not name.startswith("_") or name in {*MAGIC, *MAGIC.values()}
    }
    return dict(sorted(own.items()))


def said(text: str) -> str:
    """A text of the asynchronous face as the blocking face would have it."""
    text = text.replace("AsyncIterator", "Iterator").replace("async for", "for").replace("async with", "with")
    text = re.sub(r"\bAsync(PodRunner|Pod|Run|Events|LogStream)\b", r"\1", text)
    return text.replace("For asyncio and trio.", "For code without an event loop.")


def words(text: str | None) -> list[str]:
    """Where lines break does not matter."""
    return (text or "").split()


def signature(member: object) -> str:
    function = member.fget if isinstance(member, property) else member
    parameters = inspect.signature(function)
    return (
        said(str(parameters.replace(return_annotation=inspect.Signature.empty))) + " -> " + result(parameters)
    )


def result(signature: inspect.Signature) -> str:
    text = said(str(signature.return_annotation))
    return (
        "None" if text == "bool | None" else text
    )  # __aexit__ of a task group's owner may swallow its own cancel


@pytest.mark.parametrize(("asynchronous", "blocked"), PAIRS)
def test_the_same_names_both_ways(asynchronous: type, blocked: type):
    assert list(members(asynchronous)) == list(members(blocked))


@pytest.mark.parametrize(("asynchronous", "blocked"), PAIRS)
def test_the_same_signatures(asynchronous: type, blocked: type):
    ours, theirs = members(asynchronous), members(blocked)
    assert {name: signature(it) for name, it in ours.items()} == {
        name: signature(it) for name, it in theirs.items()
    }


@pytest.mark.parametrize(("asynchronous", "blocked"), PAIRS)
def test_the_same_kinds_of_members(asynchronous: type, blocked: type):
    """A property stays a property; what is a coroutine function here is a plain function there."""
    for name, member in members(asynchronous).items():
        other = members(blocked)[name]
        assert isinstance(member, property) == isinstance(other, property), name
        assert not inspect.iscoroutinefunction(other), name


@pytest.mark.parametrize(("asynchronous", "blocked"), PAIRS)
def test_the_same_docstrings(asynchronous: type, blocked: type):
    assert words(said(inspect.getdoc(asynchronous) or "")) == words(inspect.getdoc(blocked))
    for name, member in members(asynchronous).items():
        if not name.startswith("__"):
            assert words(said(inspect.getdoc(member) or "")) == words(
                inspect.getdoc(members(blocked)[name])
            ), name


def test_the_runners_are_made_alike():
    made = [inspect.signature(cls.__init__) for cls in PAIRS[0]]
    assert str(made[0]) == str(made[1])


@pytest.mark.parametrize("cls", [blocked for _, blocked in PAIRS])
def test_the_blocking_face_has_no_logic(cls: type):
    """Each method is a signature and at most one bridge call."""
    for name, member in members(cls).items():
        function = member.fget if isinstance(member, property) else member
        if not name.startswith("__"):
            source = inspect.getsource(function)
            assert source.count("self._bridge.call(") + source.count("self._bridge.run") <= 1, name
