"""How a handler ends its attempt by a call: an exception that no ``except Exception`` swallows."""

from __future__ import annotations

from purista_celery.ledger.decision import Failure


class Settlement(BaseException):
    """Raised by ``job.retry``, ``job.fail`` and ``job.dead_letter``; carries the decision."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure
