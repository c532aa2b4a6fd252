"""A broker behind a network that swallows everything, as beat sees it."""

from __future__ import annotations

import importlib
import json
import time
from pathlib import Path

import pytest

from purista_celery.contracts.service import Service
from purista_celery.errors import BrokerUnavailable
from purista_celery.exports.manifest import schedule_manifest
from purista_celery.messages.envelope import Sender
from purista_celery.producer.bridge import TopicBridge
from purista_celery.producer.events import CONFIRM_WITHIN, EventPublisher, new_event
from purista_celery.settings import Settings
from tests.support.line import Line
from tests.support.servers import RedisServer, require_rabbitmq
from tests.support.waiting import until


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_a_broker_that_says_nothing_is_away(
    schedule_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A publish ends with an error within seconds, where it would wait for ever; then it works."""
    url = schedule_redis.url if kind == "redis" else require_rabbitmq()
    line = Line.to(url)
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(schedule_manifest([Service("clock")])))
    monkeypatch.setenv("PURISTA_SCHEDULE_MANIFEST", str(path))
    monkeypatch.setenv("PURISTA_BROKER_URL", schedule_redis.url)
    beat = importlib.import_module("purista_celery.beat")
    monkeypatch.setattr(beat, "PATIENCE", 1)
    app = beat.beat_app(
        Settings(
            broker_url=line.through(url),
            ledger_url=schedule_redis.url,
            namespace=f"hung{line.port}",
            schedule_manifest=path,
        )
    )
    bridge = TopicBridge(f"hung{line.port}")
    publisher = EventPublisher(app, bridge)
    sender = Sender(service_name="s", service_version="1", service_target="t", instance_id="i")
    try:
        publisher.publish(new_event("clock.ticked", sender=sender))
        line.hang()
        began = time.monotonic()
        with pytest.raises(BrokerUnavailable):
            publisher.publish(new_event("clock.ticked", sender=sender))
        # RabbitMQ's confirm is waited for, and then each of the retries connects anew.
        assert time.monotonic() - began < CONFIRM_WITHIN + 15
        line.mend()

        def published() -> bool:
            publisher.publish(new_event("clock.ticked", sender=sender))
            return True

        until(published, "the broker takes events again")
    finally:
        line.mend()
        with app.connection_for_write() as connection, connection.channel() as channel:
            bridge.exchange(channel).delete()
        app.close()
        line.close()
