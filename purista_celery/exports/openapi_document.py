"""Services -> OpenAPI 3.1: what a gateway offers over HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from apispec import APISpec

from purista_celery.contracts.endpoints import Endpoint, endpoints
from purista_celery.contracts.service import Service
from purista_celery.exports import openapi_jobs, openapi_operation, openapi_problems
from purista_celery.exports.contacts import Contact, more, owners
from purista_celery.exports.document import given, ordered
from purista_celery.exports.openapi_bodies import Bodies

#: What protects an endpoint unless the caller says otherwise.
BEARER: Mapping[str, Mapping[str, Any]] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of the application's identity provider",
    }
}


def openapi(
    services: Iterable[Service],
    *,
    title: str | None = None,
    version: str = "1",
    servers: Sequence[str] = ("/",),
    security_schemes: Mapping[str, Mapping[str, Any]] = BEARER,
    contact: Contact | None = None,
    license_name: str = "UNLICENSED",
    license_identifier: str = "LicenseRef-UNLICENSED",
) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of what ``services`` offer over HTTP.

    Each command and queue with an ``Http`` declaration is an operation; beside them a job's status,
    its cancellation and its events.

    Args:
        title: the names of the services by default.
        version: of the documented contracts.
        servers: URLs, which may be relative to the document's own.
        security_schemes: OpenAPI security schemes by name; a caller satisfies one of them. Where
            there are none, the application's own middleware protects what is not public.
        contact: the services' owners by default, at addresses that nobody has.
        license_name: npm's word for "none granted" by default.
        license_identifier: its SPDX expression.

    Raises:
        InvalidEndpoint: an endpoint does not fit its contract, or is declared twice.
        ExportError: a payload or an output has no JSON Schema.
    """
    found = sorted(services, key=lambda service: (service.name, service.version))
    title = title or ", ".join(dict.fromkeys(service.name for service in found))
    contact = contact or owners(found, title)
    declared = endpoints(found)
    spec = APISpec(
        title=title,
        version=version,
        openapi_version="3.1.0",
        info={
            "description": _description(found),
            "contact": {"name": contact.name, "url": contact.url, "email": contact.email},
            "license": {"name": license_name, "identifier": license_identifier},
        },
        servers=[{"url": url} for url in servers],
        tags=_tags(found, declared),
    )
    schemes = sorted(security_schemes)
    bodies = Bodies.of(declared)
    operations = [
        (each.http.path, each.http.method.lower(), openapi_operation.of(each, bodies, schemes))
        for each in declared
    ]
    operations += openapi_jobs.operations(declared, bodies, schemes)
    for path, method, operation in operations:
        spec.path(path, operations={method: operation})
    _add_components(spec, bodies, [operation for _, _, operation in operations], security_schemes)
    return dict(ordered(spec.to_dict()))


def _add_components(
    spec: APISpec,
    bodies: Bodies,
    operations: Sequence[Mapping[str, Any]],
    security_schemes: Mapping[str, Mapping[str, Any]],
) -> None:
    """Add what the operations refer to, and nothing else."""
    for name, schema in bodies.components.named.items():
        spec.components.schema(name, dict(schema))
    for name, parameter in openapi_operation.PARAMETERS.items():
        spec.components.parameter(name, "header", dict(parameter))
    statuses = {status for operation in operations for status in operation["responses"]}
    for status in sorted(statuses & openapi_problems.TITLES.keys()):
        name, response = openapi_problems.response(status, bodies)
        spec.components.response(name, response)
    if any(operation["security"] for operation in operations):
        for name, scheme in security_schemes.items():
            spec.components.security_scheme(name, dict(scheme))


def _description(services: Sequence[Service]) -> str:
    lines = [f"- {s.name} {s.version}: {s.description or 'no description'}" for s in services]
    return "\n".join(["Commands and queues of", "", *lines])


def _tags(services: Sequence[Service], declared: Sequence[Endpoint]) -> list[dict[str, Any]]:
    tags = {
        openapi_jobs.TAG: {
            "name": openapi_jobs.TAG,
            "description": "What became of a job that was accepted",
        }
    }
    for endpoint in declared:
        for tag in endpoint.contract.tags:
            tags.setdefault(tag, {"name": tag, "description": f"All that is tagged {tag}"})
    for service in services:
        tags[service.name] = given(
            name=service.name,
            description=service.description or f"Service {service.name}",
            externalDocs=more(service.links),
        )
    return [tags[name] for name in sorted(tags)]
