"""What changed in one message: both directions of its schema, as changes by rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from purista_celery.errors import InvalidDefinitions
from purista_celery.exports.diff.accepts import Comparison
from purista_celery.exports.diff.pointers import Document, Schema, canonical, documentation_differs
from purista_celery.exports.diff.rules import RULES, Direction, Rule, message_rule
from purista_celery.exports.diff.verdict import Kind, Mismatch, Verdict


@dataclass(frozen=True, slots=True)
class Change:
    """One change, judged."""

    rule: Rule
    #: The contract, such as ``billing/1 queue billing.monthlyClosing``.
    contract: str
    #: The place in it: a setting, or a message and a JSON pointer into it.
    place: str
    detail: str

    @property
    def verdict(self) -> Verdict:
        """The worse of the two sides' verdicts."""
        return self.rule.verdict


def message_changes(
    contract: str, name: str, old: Schema, new: Schema, *, only_read: bool = False
) -> Iterator[Change]:
    """Yield what changed from one schema of a message to the next.

    Args:
        only_read: the contract reads this message and promises it to nobody, as a subscription
            does: what it does not ask for any more breaks no one.
    """
    if canonical(old) == canonical(new):
        return
    try:
        found = _found(old, new, only_read=only_read)
    except (AttributeError, TypeError, ValueError) as error:
        raise InvalidDefinitions(
            f"{contract}: {name} is no JSON Schema that can be compared: {error}."
        ) from error
    for (path, kind), sides in sorted(found.items()):
        place = name if path == "/" else f"{name} {path}"
        yield Change(message_rule(kind, [*sides]), contract, place, _detail(sides))
    if documentation_differs(old, new):
        yield Change(RULES["documentation-changed"], contract, name, "")
    elif not found:
        same = Document(old).text(old) == Document(new).text(new) or not only_read
        rule = RULES["rewritten" if same else "requirement-dropped"]
        yield Change(rule, contract, name, "")


def _found(
    old: Schema, new: Schema, *, only_read: bool
) -> dict[tuple[str, Kind], dict[Direction, list[Mismatch]]]:
    """Return the mismatches of both directions, by place and kind."""
    found: dict[tuple[str, Kind], dict[Direction, list[Mismatch]]] = {}
    for each in Comparison(sender=old, reader=new).mismatches():
        found.setdefault((each.path, each.kind), {}).setdefault("producers", []).append(each)
    for each in () if only_read else Comparison(sender=new, reader=old).mismatches():
        found.setdefault((each.path, each.kind), {}).setdefault("consumers", []).append(each)
    return found


def _detail(sides: dict[Direction, list[Mismatch]]) -> str:
    """Say what was and what is, from the side of the old contract."""
    before, after = [], []
    for direction, found in sides.items():
        for each in found:
            old, new = (
                (each.sender, each.reader)
                if direction == "producers"
                else (each.reader, each.sender)
            )
            before.append(old)
            after.append(new)
    return f"{_joined(before)} → {_joined(after)}"


def _joined(words: list[str]) -> str:
    return " | ".join(dict.fromkeys(words))
