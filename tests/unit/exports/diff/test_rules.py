"""Each rule with an example of it, in the code and in the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from purista_celery.exports.diff.compare import compare
from purista_celery.exports.diff.messages import Change, message_changes
from purista_celery.exports.diff.rules import RULES, Rule
from tests.support.processes import ROOT
from tests.unit.exports.diff.examples import CHANGES, MESSAGES, REVERSED, SERVICE, edited, export

BEFORE = export(SERVICE)
#: Examples that can not be told apart from a consequence of theirs.
CONSEQUENCES = {"queue-abandoned": {"worker-removed"}}


def examples() -> Iterator[tuple[str, list[Change]]]:
    for rule, (old, new) in MESSAGES.items():
        yield rule, [*message_changes("queue", "payload", old, new)]
    for rule, service in CHANGES.items():
        yield rule, compare(BEFORE, export(service))
    for rule, opposite in REVERSED.items():
        yield rule, compare(export(CHANGES[opposite]), BEFORE)
    empty: dict[str, Any] = {"description": "", "deprecated": False}
    yield "service-added", compare(BEFORE, export(SERVICE, more=empty))
    yield "service-removed", compare(export(SERVICE, more=empty), BEFORE)
    for section, name in (("events", "due"), ("queues", "close")):
        kept = edited(f"{section}/{name}")
        other = {section: {name: SERVICE[section][name]}}
        yield f"{section[:-1]}-moved", compare(export(SERVICE, more={}), export(kept, more=other))


@pytest.mark.parametrize(("rule", "changes"), [*examples()])
def test_the_example_of_a_rule_is_judged_by_it(rule: str, changes: list[Change]) -> None:
    """And by no other."""
    assert {each.rule.id for each in changes} - CONSEQUENCES.get(rule, set()) == {rule}, changes


def test_every_rule_has_an_example() -> None:
    """A rule without one may never apply."""
    assert {rule for rule, _ in examples()} == set(RULES)


def documented() -> dict[str, tuple[str, str, str]]:
    rows = re.findall(
        r"^\| `([a-z-]+)` \| (.+) \| (\w+) \| (\w+) \|$",
        (ROOT / "docs" / "compatibility.md").read_text("utf-8"),
        re.MULTILINE,
    )
    return {name: (what, producers, consumers) for name, what, producers, consumers in rows}


def test_the_documentation_shows_the_rules() -> None:
    """All of them, with their verdicts, and none that there is not."""

    def row(rule: Rule) -> tuple[str, str, str]:
        return rule.what, rule.producers.word, rule.consumers.word

    assert documented() == {name: row(rule) for name, rule in RULES.items()}


def test_a_new_version_of_a_service_keeps_what_is_known_by_name() -> None:
    """Events and queues; commands and subscriptions are known by the version too."""
    old, new = export(SERVICE), export(SERVICE)
    new["services"]["books"]["2"] = new["services"]["books"].pop("1")
    rules = {each.rule.id for each in compare(old, new)}
    assert {"event-moved", "queue-moved", "command-removed", "command-added"} <= rules
    assert not {"event-removed", "queue-removed", "queue-abandoned"} & rules


def test_a_service_that_is_gone_takes_its_contracts_with_it() -> None:
    """Each is judged by itself."""
    rules = {each.rule.id for each in compare(export(SERVICE, more={}), export({}, more={}))}
    assert {"event-removed", "queue-removed", "command-removed", "schedule-removed"} <= rules


def test_nothing_changed_is_no_change() -> None:
    """Whatever the order of keys and of what is a set."""
    mixed: Any = edited("queueWorkers/closer/emits", ["b", "a"])
    ordered = edited("queueWorkers/closer/emits", ["a", "b"])
    assert compare(export(mixed), export(dict(reversed(ordered.items())))) == []
    assert compare(BEFORE, {**BEFORE, "version": "9"}) == []
