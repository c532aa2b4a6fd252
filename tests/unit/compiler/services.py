"""Two services whose contracts refer to each other, one kind of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from purista_celery import (
    Cron,
    Enqueue,
    Event,
    EventMessage,
    Job,
    JobResult,
    Lifecycle,
    LongRunning,
    Queue,
    ResultEvents,
    Service,
)


class Work(BaseModel):
    n: int = 0


@dataclass(frozen=True)
class Shop:
    """What was declared, to be asked about."""

    shop: Service
    books: Service
    placed: Event[Work]
    orders: Queue[Work, None, Work]
    closing: Queue[Work, None, None]

    @property
    def services(self) -> list[Service]:
        return [self.shop, self.books]


def declare() -> Shop:
    """Declare it anew: no two calls share anything."""
    shop, books = Service("shop"), Service("books", version="2")
    placed = shop.event("order.placed", payload=Work)
    tick = shop.event("tick")
    orders = shop.queue(
        "orders",
        payload=Work,
        output=Work,
        description="Orders to pack",
        lifecycle=Lifecycle(
            visibility_timeout=timedelta(hours=1), heartbeat_interval=timedelta(minutes=1)
        ),
        results=ResultEvents(success="orders.done"),
    )
    closing = shop.queue(
        "closing", payload=Work, profile=LongRunning(max_runtime=timedelta(hours=6))
    )

    @orders.worker(emits=[placed], enqueues=[closing])
    def pack(job: Job[Work, None]) -> Work:
        return job.payload

    @closing.worker()
    def close(job: Job[Work, None]) -> None: ...

    @books.subscribe(orders.results.success)
    def record(event: EventMessage[JobResult[Work]]) -> None: ...

    @books.subscribe("order.#", name="audit")
    def listen(event: EventMessage[Any]) -> None: ...

    @books.bind(placed, to=orders)
    def order(event: EventMessage[Work]) -> Enqueue[Work, None]:
        return Enqueue(event.payload)

    shop.schedule("nightly", Cron("0 2 * * *"), emits=tick)
    return Shop(shop, books, placed, orders, closing)


#: For what names services by module and attribute.
SERVICES = declare().services
