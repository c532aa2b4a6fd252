"""The rules: what each change means for those who keep to the old contract.

*Producers* send what the contract describes: they emit an event, enqueue a job, call a command.
*Consumers* read it, or live by what it promises: subscribers, workers, callers that wait for an
answer. ``docs/compatibility.md`` shows this table; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from purista_celery.exports.diff.verdict import Kind, Verdict

_VERDICTS = {"c": Verdict.COMPATIBLE, "r": Verdict.RISKY, "b": Verdict.BREAKING}


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of change."""

    id: str
    #: What has changed, as a clause.
    what: str
    producers: Verdict
    consumers: Verdict

    @property
    def verdict(self) -> Verdict:
        """The worse of the two."""
        return max(self.producers, self.consumers)


def _table(*rows: tuple[str, str, str]) -> dict[str, Rule]:
    return {
        name: Rule(name, what, _VERDICTS[sides[0]], _VERDICTS[sides[1]])
        for name, sides, what in rows
    }


#: What changed in a message, by JSON Schema.
MESSAGE_RULES = _table(
    ("required-field-added", "bc", "a field was added that must be sent"),
    ("required-field-removed", "cb", "a field was removed that was always sent"),
    ("optional-field-added", "cc", "a field was added that may be left out"),
    ("optional-field-removed", "cr", "a field was removed that could be left out"),
    ("field-made-required", "bc", "a field must be sent now"),
    ("field-made-optional", "cb", "a field may be left out now"),
    ("field-refused", "bc", "a field is refused that could be sent"),
    ("field-sent-to-closed", "cb", "a field may be sent that was refused"),
    ("open-field-named", "rc", "a field was named that any content was allowed in"),
    ("open-field-unnamed", "cr", "a field is not named any more, and may hold anything"),
    ("type-narrowed", "bc", "a type is refused that could be sent"),
    ("type-widened", "cb", "a type may be sent that could not"),
    ("type-changed", "bb", "the type is another one"),
    ("null-refused", "bc", "null is refused that could be sent"),
    ("null-allowed", "cb", "null may be sent that could not"),
    ("enum-narrowed", "bc", "values are refused that could be sent"),
    ("enum-widened", "cb", "values may be sent that could not"),
    ("enum-changed", "bb", "some values are refused, and others may be sent"),
    ("variant-removed", "bc", "a variant of a union is refused that could be sent"),
    ("variant-added", "cb", "a variant of a union may be sent that could not"),
    ("variant-changed", "bb", "a variant of a union is another one"),
    ("bounds-tightened", "bc", "a limit of a number, a length or a count is tighter"),
    ("bounds-loosened", "cb", "a limit of a number, a length or a count is looser"),
    ("bounds-moved", "bb", "the limits of a number, a length or a count let in other values"),
    ("pattern-added", "bc", "a text must fit a pattern that it did not have to fit"),
    ("pattern-removed", "cb", "a text needs not fit a pattern any more"),
    ("pattern-changed", "rr", "the pattern of a text is another one; patterns are not compared"),
    ("format-added", "bc", "a text must be of a format, such as date-time or uuid"),
    ("format-removed", "cb", "a text needs not be of its format any more"),
    ("format-changed", "bb", "the format of a text is another one"),
    ("unchecked-format-added", "rc", "a format was added that readers may check or ignore"),
    ("unchecked-format-removed", "cr", "a format was removed that readers may check or ignore"),
    ("unchecked-format-changed", "rr", "a format that readers may check or ignore is another"),
    ("default-changed", "rr", "a field that is left out is read as something else"),
    ("keyword-changed", "rr", "a keyword or a union changed that is not compared in depth"),
    ("requirement-dropped", "cc", "what reads the message takes more than it did"),
    ("documentation-changed", "cc", "descriptions, titles, examples, tags or owners changed"),
    ("rewritten", "cc", "the schema says the same in other words"),
)

#: What changed in a contract besides its messages.
CONTRACT_RULES = _table(
    ("service-added", "cc", "a service, or a version of one, was added"),
    ("service-removed", "cc", "a service, or a version of one, is gone; see its contracts"),
    ("event-added", "cc", "an event was added"),
    ("event-removed", "cb", "an event was removed"),
    ("event-moved", "cc", "another service, or another version of it, declares an event"),
    ("queue-added", "cc", "a queue was added"),
    ("queue-removed", "bb", "a queue was removed"),
    ("queue-moved", "cc", "another service, or another version of it, declares a queue"),
    ("worker-added", "cc", "a worker was added"),
    ("worker-removed", "cc", "a worker was removed"),
    ("worker-moved", "cc", "a worker serves another queue"),
    ("worker-tuned", "cc", "a worker takes jobs in another way, or more or fewer at once"),
    ("queue-abandoned", "bc", "a queue has no worker any more"),
    ("subscription-added", "cc", "a subscription was added"),
    ("subscription-removed", "rc", "a subscription was removed; what waits in it stays there"),
    ("subscription-moved", "rc", "a subscription hears another event"),
    ("binding-added", "cc", "an event becomes jobs of a queue"),
    ("binding-removed", "rc", "an event does not become jobs of a queue any more"),
    ("command-added", "cc", "a command was added"),
    ("command-removed", "bb", "a command was removed"),
    ("http-changed", "bc", "a command has another method or path, or is not exposed any more"),
    ("stream-added", "cc", "a stream was added"),
    ("stream-removed", "bb", "a stream was removed"),
    ("schedule-added", "cc", "a schedule was added"),
    ("schedule-removed", "cb", "a schedule was removed; what it fired does not happen any more"),
    ("schedule-retargeted", "cb", "a schedule fires something else"),
    ("schedule-moved", "cr", "a schedule fires at other times"),
    ("schedule-disabled", "cr", "a schedule does not fire until somebody resumes it"),
    ("schedule-enabled", "cc", "a schedule fires that did not"),
    ("schedule-overlap-changed", "cr", "another rule for an occurrence during the one before"),
    ("schedule-group-moved", "cr", "another group's beat fires a schedule"),
    ("missed-runs-weakened", "cr", "fewer of the missed occurrences are caught up with"),
    ("missed-runs-strengthened", "cc", "more of the missed occurrences are caught up with"),
    ("lease-shortened", "cr", "a silent worker loses its job sooner"),
    ("lease-lengthened", "cc", "a silent worker loses its job later"),
    ("hold-shortened", "cr", "a job may be held for less time in all"),
    ("hold-lengthened", "cc", "a job may be held for more time in all"),
    ("heartbeat-changed", "cc", "a lease is renewed more or less often"),
    ("heartbeat-dropped", "cb", "handlers have to renew their leases themselves"),
    ("heartbeat-taken-over", "cc", "handlers need not renew their leases any more"),
    ("runtime-shortened", "cb", "a job is ended sooner"),
    ("runtime-lengthened", "cc", "a job is ended later"),
    ("profile-added", "cr", "a job has a longest runtime now, and is ended after it"),
    ("profile-removed", "cr", "a job has no longest runtime any more, but its lease's"),
    ("attempts-reduced", "rc", "a failing job becomes a dead letter after fewer attempts"),
    ("attempts-raised", "cc", "a failing job is tried more often"),
    ("retry-window-shortened", "rc", "a job's last attempt has to start sooner"),
    ("retry-window-lengthened", "cc", "a job's last attempt may start later"),
    ("retry-delays-changed", "cc", "the delays between attempts are others"),
    ("parallelism-raised", "cr", "more jobs may run at once"),
    ("parallelism-lowered", "cc", "fewer jobs may run at once"),
    ("priority-changed", "cr", "jobs that name no priority go before others, or after them"),
    ("ordering-weakened", "cb", "jobs come in an order that promises less"),
    ("ordering-strengthened", "cc", "jobs come in an order that promises more"),
    ("delivery-weakened", "cb", "messages may be lost that could not"),
    ("delivery-strengthened", "cc", "messages can not be lost any more"),
    ("idempotency-loosened", "cb", "a repeated event can become a second job"),
    ("idempotency-tightened", "cc", "a repeated event can not become a second job any more"),
    ("idempotency-key-changed", "rr", "other events count as repeats of each other"),
    ("result-event-added", "cc", "an outcome is told by an event"),
    ("result-event-removed", "cb", "an outcome is not told by an event any more"),
    ("result-event-renamed", "cb", "an outcome is told by another event"),
    ("dead-letter-moved", "cr", "dead letters are found under another name"),
    ("emission-added", "cc", "a handler may emit an event"),
    ("emission-removed", "cr", "a handler does not emit an event any more"),
    ("use-added", "cc", "a handler may enqueue on a queue or call a command"),
    ("use-removed", "cc", "a handler does not enqueue on a queue or call a command any more"),
    ("deprecated", "cc", "a contract is deprecated now"),
    ("undeprecated", "cc", "a contract is not deprecated any more"),
    ("setting-changed", "rr", "a setting changed that no rule knows"),
)

RULES = MESSAGE_RULES | CONTRACT_RULES

Direction = Literal["producers", "consumers"]

#: Which rule a mismatch is: of old messages for a new reader, of new messages for an old reader,
#: and of both at one place, where that can be.
_MESSAGE_RULE_OF: dict[Kind, tuple[str, ...]] = {
    "missing": ("required-field-added", "required-field-removed"),
    "required": ("field-made-required", "field-made-optional"),
    "absent": ("optional-field-added", "optional-field-removed"),
    "unexpected": ("field-refused", "field-sent-to-closed"),
    "open": ("open-field-named", "open-field-unnamed"),
    "type": ("type-narrowed", "type-widened", "type-changed"),
    "null": ("null-refused", "null-allowed"),
    "enum": ("enum-narrowed", "enum-widened", "enum-changed"),
    "variant": ("variant-removed", "variant-added", "variant-changed"),
    "bounds": ("bounds-tightened", "bounds-loosened", "bounds-moved"),
    "pattern": ("pattern-added", "pattern-removed"),
    "rewritten-pattern": ("pattern-changed",),
    "format": ("format-added", "format-removed", "format-changed"),
    "unchecked-format": (
        "unchecked-format-added",
        "unchecked-format-removed",
        "unchecked-format-changed",
    ),
    "default": ("default-changed",),
    "undecided": ("keyword-changed",),
}


def message_rule(kind: Kind, directions: Sequence[Direction]) -> Rule:
    """Return the rule for mismatches of one kind at one place, found in these directions."""
    names = _MESSAGE_RULE_OF[kind]
    column = 2 if len(directions) > 1 else ("producers", "consumers").index(directions[0])
    return RULES[names[min(column, len(names) - 1)]]
