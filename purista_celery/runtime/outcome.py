"""What a handler's end means for its job: a value, read from what the handler raised.

A handler that works in several tasks (``asyncio.TaskGroup``) raises a group, in which what it said
to its job may stand beside errors, or deeper. The first of these that is anywhere in it counts:

1. the process is being ended,
2. the lease is lost: nothing that this worker says counts any more,
3. the job was cancelled,
4. ``dead_letter`` or ``fail(fatal=True)``,
5. ``fail``,
6. ``retry``,
7. the time limit,
8. an error, unless each one is an outage of the ledger or the broker.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from billiard.common import terminate_handler_fired
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
from purista_celery.runtime.masking import MaskedError
from purista_celery.runtime.settlement import Settlement, text_of

E = TypeVar("E", bound=BaseException)


@dataclass(frozen=True, slots=True)
class Completed:
    """The handler came to its end."""

    #: JSON-able.
    output: Any


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The handler gave in to somebody's wish to cancel the job."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The handler was told that another worker holds the job."""

    cause: BaseException


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed, or the handler said what is to become of the job."""

    failure: Failure
    #: What is worth a traceback.
    cause: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Hindered:
    """The attempt failed because the ledger or the broker was away: not the job's fault."""

    failure: Failure
    cause: BaseException


@dataclass(frozen=True, slots=True)
class Ended:
    """The process is being ended, by a signal or by Celery."""

    error: BaseException


#: What is to be written down.
Settleable = Completed | Cancelled | Lost | Failed | Hindered
Outcome = Settleable | Ended


def outcome_of(error: BaseException) -> Outcome:
    """Return what it means that a handler raised ``error``, whatever that does when looked at."""
    try:
        return _outcome_of(error)
    except BaseException:  # noqa: BLE001 - a job must end, also if its error can not be read
        # Nor may it be raised further: it would be in the way of whoever tells of it.
        stands_for_it = _stand_in(error)
    return Failed(Failure(type(error).__name__, text_of(error)), stands_for_it)


def _outcome_of(error: BaseException) -> Outcome:
    leaves = list(_leaves(error))
    if ending := [each for each in leaves if _is_ending(each)]:
        return Ended(ending[0])
    if lost := _first(leaves, LeaseLost):
        return Lost(printable_error(lost))
    if _first(leaves, JobCancelled):
        return Cancelled()
    if settlements := sorted(_of(leaves, Settlement), key=_rank):
        told = len(settlements) == len(leaves)
        return Failed(settlements[0].failure, None if told else printable_error(error))
    return _failed(error, leaves)


def _failed(error: BaseException, leaves: list[BaseException]) -> Failed | Hindered:
    cause = printable_error(error)
    if _first(leaves, SoftTimeLimitExceeded):
        text = "The handler ran longer than max_runtime."
        return Failed(Failure("max_runtime_exceeded", text), cause)
    failure = _failure_of(leaves[0]) if len(leaves) == 1 else _failure_of_many(error, leaves)
    if all(_is_outage(each) for each in leaves):
        return Hindered(failure, cause)
    return Failed(failure, cause)


def _failure_of(error: BaseException) -> Failure:
    if isinstance(error, InvalidPayload):
        return Failure("invalid_payload", text_of(error), fatal=True)
    return Failure(type(error).__name__, text_of(error))


def _failure_of_many(error: BaseException, leaves: list[BaseException]) -> Failure:
    texts = [f"{type(each).__name__}: {text_of(each)}" for each in leaves]
    return Failure(type(error).__name__, "; ".join(texts))


def printable_error(error: BaseException) -> BaseException:
    """Return ``error``, or what stands for it where logs and Celery could not print it."""
    try:
        _ = (traceback.format_exception(error), str(error), repr(error))
    except (KeyboardInterrupt, SystemExit):
        return _stand_in(error)
    except Exception:  # noqa: BLE001 - it is told without its traceback
        return _stand_in(error)
    return error


def _stand_in(error: BaseException) -> BaseException:
    return MaskedError(f"{type(error).__name__}: {text_of(error)}")


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """Return what is in a group, however deep; an error that is no group is itself."""
    waiting = [error]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseExceptionGroup):
            waiting[:0] = each.exceptions
        else:
            yield each


def _of(errors: Iterable[BaseException], kind: type[E]) -> list[E]:
    return [each for each in errors if isinstance(each, kind)]


def _first(errors: Iterable[BaseException], kind: type[E]) -> E | None:
    return next(iter(_of(errors, kind)), None)


def _rank(settlement: Settlement) -> int:
    if settlement.failure.fatal:
        return 0
    return 2 if settlement.is_retry else 1


def _is_ending(error: BaseException) -> bool:
    """Tell whether the process is being ended, from a handler that calls ``sys.exit``."""
    if threading.current_thread() is not threading.main_thread():
        # No signal interrupts it: this is of the handler's own making.
        return False
    if isinstance(error, WorkerShutdown | WorkerTerminate):
        return True
    # Billiard's handler of signals raises it, having written down that it did.
    return isinstance(error, SystemExit) and terminate_handler_fired()


def _is_outage(error: BaseException) -> bool:
    """Tell whether the ledger or the broker was away, or an error says that this is its cause."""
    seen: BaseException | None = error
    for _ in range(10):
        if isinstance(seen, LedgerUnavailable | BrokerUnavailable):
            # That nobody listens does not pass by itself.
            return not isinstance(seen, EventUnroutable)
        seen = seen.__cause__ if seen is not None else None
    return False
