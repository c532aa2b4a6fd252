"""All HTTP endpoints that services declare, checked against their types and each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import PydanticUserError

from purista_celery.contracts.command import Command
from purista_celery.contracts.http import Http
from purista_celery.contracts.queue import Queue
from purista_celery.contracts.service import Service
from purista_celery.contracts.types import adapter_of
from purista_celery.errors import InvalidEndpoint
from purista_celery.messages.http import CANCEL_PATH, EVENTS_PATH, JOB_PATH

JsonSchema = dict[str, Any]

_BODILESS = ("GET", "DELETE")
_SCALARS = {"boolean", "integer", "null", "number", "string"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """One endpoint: a contract, and how its parameter comes over HTTP."""

    contract: Command[Any, Any, Any] | Queue[Any, Any, Any]
    http: Http
    #: Schemas of the parameter's fields that are in the path, in its order.
    in_path: Mapping[str, JsonSchema]
    #: Schemas of its other fields.
    in_query: Mapping[str, JsonSchema]
    #: Names of the fields that must be there.
    required: frozenset[str]

    def __str__(self) -> str:
        return _named(self.contract, self.http)


def endpoints(services: Iterable[Service]) -> list[Endpoint]:
    """Return what ``services`` offer over HTTP, by path and method.

    Raises:
        InvalidEndpoint: a path, its method and a contract's types contradict each other, or two
            endpoints can not be told apart.
    """
    contracts: list[Command[Any, Any, Any] | Queue[Any, Any, Any]] = []
    for service in services:
        contracts += [*service.commands.values(), *service.queues.values()]
    found = [
        _endpoint(contract, contract.http) for contract in contracts if contract.http is not None
    ]
    found.sort(key=lambda each: (each.http.path, each.http.method))
    _check_distinct(found)
    return found


def _endpoint(contract: Command[Any, Any, Any] | Queue[Any, Any, Any], http: Http) -> Endpoint:
    where = _named(contract, http)
    if http.method in _BODILESS and contract.payload not in (None, type(None)):
        raise InvalidEndpoint(
            f"{where}: {http.method} has no body, and the payload is what a body carries. Declare "
            f"it as the parameter, or use POST."
        )
    schema = {} if contract.parameter is None else _schema_of(where, contract.parameter)
    fields: dict[str, JsonSchema] = schema.get("properties", {})
    if missing := [name for name in http.placeholders if name not in fields]:
        raise InvalidEndpoint(
            f"{where}: the parameter has no field {', '.join(map(repr, missing))} for the path; "
            f"it has {', '.join(map(repr, fields)) or 'none'}."
        )
    for name, field in fields.items():
        if not _fits(field, listed=name not in http.placeholders):
            raise InvalidEndpoint(
                f"{where}: field {name!r} of the parameter is no text, number or truth value"
                f"{'' if name in http.placeholders else ', nor a list of these'}, as a URL can "
                f"carry. Declare it as part of the payload."
            )
    return Endpoint(
        contract=contract,
        http=http,
        in_path={name: fields[name] for name in http.placeholders},
        in_query={k: v for k, v in fields.items() if k not in http.placeholders},
        required=frozenset(schema.get("required", ())),
    )


def _schema_of(where: str, parameter: Any) -> JsonSchema:
    # Every worker compiles its contracts, and what reads schemas takes 100 ms to import.
    from purista_celery.contracts.json_schema import inlined

    try:
        schema: JsonSchema = inlined(adapter_of(parameter).json_schema(mode="validation"))
    except PydanticUserError as error:
        raise InvalidEndpoint(
            f"{where}: the parameter has no JSON Schema: {error.message}. Give its type one, for "
            f"example with pydantic's WithJsonSchema."
        ) from error
    if schema.get("type") != "object":
        raise InvalidEndpoint(
            f"{where}: expected a parameter with named fields, such as a model, for path and query."
        )
    return schema


def _fits(schema: Any, *, listed: bool) -> bool:
    """Tell whether a URL can carry such a value."""
    if not isinstance(schema, Mapping) or "$ref" in schema:
        return False
    if members := [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]:
        return all(_fits(member, listed=listed) for member in members)
    kind = schema.get("type")
    if kind == "array":
        return listed and _fits(schema.get("items", {}), listed=False)
    kinds = set(kind) if isinstance(kind, list) else {kind}
    return kind is None or kinds <= _SCALARS


def _check_distinct(found: list[Endpoint]) -> None:
    paths = {_shape(path): path for path in (JOB_PATH, CANCEL_PATH, EVENTS_PATH)}
    own = set(paths)
    seen: dict[tuple[str, str], Endpoint] = {}
    for endpoint in found:
        http = endpoint.http
        shape = _shape(http.path)
        other = seen.setdefault((shape, http.method), endpoint)
        if shape in own:
            raise InvalidEndpoint(f"{endpoint}: this path is where jobs are followed; use another.")
        if other is not endpoint:
            raise InvalidEndpoint(f"{endpoint}: {other.contract.name!r} has this endpoint already.")
        if paths.setdefault(shape, http.path) != http.path:
            raise InvalidEndpoint(
                f"{endpoint}: {paths[shape]!r} is the same path with other names for its "
                f"placeholders; use the same ones."
            )


def _shape(path: str) -> str:
    """Return what tells one path from another: the names of placeholders do not."""
    return re.sub(r"\{[^}]*\}", "{}", path)


def _named(contract: Command[Any, Any, Any] | Queue[Any, Any, Any], http: Http) -> str:
    return f"{type(contract).__name__} {contract.name!r} at {http.method} {http.path}"
