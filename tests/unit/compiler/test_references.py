"""What only all services together can tell: does each contract point at one that exists?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from purista_celery import Cron, Event, EventMessage, Job, Service
from purista_celery.compiler import references
from purista_celery.contracts.types import adapter_of
from purista_celery.errors import (
    ContractError,
    DuplicateName,
    UnknownReference,
    UnsupportedConcurrency,
    UnsupportedPayload,
)
from tests.unit.compiler.services import Work, declare


def test_services_that_refer_to_each_other_are_accepted() -> None:
    """In any order."""
    shop = declare()
    references.check(shop.services)
    references.check(shop.services[::-1])
    references.check([])


class Later(BaseModel):
    """A model whose forward reference is defined later on."""

    at: Soon  # type: ignore[name-defined]  # noqa: F821


#: A service that is not compiled.
absent = Service("absent")
absent_event = absent.event("absent.event")
absent_queue = absent.queue("absent.queue", payload=Work)


def runs(job: Job[Any, Any]) -> None: ...
def hears(event: EventMessage[Any]) -> None: ...


def same_service(first: Service, second: Service) -> list[Service]:
    return [first, Service("first")]


def same_queue(first: Service, second: Service) -> list[Service]:
    first.queue("q", payload=Work)
    second.queue("q", payload=Work)
    return [first, second]


def same_event(first: Service, second: Service) -> list[Service]:
    first.event("e")
    second.event("e")
    return [first, second]


def binds_absent_event(first: Service, second: Service) -> list[Service]:
    first.bind(absent_event, to=second.queue("q", payload=Work))(hears)
    return [first, second]


def binds_absent_queue(first: Service, second: Service) -> list[Service]:
    first.bind(second.event("e"), to=absent_queue)(hears)
    return [first, second]


def binds_namesake(first: Service, second: Service) -> list[Service]:
    # Another queue of the same name: its contract is not the one that was bound.
    second.queue("absent.queue", payload=Work)
    first.bind(second.event("e"), to=absent_queue)(hears)
    return [first, second]


def emits_absent(first: Service, second: Service) -> list[Service]:
    first.queue("q", payload=Work).worker(name="w", emits=[absent_event])(runs)
    return [first, second]


def enqueues_absent(first: Service, second: Service) -> list[Service]:
    first.queue("q", payload=Work).worker(name="w", enqueues=[absent_queue])(runs)
    return [first, second]


def subscriber_emits_absent(first: Service, second: Service) -> list[Service]:
    first.subscribe(second.event("e"), name="s", emits=[absent_event])(hears)
    return [first, second]


def subscriber_enqueues_absent(first: Service, second: Service) -> list[Service]:
    first.subscribe(second.event("e"), name="s", enqueues=[absent_queue])(hears)
    return [first, second]


def schedules_absent(first: Service, second: Service) -> list[Service]:
    first.schedule("nightly", Cron("0 2 * * *"), emits=absent_event)
    return [first, second]


def schedules_absent_queue(first: Service, second: Service) -> list[Service]:
    first.schedule("nightly", Cron("0 2 * * *"), enqueues=absent_queue, payload=Work())
    return [first, second]


def forbids_unheard(first: Service, second: Service) -> list[Service]:
    first.schedule("nightly", Cron("0 2 * * *"), emits=first.event("e"), concurrency="forbid")
    return [first, second]


def test_a_schedule_that_must_not_overlap_is_heard_by_name_or_pattern() -> None:
    """By a subscription, a pattern or a binding; what follows is known to the ledger."""
    for heard in ("e.x", "e.*", "#"):
        first = Service("first")
        event = first.event("e.x")
        first.schedule("nightly", Cron("0 2 * * *"), emits=event, concurrency="replace")
        first.subscribe(event if heard == "e.x" else heard, name="s")(hears)
        references.check([first])


@pytest.mark.parametrize(
    ("declared", "error", "says"),
    [
        # The same name twice.
        (same_service, DuplicateName, "Two services declare service 'first version 1'"),
        (same_queue, DuplicateName, "Two services declare queue 'q'"),
        (same_event, DuplicateName, "Two services declare event 'e'"),
        # What no compiled service declares.
        (
            binds_absent_event,
            UnknownReference,
            "Binding 'eventToQueue:absent.event:q' of service 'first' uses event 'absent.event'",
        ),
        (
            binds_absent_queue,
            UnknownReference,
            "Binding 'eventToQueue:e:absent.queue' of service 'first' uses queue 'absent.queue'",
        ),
        (binds_namesake, UnknownReference, "uses queue 'absent.queue'"),
        (emits_absent, UnknownReference, "Worker 'w' of service 'first' uses event 'absent.event'"),
        (enqueues_absent, UnknownReference, "Worker 'w' of service 'first' uses queue"),
        (
            subscriber_emits_absent,
            UnknownReference,
            "Subscription 's' of service 'first' uses event 'absent.event'",
        ),
        (subscriber_enqueues_absent, UnknownReference, "Subscription 's' of service 'first'"),
        (schedules_absent, UnknownReference, "Schedule 'nightly' of service 'first' uses event"),
        (schedules_absent_queue, UnknownReference, "'nightly' of service 'first' uses queue"),
        (forbids_unheard, UnsupportedConcurrency, "'forbid' counts the jobs.*subscribes to 'e'"),
    ],
)
def test_what_does_not_fit_together_is_refused_by_name(
    declared: Callable[[Service, Service], list[Service]], error: type[ContractError], says: str
) -> None:
    """The message names the contract, what it points at, and the remedy."""
    services = declared(Service("first"), Service("second"))
    with pytest.raises(error, match=says) as caught:
        references.check(services)
    assert caught.value.code == error.code
    assert "rename" in str(caught.value) or "compile_app([…])" in str(caught.value)


def test_two_versions_of_a_service_live_side_by_side() -> None:
    """As long as their queues and events have names of their own."""
    references.check([Service("shop", version="1"), Service("shop", version="2")])


def test_a_schedule_of_an_event_that_wants_a_payload_is_refused() -> None:
    """Also where that was not known yet as the schedule was declared."""
    service = Service("first")
    event: Event[Any] = service.event("e", payload=Later)
    service.schedule("nightly", Cron("0 2 * * *"), emits=event)
    globals()["Soon"] = int
    Later.model_rebuild()
    adapter_of.cache_clear()
    with pytest.raises(UnsupportedPayload, match=r"'nightly' of service 'first': .* 'e' wants one"):
        references.check([service])
