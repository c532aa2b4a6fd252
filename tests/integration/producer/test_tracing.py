"""Each hop is a span of one trace, where OpenTelemetry is installed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from purista_celery import Settings, compile_app
from purista_celery.errors import InvalidPayload
from purista_celery.messages.job import JobMessage
from purista_celery.producer import tracing
from tests.acceptance.governance.services import (
    IBAN,
    PASSWORD,
    PERSON,
    SECRETS,
    Account,
    Login,
    login,
    vault,
)
from tests.acceptance.spine.services import Work, listener, service, work
from tests.support.servers import RedisServer


@pytest.fixture(scope="module")
def spans() -> InMemorySpanExporter:
    """What was recorded; the provider is the process' own, and can be set once."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A Redis that is broker and ledger."""
    running = RedisServer().start()
    yield running
    running.close()


def test_enqueue_and_processing_are_spans_of_the_callers_trace(
    spans: InMemorySpanExporter, server: RedisServer
) -> None:
    """Caller -> enqueue -> process: one trace, each the child of the one before."""
    app = compile_app([service, listener], Settings(broker_url=server.url))
    tracer = trace.get_tracer("caller")

    with tracer.start_as_current_span("caller"):
        receipt = app.purista.enqueue(work, Work(n=1))
    runtime = app.purista_runtime
    message = JobMessage.from_wire(runtime.ledger.message(work.name, receipt.job_id))
    runtime.executor.execute(message, "w1/1")

    by_name = {span.name: span for span in spans.get_finished_spans()}
    caller, enqueue, process = (
        by_name[name] for name in ("caller", "enqueue spine.work", "process spine.work")
    )
    assert {span.context.trace_id for span in (caller, enqueue, process)} == {
        int(message.trace_id or "0", 16)
    }
    assert enqueue.parent.span_id == caller.context.span_id
    assert process.parent.span_id == enqueue.context.span_id
    assert process.attributes["purista.attempt"] == 1
    app.close()
    runtime.ledger.client.close()


@pytest.mark.parametrize(
    ("header", "parent"),
    [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "b7ad6b7169203331"),
        # not as the specification has it
        ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", None),
        ("nonsense", None),
        (None, None),
        (5, None),
    ],
)
def test_a_traceparent_header_is_read_or_ignored(header: object, parent: str | None) -> None:
    """A hostile header does no harm."""
    assert tracing.parent_of(header) == parent


def test_nothing_of_opentelemetry_is_imported_where_it_is_not_installed() -> None:
    """Also not by looking whether it is."""
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from purista_celery.producer import tracing\n"
        "with tracing.hop('producer', 'x'): assert tracing.active() is None\n"
        "print([m for m in sys.modules if m.startswith('opentelemetry.')])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout == "[]\n"


def test_no_span_holds_a_sensitive_value(
    spans: InMemorySpanExporter,
    server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither of a job whose handler fails, nor of one that is refused; the errors are there."""
    app = compile_app([vault], Settings(broker_url=server.url))
    runtime = app.purista_runtime
    account = Account(iban=IBAN)
    spans.clear()
    monkeypatch.setenv("STAGE", str(tmp_path))  # where the handler leaves its traces

    refused = {"person": PERSON, "password": f"weak {PASSWORD}"}
    with pytest.raises(InvalidPayload):
        app.purista.enqueue(login, refused, parameter=account)
    failing = Login(person=PERSON, password=PASSWORD, mode="fail")
    receipt = app.purista.enqueue(login, failing, parameter=account)
    message = JobMessage.from_wire(runtime.ledger.message(login.name, receipt.job_id))
    runtime.executor.execute(message, "w1/1")

    shown = "".join(span.to_json() for span in spans.get_finished_spans())
    assert "enqueue vault.login" in shown
    assert "process vault.login" in shown
    assert "PURISTA_PAYLOAD_INVALID" in shown
    assert [secret for secret in SECRETS if secret in shown] == []
