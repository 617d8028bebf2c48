"""Kubeconfigs and exec plugins of many kinds: podrunner does what kubectl does, or the table says why it does not.

The cases are the table of ``docs/reference/access.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.access.case import Case
from tests.support.access.cases import CASES
from tests.support.access.runs import Verdict, prepared, run_kubectl, run_podrunner
from tests.support.access.server import Recorder


@pytest.fixture(scope="module")
def server() -> Iterator[Recorder]:
    made = Recorder()
    yield made
    made.close()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which kubectl keeps what the server said of its types: each server is asked once."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_podrunner_does_what_kubectl_does(case: Case, server, cache, tmp_path, newest_kubectl) -> None:
    """K1, K2, K3, K4: the verdict, the namespace, headers and certificate that arrive, what a plugin is asked."""
    if "[::1]" in case.name and not server.ipv6:
        pytest.skip("this machine has no IPv6")
    theirs = run_kubectl(newest_kubectl, prepared(case, tmp_path / "kubectl", server), cache)
    ours = await run_podrunner(prepared(case, tmp_path / "podrunner", server))
    assert_fits(theirs, case.kubectl, case.arrives if case.kubectl_sends is None else case.kubectl_sends)
    assert_fits(ours, case.podrunner, case.arrives)
    if theirs.asked is not None:
        assert ours.asked == theirs.asked


def assert_fits(verdict: Verdict, refusal: str, sent: tuple[str, ...]) -> None:
    if refusal:
        assert refusal in verdict.error
    else:
        assert (verdict.error, verdict.sent) == ("", sent)
