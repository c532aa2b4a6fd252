"""Names that travel are printable and bounded, and what is not is refused where it is given."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from purista_celery import Enqueue, Service, Settings, compile_app
from purista_celery.errors import InvalidMessage, InvalidName
from purista_celery.messages.envelope import Trace
from purista_celery.messages.job import JobMessage
from purista_celery.messages.printable import printable
from purista_celery.runtime.foreign import ForeignText

EVIL = "a\x1b[2J\x9b31m\r\n[CRITICAL] forged\u2028\u202eb"
shop = Service("shop")
orders = shop.queue("orders", payload=dict[str, Any])
placed = shop.event("placed", payload=dict[str, Any])
#: Nobody listens there: what is refused is refused before anybody is asked.
app = compile_app([shop], Settings(broker_url="redis://127.0.0.1:1/0"))


@pytest.mark.parametrize("name", ["tenant_id", "principal_id", "trace_id", "correlation_id"])
@pytest.mark.parametrize("value", [EVIL, "x" * 1025])
def test_an_identity_that_is_no_name_is_refused(name: str, value: str) -> None:
    """By enqueue and by emit, with a coded error that names the field and not the value."""
    given: dict[str, Any] = {name: value}
    for call in (
        lambda: app.purista.enqueue(orders, {}, **given),
        lambda: app.purista.emit(placed, {}, **given),
    ):
        with pytest.raises(InvalidMessage) as raised:
            call()
        assert name.partition("_")[0] in str(raised.value)
        assert value not in str(raised.value)


@pytest.mark.parametrize(
    "job",
    [
        Enqueue({}, idempotency_key=EVIL),
        Enqueue({}, idempotency_key="k" * 1025),
        Enqueue({}, headers={EVIL: ""}),
        Enqueue({}, headers={"a": "b" * 8193}),
        Enqueue({}, headers={str(n): "" for n in range(65)}),
        Enqueue({}, max_attempts=2**31),
    ],
    ids=["key", "long key", "header", "long header", "many headers", "attempts"],
)
def test_keys_and_headers_are_bounded(job: Enqueue[dict[str, Any], None]) -> None:
    """What Redis or AMQP would carry without end is refused before it is stored."""
    with pytest.raises(InvalidMessage):
        app.purista_runtime.producer.message(
            app.purista_runtime.wiring.queue("orders"), job, Trace()
        )


@pytest.mark.parametrize("name", ["a}b", "a{b", "a*", "a b", "a\nb", "\x1b[2J", "a/b", "", "a..b"])
def test_a_contract_can_not_be_named_like_a_key_or_a_pattern(name: str) -> None:
    """Queue and event names are words and dots."""
    for declare in (
        lambda: Service("s").queue(name, payload=int),
        lambda: Service("s").event(name),
    ):
        with pytest.raises(InvalidName):
            declare()


def test_identity_headers_are_dropped_whatever_their_case() -> None:
    """Only the envelope says for whom a job is."""
    forged = {"purista.tenantId": "x", "PURISTA.principalid": "y", "colour": "blue"}
    fields: dict[str, Any] = {"id": "1", "queue_name": "q", "created_at": 1, "max_attempts": 1}
    assert JobMessage.create(**fields, headers=forged).headers == {"colour": "blue"}


def test_what_is_logged_of_foreign_text_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """Arguments and tracebacks are neutral, ordinary text and numbers as they are."""
    log = logging.getLogger("purista_celery.tests.foreign")
    log.addFilter(ForeignText())
    try:
        int(EVIL.replace("a", "\x1b"), base=99)
    except ValueError as error:
        broken = ValueError(EVIL)
        broken.__cause__ = error
        log.exception("%s of %d: %s, %s", "größer →", 3, EVIL, broken, exc_info=broken)

    [record] = caplog.records
    text = logging.Formatter("%(message)s").format(record)
    message, *rest = text.splitlines()
    assert message.startswith("größer → of 3: a\\x1b[2J\\x9b31m\\r\\n[CRITICAL] forged")
    assert all(line.startswith(("Traceback", "  | ")) for line in rest)
    assert all(line.isprintable() for line in text.split("\n"))


def test_printable_text_is_left_alone() -> None:
    """In any script; what is not is escaped, and can be read again."""
    assert printable("Grüße, 東京 → 5 €") == "Grüße, 東京 → 5 €"
    assert printable(EVIL).isprintable()
    assert printable(EVIL).encode().decode("unicode_escape") == EVIL
