"""A typed handler never gets a payload that its type does not name."""

from __future__ import annotations

import uuid
from typing import Any

from pydantic import BaseModel

from purista_celery import Enqueue, EventMessage, Service, Settings, compile_app
from purista_celery.messages.envelope import Trace
from purista_celery.producer.events import new_event
from purista_celery.runtime.execute import Ending
from tests.support.servers import RedisServer


class Letter(BaseModel):
    to: str


def test_an_event_without_its_payload_is_a_dead_letter(runtime_redis: RedisServer) -> None:
    """For a subscription and for a binding, whoever has sent it; one that may be empty is heard."""
    shop, heard = Service("shop"), []
    sold = shop.event("shop.sold", payload=Letter)
    maybe: Any = shop.event("shop.maybe", payload=Letter | None)  # type: ignore[arg-type]
    queue = shop.queue("letters", payload=Letter)

    @shop.subscribe(sold)
    def on_sold(event: EventMessage[Letter]) -> None:
        heard.append(event.payload)

    @shop.subscribe(maybe)
    def on_maybe(event: EventMessage[Any]) -> None:
        heard.append(event.payload)

    @shop.bind(sold, to=queue)
    def letter(event: EventMessage[Letter]) -> Enqueue[Letter, None]:
        heard.append(event.payload)
        return Enqueue(event.payload)

    settings = Settings(broker_url=runtime_redis.url, namespace=f"a{uuid.uuid4().hex[:8]}")
    app = compile_app([shop], settings)
    runtime, endings = app.purista_runtime, {}
    for name in ("on_sold", "on_maybe", "eventToQueue:shop.sold:letters"):
        wired = runtime.wiring.queue(f"sub.shop.1.{name}")
        event = new_event(wired.heard, sender=runtime.wiring.sender("shop", "1", "x"))
        assert "payload" not in event.to_wire()
        message = runtime.producer.message(wired, Enqueue(event.to_wire()), Trace())
        runtime.ledger.enqueue(message)
        endings[name] = runtime.executor.execute(message, f"w/{name}")

    assert endings.pop("on_maybe").ending is Ending.COMPLETED
    assert {each.ending for each in endings.values()} == {Ending.BURIED}
    assert all(each.reason.startswith("invalid_payload: ") for each in endings.values())
    assert heard == [None]
    app.close()
