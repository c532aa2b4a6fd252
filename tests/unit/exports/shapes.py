"""Contracts of every shape that a payload may have, for exports to be tried on."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar
from uuid import UUID

from pydantic import (
    AnyUrl,
    BaseModel,
    ConfigDict,
    Field,
    Json,
    RootModel,
    computed_field,
)
from typing_extensions import TypedDict

from purista_celery import (
    Cron,
    Enqueue,
    EventMessage,
    Interval,
    Job,
    JobResult,
    LongRunning,
    OneShot,
    ResultEvents,
    Service,
)
from purista_celery.contracts.http import Http

T = TypeVar("T")


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Address(BaseModel):
    """Where somebody lives."""

    street: str
    zip: Annotated[str, Field(pattern=r"^\d{5}$")]


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(default=9, ge=0, le=9)


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


class Node(BaseModel):
    """Recursive."""

    value: int
    children: list[Node] = []
    parent: Node | None = None


class Page(BaseModel, Generic[T]):
    items: list[T]
    total: int


class Given(BaseModel):
    """Its author gives an example."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"code": "A-1", "price": "9.90"}]})

    code: str = Field(pattern=r"^[A-Z]-\d+$")
    price: Decimal


class Money(NamedTuple):
    amount: int
    currency: str


class Everything(BaseModel):
    """All kinds of fields in one."""

    model_config = ConfigDict(extra="forbid")

    id: UUID
    at: datetime
    day: date
    wait: timedelta
    amount: Decimal = Field(gt=0, max_digits=10, decimal_places=2)
    ratio: float = Field(gt=0, lt=1)
    even: int = Field(multiple_of=2, ge=3)
    color: Color
    level: Level = Level.LOW
    home: Annotated[Address, Field(description="Where to send it")]
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    either: int | str | None
    pair: tuple[int, str]
    many: tuple[int, ...] = ()
    money: Money
    names: set[str] = Field(min_length=1)
    lookup: dict[str, Address]
    by_number: dict[int, str] = {}
    url: AnyUrl
    raw: bytes = b""
    anything: Any = None
    note: str | None = Field(default=None, max_length=3)
    code: Annotated[str, Field(min_length=12, max_length=12)]
    odd: Annotated[str, Field(pattern=r"^(ab|cd){3}x?[^z]$")]
    ref: str = Field(alias="x-$ref", default="")
    discriminator: str = "a property of that name"
    old: str = Field(default="", deprecated=True)
    text: Json[dict[str, int]] = Field(default_factory=dict)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def doubled(self) -> int:
        return self.even * 2


@dataclass
class Plain:
    """A dataclass of the standard library."""

    number: int
    label: str = "none"


class Loose(TypedDict, total=False):
    """A dictionary with names."""

    first: int
    second: str


class Tags(RootModel[list[str]]):
    """A bare list with a name."""


PAYLOADS: dict[str, Any] = {
    "everything": Everything,
    "recursive": Node,
    "generic": Page[Address],
    "genericOther": Page[int],
    "given": Given,
    "dataclass": Plain,
    "typedDict": Loose,
    "rootModel": Tags,
    "union": Cat | Dog,
    "taggedUnion": Annotated[Cat | Dog, Field(discriminator="kind")],
    "scalarUnion": int | str | None,
    "enum": Color,
    "literal": Literal["a", 1, None],
    "dict": dict[str, Any],
    "dictOfModels": dict[str, Address],
    "list": list[Plain],
    "tuple": tuple[int, str, Address],
    "text": str,
    "integer": int,
    "bounded": Annotated[int, Field(gt=10, lt=12)],
    "decimal": Decimal,
    "instant": datetime,
    "span": timedelta,
    "flag": bool,
    "bytes": bytes,
    "any": Any,
    "nothing": None,
    "mixed": Literal[1] | Annotated[str, Field(min_length=30)],
}


#: Shapes whose queues tell how their jobs ended: enough to have one of each kind in a result.
WITH_RESULTS = {"everything", "dataclass", "nothing", "scalarUnion", "any"}


def services() -> list[Service]:
    """Declare all of it anew."""
    shop = Service("shop", version="2.1", description="Sells things", owner="Shop team")
    books = Service("books-keeping", version="1")
    for name, payload in PAYLOADS.items():
        event = shop.event(f"shop.{name}", payload=payload, tags=["shape"])
        queue = shop.queue(
            f"shop.queue.{name}",
            payload=payload,
            parameter=payload,
            output=payload,
            tags=["shape"],
            results=_results(name) if name in WITH_RESULTS else None,
        )
        books.subscribe(event, name=f"hear.{name}")(lambda event: None)
        shop.bind(event, to=queue)(lambda event: None)
    _odd_names(shop, books)
    _commands(shop, books)
    return [shop, books]


def _results(name: str) -> ResultEvents:
    return ResultEvents(
        success=f"shop.queue.{name}.done",
        failure=f"shop.queue.{name}.failed",
        cancelled=f"shop.queue.{name}.cancelled",
        dead_letter=f"shop.queue.{name}.dead",
        progress=f"shop.queue.{name}.progress",
    )


def _odd_names(shop: Service, books: Service) -> None:
    due = shop.event("month:due", description="Only a schedule emits it", deprecated=True)
    same = shop.event("same")
    work = shop.queue(
        "same",
        payload=Plain,
        description="A queue that is named as an event is",
        profile=LongRunning(max_runtime=timedelta(hours=6), strict=True),
        dead_letter="same.dead",
        priority=3,
        max_parallel=2,
        deprecated=True,
        results=ResultEvents(success="same.done", delivery="required"),
    )
    shop.event("month_due")  # the same channel id as "month:due", if colons were dropped carelessly
    shop.schedule("monthly", Cron("0 2 1 * *", timezone="Europe/Berlin"), emits=due)
    shop.schedule(
        "often", Interval(timedelta(minutes=5)), enqueues=work, payload=Plain(1), enabled=False
    )
    shop.schedule("once", OneShot(datetime(2027, 1, 1, tzinfo=UTC)), emits=same)

    @work.worker(emits=[due], enqueues=[work])
    def run(job: Job[Plain, None]) -> None: ...

    @books.subscribe("shop.#", name="all")
    def every(event: EventMessage[Any]) -> None: ...

    @books.subscribe("shop.*", name="some")
    def some(event: EventMessage[Any]) -> None: ...

    @books.subscribe("nobody.emits", name="lonely")
    def lonely(event: EventMessage[Any]) -> None: ...

    @books.subscribe(work.results.success, name="done")
    def done(event: EventMessage[JobResult[None]]) -> None: ...

    @books.bind(due, to=work, idempotency="strict")
    def order(event: EventMessage[None]) -> Enqueue[Plain, None]:
        """One job a month."""
        return Enqueue(Plain(1))


def _commands(shop: Service, books: Service) -> None:
    price = shop.command(
        "price",
        payload=Plain,
        parameter=Loose,
        output=Given,
        description="Tells a price",
        http=Http(path="/prices/{first}", method="PUT", tenant_aware=True),
        tags=["shape"],
        deprecated=True,
    )
    silent = shop.command("silent", timeout=timedelta(seconds=5))
    shop.schedule("asks", Cron("5 4 * * *"), invokes=price, payload=Plain(1), parameter={})
    told = books.event("books.told", payload=Color)
    twice = books.queue("books.twice", payload=int)

    @price.handler(emits=[told], enqueues=[twice], invokes=[silent])
    def answer(job: Job[Plain, Loose]) -> Given:
        return Given(code="A-1", price=Decimal(1))

    @twice.worker(invokes=[price, silent])
    def answer_twice(job: Job[int, None]) -> None: ...

    @books.subscribe(told, name="asking", invokes=[price])
    def ask(event: EventMessage[Color], job: Job[Any, Any]) -> None: ...
