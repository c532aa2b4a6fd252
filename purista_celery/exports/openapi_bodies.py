"""The schemas of a document's bodies, with an example for each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter

from purista_celery.contracts.endpoints import Endpoint
from purista_celery.contracts.json_schema import JsonSchema, rewritten
from purista_celery.contracts.types import adapter_of
from purista_celery.exports.examples import NoExample, example
from purista_celery.exports.schemas import Components, Side, components, draft_7
from purista_celery.messages.http import JobAccepted, JobRecord, Problem

#: What the endpoints of jobs, and all errors, are made of.
_OWN: tuple[type[BaseModel], ...] = (JobRecord, Problem)


@dataclass(frozen=True, slots=True)
class Bodies:
    """What travels as JSON, and how components name it."""

    #: Used by operation and side, and by the name of a model of ours.
    components: Components

    @classmethod
    def of(cls, declared: Iterable[Endpoint]) -> Bodies:
        """Return the bodies of all endpoints, as JSON Schema 2020-12.

        Raises:
            ExportError: a type has no JSON Schema.
        """
        types: dict[str, tuple[TypeAdapter[Any], Side]] = {
            model.__name__: (adapter_of(model), "serialization") for model in _OWN
        }
        for endpoint in declared:
            contract, http = endpoint.contract, endpoint.http
            if takes_body(endpoint):
                types[request_of(endpoint)] = (adapter_of(contract.payload), "validation")
            if http.mode == "sync" and answers(endpoint):
                types[answer_of(endpoint)] = (adapter_of(contract.output), "serialization")
            if http.mode == "async-job":
                types["JobAccepted"] = (adapter_of(JobAccepted), "serialization")
        return cls(components(types, _listed))

    def content(self, key: str, media_type: str = "application/json") -> dict[str, Any]:
        """Return the ``content`` of a body, with an example where one can be made."""
        schema = self.components.used[key]
        media: dict[str, Any] = {"schema": schema}
        named = {name: rewritten(each, draft_7) for name, each in self.components.named.items()}
        try:
            media["example"] = example(rewritten(schema, draft_7), named)
        except NoExample:
            return {media_type: media}
        return {media_type: media}


def _listed(schema: JsonSchema) -> JsonSchema:
    """Say of a tuple that it is a list too: readers that know lists only insist on ``items``."""
    if "prefixItems" not in schema or "items" in schema:
        return schema
    return {**schema, "items": {}}


def takes_body(endpoint: Endpoint) -> bool:
    """Tell whether its payload is more than the request itself."""
    return endpoint.contract.payload not in (None, type(None))


def answers(endpoint: Endpoint) -> bool:
    """Tell whether its handler returns something."""
    return endpoint.contract.output not in (None, type(None))


def request_of(endpoint: Endpoint) -> str:
    """Return the key of an endpoint's request body."""
    return f"{endpoint.http.method} {endpoint.http.path} request"


def answer_of(endpoint: Endpoint) -> str:
    """Return the key of an endpoint's answer."""
    return f"{endpoint.http.method} {endpoint.http.path} answer"
