"""What a service declares, and what it refuses by the name of the contract."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
from datetime import timedelta
from typing import Annotated, Any

import pytest
from pydantic import Field

from purista_celery import (
    Cron,
    Enqueue,
    EventMessage,
    Job,
    JobResult,
    Lifecycle,
    LongRunning,
    ResultEvents,
    Service,
)
from purista_celery.errors import (
    ContractError,
    DuplicateName,
    InvalidHandler,
    InvalidLifecycle,
    InvalidName,
    UnknownReference,
)
from tests.unit.contracts.models import Invoice, Order, Region


@pytest.fixture
def service() -> Service:
    return Service("shop", version="3")


def test_a_service_is_version_one_unless_it_says_otherwise() -> None:
    """PURISTA's versions are text."""
    assert repr(Service("shop")) == "Service('shop', version='1')"


def test_an_event_carries_its_service_and_its_payload(service: Service) -> None:
    """Its name is its routing key; it validates with its payload's type."""
    event = service.event("order.placed", payload=Order, description="New", tags=["a", "b"])

    assert (event.service_name, event.service_version) == ("shop", "3")
    assert event.tags == ("a", "b")
    assert event.adapter.validate_python({"number": 1}) == Order(number=1)
    assert service.events == {"order.placed": event}
    assert service.event("ping").adapter.validate_python(None) is None


def test_a_queue_has_puristas_defaults(service: Service) -> None:
    """The default lifecycle, one message ahead, and neither priority nor limit."""
    queue = service.queue("orders", payload=Order)

    assert queue.lifecycle == Lifecycle()
    assert (queue.parameter, queue.output, queue.profile) == (None, None, None)
    assert (queue.prefetch, queue.priority, queue.max_parallel) == (1, None, None)
    assert (queue.deprecated, queue.tags, queue.dead_letter) == (False, (), None)
    assert queue.parameter_adapter.validate_python(None) is None
    assert service.queues == {"orders": queue}


def test_a_queue_validates_with_the_types_that_it_names(service: Service) -> None:
    """Payload, parameter and output are pydantic's."""
    queue = service.queue("orders", payload=Order, parameter=Region, output=Invoice)
    assert queue.payload_adapter.validate_python({"number": "7"}) == Order(number=7)
    assert queue.parameter_adapter.validate_python({"code": "eu"}) == Region(code="eu")
    assert queue.output_adapter.dump_python(Invoice(total=1)) == {"total": 1}


def test_result_events_are_events_of_the_service(service: Service) -> None:
    """Each that is named can be subscribed to, with the output's type in it."""
    queue = service.queue(
        "orders",
        payload=Order,
        output=Invoice,
        results=ResultEvents(
            success="orders.ok",
            failure="orders.failed",
            cancelled="orders.cancelled",
            dead_letter="orders.dead",
            progress="orders.progress",
        ),
    )
    results = queue.results
    assert [
        event.name
        for event in (
            results.success,
            results.failure,
            results.cancelled,
            results.dead_letter,
            results.progress,
        )
    ] == list(service.events)
    assert results.success.payload == JobResult[Invoice]
    assert results.failure.payload == JobResult[None]


def test_a_result_event_that_was_not_named_is_unknown(service: Service) -> None:
    """The message names the queue and the remedy."""
    queue = service.queue("orders", payload=Order, results=ResultEvents(success="orders.ok"))
    with pytest.raises(UnknownReference, match=r"Queue 'orders' emits no 'failed' event.*results="):
        _ = queue.results.failure
    with pytest.raises(UnknownReference, match="Queue 'mails' emits no 'success' event"):
        _ = service.queue("mails", payload=Order).results.success


def test_a_long_running_queue_is_held_for_its_runtime(service: Service) -> None:
    """The profile makes the lifecycle."""
    queue = service.queue(
        "orders", payload=Order, profile=LongRunning(max_runtime=timedelta(hours=6))
    )
    assert queue.lifecycle.max_lease_extensions == 71


#: A union of models that lack the field by which they are to be told apart.
Undiscriminated = Annotated[Order | Region, Field(discriminator="kind")]


class Unreadable:
    """What pydantic knows nothing of."""


class Table:
    """Declarations that are refused; each takes a service in which some names are taken."""

    @staticmethod
    def handler(job: Job[Order, None]) -> None: ...

    @staticmethod
    def hears(event: EventMessage[Order]) -> None: ...

    @staticmethod
    def maps(event: EventMessage[Order]) -> Enqueue[Order, None]: ...


def taken() -> tuple[Service, Any, Any]:
    service = Service("shop")
    event = service.event("taken", payload=Order)
    queue = service.queue("taken", payload=Order)
    queue.worker()(Table.handler)
    service.subscribe(event, name="taken")(Table.hears)
    service.bind(event, to=queue)(Table.maps)
    service.schedule("taken", Cron("0 2 * * *"), emits=service.event("tick"))
    service.resource("taken")(lambda: None)
    return service, event, queue


Declare = Callable[[Service, Any, Any], object]
REFUSED: list[tuple[Declare, type[ContractError], str]] = [
    # Names that are taken.
    (lambda s, e, q: s.event("taken"), DuplicateName, "'shop' declares event 'taken' twice"),
    (lambda s, e, q: s.queue("taken", payload=Order), DuplicateName, "queue 'taken' twice"),
    (lambda s, e, q: q.worker()(Table.handler), DuplicateName, "worker of queue 'taken' twice"),
    (
        lambda s, e, q: s.subscribe(e, name="taken")(Table.hears),
        DuplicateName,
        "subscription 'taken' twice",
    ),
    (
        lambda s, e, q: s.bind(e, to=q)(Table.maps),
        DuplicateName,
        "binding 'eventToQueue:taken:taken' twice",
    ),
    (
        lambda s, e, q: s.schedule("taken", Cron("0 2 * * *"), emits=s.events["tick"]),
        DuplicateName,
        "schedule 'taken' twice",
    ),
    (lambda s, e, q: s.resource("taken")(lambda: 1), DuplicateName, "resource 'taken' twice"),
    # A result event that another contract declares.
    (
        lambda s, e, q: s.queue("new", payload=Order, results=ResultEvents(success="taken")),
        DuplicateName,
        "event 'taken' twice",
    ),
    # The same name for two outcomes.
    (
        lambda s, e, q: s.queue(
            "new", payload=Order, results=ResultEvents(success="x", failure="x")
        ),
        DuplicateName,
        "event 'x' twice",
    ),
    # Names that are none.
    (lambda s, e, q: s.event("a.*"), InvalidName, "Event name 'a.\\*'"),
    (lambda s, e, q: s.queue("a b", payload=Order), InvalidName, "Queue name 'a b'"),
    (
        lambda s, e, q: s.queue("a", payload=Order, dead_letter="#"),
        InvalidName,
        "Dead letter name '#'",
    ),
    (lambda s, e, q: s.subscribe("a*"), InvalidName, "Subscribed event name 'a\\*'"),
    (
        lambda s, e, q: s.subscribe(e, name="no name")(Table.hears),
        InvalidName,
        "Subscription name 'no name'",
    ),
    (
        lambda s, e, q: s.subscribe(e)(lambda event: None),
        InvalidName,
        "Subscription name '<lambda>'",
    ),
    (lambda s, e, q: Service("a.b"), InvalidName, "Service name 'a.b'"),
    (lambda s, e, q: Service("a", version="*"), InvalidName, "Service version name '\\*'"),
    (lambda s, e, q: s.resource("not one")(lambda: 1), ContractError, "Resource 'not one'"),
    # The compiler's own names.
    (
        lambda s, e, q: s.queue("sub.mine", payload=Order),
        ContractError,
        "Queue 'sub.mine': names that begin with sub. or cmd.",
    ),
    # Numbers out of range.
    (
        lambda s, e, q: s.queue("a", payload=Order, priority=10),
        ContractError,
        "Queue 'a': expected priority 0 to 9, got 10",
    ),
    (
        lambda s, e, q: s.queue("a", payload=Order, priority=-1),
        ContractError,
        "Queue 'a': expected priority 0 to 9, got -1",
    ),
    (
        lambda s, e, q: s.queue("a", payload=Order, max_parallel=0),
        ContractError,
        "Queue 'a': expected max_parallel >= 1, got 0",
    ),
    # A lease that contradicts itself is told with the queue's name.
    (
        lambda s, e, q: s.queue(
            "a",
            payload=Order,
            lifecycle=Lifecycle(visibility_timeout=timedelta(minutes=7)),
            profile=LongRunning(max_runtime=timedelta(minutes=6)),
        ),
        InvalidLifecycle,
        "Queue 'a': max_runtime 0:06:00 is shorter than the lease",
    ),
    # What pydantic can not validate: a plain class, a value, nothing hashable.
    (
        lambda s, e, q: s.event("a", payload=Undiscriminated),
        ContractError,
        "is no type that pydantic can validate",
    ),
    (
        lambda s, e, q: s.event("a", payload=Unreadable),
        ContractError,
        "Event 'a': payload 'Unreadable' is no type that pydantic can validate",
    ),
    (
        lambda s, e, q: s.queue("a", payload=Order(number=1)),
        ContractError,
        "Queue 'a': payload 'number=1' is no type",
    ),
    (
        lambda s, e, q: s.queue("a", payload=Order, parameter=[Region]),
        ContractError,
        "Queue 'a': parameter .* is no type",
    ),
    (
        lambda s, e, q: s.queue("a", payload=Order, output=Unreadable),
        ContractError,
        "Queue 'a': output 'Unreadable' is no type",
    ),
    # Misspelt words of an untyped caller; each would silently mean the default.
    (
        lambda s, e, q: s.queue("a", payload=Order, ordering="FIFO"),
        ContractError,
        "Queue 'a': ordering 'FIFO'.*'fifo'",
    ),
    (
        lambda s, e, q: s.bind(e, to=q, idempotency="exact")(Table.maps),
        ContractError,
        "Binding 'eventToQueue:taken:taken': idempotency 'exact'.*'strict'",
    ),
    (
        lambda s, e, q: ResultEvents(success="a", delivery="require"),
        ContractError,
        "ResultEvents: delivery 'require'.*'required'",
    ),
    (
        lambda s, e, q: s.queue("a", payload=Order).worker(mode="loop")(Table.handler),
        ContractError,
        "Worker 'handler' of queue 'a': mode 'loop'.*'continuous'",
    ),
]


@pytest.mark.parametrize(("declare", "error", "says"), REFUSED, ids=range(len(REFUSED)))
def test_a_wrong_declaration_is_refused_by_name(
    declare: Declare, error: type[ContractError], says: str
) -> None:
    """When it is declared, with the code of what is wrong and the name of the contract."""
    service, event, queue = taken()
    with pytest.raises(error, match=says) as caught:
        declare(service, event, queue)
    assert type(caught.value) is error
    assert str(caught.value).startswith(f"[{error.code}] ")


def test_a_type_may_be_declared_before_the_types_that_it_names(service: Service) -> None:
    """Its forward references are looked up when the first payload arrives."""
    queue = service.queue("orders", payload=list["Nowhere"])  # type: ignore[name-defined]  # noqa: F821
    assert service.queues["orders"] is queue


def test_what_is_refused_is_not_declared() -> None:
    """A service is as it was before the mistake, so that a notebook can try again."""
    service = Service("shop")
    service.event("ok")
    with pytest.raises(DuplicateName):
        service.queue("orders", payload=Order, results=ResultEvents(failure="bad", success="ok"))
    assert list(service.events) == ["ok"]
    assert not service.queues


def test_a_repeated_queue_is_told_as_a_repeated_queue(service: Service) -> None:
    """Not as a repetition of its result events, which nobody wrote twice."""
    results = ResultEvents(success="orders.ok")
    service.queue("orders", payload=Order, results=results)
    with pytest.raises(DuplicateName, match="queue 'orders' twice"):
        service.queue("orders", payload=Order, results=results)


def test_a_subscription_is_named_after_its_function(service: Service) -> None:
    """Its key is the stem of its queues; its docstring describes it."""
    event = service.event("order.placed", payload=Order)
    mails = service.queue("mails", payload=Order)

    @service.subscribe(event, emits=[event], enqueues=[mails])
    def send_mail(event: EventMessage[Order], job: Job[Any, Any]) -> None:
        """Tell the customer."""

    found = service.subscriptions["send_mail"]
    assert (found.key, found.event_name) == ("sub.shop.3.send_mail", "order.placed")
    assert (found.arity, found.description) == (2, "Tell the customer.")
    assert (found.emits, found.enqueues) == ((event,), (mails,))
    assert found.function is send_mail
    assert found.lifecycle == Lifecycle()


def test_a_pattern_subscription_takes_any_payload(service: Service) -> None:
    """A topic pattern hears events of many types."""

    @service.subscribe("order.#", name="audit")
    async def listen(event: EventMessage[object]) -> None: ...

    found = service.subscriptions["audit"]
    assert (found.event_name, found.payload, found.arity) == ("order.#", Any, 1)


def test_a_binding_has_puristas_name(service: Service) -> None:
    """``eventToQueue:<event>:<queue>``, advisory unless strict is asked for."""
    event = service.event("order.placed", payload=Order)
    queue = service.queue("orders", payload=Order)
    service.bind(event, to=queue)(Table.maps)

    [(name, binding)] = service.bindings.items()
    assert name == binding.name == "eventToQueue:order.placed:orders"
    assert binding.key == f"sub.shop.3.{name}"
    assert binding.idempotency == "advisory"


def test_a_worker_keeps_its_edges(service: Service) -> None:
    """What it may emit and enqueue is declared with it."""
    queue = service.queue("orders", payload=Order)
    mails = service.queue("mails", payload=Order)
    done = service.event("done")
    queue.worker(emits=[done], enqueues=[mails])(Table.handler)

    worker = service.workers["orders"]
    assert (worker.name, worker.mode, worker.interval) == ("handler", "continuous", None)
    assert (worker.emits, worker.enqueues) == ((done,), (mails,))


def test_decorators_give_the_function_back() -> None:
    """So that it can be called in a unit test as it is written."""
    service = Service("shop")
    event = service.event("e", payload=Order)
    queue = service.queue("q", payload=Order)
    assert queue.worker()(Table.handler) is Table.handler
    assert service.subscribe(event)(Table.hears) is Table.hears
    assert service.bind(event, to=queue)(Table.maps) is Table.maps
    factory = service.resource("db")(dict)
    assert service.resources["db"].factory is factory is dict


def test_declared_contracts_are_frozen() -> None:
    """No attribute of an event, queue, subscription, binding, worker or resource can be set."""
    service, event, queue = taken()
    declared = [
        event,
        queue,
        queue.results,
        *service.subscriptions.values(),
        *service.bindings.values(),
        *service.workers.values(),
        *service.resources.values(),
    ]
    for contract in declared:
        with pytest.raises(FrozenInstanceError):
            setattr(contract, fields(contract)[0].name, "other")


def test_services_share_nothing() -> None:
    """There is no registry: the same names can be declared by two services."""
    first, second = taken()[0], taken()[0]
    assert first.queues["taken"] is not second.queues["taken"]
    assert first.queues["taken"] != second.queues["taken"]


def test_a_handler_is_refused_before_it_is_declared(service: Service) -> None:
    """A handler that does not fit leaves the queue free for one that does."""
    queue = service.queue("orders", payload=Order)
    with pytest.raises(InvalidHandler):
        queue.worker()(lambda: None)  # type: ignore[arg-type,misc]
    queue.worker()(Table.handler)
    assert service.workers["orders"].function is Table.handler


def test_an_option_that_does_not_exist_is_refused() -> None:
    """A misspelt one would otherwise do nothing."""
    with pytest.raises(TypeError, match="Queue 'orders': unknown option priorty"):
        Service("shop").queue("orders", payload=Order, priorty=3)  # type: ignore[call-overload]
