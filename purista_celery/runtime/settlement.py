"""How a handler ends its attempt by a call: an exception that no ``except Exception`` swallows."""

from __future__ import annotations

from datetime import timedelta

from purista_celery.ledger.decision import Failure


class Settlement(BaseException):
    """Raised by ``job.retry``, ``job.fail`` and ``job.dead_letter``; carries the decision."""

    def __init__(self, failure: Failure, *, is_retry: bool = False) -> None:
        super().__init__(failure.reason)
        self.failure = failure
        #: Whether another attempt was asked for.
        self.is_retry = is_retry


def failed(reason: object, otherwise: str, *, fatal: bool = False) -> Settlement:
    """Return what a handler said of its end, in a form that can be kept, whatever it said.

    A reason of another type is its text, and none at all is ``otherwise``.
    """
    return Settlement(Failure(_reason(reason, otherwise), fatal=fatal))


def retried(reason: object, delay: object) -> Settlement:
    """As :func:`failed`, for ``job.retry``.

    A delay that is no timedelta is told in the error, and the queue's backoff stands in for it.
    """
    text = _reason(reason, "retry")
    if delay is None:
        return Settlement(Failure(text), is_retry=True)
    if isinstance(delay, timedelta):
        # An instant in the past is now; one long past could not even be written.
        return Settlement(Failure(text, delay=max(delay, timedelta(0))), is_retry=True)
    error = (
        f"Expected a timedelta as delay, got {type(delay).__name__}; the queue's backoff is used."
    )
    return Settlement(Failure(text, error), is_retry=True)


def _reason(given: object, otherwise: str) -> str:
    return (text_of(given) if given is not None else "") or otherwise


def text_of(value: object) -> str:
    """Return what a value says of itself; also if it can not be printed."""
    try:
        return str(value)
    except (KeyboardInterrupt, SystemExit) as error:
        return _unprintable(value, error)
    except Exception as error:  # noqa: BLE001 - what can not be printed is still something
        return _unprintable(value, error)


def _unprintable(value: object, error: BaseException) -> str:
    return f"({type(value).__name__} that can not be printed: {type(error).__name__})"
