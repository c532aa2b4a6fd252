"""Two exports of definitions -> every change between them, judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from purista_celery.errors import InvalidDefinitions
from purista_celery.exports.diff.leaves import EMITTED, Parts, edge_of, parts
from purista_celery.exports.diff.messages import Change, message_changes
from purista_celery.exports.diff.pointers import canonical
from purista_celery.exports.diff.rules import RULES
from purista_celery.exports.diff.settings import changed_settings

#: PURISTA's sections of a service: how their contracts are called here.
_SECTIONS = {
    "events": "event",
    "queues": "queue",
    "queueWorkers": "worker",
    "subscriptions": "subscription",
    "eventToQueueBindings": "binding",
    "commands": "command",
    "streams": "stream",
    "schedules": "schedule",
}
#: Known by their names alone, whichever service declares them.
_NAMED_ALONE = frozenset({"events", "queues"})
#: Read what others promise, and promise nothing themselves.
_ONLY_READ = frozenset({"subscription", "binding"})
#: What a message is where there is no schema for it: nothing, for what happens by itself.
_NO_PAYLOAD: Mapping[str, Any] = {"event": {"type": "null"}}

Services = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class _Known:
    """What contracts of the two exports say about each other."""

    #: Events and queues by section and name.
    old: Mapping[tuple[str, str], Mapping[str, Any]]
    new: Mapping[tuple[str, str], Mapping[str, Any]]
    #: Queues that had a worker and have none in the new export.
    abandoned: frozenset[str]

    @property
    def shared(self) -> frozenset[str]:
        """Events and queues that both exports declare: their messages are compared there."""
        return frozenset(name for _, name in self.old.keys() & self.new.keys())


def compare(old: Any, new: Any) -> list[Change]:
    """Return all changes from one export of definitions to the next, worst first.

    Raises:
        InvalidDefinitions: one of them is no such export.
    """
    before, after = services(old), services(new)
    known = _Known(
        _declared(before),
        _declared(after),
        _queues_with_worker(before) - _queues_with_worker(after),
    )
    found: list[Change] = []
    for name in sorted({*before, *after}):
        if name not in after:
            found.append(_change("service-removed", f"{name} service"))
        elif name not in before:
            found.append(_change("service-added", f"{name} service"))
        found += _service(name, before.get(name), after.get(name), known)
    return sorted(found, key=lambda each: -each.verdict)


def services(definitions: Any) -> dict[str, Mapping[str, Any]]:
    """Return an export's services by ``<name>/<version>``.

    Raises:
        InvalidDefinitions: it is no export of definitions.
    """
    found = {}
    for name, versions in _object("services", _object("", definitions).get("services")).items():
        for version, service in _object(f"services.{name}", versions).items():
            found[f"{name}/{version}"] = _object(f"services.{name}.{version}", service)
    return found


def _service(
    name: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, known: _Known
) -> Iterator[Change]:
    if old is not None and new is not None:
        rest = [{k: v for k, v in each.items() if k not in _SECTIONS} for each in (old, new)]
        yield from _contract(f"{name} service", "service", parts(rest[0]), parts(rest[1]), known)
    for section, kind in _SECTIONS.items():
        before, after = (_contracts(section, (each or {}).get(section)) for each in (old, new))
        for key in sorted({*before, *after}):
            where, named = f"{name} {kind} {key}", (section, key)
            if key in before and key in after:
                yield from _contract(where, kind, parts(before[key]), parts(after[key]), known)
            elif key in after and named in known.old:
                yield _change(f"{kind}-moved", where)
                old_parts, new_parts = parts(known.old[named]), parts(after[key])
                yield from _contract(where, kind, old_parts, new_parts, known)
            elif key in after:
                yield _change(f"{kind}-added", where)
            elif named not in known.new:
                yield _change(f"{kind}-removed", where)
            if kind == "queue" and key in after and key in known.abandoned:
                yield _change("queue-abandoned", where)


def _contract(where: str, kind: str, old: Parts, new: Parts, known: _Known) -> Iterator[Change]:
    """Compare two versions of one contract."""
    for rule, setting, before, after in changed_settings(kind, old.settings, new.settings):
        yield _change(rule, where, setting, f"{canonical(before)} → {canonical(after)}")
    for name in sorted({*old.schemas, *new.schemas}):
        edge = edge_of(name)
        if edge is not None and (name in old.schemas) != (name in new.schemas):
            yield from _edge(where, edge[0], name, added=name in new.schemas)
        elif not _compared_elsewhere(kind, edge, old, new, known):
            missing = _NO_PAYLOAD.get(kind, True)
            yield from message_changes(
                where,
                name,
                old.schemas.get(name, missing),
                new.schemas.get(name, missing),
                only_read=kind in _ONLY_READ,
            )
    if old.documentation != new.documentation:
        yield _change("documentation-changed", where)
    if old.deprecated != new.deprecated:
        yield _change("deprecated" if new.deprecated else "undeprecated", where)


def _compared_elsewhere(
    kind: str, edge: tuple[str, str] | None, old: Parts, new: Parts, known: _Known
) -> bool:
    """Tell whether a message is that of an event or a queue which both exports declare."""
    if edge is not None:
        return edge[1] in known.shared
    heard = {str(each.settings.get("eventName")) for each in (old, new)}
    return kind == "subscription" and heard <= known.shared


def _edge(where: str, edge: str, name: str, *, added: bool) -> Iterator[Change]:
    if edge in EMITTED:
        yield _change("emission-added" if added else "emission-removed", where, name)
    elif not name.endswith(".parameterSchema"):
        yield _change("use-added" if added else "use-removed", where, name)


def _declared(found: Services) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {
        (section, name): contract
        for service in found.values()
        for section in sorted(_NAMED_ALONE)
        for name, contract in _contracts(section, service.get(section)).items()
    }


def _queues_with_worker(found: Services) -> frozenset[str]:
    workers = [_contracts("queueWorkers", each.get("queueWorkers")) for each in found.values()]
    return frozenset(str(w.get("queueName")) for each in workers for w in each.values())


def _contracts(section: str, found: Any) -> Mapping[str, Mapping[str, Any]]:
    if isinstance(found, list):
        each = [_object(f"{section}[]", contract) for contract in found]
        return {f"{one.get('eventName')} → {one.get('queueName')}": one for one in each}
    named = _object(section, {} if found is None else found)
    return {name: _object(f"{section}.{name}", contract) for name, contract in named.items()}


def _object(where: str, found: Any) -> Mapping[str, Any]:
    if not isinstance(found, Mapping):
        raise InvalidDefinitions(
            f"Definitions: expected {where or 'the document'} to be an object, got "
            f"{type(found).__name__}. Export them with 'purista export definitions'."
        )
    return found


def _change(rule: str, where: str, place: str = "", detail: str = "") -> Change:
    return Change(RULES[rule], where, place, detail)
