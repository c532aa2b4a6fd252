"""A payload that does not fit its contract, as a handler's process says so."""

from __future__ import annotations

import traceback
from typing import Any

import pytest
from pydantic import BaseModel

from purista_celery import Service, Settings, compile_app
from purista_celery.errors import InvalidPayload
from purista_celery.messages.job import JobMessage
from purista_celery.runtime.handlers import read_payload

NOWHERE = "redis://127.0.0.1:1/0"


class Line(BaseModel):
    count: int


class Note(BaseModel):
    text: str


class Order(BaseModel):
    lines: list[Line | Note]


shop = Service("shop")
orders = shop.queue("shop.orders", payload=Order)


@orders.worker()
def pack(job: Any) -> None: ...


@pytest.mark.parametrize("wrong", [1, 20_000])
def test_as_many_errors_as_a_sender_likes_make_no_longer_a_text(wrong: int) -> None:
    """It goes through a pipe to the main process, into the log and into the ledger.

    Before, 200 kilobytes of empty objects were a line of 50 megabytes, and a gigabyte of memory.
    """
    app = compile_app([shop], Settings(broker_url=NOWHERE, ledger_url=NOWHERE, namespace="acme"))
    job = JobMessage.create(
        id="i",
        queue_name="shop.orders",
        payload={"lines": [{}] * wrong},
        created_at=1,
        max_attempts=1,
    )
    with pytest.raises(InvalidPayload) as caught:
        read_payload(app.purista_runtime.wiring.queue("shop.orders"), job)

    text = "".join(traceback.format_exception(caught.value))
    assert len(text) < 10_000
    assert ("lines.0.Line.count" in text) == (wrong == 1)
