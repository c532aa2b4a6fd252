"""Services as teams declare and change them, by their own export of definitions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

import pytest
from pydantic import BaseModel, create_model

from purista_celery import Cron, Enqueue, EventMessage, Job, LongRunning, ResultEvents, Service
from purista_celery.contracts.queue import Ordering
from purista_celery.exports import definitions
from purista_celery.exports.diff.compare import compare


def model(**fields: Any) -> type[BaseModel]:
    made: type[BaseModel] = create_model(
        "Message", **{n: f if isinstance(f, tuple) else (f, ...) for n, f in fields.items()}
    )
    return made


RESULTS = ResultEvents(success="closed", failure="notClosed", delivery="required")


def exported(
    *,
    payload: Any = model(month=int),  # noqa: B008 - models are values
    event: Any = model(n=int),  # noqa: B008
    hours: int = 6,
    results: ResultEvents | None = RESULTS,
    ordering: Ordering = "fifo",
    idempotency: Literal["advisory", "strict"] = "strict",
    cron: str = "0 2 1 * *",
    description: str = "Closes months",
    worker: bool = True,
    subscription: bool = True,
    queue: str = "close",
    name: str = "due",
) -> dict[str, Any]:
    service = Service("billing", description=description)
    due = service.event(name, payload=event)
    tick = service.event("tick")
    close = service.queue(
        queue,
        payload=payload,
        profile=LongRunning(max_runtime=timedelta(hours=hours)),
        ordering=ordering,
        **({"results": results} if results else {}),
    )
    if worker:

        @close.worker(emits=[due])
        def run(job: Job[Any, None]) -> None: ...

    if subscription:

        @service.subscribe(due)
        def hear(event: EventMessage[Any]) -> None: ...

    @service.bind(due, to=close, idempotency=idempotency)
    def bound(event: EventMessage[Any]) -> list[Enqueue[Any, None]]:
        return []

    service.schedule("monthly", Cron(cron, timezone="Europe/Berlin"), emits=tick)
    return definitions([service])


#: what changed, verdict for producers, verdict for consumers
CASES: list[tuple[dict[str, Any], str, str]] = [
    ({}, "compatible", "compatible"),
    ({"description": "Closes them"}, "compatible", "compatible"),
    ({"payload": model(month=int, note=(str, ""))}, "compatible", "compatible"),
    ({"payload": model(month=int, tenant=str)}, "breaking", "compatible"),
    ({"payload": model(month=Literal[1, 2])}, "breaking", "compatible"),
    ({"payload": model(month=int | None)}, "compatible", "breaking"),
    ({"event": model(n=int, note=(str | None, None))}, "compatible", "compatible"),
    ({"event": model(n=int | str)}, "compatible", "breaking"),
    ({"event": None}, "breaking", "breaking"),
    ({"hours": 1}, "compatible", "breaking"),
    ({"hours": 9}, "compatible", "compatible"),
    (
        {"results": ResultEvents(success="closed", failure="notClosed")},
        "compatible",
        "breaking",
    ),
    ({"results": None}, "compatible", "breaking"),
    ({"ordering": "none"}, "compatible", "breaking"),
    ({"idempotency": "advisory"}, "compatible", "breaking"),
    ({"cron": "0 3 1 * *"}, "compatible", "risky"),
    ({"worker": False}, "breaking", "compatible"),
    ({"subscription": False}, "risky", "compatible"),
    ({"queue": "closeAll"}, "breaking", "breaking"),
    ({"name": "overdue"}, "risky", "breaking"),
]


@pytest.mark.parametrize(("changed", "producers", "consumers"), CASES)
def test_a_change_of_a_service_is_judged(
    changed: dict[str, Any], producers: str, consumers: str
) -> None:
    """For both sides, by all that changed."""
    changes = compare(exported(), exported(**changed))
    words = ["compatible", "risky", "breaking"]
    worst = [
        words[max((getattr(each.rule, side) for each in changes), default=0)]
        for side in ("producers", "consumers")
    ]
    assert worst == [producers, consumers], changes
