"""The event loop of the handlers outlives what they do to it; nobody waits for one that ends."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from purista_celery.runtime.loop import HandlerLoop, LoopEnded


@pytest.fixture
def loop() -> HandlerLoop:
    return HandlerLoop()


def within(seconds: float, run: Callable[[], Any]) -> Any:
    """Return what ``run`` returns or raises, and fail if it does not end."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result(seconds)


async def leave() -> None:
    sys.exit(3)


async def interrupt() -> None:
    raise KeyboardInterrupt


async def current() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


async def awaited(task: Coroutine[Any, Any, None]) -> None:
    await asyncio.create_task(task)


async def gathered(task: Coroutine[Any, Any, None]) -> None:
    await asyncio.gather(task, asyncio.sleep(30))


async def grouped(task: Coroutine[Any, Any, None]) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(task)
        group.create_task(asyncio.sleep(30))


@pytest.mark.parametrize("how", [awaited, gathered, grouped])
@pytest.mark.parametrize(("task", "raised"), [(leave, SystemExit), (interrupt, KeyboardInterrupt)])
def test_an_exit_in_a_task_reaches_the_job_whose_task_it_is(
    loop: HandlerLoop, how: Any, task: Any, raised: type[BaseException]
) -> None:
    """Asyncio hands it to whoever awaits the task, and ends the loop; ours goes on."""
    before = loop.run(current())
    with pytest.raises(raised):
        within(10, lambda: loop.run(how(task())))
    assert loop.run(current()) is before


def test_an_exit_in_a_leftover_task_is_no_other_jobs_fault(loop: HandlerLoop) -> None:
    """Clients that are bound to the loop still work for the next job, and for one that waits."""
    bound: list[asyncio.Lock] = []
    going_on = threading.Event()

    async def bystander() -> str:
        going_on.set()
        bound.append(asyncio.Lock())
        async with bound[0]:
            await asyncio.sleep(0.2)
        return "done"

    async def careless() -> None:
        asyncio.get_running_loop().call_soon(sys.exit)
        careless.task = asyncio.create_task(leave())  # type: ignore[attr-defined]

    async def use() -> str:
        async with bound[0]:
            return "used"

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(loop.run, bystander())
        assert going_on.wait(10)
        loop.run(careless())
        assert waiting.result(10) == "done"
    assert loop.run(use()) == "used"


def test_a_handler_that_stops_the_loop_stops_nobody(loop: HandlerLoop) -> None:
    """The loop goes on, the handler that stopped it included."""

    async def stop() -> str:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0.01)
        return "here"

    assert within(10, lambda: loop.run(stop())) == "here"


def test_who_waits_when_the_loop_ends_is_told(loop: HandlerLoop) -> None:
    """Whatever ends it: the wait ends with an error, and the next job has a loop again."""

    async def break_it() -> None:
        running = asyncio.get_running_loop()

        def close() -> None:
            running.stop()
            # What the loop itself raises is not a handler's.
            running._run_once = lambda: 1 / 0  # type: ignore[attr-defined]

        running.call_soon(close)
        await asyncio.sleep(30)

    with pytest.raises(LoopEnded):
        within(10, lambda: loop.run(break_it()))
    assert loop.run(current()).is_running()


def test_a_handler_sees_the_context_of_its_job(loop: HandlerLoop) -> None:
    """The active span is in it."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("job")

    async def read() -> str:
        return variable.get()

    assert loop.run(read()) == "job"


class SoftLimitError(Exception):
    pass


@pytest.fixture
def limited() -> Any:
    """Let SIGALRM be a time limit, after a moment."""

    def raise_it(*_: Any) -> None:
        raise SoftLimitError

    before = signal.signal(signal.SIGALRM, raise_it)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_a_job_out_of_time_has_ended_when_it_is_told(loop: HandlerLoop, limited: Any) -> None:
    """It is not to be settled, and run elsewhere, while it still cleans up here."""
    ended: list[float] = []

    async def slow() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0.3)
            ended.append(time.monotonic())

    limited(0.05)
    with pytest.raises(SoftLimitError):
        loop.run(slow())
    assert ended


def test_a_job_may_answer_to_its_time_limit(loop: HandlerLoop, limited: Any) -> None:
    """As a plain handler may that catches ``SoftTimeLimitExceeded``."""

    async def answers() -> str:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            return "as far as I came"
        return "never"

    limited(0.05)
    assert loop.run(answers()) == "as far as I came"
