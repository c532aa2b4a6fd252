"""Endpoints of every shape."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from purista_celery import Http, Sensitive, Service


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


class Card(BaseModel):
    kind: Literal["card"]
    number: Annotated[str, Sensitive("secret")] = Field(pattern=r"^\d{12,19}$")


class Cash(BaseModel):
    kind: Literal["cash"]


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    article: str = Field(description="What is bought", min_length=3)
    size: Size = Size.SMALL
    amount: Annotated[int, Field(gt=0, lt=100)] = 1
    price: Decimal
    paid: Annotated[Card | Cash, Field(discriminator="kind")]
    at: datetime
    buyer: Annotated[str, Sensitive()]
    notes: dict[str, list[tuple[int, str]]] = {}
    parts: list[Order] = []


class Place(BaseModel):
    shop_id: str
    orderId: Annotated[int, Field(ge=1, description="Counts from 1")]  # noqa: N815 - as on the wire


class Search(BaseModel):
    shop_id: str
    since: date | None = None
    sizes: list[Size] = []
    most: int = Field(default=10, ge=1, le=100, deprecated=True)
    words: str


class Found(BaseModel):
    orders: list[Order]
    next: str | None = None


def services() -> list[Service]:
    """Two services with endpoints of each mode, method and protection."""
    shop = Service("shop", version="2.1", description="Sells things", owner="Web Team")
    shop.queue(
        "shop.orders",
        payload=Order,
        parameter=Place,
        output=Found,
        description="Accept an order.\n\nIt is packed within a day.",
        http=Http(path="/shops/{shop_id}/orders/{orderId}", method="PUT", mode="async-job"),
        tags=["orders", "shop"],
        deprecated=True,
    )
    shop.queue("shop.hidden", payload=Order)
    shop.command(
        "search",
        parameter=Search,
        output=Found,
        description="Find orders",
        http=Http(
            path="/shops/{shop_id}/orders",
            method="GET",
            security="public",
            summary="Search orders",
        ),
    )
    shop.command("silent", payload=Order)
    desk = Service("desk")
    desk.command(
        "forget",
        parameter=Place,
        http=Http(
            path="/shops/{shop_id}/orders/{orderId}",
            method="DELETE",
            security="protected-application-middleware",
            tenant_aware=True,
        ),
    )
    desk.command(
        "price",
        payload=Order | None,  # type: ignore[arg-type]
        output=Decimal,
        http=Http(path="/prices", principal_aware=True),
    )
    desk.command("report", payload=list[int], http=Http(path="/reports", mode="async-job"))
    return [shop, desk]
