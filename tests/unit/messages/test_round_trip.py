"""What leaves as a message arrives as the same message."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.utils import json as kombu_json
from pydantic import BaseModel

from purista_celery.errors import InvalidMessage
from purista_celery.messages.envelope import AnyEvent, EventMessage, ScheduleTrigger, Sender
from purista_celery.messages.job import JobMessage
from purista_celery.messages.result import JobResult, event_id, result_type
from purista_celery.messages.wire import WireModel

# Integers beyond 64 bits, floats of any size, text of any script: all that JSON can say.
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**63, max_value=2**256)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
DATA = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
PRINTABLE = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "))
OPTIONAL_TEXT = st.none() | PRINTABLE
TRACE = {
    "trace_id": OPTIONAL_TEXT,
    "correlation_id": OPTIONAL_TEXT,
    "tenant_id": OPTIONAL_TEXT,
    "principal_id": OPTIONAL_TEXT,
}
SENDER = Sender(service_name="shop", service_version="1", service_target="t", instance_id="i")


def event(payload: Any, **fields: Any) -> AnyEvent:
    return EventMessage[Any](
        id="e1", timestamp=1, event_name="a", sender=SENDER, payload=payload, **fields
    )


def job(**fields: Any) -> JobMessage:
    return JobMessage(id="j1", queue_name="orders", created_at=1, max_attempts=3, **fields)


def survives(message: WireModel) -> None:
    """Assert that ``message`` arrives unchanged by every way that it travels."""
    kind = type(message)
    assert kind.from_wire(message.to_json()) == message
    assert kind.from_wire(message.to_json().encode()) == message
    # A Celery message's arguments: serialised and read by Kombu.
    assert kind.from_wire(kombu_json.loads(kombu_json.dumps(message.to_wire()))) == message


def same(left: Any, right: Any) -> bool:
    """Equality that tells True from 1, and 1 from 1.0."""
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


@given(payload=DATA, parameter=DATA, trace=st.fixed_dictionaries(TRACE))
def test_any_json_survives_a_job_message(payload: Any, parameter: Any, trace: Any) -> None:
    """Nulls within, integers of any size and every script included."""
    message = job(payload=payload, parameter=parameter, **trace)
    survives(message)
    arrived = JobMessage.from_wire(message.to_json())
    assert same(arrived.payload, payload)
    assert same(arrived.parameter, parameter)


@given(payload=DATA, trace=st.fixed_dictionaries(TRACE))
def test_any_json_survives_an_event(payload: Any, trace: Any) -> None:
    """As for jobs."""
    message = event(payload, **trace)
    survives(message)
    assert same(AnyEvent.from_wire(message.to_json()).payload, payload)


@given(output=DATA, headers=st.none() | st.dictionaries(st.text(), st.text(), max_size=3))
def test_any_json_survives_a_result_within_its_event(output: Any, headers: Any) -> None:
    """A result event carries the output, and the event carries the result."""
    result = JobResult[Any](
        job_id="j1",
        queue_name="orders",
        status="success",
        attempt=1,
        payload=output,
        headers=headers,
    )
    survives(result)
    arrived = AnyEvent.from_wire(event(result.to_wire()).to_json())
    assert JobResult[Any].from_wire(arrived.payload) == result


class Address(BaseModel):
    street: str
    # Null is not the same as absent here.
    zip: str | None = "00000"


class Customer(BaseModel):
    name: str | None
    address: Address | None = None
    others: list[Address | None] = []


@pytest.mark.parametrize(
    "customer",
    [
        Customer(name=None),
        Customer(name="a", address=Address(street="s", zip=None)),
        Customer(name="a", others=[None, Address(street="s", zip=None)]),
    ],
)
def test_nulls_within_a_typed_payload_survive(customer: Customer) -> None:
    """A model's own null is its value; only the envelope's empty fields are left out."""
    typed = EventMessage[Customer](
        id="e1", timestamp=1, event_name="a", sender=SENDER, payload=customer
    )
    survives(typed)
    assert json.loads(typed.to_json())["payload"] == customer.model_dump(mode="json")
    result = JobResult[Customer](
        job_id="j", queue_name="q", status="success", attempt=1, payload=customer
    )
    survives(result)
    survives(job(payload=customer.model_dump(mode="json")))


def test_an_event_has_puristas_names_on_the_wire() -> None:
    """The CustomMessage envelope, field for field; empty fields are left out."""
    instant = datetime(2026, 3, 1, 1, tzinfo=UTC)
    message = event(
        {"snake_case": 1},
        trace_id="t",
        correlation_id="c",
        tenant_id="n",
        principal_id="p",
        otp="o",
        schedule=ScheduleTrigger(
            schedule_key="shop/1/nightly",
            schedule_name="nightly",
            occurrence_id="x",
            scheduled_at=instant,
            fired_at=instant + timedelta(milliseconds=5),
        ),
    )
    assert json.loads(message.to_json()) == message.to_wire()
    assert message.to_wire() == {
        "id": "e1",
        "timestamp": 1,
        "messageType": "customMessage",
        "contentType": "application/json",
        "contentEncoding": "utf-8",
        "eventName": "a",
        "otp": "o",
        "traceId": "t",
        "correlationId": "c",
        "tenantId": "n",
        "principalId": "p",
        "sender": {
            "serviceName": "shop",
            "serviceVersion": "1",
            "serviceTarget": "t",
            "instanceId": "i",
        },
        "schedule": {
            "scheduleKey": "shop/1/nightly",
            "scheduleName": "nightly",
            "occurrenceId": "x",
            "scheduledAt": "2026-03-01T01:00:00.000Z",
            "firedAt": "2026-03-01T01:00:00.005Z",
            "attempt": 1,
        },
        "payload": {"snake_case": 1},  # the payload's own names are its own
    }
    survives(message)


def test_empty_fields_are_left_out_of_the_wire() -> None:
    """As JavaScript leaves out what is undefined; an event without payload has none."""
    assert set(event(None).to_wire()) == {
        *("id", "timestamp", "messageType", "contentType", "contentEncoding"),
        *("eventName", "sender"),
    }
    assert set(job().to_wire()) == {"id", "queueName", "headers", "createdAt", "maxAttempts"}


def test_a_job_message_is_read_by_flower_from_who_to_what() -> None:
    """Names are camelCase; trace and tenant come first, as Flower cuts a long text."""
    message = job(
        payload={"a": None},
        parameter={"b": 1},
        headers={"x": "y"},
        trace_id="t",
        correlation_id="c",
        tenant_id="n",
        principal_id="p",
        parent_span_id="s",
        idempotency_key="k",
        scheduled_at=2,
        priority=9,
    )
    assert list(message.to_wire()) == [
        *("traceId", "correlationId", "tenantId", "principalId", "id", "queueName"),
        *("parameter", "payload", "headers", "parentSpanId", "idempotencyKey"),
        *("createdAt", "scheduledAt", "priority", "maxAttempts"),
    ]
    survives(message)


def test_a_result_has_puristas_names_on_the_wire() -> None:
    """QueueResultEventPayload, and an event id that a consumer can drop repeats by."""
    result = result_type(int)(
        job_id="j1",
        queue_name="orders",
        status="dead-lettered",
        attempt=2,
        headers={"x-purista-dead-letter-reason": "because"},
        run_id="r",
    )
    assert result.to_wire() == {
        "jobId": "j1",
        "queueName": "orders",
        "status": "dead-lettered",
        "attempt": 2,
        "headers": {"x-purista-dead-letter-reason": "because"},
        "runId": "r",
    }
    assert result.reason == "because"
    assert event_id("j1", "dead-lettered") == "j1:dead-lettered"
    assert (
        JobResult[None](job_id="j", queue_name="q", status="success", attempt=1, payload=None)
    ).reason is None


def test_a_newer_senders_fields_are_dropped() -> None:
    """So that senders and receivers can be deployed in any order."""
    wire = job().to_wire() | {"newField": {"a": 1}}
    assert JobMessage.from_wire(wire) == job()
    assert JobMessage.from_wire(json.dumps(wire)) == job()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("", "Not a JobMessage: \\(all\\): Invalid JSON"),  # nothing
        ("{", "Invalid JSON"),  # half of it
        (b"\xff\xfe", "Invalid JSON"),  # not UTF-8
        ("[]", "Not a JobMessage: \\(all\\)"),  # another shape
        ("null", "Not a JobMessage"),
        (None, "Not a JobMessage"),
        ({}, "id: Field required; queueName: Field required"),
        ({"id": 1}, "id: Input should be a valid string"),
        (job().to_wire() | {"maxAttempts": 0}, "maxAttempts: Input should be greater"),
        (job().to_wire() | {"priority": 10}, "priority: Input should be less"),
        (job().to_wire() | {"headers": {"a": 1}}, "headers.a: Input should be a valid string"),
    ],
)
def test_what_is_no_job_message_is_refused(data: Any, says: str) -> None:
    """With a code, and the name of each field that is wrong."""
    with pytest.raises(InvalidMessage, match=says) as caught:
        JobMessage.from_wire(data)
    assert caught.value.code == "PURISTA_MESSAGE_INVALID"


@pytest.mark.parametrize(
    "change",
    [
        {"messageType": "command"},  # another PURISTA message
        {"sender": None},
        {"timestamp": "soon"},
        {"schedule": {"scheduleKey": "a"}},
        {"eventName": None},
    ],
)
def test_what_is_no_event_is_refused(change: dict[str, Any]) -> None:
    """An event is validated on arrival too."""
    with pytest.raises(InvalidMessage, match="Not a EventMessage"):
        AnyEvent.from_wire(event(1).to_wire() | change)


def test_a_message_is_frozen() -> None:
    """Nobody changes a message on its way."""
    with pytest.raises(ValueError, match="frozen"):
        job().id = "other"  # type: ignore[misc]


@pytest.mark.parametrize("payload", [int, dict[str, Any], Sender])
def test_an_absent_payload_is_read_by_its_type(payload: Any) -> None:
    """A handler never gets a None that its type does not name."""
    wire = event(None).to_wire()
    wire.pop("payload", None)
    with pytest.raises(InvalidMessage, match="payload"):
        EventMessage[payload].from_wire(wire)
    with pytest.raises(InvalidMessage, match="payload"):
        EventMessage[payload].from_wire(json.dumps(wire))
    for may_be_empty in (payload | None, Any, None):
        assert EventMessage[may_be_empty].from_wire(wire).payload is None


def test_an_absent_output_of_a_success_is_read_by_its_type() -> None:
    """Other outcomes have none."""
    wire: dict[str, Any] = {"jobId": "j", "queueName": "q", "attempt": 1}
    with pytest.raises(InvalidMessage, match="payload"):
        result_type(int).from_wire({**wire, "status": "success"})
    assert result_type(None).from_wire({**wire, "status": "success"}).payload is None
    assert result_type(int).from_wire({**wire, "status": "success", "payload": 0}).payload == 0
    assert result_type(int).from_wire({**wire, "status": "failed"}).payload is None
