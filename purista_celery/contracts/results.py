"""Which events tell the world how a job ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from purista_celery.contracts import choices, names
from purista_celery.errors import ContractError, DuplicateName
from purista_celery.messages.result import ResultStatus

Delivery = Literal["required", "best-effort"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultEvents:
    """A queue's result policy; each name that is given is emitted for that outcome.

    ``delivery="required"`` writes the event in the same step as the outcome and publishes it until
    the broker has it; ``"best-effort"`` publishes it once.
    """

    success: str | None = None
    #: Emitted once, when the job has failed for good (it is a dead letter then).
    failure: str | None = None
    cancelled: str | None = None
    dead_letter: str | None = None
    progress: str | None = None
    delivery: Delivery = "best-effort"

    def __post_init__(self) -> None:
        choices.one_of("ResultEvents", "delivery", self.delivery, Delivery)
        given = [name for name in self.names().values() if name]
        for name in given:
            names.dotted("Result event", name)
            if given.count(name) > 1:
                raise DuplicateName(
                    f"ResultEvents: event {name!r} twice; each outcome has its own."
                )
        if not given:
            raise ContractError("ResultEvents: name at least one event, such as success='…'.")

    def names(self) -> dict[ResultStatus, str | None]:
        """Return the event name, if any, of each outcome."""
        return {
            "success": self.success,
            "failed": self.failure,
            "cancelled": self.cancelled,
            "dead-lettered": self.dead_letter,
            "progress": self.progress,
        }
