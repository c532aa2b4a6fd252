"""The architecture graph as text that other tools draw: Mermaid and Graphviz' DOT."""

from __future__ import annotations

from collections.abc import Iterator

from purista_celery.exports.architecture import Graph, Node

#: How Mermaid opens and closes each kind's shape.
_MERMAID = {
    "binding": ("[/", "/]"),
    "command": ("{{", "}}"),
    "event": ("([", "])"),
    "queue": ("[(", ")]"),
    "schedule": ("((", "))"),
    "subscription": ("[/", "/]"),
    "worker": ("[[", "]]"),
}
_DOT = {
    "binding": "parallelogram",
    "command": "hexagon",
    "event": "oval",
    "queue": "cylinder",
    "schedule": "circle",
    "subscription": "parallelogram",
    "worker": "component",
}


def mermaid(graph: Graph) -> str:
    """Return the graph as a Mermaid flowchart; orphans have a class of their own."""
    ids = {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for number, (service, nodes) in enumerate(_by_service(graph)):
        lines.append(f"  subgraph s{number}[{_quoted(service or 'elsewhere')}]")
        for node in nodes:
            opened, closed = _MERMAID[node.kind]
            lines.append(f"    {ids[node.id]}{opened}{_quoted(node.name)}{closed}")
        lines.append("  end")
    lines += [
        f"  {ids[edge.source]} -->|{edge.relation}| {ids[edge.target]}" for edge in graph.edges
    ]
    lines += [f"  %% orphan: {orphan.message}" for orphan in graph.orphans]
    if graph.orphans:
        orphans = ",".join(sorted({ids[orphan.node] for orphan in graph.orphans}))
        lines += ["  classDef orphan stroke:#c00,stroke-width:3px", f"  class {orphans} orphan"]
    return "\n".join(lines) + "\n"


def dot(graph: Graph) -> str:
    """Return the graph in Graphviz' language; orphans are red."""
    orphans = {orphan.node for orphan in graph.orphans}
    lines = ["digraph purista {", "  rankdir=LR;", "  node [fontname=Helvetica];"]
    for number, (service, nodes) in enumerate(_by_service(graph)):
        lines += [
            f"  subgraph cluster_{number} {{",
            f"    label={_quoted(service or 'elsewhere')};",
        ]
        for node in nodes:
            color = ", color=red" if node.id in orphans else ""
            shape = f"shape={_DOT[node.kind]}"
            lines.append(f"    {_quoted(node.id)} [label={_quoted(node.name)}, {shape}{color}];")
        lines.append("  }")
    lines += [
        f"  {_quoted(edge.source)} -> {_quoted(edge.target)} [label={edge.relation}];"
        for edge in graph.edges
    ]
    lines += [f"  // orphan: {orphan.message}" for orphan in graph.orphans]
    return "\n".join([*lines, "}"]) + "\n"


def _by_service(graph: Graph) -> Iterator[tuple[str, list[Node]]]:
    for service in sorted({node.service for node in graph.nodes}):
        yield service, [node for node in graph.nodes if node.service == service]


def _quoted(text: str) -> str:
    # Names hold neither quotes nor backslashes: contracts/names.py.
    return f'"{text}"'
