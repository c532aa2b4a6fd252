"""The architecture graph: who emits, hears, enqueues and runs what, as the contracts declare it.

Orphans are told, because a broker does not: an event that nobody hears, a queue that nobody serves,
a subscription to an event that nobody emits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from purista_celery.contracts import names
from purista_celery.contracts.schedule import Schedule
from purista_celery.contracts.service import Service
from purista_celery.contracts.subscription import Subscription
from purista_celery.contracts.worker import Worker

Kind = Literal["schedule", "event", "subscription", "binding", "queue", "command", "worker"]
Relation = Literal["fires", "emits", "hears", "enqueues", "invokes", "runs", "results"]
OrphanKind = Literal["unheard-event", "unserved-queue", "unanswered-command", "unemitted-event"]


#: Kinds of contracts that others refer to by name.
_KINDS: dict[str, Kind] = {"command": "command", "event": "event", "queue": "queue"}


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Node:
    """A contract."""

    id: str
    kind: Kind
    name: str
    #: ``<service> <version>``; empty for an event that no given service declares.
    service: str


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Edge:
    """A declared relation of two contracts."""

    source: str
    target: str
    relation: Relation


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Orphan:
    """A contract that lacks its other end."""

    node: str
    kind: OrphanKind
    message: str


@dataclass(slots=True)
class Graph:
    """Nodes, edges and orphans, each sorted."""

    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    orphans: list[Orphan] = field(default_factory=list)


def graph(services: Iterable[Service]) -> dict[str, Any]:
    """Return :func:`architecture` as plain data: ``nodes``, ``edges`` and ``orphans``."""
    return asdict(architecture(services))


def architecture(services: Iterable[Service]) -> Graph:
    """Return the graph of all that ``services`` declare."""
    building = _Building()
    for service in services:
        building.service(service)
    return building.finished()


class _Building:
    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._edges: set[Edge] = set()
        #: Event names and topic patterns that somebody listens to, by the listener's node.
        self._heard: list[tuple[str, str]] = []

    def service(self, service: Service) -> None:
        where = f"{service.name} {service.version}"
        for event in service.events.values():
            self._node("event", event.name, where)
        for queue in service.queues.values():
            node = self._node("queue", queue.name, where)
            for event in queue.results.events.values():
                self._emits(node, event.name, "results")
        for command in service.commands.values():
            self._node("command", command.queue.name, where, command.name)
        for worker in service.workers.values():
            node = self._node("worker", worker.queue_name, where, worker.name)
            kind = "queue" if worker.queue_name in service.queues else "command"
            self._edge(f"{kind}:{worker.queue_name}", node, "runs")
            self._declared(node, worker)
        for schedule in service.schedules.values():
            node = self._node("schedule", schedule.key, where, schedule.name)
            self._edge(node, _target(service, schedule), "fires")
        for subscription in service.subscriptions.values():
            node = self._node("subscription", subscription.key, where, subscription.name)
            self._heard.append((subscription.event_name, node))
            self._declared(node, subscription)
        for binding in service.bindings.values():
            node = self._node("binding", binding.key, where, binding.name)
            self._heard.append((binding.event_name, node))
            self._edge(node, f"queue:{binding.queue.name}", "enqueues")

    def finished(self) -> Graph:
        for pattern, listener in self._heard:
            for name in self._events_of(pattern):
                self._edge(f"event:{name}", listener, "hears")
        self._complete()
        return Graph(
            nodes=sorted(self._nodes.values()),
            edges=sorted(self._edges),
            orphans=sorted(self._orphans()),
        )

    def _events_of(self, pattern: str) -> list[str]:
        known = [node.name for node in self._nodes.values() if node.kind == "event"]
        found = [name for name in known if names.matches(pattern, name)]
        # What nobody here declares is shown all the same, as what was asked for.
        return found or [pattern]

    def _complete(self) -> None:
        ends = {end for edge in self._edges for end in (edge.source, edge.target)}
        for missing in ends - self._nodes.keys():
            kind, _, name = missing.partition(":")
            self._nodes[missing] = Node(id=missing, kind=_KINDS[kind], name=name, service="")

    def _orphans(self) -> Iterable[Orphan]:
        sources = {edge.source for edge in self._edges if edge.relation in ("hears", "runs")}
        for node in self._nodes.values():
            if node.kind == "event" and node.service and node.id not in sources:
                yield Orphan(
                    node=node.id,
                    kind="unheard-event",
                    message=f"Nobody hears event {node.name!r}: subscribe to it, or drop it.",
                )
            if node.kind == "queue" and node.id not in sources:
                yield Orphan(
                    node=node.id,
                    kind="unserved-queue",
                    message=f"Queue {node.name!r} has no worker: its jobs would wait for ever.",
                )
            if node.kind == "command" and node.service and node.id not in sources:
                yield Orphan(
                    node=node.id,
                    kind="unanswered-command",
                    message=f"Command {node.name!r} has no handler: nobody would answer.",
                )
            if node.kind == "event" and not node.service and node.id in sources:
                yield Orphan(
                    node=node.id,
                    kind="unemitted-event",
                    message=f"Nobody emits {node.name!r}, which is listened to: declare it, or "
                    f"give the service that does.",
                )

    def _declared(self, node: str, handler: Worker | Subscription) -> None:
        for event in handler.emits:
            self._emits(node, event.name, "emits")
        for queue in handler.enqueues:
            self._edge(node, f"queue:{queue.name}", "enqueues")
        for command in handler.invokes:
            self._edge(node, f"command:{command.queue.name}", "invokes")

    def _emits(self, node: str, event: str, relation: Relation) -> None:
        self._edge(node, f"event:{event}", relation)

    def _node(self, kind: Kind, key: str, service: str, name: str | None = None) -> str:
        node = f"{kind}:{key}"
        self._nodes.setdefault(node, Node(id=node, kind=kind, name=name or key, service=service))
        return node

    def _edge(self, source: str, target: str, relation: Relation) -> None:
        self._edges.add(Edge(source=source, target=target, relation=relation))


def _target(service: Service, schedule: Schedule) -> str:
    name = schedule.target_name
    if schedule.target_kind == "command" and name in service.commands:
        name = service.commands[name].queue.name
    return f"{schedule.target_kind}:{name}"
