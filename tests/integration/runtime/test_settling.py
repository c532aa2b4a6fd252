"""Whatever a handler returns, raises or says: its attempt is settled, and no lease waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from purista_celery.errors import (
    BrokerUnavailable,
    InvalidPayload,
    JobCancelled,
    LeaseLost,
    LedgerUnavailable,
)
from purista_celery.ledger.decision import Failure
from purista_celery.runtime.execute import Ending, Execution
from purista_celery.runtime.settle import Held, Settler
from tests.integration.runtime.executing import Desk


class MuteError(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")

    __repr__ = __str__


class RudeError(Exception):
    def __str__(self) -> str:
        raise SystemExit(1)

    __repr__ = __str__


class WrongError(Exception):
    def __str__(self) -> str:
        return None  # type: ignore[return-value]  # noqa: PLE0307 - it is wrong


class StuckError(Exception):
    def __reduce__(self) -> Any:
        raise TypeError("not to be pickled")


class OddError(BaseException):
    pass


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


def endless() -> None:
    endless()


def circular() -> Exception:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    return first


async def answers() -> str:
    return "later"


async def fails() -> None:
    raise ValueError("later")


async def streams() -> Any:
    yield 1


def generates() -> Iterator[int]:
    yield 1


ERRORS: list[Callable[[], BaseException]] = [
    lambda: ValueError("4111 1111 1111 1111"),
    lambda: ValueError("\ud800\x00\x1b[31m"),
    lambda: ValueError("x" * 1_000_000),
    MuteError,
    RudeError,
    WrongError,
    StuckError,
    OddError,
    circular,
    type("L" * 100_000, (Exception,), {}),
    RecursionError,
    MemoryError,
    GeneratorExit,
    StopIteration,
    KeyboardInterrupt,
    asyncio.CancelledError,
    SoftTimeLimitExceeded,
    Ignore,
    Reject,
    Retry,
    lambda: SystemExit(0),
    lambda: SystemExit(-241),
    lambda: SystemExit("bye"),
    lambda: JobCancelled("unwanted"),
    lambda: LeaseLost("of another job"),
    lambda: LedgerUnavailable("away"),
    lambda: BrokerUnavailable("away"),
    lambda: InvalidPayload("no"),
]
REASONS: list[Any] = [None, "", "why", 5, b"x", ["a"], Unprintable(), MuteError(), "x" * 1_000_000]
REASONS += ["\ud800", "a\nb", float("nan"), True]
DELAYS: list[Any] = [None, 5, -1, "soon", timedelta(0), timedelta(-1), timedelta.max, timedelta.min]
VALUES: list[Callable[[], Any]] = [
    lambda: None,
    lambda: {"a": [1, 2]},
    lambda: float("nan"),
    lambda: "\ud800",
    lambda: b"\xff",
    lambda: {1, 2},
    lambda: 10**5000,
    lambda: "x" * 10_000_000,
    object,
    Unprintable,
    generates,
    streams,
    lambda: lambda: None,
    lambda: ValueError("returned"),
    lambda: ([], [list])[0],
]


def raising(make: Callable[[], BaseException]) -> Callable[[Any], Any]:
    def act(_: Any) -> Any:
        raise make()

    return act


def saying(reason: Any, delay: Any, which: int) -> Callable[[Any], Any]:
    says: list[Callable[[Any], Any]] = [
        lambda job: job.fail(reason),
        lambda job: job.fail(reason, fatal=delay),
        lambda job: job.retry(reason, delay),
        lambda job: job.dead_letter(reason),
    ]
    return says[which]


def grouping(acts: list[Callable[[Any], Any]], depth: int) -> Callable[[Any], Any]:
    def act(job: Any) -> Any:
        errors = []
        for each in acts:
            try:
                each(job)
            except BaseException as error:
                errors.append(error)
        group: BaseException = BaseExceptionGroup("group", errors)
        for _ in range(depth):
            group = BaseExceptionGroup("outer", [group])
        raise group

    return act


def in_a_task(act: Callable[[Any], Any]) -> Callable[[Any], Any]:
    async def work(job: Any) -> None:
        async def task() -> None:
            act(job)

        async with asyncio.TaskGroup() as group:
            group.create_task(task())
            group.create_task(asyncio.sleep(0.05))

    return work


def in_a_coroutine(act: Callable[[Any], Any]) -> Callable[[Any], Any]:
    async def work(job: Any) -> Any:
        return act(job)

    return work


errors = st.sampled_from(ERRORS).map(raising)
said = st.builds(saying, st.sampled_from(REASONS), st.sampled_from(DELAYS), st.integers(0, 3))
ends = errors | said
groups = st.builds(grouping, st.lists(ends, min_size=1, max_size=3), st.integers(0, 3))
values = st.sampled_from(VALUES).map(lambda make: lambda _: make())
later = st.sampled_from([answers, fails]).map(lambda make: lambda _: make())
plain = ends | groups | values | st.just(lambda _: endless())
acts = later | plain | plain.map(in_a_coroutine) | (ends | groups).map(in_a_task)


def is_settled(desk: Desk, job_id: str) -> bool:
    return desk.status(job_id).status in ("completed", "pending", "deadLetter", "cancelled")


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(act=acts, name=st.sampled_from(["plain", "card"]), attempts=st.sampled_from([1, 2]))
def test_every_end_of_a_handler_settles_its_job(
    desk: Desk, act: Callable[[Any], Any], name: str, attempts: int
) -> None:
    """A retry, a dead letter or an outcome: never a job in flight that nobody works on."""
    desk.act = act
    job_id = desk.enqueue(name, max_attempts=attempts)
    execution = desk.run(job_id, name)
    assert execution.ending in (Ending.COMPLETED, Ending.RETRIED, Ending.BURIED, Ending.CANCELLED)
    status = desk.status(job_id)
    assert is_settled(desk, job_id), status
    assert "4111" not in f"{status.reason} {status.error}" or name == "plain"


@pytest.mark.parametrize("at", range(len(ERRORS)))
@pytest.mark.parametrize("wrap", [lambda act: act, in_a_coroutine, in_a_task])
def test_each_error_settles_its_job(desk: Desk, at: int, wrap: Any) -> None:
    """None is left to chance."""
    desk.act = wrap(raising(ERRORS[at]))
    job_id = desk.enqueue()
    desk.run(job_id)
    assert is_settled(desk, job_id)


@pytest.mark.parametrize(
    ("say", "expected"),
    [
        (lambda job: job.dead_letter("hopeless"), ("deadLetter", "hopeless")),
        (lambda job: job.fail("hopeless", fatal=True), ("deadLetter", "hopeless")),
        (lambda job: job.fail("bad"), ("pending", "bad")),
        (lambda job: job.fail(None), ("pending", "failed")),
        (lambda job: job.retry(None), ("pending", "retry")),
        (lambda job: job.dead_letter(None), ("deadLetter", "dead_letter")),
        (raising(lambda: JobCancelled("unwanted")), ("cancelled", "cancelled")),
    ],
)
@pytest.mark.parametrize("wrap", [lambda act: act, in_a_coroutine, in_a_task])
def test_what_a_handler_says_counts_wherever_it_says_it(
    desk: Desk, say: Any, expected: tuple[str, str], wrap: Any
) -> None:
    """In a task of a group as in the handler itself."""
    desk.act = wrap(say)
    job_id = desk.enqueue()
    desk.run(job_id)
    status = desk.status(job_id)
    assert (status.status, status.reason) == expected


@pytest.mark.parametrize("make", [generates, streams])
def test_an_event_handler_that_returns_a_generator_has_done_nothing(desk: Desk, make: Any) -> None:
    """Its job is a dead letter that says so, instead of completed."""
    desk.act = lambda _: make()
    job_id = desk.hear()
    assert desk.run(job_id, "the subscription").ending is Ending.BURIED


class Broken(Settler):
    """Raises at the first settles of any kind."""

    def __init__(self, real: Settler, errors: list[BaseException]) -> None:
        self._real, self._errors = real, errors

    def _maybe_raise(self) -> None:
        if self._errors:
            raise self._errors.pop(0)

    def complete(self, held: Held, output: Any) -> Any:
        self._maybe_raise()
        return self._real.complete(held, output)

    def cancel(self, held: Held, reason: str) -> Any:
        self._maybe_raise()
        return self._real.cancel(held, reason)

    def fail(self, held: Held, failure: Failure, **options: Any) -> Any:
        self._maybe_raise()
        return self._real.fail(held, failure, **options)


@pytest.fixture
def broken(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[BaseException]], None]:
    """Let the first settles fail with these errors."""
    executor = desk.app.purista_runtime.executor

    def fail(errors: list[BaseException]) -> None:
        monkeypatch.setattr(executor, "_settler", Broken(executor._settler, errors))

    return fail


@pytest.mark.parametrize("say", [lambda _: "ok", lambda job: job.fail("bad"), lambda _: 1 / 0])
@pytest.mark.parametrize("times", [1, 2])
def test_an_error_while_settling_is_settled(desk: Desk, broken: Any, say: Any, times: int) -> None:
    """Result events that can not be made, for instance: the attempt fails, or is buried at last."""
    desk.act = say
    broken([KeyError("result")] * times)
    job_id = desk.enqueue()
    execution: Execution = desk.run(job_id)
    assert is_settled(desk, job_id)
    assert execution.ending is (Ending.BURIED if times == 2 else Ending.RETRIED)


def test_a_time_limit_while_settling_does_not_change_the_outcome(desk: Desk, broken: Any) -> None:
    """The handler has ended: what it returned is kept."""
    desk.act = lambda _: "done"
    broken([SoftTimeLimitExceeded()])
    job_id = desk.enqueue()
    assert desk.run(job_id).ending is Ending.COMPLETED
    assert desk.status(job_id).output == "done"


def test_an_end_of_the_process_while_settling_keeps_the_outcome(desk: Desk, broken: Any) -> None:
    """It is written once more, and the process goes on to its end."""
    desk.act = lambda _: "done"
    broken([SystemExit(-241)])
    job_id = desk.enqueue()
    with pytest.raises(SystemExit):
        desk.run(job_id)
    assert desk.status(job_id).output == "done"
