"""Spans, where somebody collects them: OpenTelemetry is installed, and has a tracer provider.

The trace id that travels in every envelope is W3C's, so spans of ours join the traces of others.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from importlib.util import find_spec
from typing import Any, Literal

log = logging.getLogger(__name__)

TRACER = "purista_celery"


@cache
def installed() -> bool:
    """Tell whether OpenTelemetry's API is there."""
    return find_spec("opentelemetry.trace") is not None if find_spec("opentelemetry") else False


@contextmanager
def hop(
    kind: Literal["producer", "consumer"],
    name: str,
    *,
    trace_id: str | None = None,
    parent_span_id: str | None = None,
    attributes: Mapping[str, str | int] | None = None,
) -> Iterator[None]:
    """Make the block a span: of the trace that is given, else of the one that is active.

    Args:
        trace_id: 32 hexadecimal digits; anything else is ignored.
        parent_span_id: 16 hexadecimal digits; derived from the trace id where it is unknown.
    """
    if not installed():
        yield
        return
    from opentelemetry import trace

    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        # It stands where no provider has been set: nobody would see the span.
        yield
        return
    kinds = {"producer": trace.SpanKind.PRODUCER, "consumer": trace.SpanKind.CONSUMER}
    with _harmless(
        lambda: trace.get_tracer(TRACER).start_as_current_span(
            name,
            context=_context(trace, trace_id, parent_span_id),
            kind=kinds[kind],
            attributes=dict(attributes or {}),
        )
    ):
        yield


@contextmanager
def _harmless(span: Callable[[], AbstractContextManager[Any]]) -> Iterator[None]:
    """Make the block a span if that can be done; no job fails because nobody can watch it."""
    with ExitStack() as stack:
        try:
            made = span()
            made.__enter__()
            stack.push(_quiet(made))
        except Exception:
            log.warning("A span can not be begun", exc_info=True)
        yield


def _quiet(span: AbstractContextManager[Any]) -> Callable[..., bool]:
    def leave(kind: Any, error: BaseException | None, at: Any) -> bool:
        try:
            span.__exit__(kind, error, at)
        except Exception as raised:
            if raised is not error:
                log.warning("A span can not be ended", exc_info=True)
        return False

    return leave


def active() -> tuple[str, str] | None:
    """Return trace id and span id of the active span, hexadecimal; None where there is none."""
    if not installed():
        return None
    from opentelemetry import trace

    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id)


def traceparent() -> str | None:
    """Return the active span as a W3C ``traceparent`` header."""
    ids = active()
    return f"00-{ids[0]}-{ids[1]}-01" if ids else None


def parent_of(header: object) -> str | None:
    """Return the span id of a W3C ``traceparent`` header, if it is one."""
    parts = header.split("-") if isinstance(header, str) else []
    return parts[2] if len(parts) == 4 and _is_hex(parts[2], 16) else None


def _context(trace: Any, trace_id: str | None, parent_span_id: str | None) -> Any:
    known = active()
    if trace_id is None or not _is_hex(trace_id, 32) or (known and known[0] == trace_id):
        return None
    if parent_span_id is None or not _is_hex(parent_span_id, 16):
        parent_span_id = hashlib.sha256(trace_id.encode()).hexdigest()[:16]
    parent = trace.SpanContext(
        int(trace_id, 16),
        int(parent_span_id, 16),
        is_remote=True,
        trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(parent))


def _is_hex(text: str, length: int) -> bool:
    return len(text) == length and set(text) <= set("0123456789abcdef") and set(text) != {"0"}
