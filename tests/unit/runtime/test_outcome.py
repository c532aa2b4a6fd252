"""What a handler raises is read as what it means for its job, also inside groups."""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from celery.exceptions import SoftTimeLimitExceeded, WorkerShutdown, WorkerTerminate

from purista_celery.errors import (
    BrokerUnavailable,
    EventUnroutable,
    InvalidPayload,
    JobCancelled,
    LeaseLost,
    LedgerUnavailable,
)
from purista_celery.ledger.decision import Failure
from purista_celery.runtime.outcome import (
    Cancelled,
    Ended,
    Failed,
    Hindered,
    Lost,
    Outcome,
    outcome_of,
)
from purista_celery.runtime.settlement import failed, retried

#: From what counts most to what counts least.
ORDER: tuple[BaseException, ...] = (
    WorkerShutdown(0),
    LeaseLost("another's"),
    JobCancelled("unwanted"),
    failed("buried", "", fatal=True),
    failed("failed", ""),
    retried("again", None),
    SoftTimeLimitExceeded(),
    ValueError("wrong"),
    LedgerUnavailable("away"),
)


def summary(outcome: Outcome) -> object:
    match outcome:
        case Failed(failure, _):
            return (failure.reason, failure.fatal)
        case _:
            return type(outcome)


ALONE = {
    0: Ended,
    1: Lost,
    2: Cancelled,
    3: ("buried", True),
    4: ("failed", False),
    5: ("again", False),
    6: ("max_runtime_exceeded", False),
}


@pytest.mark.parametrize("at", range(len(ORDER)))
def test_alone_and_in_groups_of_one_it_is_the_same(at: int) -> None:
    """However deep it is."""
    alone = summary(outcome_of(ORDER[at]))
    assert alone == ALONE.get(at, ("ValueError", False) if at == 7 else Hindered)
    group = BaseExceptionGroup("a", [BaseExceptionGroup("b", [ORDER[at]])])
    assert summary(outcome_of(group)) == alone


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(range(7), 2)))
def test_the_first_in_order_counts_wherever_it_stands(first: int, second: int) -> None:
    """A sibling's error does not undo what a task said of its job, nor does nesting."""
    errors = [ORDER[first], BaseExceptionGroup("deep", [ORDER[second], OSError("else")])]
    counts = ALONE[min(first, second)]
    assert summary(outcome_of(BaseExceptionGroup("top", errors))) == counts


def test_an_error_beside_a_settlement_is_not_forgotten() -> None:
    """It is told with its traceback; a settlement alone needs none."""
    said = failed("hopeless", "", fatal=True)
    group = BaseExceptionGroup("top", [said, ValueError("why")])
    outcome = outcome_of(group)
    assert isinstance(outcome, Failed)
    assert outcome.cause is group
    assert outcome_of(BaseExceptionGroup("top", [said])) == Failed(said.failure)


def test_a_group_of_errors_says_what_each_says() -> None:
    """Python's text of a group only counts them."""
    outcome = outcome_of(ExceptionGroup("two", [ValueError("a"), KeyError("b")]))
    assert isinstance(outcome, Failed)
    assert outcome.failure == Failure("ExceptionGroup", "ValueError: a; KeyError: 'b'")


def wrapped(error: BaseException) -> Exception:
    made = RuntimeError("no receipt")
    made.__cause__ = error
    return made


@pytest.mark.parametrize(
    ("error", "is_outage"),
    [
        (LedgerUnavailable("away"), True),
        (BrokerUnavailable("away"), True),
        # Nobody listens: that does not pass by itself.
        (EventUnroutable("nobody"), False),
        (wrapped(BrokerUnavailable("away")), True),
        (wrapped(ValueError("wrong")), False),
        (ExceptionGroup("both", [LedgerUnavailable("a"), BrokerUnavailable("b")]), True),
        (ExceptionGroup("both", [LedgerUnavailable("a"), ValueError("b")]), False),
    ],
)
def test_an_outage_is_told_from_an_error(error: BaseException, is_outage: bool) -> None:  # noqa: FBT001
    """Only an attempt that nothing but an outage ended is not the job's fault."""
    assert isinstance(outcome_of(error), Hindered) is is_outage


def test_an_exit_of_the_handlers_own_is_an_error() -> None:
    """Also with the status that billiard exits with when it is signalled."""
    for status in (0, 1, "text", None, -241):
        outcome = outcome_of(SystemExit(status))
        assert isinstance(outcome, Failed)
        assert outcome.failure.reason == "SystemExit"


def test_a_payload_that_does_not_fit_is_hopeless() -> None:
    """No other attempt would find another payload."""
    outcome = outcome_of(ExceptionGroup("one", [InvalidPayload("no")]))
    assert isinstance(outcome, Failed)
    assert (outcome.failure.reason, outcome.failure.fatal) == ("invalid_payload", True)


class MuteError(Exception):
    def __str__(self) -> str:
        raise SystemExit(1)

    __repr__ = __str__


def test_an_error_that_can_not_be_printed_is_still_one() -> None:
    """It is named, and what stands for it can be logged."""
    outcome = outcome_of(MuteError())
    assert isinstance(outcome, Failed)
    assert outcome.failure.reason == "MuteError"
    assert "can not be printed" in outcome.failure.error
    assert str(outcome.cause)


@pytest.mark.parametrize(
    ("given", "kept"),
    [(None, "failed"), ("", "failed"), ("why", "why"), (5, "5"), (ValueError("x"), "x")],
)
def test_a_reason_is_a_text_whatever_is_given(given: object, kept: str) -> None:
    """``job.fail(error)`` is a natural thing to write."""
    assert failed(given, "failed").failure.reason == kept


def test_a_delay_that_is_no_timedelta_is_told() -> None:
    """The job is tried again all the same."""
    failure = retried("later", 5).failure
    assert failure.delay is None
    assert "Expected a timedelta as delay, got int" in failure.error
    assert retried("later", timedelta(seconds=5)).failure.delay == timedelta(seconds=5)


@pytest.mark.parametrize("delay", [timedelta(-1), timedelta.min])
def test_a_delay_into_the_past_is_none(delay: timedelta) -> None:
    """The job would be due before it was enqueued, and its status could not be read."""
    assert retried("again", delay).failure.delay == timedelta(0)


class NoClass(Exception):
    @property
    def __class__(self) -> type:  # type: ignore[override]
        raise ZeroDivisionError


class NoCause(Exception):
    @property
    def __cause__(self) -> BaseException:  # type: ignore[override]
        raise SystemExit(3)


class NoParts(ExceptionGroup[Exception]):
    @property
    def exceptions(self) -> tuple[Exception, ...]:
        raise LookupError


def no_parts() -> Exception:
    return NoParts("odd", [ValueError()])


@pytest.mark.parametrize("make", [NoClass, NoCause, no_parts])
@pytest.mark.parametrize("is_deep", [False, True])
def test_an_error_that_can_not_be_looked_at_is_one_all_the_same(
    make: Callable[[], Exception], *, is_deep: bool
) -> None:
    """And what is told of it can be printed; one that escaped would hold its job and its thread."""
    error = ExceptionGroup("deep", [make()]) if is_deep else make()

    outcome = outcome_of(error)

    assert isinstance(outcome, Failed)
    assert outcome.failure.reason == type(error).__name__
    assert outcome.cause is not None
    assert traceback.format_exception(outcome.cause)


@pytest.mark.parametrize("error", [WorkerShutdown(0), WorkerTerminate(1)])
def test_a_thread_of_a_pool_does_not_end_the_process(error: SystemExit) -> None:
    """No signal interrupts it, and Celery would leave the job's request in its slot for ever."""
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(outcome_of, error).result()

    assert summary(outcome) == (type(error).__name__, False)
