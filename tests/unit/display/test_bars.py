"""What follows the progress and shows it: bars of tqdm and rich, or a display of the caller's."""

from __future__ import annotations

import io
import sys

import anyio
import podrunner
import pytest
from podrunner.errors import UsageError
from podrunner.runner import ProgressCounts
from rich.console import Console
from tests.support.waiting import until_blocking
from tests.unit.runner.harness import Cluster, running, workload


class Noted:
    """A display that keeps what it was to show."""

    def __init__(self) -> None:
        self.shown: list[ProgressCounts] = []
        self.closed = 0

    def show(self, counts: ProgressCounts) -> None:
        self.shown.append(counts)

    def close(self) -> None:
        self.closed += 1


class Failing(Noted):
    def show(self, counts: ProgressCounts) -> None:
        super().show(counts)
        raise BrokenPipeError


@pytest.mark.anyio
class TestShowing:
    async def test_a_display_follows_the_events_and_is_closed(self, cluster: Cluster):
        display = Noted()
        async with running(cluster) as runner:
            with podrunner.progress(runner, total=2).show(display, every_s=0.5):
                for number in range(2):
                    pod = await runner.launch(workload(number))
                    cluster.play(pod.name)
                    await pod
                    await anyio.sleep(3)
            assert [each.done for each in display.shown][-1] == 2
            assert sorted({each.done for each in display.shown}) == [0, 1, 2]
            assert display.closed == 1
            shown = len(display.shown)
            await runner.launch(workload(3))
            await anyio.sleep(3)
            assert len(display.shown) == shown

    async def test_many_events_are_few_updates(self, cluster: Cluster):
        """At its own pace; the last counts are shown all the same."""
        display = Noted()
        async with running(cluster) as runner:
            with podrunner.progress(runner).show(display, every_s=1):
                await runner.launch_many(workload(number) for number in range(50))
                cluster.play_all()
                await runner.wait_all(20)
        assert len(display.shown) < 10
        assert display.shown[-1].done == 50

    async def test_a_display_that_fails_is_given_up_and_the_runner_goes_on(self, cluster: Cluster, caplog):
        display = Failing()
        async with running(cluster) as runner:
            with podrunner.progress(runner).show(display):
                pod = await runner.launch(workload())
                cluster.play(pod.name)
                assert (await pod).succeeded
                await anyio.sleep(5)
        assert len(display.shown) == 1
        assert display.closed == 1
        assert "display of the progress failed" in caplog.text

    async def test_a_runner_that_closes_first_ends_the_display(self, cluster: Cluster):
        display = Noted()
        async with running(cluster, on_exit="cancel") as runner:
            await runner.launch(workload())
            shown = podrunner.progress(runner).show(display)
            shown.__enter__()
        shown.__exit__(None, None, None)
        assert display.shown[-1].failed == 1

    async def test_a_bar_of_tqdm(self, cluster: Cluster):
        screen = io.StringIO()
        async with running(cluster) as runner:
            with podrunner.progress(runner, total=4).tqdm(file=screen, ascii=True, ncols=120):
                pods = await runner.launch_many(workload(number) for number in range(2))
                cluster.play(pods[0].name, exit_code=1)
                await pods[0]
        last = screen.getvalue().strip().rpartition("\r")[2]
        assert "1/4" in last
        assert "1 failed, 0 running, 1 waiting (Pending)" in last

    async def test_a_bar_of_rich(self, cluster: Cluster):
        console = Console(file=io.StringIO(), force_terminal=True, width=150)
        async with running(cluster) as runner:
            with podrunner.progress(runner, total=4).rich(console=console):
                pods = await runner.launch_many(workload(number) for number in range(2))
                cluster.play(pods[0].name)
                await pods[0]
        assert "1/4" in console.file.getvalue()
        assert "0 failed, 0 running, 1 waiting (Pending)" in console.file.getvalue()


def test_the_blocking_face_shows_it_too(cluster, opened, act):
    display = Noted()
    with opened() as runner, podrunner.progress(runner).show(display, every_s=0.01):
        pod = runner.launch(workload())
        act(runner, cluster.play, pod.name)
        until_blocking(lambda: display.shown and display.shown[-1].done == 1)
    assert display.closed == 1


@pytest.mark.parametrize("package", ["tqdm", "rich"])
def test_without_the_package_it_says_what_to_install(cluster, opened, monkeypatch, package: str):
    for name in (f"podrunner.display.{package}_bar", f"{package}.auto", f"{package}.progress", package):
        monkeypatch.setitem(sys.modules, name, None)
    with opened() as runner, pytest.raises(UsageError, match=r"pip install 'podrunner\[progress\]'"):
        getattr(podrunner.progress(runner), package)()
