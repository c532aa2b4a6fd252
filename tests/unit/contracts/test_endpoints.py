"""Endpoints that do not fit their contract, or each other, are refused with what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, Field

from purista_celery import Http, Service, Settings, compile_app, exports
from purista_celery.contracts.endpoints import endpoints
from purista_celery.errors import InvalidEndpoint


class Where(BaseModel):
    shop: str
    page: int = 1
    lines: list[int] = []
    aliased: str = Field(default="", alias="otherName")


class Deep(BaseModel):
    where: Where


class Opaque(BaseModel):
    call: Callable[[], None]


class Listed(BaseModel):
    many: list[list[int]] = []


def service(**options: Any) -> Service:
    made = Service("shop")
    made.command("ask", **options)
    return made


def test_placeholders_are_fields_and_the_rest_is_the_query() -> None:
    """By the names that are on the wire."""
    path = "/{shop}/{otherName}"
    (found,) = endpoints([service(parameter=Where, http=Http(path=path, method="GET"))])
    assert list(found.in_path) == ["shop", "otherName"]
    assert found.in_query.keys() == {"page", "lines"}
    assert found.required == {"shop"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"parameter": Where, "http": Http(path="/{shop}/{nope}")},
            "no field 'nope' for the path; it has 'lines', 'otherName', 'page', 'shop'",
        ),
        ({"parameter": Where, "http": Http(path="/{aliased}")}, "no field 'aliased'"),
        ({"http": Http(path="/{shop}")}, "no field 'shop' for the path; it has none"),
        ({"parameter": int, "http": Http(path="/a")}, "a parameter with named fields"),
        ({"parameter": Deep, "http": Http(path="/a")}, "field 'where' .* nor a list of these"),
        ({"parameter": Listed, "http": Http(path="/a")}, "field 'many'"),
        ({"parameter": Where, "http": Http(path="/{lines}")}, "no text, number or truth value, as"),
        ({"parameter": Opaque, "http": Http(path="/a")}, "the parameter has no JSON Schema"),
        ({"payload": Where, "http": Http(path="/a", method="GET")}, "GET has no body"),
        ({"payload": Where, "http": Http(path="/a", method="DELETE")}, "DELETE has no body"),
        ({"http": Http(path="/jobs/{id}", method="GET"), "parameter": Where}, "no field 'id'"),
    ],
)
def test_an_endpoint_that_does_not_fit_its_types_is_refused(
    options: dict[str, Any], message: str
) -> None:
    """When compiled and when exported; the message names contract, endpoint and remedy."""
    made = service(**options)
    with pytest.raises(InvalidEndpoint, match=f"Command 'ask' at .*{message}") as refused:
        exports.openapi([made])
    assert refused.value.code == "PURISTA_CONTRACT_INVALID_ENDPOINT"
    settings = Settings(broker_url="redis://127.0.0.1:1", ledger_url="redis://127.0.0.1:1")
    with pytest.raises(InvalidEndpoint):
        compile_app([made], settings)


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        (Http(path="/a"), Http(path="/a"), "Command 'ask' at POST /a: 'ask' has this endpoint"),
        (
            Http(path="/{shop}"),
            Http(path="/{otherName}", method="PUT"),
            "the same path with other names",
        ),
        (Http(path="/a"), Http(path="/jobs/{shop}/cancel"), "where jobs are followed"),
    ],
)
def test_endpoints_that_can_not_be_told_apart_are_refused(
    one: Http, other: Http, message: str
) -> None:
    """Also those of different services, and those that every gateway has."""
    second = Service("second")
    second.command("ask", parameter=Where, http=other)
    with pytest.raises(InvalidEndpoint, match=message):
        endpoints([service(parameter=Where, http=one), second])


def test_one_path_may_have_several_methods() -> None:
    """With the same placeholders."""
    second = Service("second")
    second.command("ask", parameter=Where, http=Http(path="/{shop}", method="PUT"))
    found = endpoints([service(parameter=Where, http=Http(path="/{shop}")), second])
    assert [each.http.method for each in found] == ["POST", "PUT"]
