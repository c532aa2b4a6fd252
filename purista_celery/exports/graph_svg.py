"""The architecture graph as SVG, without Graphviz: layers from left to right.

A node stands one column to the right of all that lead to it, edges that would close a circle aside,
and near their middle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from statistics import mean

from purista_celery.exports.architecture import Edge, Graph, Node

_WIDTH, _HEIGHT = 260, 44
_GAP_X, _GAP_Y = 110, 22
_MARGIN = 20
#: So many characters of a name fit into a box.
_FITS = 36

_COLORS = {
    "binding": "#fdf3d8",
    "command": "#d9f2f0",
    "event": "#dcecfb",
    "queue": "#e2f4e2",
    "schedule": "#f6e1f3",
    "subscription": "#fdf3d8",
    "worker": "#eeeeee",
}
_STYLE = (
    "text{font:12px Helvetica,Arial,sans-serif;fill:#222}.kind{font-size:9px;fill:#666}"
    ".edge{fill:none;stroke:#888}.relation{font-size:9px;fill:#888}"
)
_ARROW = (
    '<marker id="arrow" viewBox="0 0 10 10" refX="10" refY="5" markerWidth="7" markerHeight="7" '
    'orient="auto"><path d="M0 0 10 5 0 10z" fill="#888"/></marker>'
)


@dataclass(frozen=True, slots=True)
class _Place:
    x: int
    y: int


def svg(graph: Graph) -> str:
    """Return the graph as an SVG document; orphans have a red frame."""
    places = _places(graph)
    orphans = {orphan.node: orphan.message for orphan in graph.orphans}
    width = max((place.x for place in places.values()), default=0) + _WIDTH + _MARGIN
    height = max((place.y for place in places.values()), default=0) + _HEIGHT + _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}">',
        f"<style>{_STYLE}</style>",
        f"<defs>{_ARROW}</defs>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        *(_edge(edge, places) for edge in graph.edges),
        *(_node(node, places[node.id], orphans.get(node.id)) for node in graph.nodes),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _places(graph: Graph) -> Mapping[str, _Place]:
    columns = _columns(graph)
    before: dict[str, list[str]] = {node.id: [] for node in graph.nodes}
    for edge in graph.edges:
        before[edge.target].append(edge.source)
    rows: dict[str, int] = {}
    for column in range(max(columns.values(), default=-1) + 1):
        here = [
            (_middle(before[node.id], rows), node.id)
            for node in graph.nodes
            if columns[node.id] == column
        ]
        rows |= {node: row for row, (_, node) in enumerate(sorted(here))}
    return {
        node: _Place(
            _MARGIN + columns[node] * (_WIDTH + _GAP_X), _MARGIN + row * (_HEIGHT + _GAP_Y)
        )
        for node, row in rows.items()
    }


def _middle(nodes: list[str], rows: Mapping[str, int]) -> float:
    known = [rows[node] for node in nodes if node in rows]
    return mean(known) if known else 0


def _columns(graph: Graph) -> dict[str, int]:
    after: dict[str, list[str]] = {node.id: [] for node in graph.nodes}
    for edge in graph.edges:
        after[edge.source].append(edge.target)
    order: list[str] = []
    state: dict[str, str] = {}
    forward: dict[str, list[str]] = {node.id: [] for node in graph.nodes}

    def visit(node: str) -> None:
        state[node] = "open"
        for other in after[node]:
            if state.get(other) != "open":
                forward[node].append(other)
            if other not in state:
                visit(other)
        state[node] = "done"
        order.append(node)

    for node in after:
        if node not in state:
            visit(node)
    columns = dict.fromkeys(after, 0)
    for node in reversed(order):
        for target in forward[node]:
            columns[target] = max(columns[target], columns[node] + 1)
    return columns


def _node(node: Node, place: _Place, orphan: str | None) -> str:
    stroke = 'stroke="#c00" stroke-width="2"' if orphan else 'stroke="#999"'
    name = node.name if len(node.name) <= _FITS else f"{node.name[: _FITS - 1]}…"
    title = escape(f"{node.id} ({node.service or 'elsewhere'}){f': {orphan}' if orphan else ''}")
    left, top = place.x, place.y
    return (
        f'<g><title>{title}</title><rect x="{left}" y="{top}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'rx="6" fill="{_COLORS[node.kind]}" {stroke}/>'
        f'<text class="kind" x="{left + 8}" y="{top + 14}">'
        f"{escape(f'{node.kind} · {node.service}' if node.service else node.kind)}</text>"
        f'<text x="{left + 8}" y="{top + 32}">{escape(name)}</text></g>'
    )


def _edge(edge: Edge, places: Mapping[str, _Place]) -> str:
    source, target = places[edge.source], places[edge.target]
    start, end = source.x + _WIDTH, target.x
    y1, y2 = source.y + _HEIGHT // 2, target.y + _HEIGHT // 2
    bend = _GAP_X // 2
    return (
        f'<path class="edge" marker-end="url(#arrow)" d="M{start} {y1} C{start + bend} {y1} '
        f'{end - bend} {y2} {end} {y2}"/>'
        f'<text class="relation" text-anchor="end" x="{end - 9}" y="{y2 - 5}">{edge.relation}'
        f"</text>"
    )
