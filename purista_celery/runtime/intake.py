"""What arrives at a worker is looked at before Celery sees it: Celery discards, or dies of, what it
does not understand; we keep it as a dead letter.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from celery.app.task import Context
from packaging.version import InvalidVersion, Version
from pydantic_core import to_json

from purista_celery.errors import InvalidMessage
from purista_celery.ledger.records import RawMessage
from purista_celery.messages.job import JobMessage
from purista_celery.messages.wire import check_json
from purista_celery.producer import masking
from purista_celery.producer.bodies import body_bounds
from purista_celery.producer.wiring import JobQueue
from purista_celery.runtime import fence
from purista_celery.runtime.runtime import Runtime
from purista_celery.runtime.settle import clean
from purista_celery.transport.bounds import Bounds

#: Celery makes each header an attribute of the task's request, where those of its own steer
#: execution (``chain``, ``eta``, ``timelimit``, …). A job's message needs these alone.
_HARMLESS = frozenset({"id", "root_id", "parent_id", "origin"})
#: Headers whose types Celery and its tools trust.
_TEXTS = ("root_id", "parent_id", "origin", "argsrepr", "kwargsrepr")
#: Bytes that are kept of a body, or of headers, that are larger than those of any message of ours.
_KEPT = 64 * 2**10
_LONGEST_TYPE = 255
_MOST_RETRIES = 2**31 - 1
#: An id that can be part of a dead letter's.
_PLAIN = re.compile(r"[A-Za-z0-9_\-]{1,80}")

#: What code raises over a message whose fields are of types that it did not expect.
MALFORMED = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)


def prepare(runtime: Runtime, queue: JobQueue, message: Any) -> None:
    """Check a job's message and stamp this delivery's fence on it.

    Raises:
        Unreadable: it is no job of ``queue``; it says with which reason it is to be kept.
        NewerContract: it is one for a newer worker than this.
    """
    headers = message.headers
    if not isinstance(headers, dict) or not isinstance(headers.get("task"), str):
        raise Unreadable("undecodable", "it has no task header")
    if message.content_type != "application/json":
        raise Unreadable("undecodable", f"content type {message.content_type!r}, expected JSON")
    job = _job_in(message, body_bounds(runtime.settings.max_payload))
    if not headers["task"] == job.queue_name == queue.name or headers.get("id") != job.id:
        raise Unreadable("invalid_payload", "headers and body name different jobs")
    if _is_newer(job.service_version, queue.contract.service_version):
        raise NewerContract(
            job,
            f"it is of version {job.service_version} of service {queue.contract.service_name!r}, "
            f"and this worker knows {queue.contract.service_version}",
        )
    _disarm(headers)
    if queue.is_sensitive:
        # Whoever sent it may not have known that.
        headers["kwargsrepr"] = masking.kwargsrepr(queue, job)
    headers[fence.HEADER] = runtime.fences.next()


def recognise(message: Any) -> None:
    """Check that a message which is no job of ours is one that Celery can look at.

    Raises:
        Unreadable: it is not; Celery's consumer would end, or begin anew for ever.
    """
    headers = message.headers
    if not isinstance(headers, dict) or not isinstance(headers.get("task"), str):
        raise Unreadable("undecodable", "it has no task header")
    if not isinstance(headers.get("id"), str):
        raise Unreadable("undecodable", "it has no id header")


def identity(message: Any) -> str:
    """Return a name under which a redelivery of the same message is known again."""
    raw = raw_message(message)
    own = raw.headers.get("id") or (message.properties or {}).get("message_id")
    name = own if isinstance(own, str) and _PLAIN.fullmatch(own) else ""
    digest = hashlib.sha256(raw.body + ascii(own).encode()).hexdigest()[:24]
    return "-".join(part for part in ("message", name, digest) if part)


def keep(
    runtime: Runtime, queue: str, message: Any, reason: str, error: str, *, came_through: str = ""
) -> None:
    """Make a message that can not be run a dead letter of ``queue``, its raw bytes and all.

    Args:
        came_through: the broker queue that it goes back to when it is redriven.

    Raises:
        LedgerUnavailable: it is not kept yet, so it must not be acknowledged.
    """
    raw = _bounded(raw_message(message, came_through), runtime.settings.max_payload)
    runtime.ledger.park(queue, identity(message), raw, reason=reason, error=clean(error))


def _bounded(raw: RawMessage, max_payload: int) -> RawMessage:
    """Return what is kept of a message: all of it, unless it is larger than any of ours can be."""
    whole = len(raw.body)
    if whole > body_bounds(max_payload).size:
        raw = replace(raw, body=raw.body[:_KEPT], cut=whole)
    if _json_length(raw.headers) > _KEPT:
        raw = replace(raw, headers={"unwritable": "too large"})
    return replace(
        raw,
        content_type=_short(raw.content_type),
        content_encoding=_short(raw.content_encoding),
    )


def _json_length(headers: Mapping[str, Any]) -> int:
    try:
        return len(json.dumps(dict(headers), default=repr))
    except (TypeError, ValueError, RecursionError):
        return 0  # The ledger keeps nothing of what it can not write.


def _short(text: str | None) -> str | None:
    return None if text is None else str(text)[:_LONGEST_TYPE]


def raw_message(message: Any, came_through: str = "") -> RawMessage:
    """Return a Kombu message as it came."""
    return RawMessage(
        body=_bytes(message.body),
        headers=message.headers if isinstance(message.headers, Mapping) else {},
        queue=came_through or source(message),
        content_type=message.content_type,
        content_encoding=message.content_encoding,
    )


def source(message: Any) -> str:
    """Return the broker queue that a job's message came through."""
    info = message.delivery_info or {}
    # Our Redis transport says from which queue it came; a message can say anything.
    return str(info.get("queue") or info.get("routing_key") or "")


def _bytes(body: Any) -> bytes:
    # Redis carries JSON text, which may hold half a character.
    return body.encode("utf-8", "surrogatepass") if isinstance(body, str) else bytes(body or b"")


def _check_inner(keywords: Any, bounds: Bounds) -> None:
    """Check the JSON text that a job may travel as, which nobody has looked at yet."""
    text = keywords.get("json") if isinstance(keywords, dict) else None
    excess = bounds.excess(_bytes(text)) if isinstance(text, str) else None
    if excess is not None:
        raise InvalidMessage(f"The job's text can not be read: {excess}.")


def _job_in(message: Any, bounds: Bounds) -> JobMessage:
    try:
        body = message.payload
        # The pool's process reads the body again, and the ledger remembers the job: what is nested
        # so deeply that one of them fails at it would be lost between them.
        to_json(body)
        check_json(body)
        arguments, keywords, embedded = body
        _check_inner(keywords, bounds)
        job = JobMessage.from_kwargs(keywords)
        check_json(job.payload, job.parameter)
    except InvalidMessage as error:
        raise Unreadable("invalid_payload", error.message) from error
    except Exception as error:
        # Whatever the decoder of a foreign body raises.
        raise Unreadable("undecodable", f"the body is no Celery message: {error}") from error
    if arguments:
        raise Unreadable("invalid_payload", "a job has no positional arguments")
    if not isinstance(embedded, dict) or any(embedded.values()):
        raise Unreadable("invalid_payload", "a job has no callbacks, chain or chord")
    return job


def _disarm(headers: dict[str, Any]) -> None:
    retries = headers.get("retries")
    for name in [*headers]:
        steers = hasattr(Context, name) and name not in _HARMLESS
        if steers or name.startswith("purista_"):
            del headers[name]
    for name in _TEXTS:
        if not isinstance(headers.get(name, ""), str):
            del headers[name]
    counted = isinstance(retries, int) and 0 <= retries <= _MOST_RETRIES
    headers["retries"] = retries if counted else 0


def _is_newer(theirs: str | None, ours: str) -> bool:
    """Tell whether version ``theirs`` is known to be newer; other than numbers do not compare."""
    if theirs is None or theirs == ours:
        return False
    try:
        return Version(theirs) > Version(ours)
    except InvalidVersion:
        return False


class NewerContract(InvalidMessage):
    """A job was enqueued under a newer version of its service than this worker has."""

    code = "PURISTA_CONTRACT_NEWER"

    def __init__(self, job: JobMessage, detail: str) -> None:
        super().__init__(f"Job {job.id} can not be run here: {detail}. Deploy newer workers.")
        self.job = job


class Unreadable(InvalidMessage):
    """A message arrived that can not be run; it is kept as a dead letter."""

    code = "PURISTA_MESSAGE_UNREADABLE"

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"A message can not be run ({reason}): {detail}.")
        #: The dead letter's reason.
        self.reason = reason
