"""Who answers for a contract, and where to read more."""

from __future__ import annotations

from typing import Any

import pytest

from purista_celery import Cron, Http, ResultEvents, Service, exports
from purista_celery.contracts.governance import Link
from purista_celery.errors import ContractError

OWN: dict[str, Any] = {
    "owner": "payments",
    "deprecated": True,
    "tags": ["money", "eu"],
    "links": {"runbook": "https://wiki.example.org/pay", "board": "http://example.org/b"},
}


def declared(service: Service, options: dict[str, Any]) -> list[Any]:
    """Return one contract of each kind, declared with ``options``."""
    event = service.event("shop.paid", **options)
    return [
        event,
        service.queue("shop.pay", payload=int, **options),
        service.command("ask", http=Http(path="/ask"), **options),
        service.schedule("daily", Cron("0 0 * * *"), emits=event, **options),
    ]


def test_contracts_say_whose_they_are() -> None:
    """Each kind takes the same four; a service does, too."""
    service = Service("shop", **OWN)
    for contract in (service, *declared(service, OWN)):
        assert contract.owner == "payments"
        assert contract.deprecated is True
        assert contract.tags == ("money", "eu")
        assert contract.links == (
            Link("runbook", "https://wiki.example.org/pay"),
            Link("board", "http://example.org/b"),
        )


def test_a_contract_without_an_owner_is_its_services() -> None:
    """Result events are their queue's; the rest is not inherited."""
    service = Service("shop", **OWN)
    for contract in declared(service, {}):
        assert (contract.owner, contract.deprecated) == ("payments", False)
        assert (contract.tags, contract.links) == ((), ())
    own = service.queue(
        "shop.own", payload=int, owner="desk", results=ResultEvents(success="shop.done")
    )
    assert own.results.success.owner == "desk"


@pytest.mark.parametrize(
    "url", ["wiki", "ftp://example.org", "https://", "https://me:secret@example.org/"]
)
def test_a_link_is_a_web_address_without_credentials(url: str) -> None:
    """The message names the contract and the link, and does not repeat what may be a password."""
    with pytest.raises(ContractError, match=r"Event 'shop\.e': link 'runbook'") as refused:
        Service("shop").event("shop.e", links={"runbook": url})
    assert "secret" not in str(refused.value)


def test_a_misspelt_option_is_refused() -> None:
    """By every kind."""
    service = Service("shop")
    with pytest.raises(TypeError, match="Service 'shop': unknown option onwer"):
        Service("shop", onwer="me")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"Event 'shop\.e': unknown option onwer"):
        service.event("shop.e", onwer="me")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="Schedule 'x': unknown option onwer"):
        service.schedule("x", Cron("0 0 * * *"), emits=service.event("shop.f"), onwer="me")  # type: ignore[call-overload]


def test_openapi_shows_where_to_read_more() -> None:
    """An operation's own first link, and its service's."""
    service = Service("shop", links={"about": "https://example.org/"})
    declared(service, OWN)
    document = exports.openapi([service])
    operation = document["paths"]["/ask"]["post"]
    assert operation["externalDocs"] == {
        "description": "runbook",
        "url": "https://wiki.example.org/pay",
    }
    assert operation["deprecated"] is True
    (tag,) = [tag for tag in document["tags"] if tag["name"] == "shop"]
    assert tag["externalDocs"] == {"description": "about", "url": "https://example.org/"}
