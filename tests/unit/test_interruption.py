"""Steps that no interruption ends early."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
from podrunner.interruption import persist

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "raised", [KeyboardInterrupt(), BaseExceptionGroup("of a task", [KeyboardInterrupt()])]
)
async def test_what_a_signal_raises_in_a_step_is_raised_when_the_step_is_done(raised: BaseException):
    """H3: on asyncio the second Ctrl-C is raised in whatever task runs, such as one of the step's own."""
    steps: list[str] = []

    async def step() -> None:
        steps.append("begun")
        if len(steps) == 1:
            raise raised
        await anyio.lowlevel.checkpoint()
        steps.append("done")

    with pytest.raises(KeyboardInterrupt):
        await persist(step)
    assert steps == ["begun", "begun", "done"]


async def test_an_error_of_a_step_is_not_outlasted():
    async def step() -> None:
        raise BaseExceptionGroup("of tasks", [KeyboardInterrupt(), ValueError()])

    with pytest.raises(BaseExceptionGroup):
        await persist(step)


async def test_a_step_that_is_given_up_is_not_done():
    assert not await persist(anyio.sleep_forever, deadline_s=anyio.current_time())
