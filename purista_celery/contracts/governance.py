"""Whose a contract is, and what else a reviewer asks about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict
from urllib.parse import urlsplit

from purista_celery.errors import ContractError


class Governance(TypedDict, total=False):
    """What services, events, queues, commands and schedules all take."""

    #: Who answers for it; the service's owner by default.
    owner: str
    deprecated: bool
    tags: Sequence[str]
    #: Where to read more, by title: ``{"runbook": "https://…"}``. The first one is shown by tools
    #: that know one.
    links: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Link:
    """Where to read more."""

    title: str
    url: str


def governed(where: str, given: Mapping[str, Any], owner: str = "") -> dict[str, Any]:
    """Return the four fields of a contract, checked.

    Args:
        where: how the message names the contract.
        given: its options, of which those of :class:`Governance` are looked at.
        owner: the owner by default.

    Raises:
        ContractError: a link is no URL of the web, or holds credentials.
    """
    return {
        "owner": given.get("owner", owner),
        "deprecated": given.get("deprecated", False),
        "tags": tuple(given.get("tags", ())),
        "links": tuple(_link(where, *each) for each in given.get("links", {}).items()),
    }


def _link(where: str, title: str, url: str) -> Link:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ContractError(
            f"{where}: link {title!r}: expected an http or https URL without user and password."
        )
    return Link(title, url)
