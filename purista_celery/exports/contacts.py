"""Whom to ask about a document, and where to read more."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from purista_celery.contracts.governance import Link
from purista_celery.contracts.service import Service
from purista_celery.exports.document import given


class Governed(Protocol):
    """A contract that somebody answers for."""

    @property
    def owner(self) -> str: ...
    @property
    def deprecated(self) -> bool: ...
    @property
    def links(self) -> Sequence[Link]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Contact:
    """Whom to ask about a document. Linters want all three."""

    name: str
    url: str
    email: str


def more(links: Sequence[Link]) -> dict[str, str] | None:
    """Return where to read more, as OpenAPI's and AsyncAPI's ``externalDocs``, which is one."""
    return {"description": links[0].title, "url": links[0].url} if links else None


def governance(contract: Governed) -> dict[str, Any]:
    """Return what ``x-purista`` says of a contract for its reviewers."""
    return given(
        deprecated=contract.deprecated or None,
        owner=contract.owner or None,
        links={link.title: link.url for link in contract.links} or None,
    )


def owners(services: Sequence[Service], title: str) -> Contact:
    """Return the services' owners, at addresses under ``.invalid`` (RFC 2606): nobody has them."""
    found = dict.fromkeys(service.owner for service in services if service.owner)
    label = "-".join(re.sub(r"[^a-zA-Z0-9.-]+", "-", owner) for owner in found) or "owner"
    return Contact(
        name=", ".join(found) or f"The owner of {title}",
        url=f"https://{label.lower()}.invalid/",
        email=f"unknown@{label.lower()}.invalid",
    )
