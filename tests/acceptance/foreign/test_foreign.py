"""Python workers serve queues and events that a TypeScript team declared with PURISTA."""

from __future__ import annotations

import pytest

from purista_celery import Settings, compile_app
from purista_celery.errors import InvalidPayload
from tests.acceptance.foreign.services import closing, price_set, services
from tests.support.processes import Stage
from tests.support.waiting import until
from tests.unit.exports.test_definitions import PAYLOAD


def test_a_worker_serves_what_typescript_declared(redis_stage: Stage) -> None:
    """The payload is validated by the schema, has its shape, and arrives as it was sent."""
    stage = redis_stage
    app = compile_app(
        services,
        Settings(
            broker_url=stage.broker_url, ledger_url=stage.ledger_url, namespace=stage.namespace
        ),
    )
    client = app.purista
    with pytest.raises(InvalidPayload):
        client.enqueue(closing, {**PAYLOAD, "kind": "daily"}, parameter={"tenant": "acme"})
    with pytest.raises(InvalidPayload):
        client.enqueue(closing, PAYLOAD, parameter={})

    stage.worker("tests.acceptance.foreign.app", "-c", "1")
    receipt = client.enqueue(closing, PAYLOAD, parameter={"tenant": "acme"})
    assert client.wait(receipt.job_id, 30).output == {
        "zip": "12345",
        "lines": ["A"],
        "tenant": "acme",
    }

    with pytest.raises(InvalidPayload):
        client.emit(price_set, {"price": -1, "currency": "EUR"})
    client.emit(price_set, {"price": 5, "currency": "EUR"})
    heard = stage.directory / "heard"
    until(lambda: heard.exists() and heard.read_text() == "5 EUR", "the event is heard")
    app.close()
    app.purista_runtime.ledger.client.close()
