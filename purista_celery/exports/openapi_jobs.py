"""Where an accepted job is followed: its status, its cancellation and its events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from purista_celery.contracts.endpoints import Endpoint
from purista_celery.contracts.http import EndpointSecurity
from purista_celery.exports import openapi_problems
from purista_celery.exports.openapi_bodies import Bodies
from purista_celery.exports.openapi_operation import PARAMETERS, effective, extensions, security
from purista_celery.messages.http import CANCEL_PATH, EVENTS_PATH, JOB_PATH

TAG = "jobs"

_SERVER_SENT_EVENTS = "https://html.spec.whatwg.org/multipage/server-sent-events.html"
_EVENT = 'id: 2\nevent: progress\ndata: {"done": 3, "total": 9}\n\n'
_JOB_ID = {
    "name": "jobId",
    "in": "path",
    "required": True,
    "description": "The id that the job was accepted with",
    "schema": {"type": "string"},
    "example": "2f1c4b1e-8a0f-4a3c-9b2d-6c5e4f3a2b1c",
}
_LAST_EVENT = {
    "name": "last-event-id",
    "in": "header",
    "required": False,
    "description": "The last event that the client has seen, after which to go on",
    "schema": {"type": "string"},
    "example": "1",
}


def operations(
    declared: Sequence[Endpoint], bodies: Bodies, schemes: Sequence[str]
) -> list[tuple[str, str, dict[str, Any]]]:
    """Return path, method and operation of each.

    They are public only where all that leads to a job is, and ask for tenant and principal where
    any of that does.
    """
    leading = [each.http for each in declared if each.http.mode == "async-job"]
    public = bool(leading) and all(http.security == "public" for http in leading)
    protection = effective("public" if public else "protected-with-security-scheme", schemes)

    def operation(mode: str, **fields: Any) -> dict[str, Any]:
        extra = [_LAST_EVENT] if mode == "stream" else []
        own = extensions(
            protection,
            mode,
            tenant_aware=any(http.tenant_aware for http in leading),
            principal_aware=any(http.principal_aware for http in leading),
        )
        shared = {
            "tags": [TAG],
            "security": security(protection, schemes),
            "parameters": [_JOB_ID, *extra, *PARAMETERS],
        }
        return {**shared, **fields, **own}

    return [
        (
            JOB_PATH,
            "get",
            operation(
                "sync",
                operationId="jobs.get",
                summary="Status of a job",
                description="What is known of a job.",
                responses=_responses("What is known of the job", bodies, protection),
            ),
        ),
        (
            CANCEL_PATH,
            "post",
            operation(
                "sync",
                operationId="jobs.cancel",
                summary="Cancel a job",
                description="At once where nobody runs it, else as soon as its handler asks. The "
                "status of a job that has ended is as it was.",
                responses=_responses("What is known of the job now", bodies, protection),
            ),
        ),
        (
            EVENTS_PATH,
            "get",
            operation(
                "stream",
                operationId="jobs.events",
                summary="Events of a job",
                description="Its status and progress as they change, as server-sent events, until "
                "it has ended.",
                responses={"200": _stream(), **_problems(protection)},
            ),
        ),
    ]


def _responses(description: str, bodies: Bodies, protection: EndpointSecurity) -> dict[str, Any]:
    done = {"description": description, "content": bodies.content("JobRecord")}
    return {"200": done, **_problems(protection)}


def _problems(protection: EndpointSecurity) -> dict[str, str]:
    unknown = [] if protection == "public" else [401]
    return openapi_problems.references(400, *unknown, 404, 503)


def _stream() -> dict[str, Any]:
    media = {
        "schema": {"type": "string"},
        "example": _EVENT,
        "x-purista-stream-protocol": "sse",
        "x-purista-stream-protocol-docs": _SERVER_SENT_EVENTS,
    }
    return {
        "description": "The events, each with an id, a name and JSON data",
        "content": {"text/event-stream": media},
    }
