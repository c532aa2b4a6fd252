"""The architecture graph: what it holds, what it misses, and how it is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from examples.billing.services import services as billing
from purista_celery import EventMessage, Job, Service, exports
from purista_celery.exports.architecture import Graph, architecture
from purista_celery.exports.graph_svg import svg
from purista_celery.exports.graph_text import dot, mermaid
from tests.support.node import Node
from tests.unit.compiler.services import declare
from tests.unit.exports import shapes

SVG = "{http://www.w3.org/2000/svg}"


def test_every_declared_edge_is_there() -> None:
    """Schedule to event to binding to queue to worker, results, emits and enqueues."""
    found = exports.graph(declare().services)
    edges = {(edge["source"], edge["relation"], edge["target"]) for edge in found["edges"]}
    assert edges == {
        ("schedule:shop/1/nightly", "fires", "event:tick"),
        ("queue:orders", "runs", "worker:orders"),
        ("queue:closing", "runs", "worker:closing"),
        ("queue:orders", "results", "event:orders.done"),
        ("worker:orders", "emits", "event:order.placed"),
        ("worker:orders", "enqueues", "queue:closing"),
        ("event:orders.done", "hears", "subscription:sub.books.2.record"),
        ("event:order.placed", "hears", "subscription:sub.books.2.audit"),
        ("event:order.placed", "hears", "binding:sub.books.2.eventToQueue:order.placed:orders"),
        ("binding:sub.books.2.eventToQueue:order.placed:orders", "enqueues", "queue:orders"),
    }
    assert {edge["source"] for edge in found["edges"]} <= {node["id"] for node in found["nodes"]}


def test_commands_are_nodes_with_who_invokes_and_who_answers_them() -> None:
    """From workers, subscriptions and other commands."""
    edges = {
        (edge["source"], edge["relation"], edge["target"])
        for edge in exports.graph(shapes.services())["edges"]
    }
    price, silent = "command:cmd.shop.2.1.price", "command:cmd.shop.2.1.silent"
    assert {
        ("schedule:shop/2.1/asks", "fires", price),
        (price, "runs", "worker:cmd.shop.2.1.price"),
        ("worker:cmd.shop.2.1.price", "invokes", silent),
        ("worker:cmd.shop.2.1.price", "emits", "event:books.told"),
        ("worker:books.twice", "invokes", price),
        ("subscription:sub.books-keeping.1.asking", "invokes", price),
    } <= edges


def test_orphans_are_reported() -> None:
    """An event nobody hears, a queue nobody serves, a subscription to what nobody emits."""
    service = Service("alone")
    service.event("unheard")
    heard = service.event("heard")
    service.queue("unserved", payload=int)
    service.command("unanswered")
    served = service.queue("served", payload=int)

    @served.worker()
    def run(job: Job[int, None]) -> None: ...

    @service.subscribe(heard)
    def hear(event: EventMessage[None]) -> None: ...

    @service.subscribe("nobody.emits")
    def wait(event: EventMessage[Any]) -> None: ...

    orphans = {(orphan.kind, orphan.node) for orphan in architecture([service]).orphans}
    assert orphans == {
        ("unheard-event", "event:unheard"),
        ("unserved-queue", "queue:unserved"),
        ("unanswered-command", "command:cmd.alone.1.unanswered"),
        ("unemitted-event", "event:nobody.emits"),
    }
    assert architecture(billing).orphans == []


@pytest.mark.parametrize("pattern", ["shop.*", "shop.#", "#", "*.made"])
def test_a_pattern_hears_all_that_it_matches(pattern: str) -> None:
    """So that their events are no orphans."""
    service = Service("shop")
    service.event("shop.made")
    service.subscribe(pattern, name="all")(lambda event: None)
    assert architecture([service]).orphans == []


def test_svg_shows_every_node_and_edge_apart() -> None:
    """Well-formed XML, no two boxes on each other, orphans marked, circles drawn too."""
    for graph in (architecture(declare().services), architecture(shapes.services())):
        root = ElementTree.fromstring(svg(graph))  # noqa: S314 - our own text
        boxes = root.findall(f"{SVG}g/{SVG}rect")
        assert len(boxes) == len(graph.nodes)
        assert len({(box.get("x"), box.get("y")) for box in boxes}) == len(graph.nodes)
        assert len(root.findall(f"{SVG}path")) == len(graph.edges)
        marked = [box for box in boxes if box.get("stroke") == "#c00"]
        assert len(marked) == len({orphan.node for orphan in graph.orphans}) > 0


def test_an_empty_graph_is_drawn() -> None:
    """As an empty sheet."""
    for draw in (svg, dot, mermaid):
        assert draw(Graph())


def test_mermaid_and_dot_name_every_node_and_edge() -> None:
    """Each once; orphans are said."""
    graph = architecture(shapes.services())
    for drawn, arrow, arrows in ((mermaid(graph), " -->|", 1), (dot(graph), " -> ", 1)):
        assert drawn.count(arrow) == len(graph.edges) * arrows
        assert all(f'"{node.name}"' in drawn for node in graph.nodes)
        assert all(orphan.message in drawn for orphan in graph.orphans)


def test_graphviz_reads_the_dot_file(node: Node, tmp_path: Path) -> None:
    """And lays out every node and edge."""
    graph = architecture(shapes.services())
    file = tmp_path / "graph.dot"
    file.write_text(dot(graph))
    laid_out = [line.split(" ", 1)[0] for line in node.run("dot.mjs", file).splitlines()]
    assert laid_out.count("node") == len(graph.nodes)
    assert laid_out.count("edge") == len(graph.edges)
