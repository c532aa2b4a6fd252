"""Which handlers fit a contract, told when they are declared."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Optional, TypeVar

import pytest

from purista_celery import Enqueue, EventMessage, Job, Service
from purista_celery.errors import InvalidHandler
from tests.unit.contracts.models import Draft, Invoice, Order, Region, RushOrder

if TYPE_CHECKING:
    from nowhere import Unseen  # type: ignore[import-not-found]

T = TypeVar("T")

# ruff: noqa: UP045 - both spellings of an optional type are to be read


def plain(job: Job[Order, Region]) -> Invoice: ...
async def awaited(job: Job[Order, Region]) -> Invoice: ...
def awaitable(job: Job[Order, Region]) -> Awaitable[Invoice]: ...
def unannotated(job): ...  # type: ignore[no-untyped-def]
def bare(job: Job) -> Invoice: ...  # type: ignore[type-arg]
def anything(job: Any) -> Any: ...
def an_object(job: object) -> Invoice: ...
def gradual(job: Job[Any, Any]) -> Invoice: ...
def generic(job: Job[T, Region]) -> Invoice: ...
def optional_more(job: Job[Order, Region], verbose: bool = False) -> Invoice: ...  # noqa: FBT001
def keyword_default(job: Job[Order, Region], *, verbose: bool = False) -> Invoice: ...
def narrower_output(job: Job[Order, Region]) -> Draft: ...
def unseen(job: Unseen) -> Invoice: ...


class Callables:
    def method(self, job: Job[Order, Region]) -> Invoice: ...

    def __call__(self, job: Job[Order, Region]) -> Invoice: ...


@pytest.mark.parametrize(
    "function",
    [
        plain,
        awaited,
        awaitable,
        unannotated,  # nothing said, nothing wrong
        bare,  # stands for any job
        anything,
        an_object,
        gradual,
        generic,
        optional_more,  # called with the job alone
        keyword_default,
        narrower_output,  # each draft is an invoice
        unseen,  # a type checker's name; it is the judge then
        Callables().method,
        Callables(),
        functools.partial(plain),
        functools.partial(optional_more, verbose=True),
    ],
)
def test_a_handler_that_fits_is_accepted(function: Callable[..., Any]) -> None:
    """``def`` and ``async def``, annotated in full, in part or not at all."""
    service = Service("shop")
    queue = service.queue("orders", payload=Order, parameter=Region, output=Invoice)
    queue.worker()(function)
    assert service.workers["orders"].function is function


def nothing() -> Invoice: ...
def two(job: Job[Order, Region], other: int) -> Invoice: ...
def required_keyword(job: Job[Order, Region], *, other: int) -> Invoice: ...
def by_keyword(*, job: Job[Order, Region]) -> Invoice: ...
def wrong_argument(job: Order) -> Invoice: ...
def wrong_payload(job: Job[Invoice, Region]) -> Invoice: ...
def narrower_payload(job: Job[RushOrder, Region]) -> Invoice: ...
def wrong_parameter(job: Job[Order, None]) -> Invoice: ...
def wrong_output(job: Job[Order, Region]) -> Order: ...
def no_output(job: Job[Order, Region]) -> None: ...
def perhaps_output(job: Job[Order, Region]) -> Invoice | None: ...
def a_list(job: Job[Order, Region]) -> list[Invoice]: ...
async def wrong_awaited(job: Job[Order, Region]) -> Order: ...
def yields(job: Job[Order, Region]) -> Iterator[Invoice]:
    yield Invoice(total=1)


def yields_unannotated(job):  # type: ignore[no-untyped-def]
    yield Invoice(total=1)


async def yields_later(job: Job[Order, Region]):  # type: ignore[no-untyped-def]
    yield Invoice(total=1)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        # The number of arguments.
        (nothing, "handler 'nothing' must take \\(Job.*\\), 1 of them at least"),
        (two, "handler 'two' must take"),
        (required_keyword, "handler 'required_keyword' must take"),
        (by_keyword, "handler 'by_keyword' must take"),
        # Their types.
        (wrong_argument, "argument 'job' is .*Order.* but the contract gives .*Job"),
        (wrong_payload, "argument 'job' is .*Job.*Invoice.*but the contract gives"),
        # A handler of rush orders would be given other orders too.
        (narrower_payload, "argument 'job' is .*RushOrder.*but the contract gives"),
        (wrong_parameter, "argument 'job' is"),
        # What it returns.
        (wrong_output, "returns .*Order.*but the contract says .*Invoice"),
        (no_output, "returns None, but the contract says .*Invoice"),
        (perhaps_output, "returns .*Invoice.*None, but the contract says .*Invoice"),
        (a_list, "returns list.*but the contract says"),
        (wrong_awaited, "returns .*Order.*but the contract says"),
        # A generator's body would never run.
        (yields, "handler 'yields' is a generator"),
        (yields_unannotated, "handler 'yields_unannotated' is a generator"),
        (yields_later, "handler 'yields_later' is a generator"),
        # No function, or one that can not be asked.
        (None, "expected a function, got None"),
        (max, "handler 'max' .*signature"),
    ],
)
def test_a_handler_that_does_not_fit_is_refused(function: Any, says: str) -> None:
    """The message names the queue, the function, what it says and what the contract says."""
    queue = Service("shop").queue("orders", payload=Order, parameter=Region, output=Invoice)
    with pytest.raises(InvalidHandler, match=f"Queue 'orders': .*{says}") as caught:
        queue.worker()(function)
    assert caught.value.code == "PURISTA_CONTRACT_INVALID_HANDLER"


def returns_invoice(job: Job[Order, None]) -> Invoice: ...
def returns_optional(job: Job[Order, None]) -> Optional[Invoice]: ...
def returns_nothing(job: Job[Order, None]) -> None: ...
def returns_invoices(job: Job[Order, None]) -> list[Invoice]: ...
def returns_bare_list(job: Job[Order, None]) -> list: ...  # type: ignore[type-arg]


@pytest.mark.parametrize(
    ("output", "function"),
    [
        (Invoice | None, returns_invoice),
        (Invoice | None, returns_optional),  # typing's spelling of the same
        (Invoice | None, returns_nothing),
        (Invoice | Order, returns_invoice),
        (list[Invoice], returns_invoices),
        (list[Invoice], returns_bare_list),
        (Sequence[Invoice], returns_invoices),
        (list, returns_invoices),
    ],
)
def test_a_handler_may_return_less_than_the_contract_allows(
    output: Any, function: Callable[..., Any]
) -> None:
    """Each member of a union, and each list, is an output of that type."""
    queue: Any = Service("shop").queue("orders", payload=Order, output=output)
    queue.worker()(function)


def hears(event: EventMessage[Order]) -> None: ...
def hears_with_job(event: EventMessage[Order], job: Job[Any, Any]) -> None: ...
def hears_base(event: EventMessage[Any]) -> None: ...
def hears_bare(event: EventMessage) -> None: ...  # type: ignore[type-arg]
async def hears_later(event: EventMessage[Order]) -> None: ...
def hears_other(event: EventMessage[Invoice]) -> None: ...
def hears_job(job: Job[Any, Any]) -> None: ...
def hears_twice(event: EventMessage[Order], job: EventMessage[Order]) -> None: ...
def hears_and_tells(event: EventMessage[Order]) -> int: ...
def hears_three(event: EventMessage[Order], job: Job[Any, Any], more: int) -> None: ...


@pytest.mark.parametrize(
    ("function", "arity"),
    [(hears, 1), (hears_with_job, 2), (hears_base, 1), (hears_bare, 1), (hears_later, 1)],
)
def test_a_subscriber_takes_the_event_and_perhaps_the_job(
    function: Callable[..., Any], arity: int
) -> None:
    """How many arguments it takes is remembered."""
    service = Service("shop")
    service.subscribe(service.event("placed", payload=Order), name="s")(function)
    assert service.subscriptions["s"].arity == arity


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (hears_other, "argument 'event' is .*Invoice.*but the contract gives .*Order"),
        (hears_job, "argument 'job' is .*Job.*but the contract gives .*EventMessage"),
        (hears_twice, "argument 'job' is .*EventMessage.*but the contract gives .*Job"),
        (hears_and_tells, "returns .*int.*but the contract says None"),
        (hears_three, "must take \\(EventMessage.*, Job.*\\), 1 of them at least"),
        (nothing, "must take"),
    ],
)
def test_another_subscriber_is_refused(function: Callable[..., Any], says: str) -> None:
    """The message names the subscription."""
    service = Service("shop")
    event = service.event("placed", payload=Order)
    with pytest.raises(InvalidHandler, match=f"Subscription 's': .*{says}"):
        service.subscribe(event, name="s")(function)


def maps_one(event: EventMessage[Order]) -> Enqueue[Order, None]: ...
def maps_many(event: EventMessage[Order]) -> list[Enqueue[Order, None]]: ...
def maps_none(event: EventMessage[Order]) -> None: ...
async def maps_later(event: EventMessage[Order]) -> Enqueue[Order, None]: ...
def maps_other(event: EventMessage[Invoice]) -> Enqueue[Order, None]: ...
def maps_two(event: EventMessage[Order], job: Job[Any, Any]) -> Enqueue[Order, None]: ...


@pytest.mark.parametrize("function", [maps_one, maps_many, maps_none])
def test_a_mapping_returns_one_job_or_many_or_none(function: Callable[..., Any]) -> None:
    """All three are declared alike."""
    service = Service("shop")
    event = service.event("placed", payload=Order)
    service.bind(event, to=service.queue("orders", payload=Order))(function)
    assert len(service.bindings) == 1


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (maps_other, "argument 'event' is"),
        (maps_two, "must take"),
        (maps_later, "must be a plain function"),  # a mapping is not awaited
    ],
)
def test_another_mapping_is_refused(function: Callable[..., Any], says: str) -> None:
    """The message names the binding."""
    service = Service("shop")
    event = service.event("placed", payload=Order)
    queue = service.queue("orders", payload=Order)
    with pytest.raises(InvalidHandler, match=f"Binding 'eventToQueue:placed:orders': .*{says}"):
        service.bind(event, to=queue)(function)
