"""A contract of an export, taken apart: its settings as dotted leaves, its messages as schemas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from purista_celery.exports.diff.pointers import Schema, canonical

#: Keys of PURISTA's ``metadata.expose`` that hold a schema.
_EXPOSED = frozenset({"inputPayload", "outputPayload", "parameter", "chunkPayload", "finalPayload"})
#: Keys under which each value is the schema of an event that a handler may emit.
EMITTED = frozenset({"emitList", "emits"})
#: Keys that repeat the messages of other contracts, by the name of those.
_EDGES = frozenset({*EMITTED, "queueInvokes", "enqueues", "invokes", "streamInvokes"})
#: Data for another system, whatever its keys are called.
_OPAQUE = frozenset({"providerHints"})
#: Say who and what for, and not how.
_DOCUMENTATION = frozenset(
    {
        *("description", "summary", "title", "tags", "owner", "links", "examples"),
        *("serviceDescription", "commandDescription", "subscriptionDescription"),
        *("eventDescription", "externalDocs", "contact"),
    }
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a contract says."""

    #: By dotted path.
    settings: dict[str, Any] = field(default_factory=dict)
    #: By the key that holds them; those of an edge by ``<edge>.<name of the other contract>…``.
    schemas: dict[str, Schema] = field(default_factory=dict)
    documentation: dict[str, str] = field(default_factory=dict)
    deprecated: bool = False


def parts(contract: Mapping[str, Any]) -> Parts:
    """Take a contract of an export apart."""
    made = Parts()
    deprecated = False
    for path, value in _walk(contract, ()):
        name = ".".join(path)
        if _is_schema(path):
            made.schemas[name if path[0] in _EDGES else path[-1]] = value
        elif path[-1] == "deprecated":
            deprecated = deprecated or bool(value)
        elif _DOCUMENTATION & {*path}:
            made.documentation[name] = canonical(value)
        else:
            made.settings[name] = value
    return Parts(made.settings, made.schemas, made.documentation, deprecated)


def edge_of(name: str) -> tuple[str, str] | None:
    """Return edge and other contract of a schema's name; None where the message is its own."""
    edge, dot, other = name.partition(".")
    if not dot:
        return None
    return edge, other.removesuffix(".payloadSchema").removesuffix(".parameterSchema")


def _walk(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if path and (_is_schema(path) or path[-1] in _DOCUMENTATION | _OPAQUE):
        yield path, value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _walk(each, (*path, str(key)))
    elif isinstance(value, list) and all(isinstance(each, str) for each in value):
        # A list of names is a set of them: their order says nothing.
        for each in value:
            yield (*path, each), True
    elif value is not None:
        yield path, value


def _is_schema(path: tuple[str, ...]) -> bool:
    if path[-1].endswith("Schema"):
        return True
    if len(path) == 2 and path[0] in EMITTED:
        return True
    return path[-1] in _EXPOSED and "expose" in path
