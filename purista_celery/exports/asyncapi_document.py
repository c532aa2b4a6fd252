"""Services -> AsyncAPI: 3.0.0, and 2.6.0 for older tools."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from purista_celery.contracts.service import Service
from purista_celery.errors import ExportError
from purista_celery.exports import asyncapi_v2, asyncapi_v3
from purista_celery.exports.asyncapi_parts import Frame, Parts
from purista_celery.exports.channels import channel_id
from purista_celery.exports.contacts import Contact, owners
from purista_celery.exports.document import ordered, puristas_version
from purista_celery.exports.kinds import draft
from purista_celery.exports.servers import EMBEDDED, Server

Version = Literal["3.0.0", "2.6.0"]


def asyncapi(
    services: Iterable[Service],
    *,
    title: str | None = None,
    version: str = "1",
    asyncapi_version: Version = "3.0.0",
    servers: Sequence[Server] = (EMBEDDED,),
    namespace: str = "purista",
    contact: Contact | None = None,
    license_name: str = "UNLICENSED",
) -> dict[str, Any]:
    """Return the AsyncAPI document of all that ``services`` declare.

    Args:
        title: the names of the services by default.
        version: of the documented contracts.
        namespace: ``PURISTA_NAMESPACE``; it begins the names of exchange and queues.
        contact: the services' owners by default, at addresses under ``.invalid`` (RFC 2606), which
            nobody has.
        license_name: npm's word for "none granted" by default.

    Raises:
        ExportError: this version of AsyncAPI is not written here.
    """
    found = draft(services)
    title = title or ", ".join(dict.fromkeys(service.name for service in found.services))
    contact = contact or owners(found.services, title)
    frame = Frame(
        head={
            "asyncapi": asyncapi_version,
            "id": f"urn:purista:{channel_id(title.lower().replace(', ', '.'))}",
            "info": {
                "title": title,
                "version": version,
                "description": _description(found.services),
                "contact": {"name": contact.name, "url": contact.url, "email": contact.email},
                "license": {"name": license_name},
            },
            "defaultContentType": "application/json",
            "x-purista": {"version": puristas_version()},
        },
        # Two versions of a service have one tag.
        tags=list({service.name: _tag(service) for service in found.services}.values()),
        servers=tuple(servers),
        namespace=namespace,
    )
    parts = Parts.of(found)
    match asyncapi_version:
        case "3.0.0":
            return dict(ordered(asyncapi_v3.document(found, parts, frame)))
        case "2.6.0":
            return dict(ordered(asyncapi_v2.document(found, parts, frame)))
    raise ExportError(f"AsyncAPI {asyncapi_version!r}: expected '3.0.0' or '2.6.0'.")


def _description(services: Sequence[Service]) -> str:
    lines = [f"- {s.name} {s.version}: {s.description or 'no description'}" for s in services]
    return "\n".join(["Events, queues and schedules of", "", *lines])


def _tag(service: Service) -> dict[str, str]:
    return {"name": service.name, "description": service.description or service.name}
