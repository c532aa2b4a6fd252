"""What leaves as a CloudEvent comes back as the same event, by every binding."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from amqp.serialization import dumps, loads
from cloudevents.core.bindings.amqp import AMQPMessage
from cloudevents.core.bindings.http import HTTPMessage
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from purista_celery import Service
from purista_celery.errors import InvalidMessage
from purista_celery.exports import cloudevents_schema
from purista_celery.messages.cloudevents import from_cloud_event, to_cloud_event
from purista_celery.messages.cloudevents_bindings import from_amqp, from_http, to_amqp, to_http
from purista_celery.messages.envelope import AnyEvent, ScheduleTrigger, Sender
from purista_celery.messages.wire import LAST_INSTANT
from tests.support.node import require_node
from tests.unit.messages.test_round_trip import DATA, OPTIONAL_TEXT, PRINTABLE, TRACE

WORDS = PRINTABLE.filter(str.strip)


def built(kind: Any, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Build a message by its Python names; hypothesis would add those of its wire form."""
    return st.fixed_dictionaries(fields).map(lambda given: kind(**given))


SENDERS = built(
    Sender,
    service_name=WORDS,
    service_version=WORDS,
    service_target=WORDS,
    instance_id=WORDS,
)
#: Of the calendar, in whole milliseconds, as an envelope has them.
INSTANTS = st.integers(0, LAST_INSTANT).map(
    lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
)
OCCURRENCES = built(
    ScheduleTrigger,
    schedule_key=WORDS,
    schedule_name=WORDS,
    occurrence_id=WORDS,
    scheduled_at=INSTANTS,
    fired_at=INSTANTS,
    attempt=st.integers(1, 2**31 - 1),
)
EVENTS = built(
    AnyEvent,
    id=WORDS,
    event_name=WORDS,
    timestamp=st.integers(0, LAST_INSTANT),
    sender=SENDERS,
    payload=DATA,
    schedule=st.none() | OCCURRENCES,
    otp=OPTIONAL_TEXT,
    content_type=st.sampled_from(["application/json", "application/vnd.acme+json"]),
    content_encoding=st.sampled_from(["utf-8", "gzip"]),
    **TRACE,
)


def by_structured_json(event: AnyEvent) -> AnyEvent:
    return from_cloud_event(json.loads(JSONFormat().write(to_cloud_event(event))), mode="strict")


def by_object(event: AnyEvent) -> AnyEvent:
    return from_cloud_event(to_cloud_event(event), mode="strict")


def by_http(content: Any) -> Callable[[AnyEvent], AnyEvent]:
    def travel(event: AnyEvent) -> AnyEvent:
        message = to_http(event, content)
        # A server gives names in a case of its own; values are visible ASCII.
        assert all(re.fullmatch(r"[!-~]*", value) for value in message.headers.values())
        headers = {name.title(): value for name, value in message.headers.items()}
        return from_http(HTTPMessage(headers, message.body), mode="strict")

    return travel


def by_amqp(content: Any) -> Callable[[AnyEvent], AnyEvent]:
    def travel(event: AnyEvent) -> AnyEvent:
        message = to_amqp(event, content)
        # As py-amqp writes and reads a table of headers.
        [headers], _ = loads("F", dumps("F", [message.application_properties]), 0)
        return from_amqp(
            AMQPMessage(message.properties, headers, message.application_data), mode="strict"
        )

    return travel


WAYS = {
    "object": by_object,
    "json": by_structured_json,
    "http structured": by_http("structured"),
    "http binary": by_http("binary"),
    "amqp structured": by_amqp("structured"),
    "amqp binary": by_amqp("binary"),
}


@pytest.mark.parametrize("way", WAYS)
@given(event=EVENTS)
@settings(max_examples=60)
def test_any_event_survives(way: str, event: AnyEvent) -> None:
    """Payloads of any JSON, the occurrence of a schedule, and every field of the envelope."""
    arrived = WAYS[way](event)
    assert arrived == event
    assert arrived.to_json() == event.to_json(), "True is not 1, and 1 is not 1.0"


@pytest.mark.parametrize("way", WAYS)
@given(text=st.text())
@settings(max_examples=40)
def test_text_survives_as_text(way: str, text: str) -> None:
    """With a content type of its own; nothing takes it for JSON."""
    event = simple().model_copy(update={"content_type": "text/plain", "payload": text or None})
    assert WAYS[way](event) == event


def simple(payload: Any = None) -> AnyEvent:
    sender = Sender(
        service_name="billing",
        service_version="2",
        service_target="billing.close",
        instance_id="host:1",
    )
    return AnyEvent(
        id="e-1",
        timestamp=1_767_225_600_123,
        event_name="billing.closed",
        sender=sender,
        payload=payload,
        trace_id="0" * 31 + "1",
        schedule=ScheduleTrigger(
            schedule_key="billing/2/monthly",
            schedule_name="monthly",
            occurrence_id="o-1",
            scheduled_at=datetime(2026, 1, 1, tzinfo=UTC),
            fired_at=datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC),
        ),
    )


def test_attributes_are_puristas_under_lower_case_names() -> None:
    """Of at most twenty letters and digits, as the specification has it."""
    event = to_cloud_event(simple({"n": 1}))
    assert event.get_attributes() == {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/purista/billing/2/billing.close",
        "type": "billing.closed",
        "time": datetime(2026, 1, 1, 0, 0, 0, 123_000, tzinfo=UTC),
        "datacontenttype": "application/json",
        "traceid": "0" * 31 + "1",
        "contentencoding": "utf-8",
        "servicename": "billing",
        "serviceversion": "2",
        "servicetarget": "billing.close",
        "instanceid": "host:1",
        "schedulekey": "billing/2/monthly",
        "schedulename": "monthly",
        "scheduleoccurrenceid": "o-1",
        "scheduledat": "2026-01-01T00:00:00.000Z",
        "schedulefiredat": "2026-01-01T00:00:01.000Z",
        "scheduleattempt": 1,
    }
    assert event.get_data() == {"n": 1}
    assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in event.get_attributes())


def test_a_stranger_is_read_with_defaults_in_compat_mode_only() -> None:
    """PURISTA's: external, version 0, the event's name as target, and no time is time 0."""
    stranger = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.placed"}
    event = from_cloud_event({**stranger, "data": [1]}, mode="compat")
    assert event.to_wire() == {
        "id": "1",
        "timestamp": 0,
        "messageType": "customMessage",
        "contentType": "application/json",
        "contentEncoding": "utf-8",
        "eventName": "order.placed",
        "sender": {
            "serviceName": "external",
            "serviceVersion": "0",
            "serviceTarget": "order.placed",
            "instanceId": "external",
        },
        "payload": [1],
    }
    with pytest.raises(InvalidMessage, match=r"lacks PURISTA's servicename.*mode='compat'"):
        from_cloud_event(stranger, mode="strict")
    headers = {f"ce-{name}": value for name, value in stranger.items()}
    assert from_http(HTTPMessage(headers, b""), mode="compat").timestamp == 0
    blank = {**stranger, "serviceName": " ", "serviceVersion": "3"}
    assert from_cloud_event(blank, mode="compat").sender.service_name == "external"
    assert from_cloud_event(blank, mode="compat").sender.service_version == "3"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": ""}, "id"),
        ({"type": None}, "type"),
        ({"source": 5}, "source"),
        ({"time": "yesterday"}, "Invalid isoformat"),
        ({"time": "2026-01-01T00:00:00"}, "time zone|timezone"),
        ({"bad_name": "x"}, "bad_name"),
        ({"data_base64": "%"}, "base64"),
        ({"data_base64": "e30gfQ=="}, "no JSON"),
        ({"scheduledat": "soon"}, "schedule"),
    ],
)
def test_what_is_no_cloud_event_is_refused(change: dict[str, Any], problem: str) -> None:
    """With a coded error that names the attribute."""
    known = json.loads(JSONFormat().write(to_cloud_event(simple())))
    with pytest.raises(InvalidMessage, match=problem):
        from_cloud_event({**known, **change}, mode="compat")


@pytest.mark.parametrize(
    "message",
    [
        HTTPMessage({"content-type": "application/cloudevents+json"}, b"{"),
        HTTPMessage({"content-type": "application/cloudevents+json"}, b"[]"),
        HTTPMessage({}, b"\xff"),
        HTTPMessage({"ce-id": "1", "ce-time": "noon"}, b""),
        HTTPMessage({"ce-id": "1", "content-type": "application/json"}, b"{"),
    ],
)
def test_a_broken_message_is_refused(message: HTTPMessage) -> None:
    """With a coded error too, whatever the package makes of it."""
    with pytest.raises(InvalidMessage):
        from_http(message, mode="compat")


def test_data_in_base64_is_read() -> None:
    """As JSON or text by its content type; other bytes stay bytes."""
    known = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}

    def payload(data: str, content_type: str | None = None) -> Any:
        given = {**known, "data_base64": data, "datacontenttype": content_type}
        return from_cloud_event(given, mode="compat").payload

    assert payload("eyJuIjogMX0=") == {"n": 1}
    assert payload("YWJj", "text/plain") == "abc"
    assert payload("/w==", "application/octet-stream") == b"\xff"


def test_what_no_cloud_event_can_say_is_refused() -> None:
    """Rather than changed."""
    for change in (
        {"id": ""},
        {"event_name": ""},
        {"timestamp": 10**18},
        {"content_type": "text/csv", "payload": {"n": 1}},
    ):
        with pytest.raises(InvalidMessage):
            to_cloud_event(simple().model_copy(update=change))


@given(EVENTS)
def test_the_exported_schema_describes_what_is_sent(event: AnyEvent) -> None:
    """All that is written in structured mode is valid by it."""
    validator = Draft202012Validator(cloudevents_schema())
    validator.validate(json.loads(JSONFormat().write(to_cloud_event(event))))


def test_the_exported_schema_knows_the_events_of_services() -> None:
    """Their data by their type; and the schema itself is one."""
    shop = Service("shop")
    shop.event("shop.sold", payload=dict[str, int])
    schema = cloudevents_schema([shop])
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    sold = {"specversion": "1.0", "id": "1", "source": "/s", "type": "shop.sold"}
    assert validator.is_valid({**sold, "data": {"n": 1}})
    assert not validator.is_valid({**sold, "data": {"n": "one"}})
    assert validator.is_valid({**sold, "type": "other", "data": {"n": "one"}})


def test_purista_itself_reads_and_writes_the_same() -> None:
    """Its ``toCloudEvent`` is read strictly; its ``fromCloudEvent`` reads ours."""
    event = simple({"n": 1})
    ours = JSONFormat().write(to_cloud_event(event)).decode()
    made = require_node().json("purista_cloudevents.mjs", event.to_json(), ours)

    # PURISTA's mapping loses the occurrence.
    assert from_cloud_event(made["written"], mode="strict") == event.model_copy(
        update={"schedule": None}
    )
    read = AnyEvent.from_wire(made["read"])
    assert (read.id, read.event_name, read.timestamp) == (
        event.id,
        event.event_name,
        event.timestamp,
    )
    assert (read.payload, read.trace_id) == (event.payload, event.trace_id)


def test_without_the_extra_it_says_what_to_install() -> None:
    """And the rest of the package does not need it."""
    code = (
        "import sys; sys.modules['cloudevents'] = None\n"
        "import purista_celery.messages.envelope\n"
        "import purista_celery.messages.cloudevents_bindings"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert "[PURISTA_CONFIGURATION_INVALID]" in done.stderr
    assert "purista-celery[cloudevents]" in done.stderr


def test_an_event_of_the_package_is_read() -> None:
    """Built by whoever uses the package."""
    given = CloudEvent({"source": "/s", "type": "t", "servicename": "x"}, {"n": 1})
    assert from_cloud_event(given, mode="compat").payload == {"n": 1}
