"""Handlers for a queue and an event that a TypeScript team declared."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from purista_celery import EventMessage, Job, Service

DEFINITIONS = Path(__file__).parents[2] / "fixtures" / "purista" / "purista.definitions.json"

billing = Service.from_definitions(json.loads(DEFINITIONS.read_text("utf-8")), "billing")
closing = billing.queues["billing.monthlyClosing"]
price_set = billing.events["billing.priceSet"]
log = Service("log")


@closing.worker()
def close(job: Job[Any, Any]) -> dict[str, Any]:
    """Read the payload as a Python handler does."""
    lines = [line.item_no for line in job.payload.lines]
    return {"zip": job.payload.address.zip, "lines": lines, "tenant": job.parameter.tenant}


@log.subscribe(price_set)
def hear(event: EventMessage[Any]) -> None:
    """Write down what was heard, for the test to read."""
    price = f"{event.payload.price} {event.payload.currency}"
    Path(os.environ["STAGE"], "heard").write_text(price)


services = [billing, log]
