"""One declared endpoint as an operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from purista_celery.contracts.command import Command
from purista_celery.contracts.endpoints import Endpoint, JsonSchema
from purista_celery.contracts.http import EndpointSecurity
from purista_celery.contracts.types import adapter_of
from purista_celery.exports import openapi_problems
from purista_celery.exports.contacts import more
from purista_celery.exports.document import given
from purista_celery.exports.openapi_bodies import (
    Bodies,
    answer_of,
    answers,
    request_of,
    takes_body,
)
from purista_celery.messages.http import EVENTS_PATH, JOB_PATH, JobAccepted

#: Headers that every operation takes.
PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "TraceId": {
        "name": "x-trace-id",
        "required": False,
        "description": "The trace that the request belongs to: W3C's, 32 hexadecimal digits",
        "schema": {"type": "string"},
        "example": "4bf92f3577b34da6a3ce929d0e0e4736",
    },
    "TraceParent": {
        "name": "traceparent",
        "required": False,
        "description": "W3C trace context, which x-trace-id gives way to",
        "schema": {"type": "string"},
        "example": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    },
}


def of(endpoint: Endpoint, bodies: Bodies, schemes: Sequence[str]) -> dict[str, Any]:
    """Return the operation of an endpoint.

    Args:
        schemes: the names of the security schemes that there are.
    """
    contract, http = endpoint.contract, endpoint.http
    kind = type(contract).__name__.lower()
    protection = effective(http.security, schemes)
    description = contract.description or http.summary
    return given(
        operationId=f"{contract.service_name}.{contract.service_version}.{kind}.{contract.name}",
        summary=http.summary or _first_line(description) or f"{kind.title()} {contract.name}",
        description=description or f"{kind.title()} {contract.name} of {contract.service_name}",
        tags=[contract.service_name, *sorted({*contract.tags} - {contract.service_name})],
        deprecated=True if contract.deprecated else None,
        externalDocs=more(contract.links),
        security=security(protection, schemes),
        parameters=[*_parameters(endpoint), *PARAMETERS],
        requestBody=_request_body(endpoint, bodies),
        responses=_responses(endpoint, bodies, protection),
        **{
            "x-purista-service-name": contract.service_name,
            "x-purista-service-version": contract.service_version,
            "x-purista-command-name": contract.name,
            **extensions(
                protection,
                "sync" if http.mode == "sync" else "async-job",
                tenant_aware=http.tenant_aware,
                principal_aware=http.principal_aware,
            ),
        },
    )


def effective(declared: EndpointSecurity, schemes: Sequence[str]) -> EndpointSecurity:
    """Return what protects an endpoint: without a scheme, only the application can."""
    if declared == "protected-with-security-scheme" and not schemes:
        return "protected-application-middleware"
    return declared


def security(protection: EndpointSecurity, schemes: Sequence[str]) -> list[dict[str, list[str]]]:
    """Return an operation's security requirements, one of which a caller satisfies."""
    required = schemes if protection == "protected-with-security-scheme" else ()
    return [{name: []} for name in required]


def extensions(
    protection: EndpointSecurity, mode: str, *, tenant_aware: bool, principal_aware: bool
) -> dict[str, Any]:
    """Return PURISTA's extensions that every operation has."""
    return given(
        **{
            "x-purista-endpoint-security": protection,
            "x-purista-tenant-aware": tenant_aware,
            "x-purista-principal-aware": principal_aware,
            "x-purista-event-bridge": True,
            "x-purista-queue-bridge": True if mode == "async-job" else None,
            "x-purista-runtime-mode": mode,
        }
    )


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    in_path = [_parameter("path", name, each, True) for name, each in endpoint.in_path.items()]
    in_query = [
        _parameter("query", name, each, name in endpoint.required)
        for name, each in sorted(endpoint.in_query.items())
    ]
    return [*in_path, *in_query]


def _parameter(place: str, name: str, schema: JsonSchema, required: bool) -> dict[str, Any]:  # noqa: FBT001 - a field of the object
    described = {"description", "deprecated", "title"}
    return given(
        name=name,
        required=required,
        description=schema.get("description") or schema.get("title") or name,
        deprecated=schema.get("deprecated"),
        schema={key: value for key, value in schema.items() if key not in described},
        **{"in": place},
    )


def _request_body(endpoint: Endpoint, bodies: Bodies) -> dict[str, Any] | None:
    if not takes_body(endpoint):
        return None
    return {
        "content": bodies.content(request_of(endpoint)),
        "description": f"The payload of {endpoint.contract.name}",
        "required": not _takes_null(endpoint.contract.payload),
    }


def _takes_null(payload: Any) -> bool:
    try:
        adapter_of(payload).validate_json("null")
    except ValidationError:
        return False
    return True


def _responses(
    endpoint: Endpoint, bodies: Bodies, protection: EndpointSecurity
) -> dict[str, dict[str, Any] | str]:
    problems = [400, 503]
    problems += [] if protection == "public" else [401]
    problems += [413] if takes_body(endpoint) else []
    if endpoint.http.mode == "async-job":
        return {"202": _accepted(endpoint, bodies), **openapi_problems.references(*problems)}
    done: dict[str, Any] = {"description": "What the command answers"}
    if answers(endpoint):
        done["content"] = bodies.content(answer_of(endpoint))
    status = "200" if answers(endpoint) else "204"
    return {status: done, **openapi_problems.references(*problems, 500, 504)}


def _accepted(endpoint: Endpoint, bodies: Bodies) -> dict[str, Any]:
    contract = endpoint.contract
    job_id = "2f1c4b1e-8a0f-4a3c-9b2d-6c5e4f3a2b1c"
    example = JobAccepted(
        job_id=job_id,
        status="queued",
        queue_name=contract.queue.name if isinstance(contract, Command) else contract.name,
        status_url=JOB_PATH.format(jobId=job_id),
        stream_url=EVENTS_PATH.format(jobId=job_id),
    )
    content = bodies.content("JobAccepted")
    content["application/json"]["example"] = example.to_wire()
    return {
        "description": "Accepted: it ends as completed, as cancelled, or as a dead letter",
        "content": content,
    }


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0].rstrip(".")
