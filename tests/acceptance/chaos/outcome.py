"""What a run has shown: figures in a line, and the story of each broken promise."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.chaos.history import History
from tests.acceptance.chaos.kinds import Kind
from tests.acceptance.chaos.violation import Violation

#: Kinds of violations that the summary gives a figure of their own.
COUNTED = (
    *("lost", "event lost", "unheard", "forgotten", "rerun", "stale"),
    *("beside", "dropped", "unpaid", "flood", "left"),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run has shown."""

    broker: str
    seed: int
    seconds: float
    history: History
    found: list[Violation]
    faults: Counter[Kind]
    #: Seconds from the last fault until all was well.
    recovery: float
    #: What could go wrong there.
    possible: frozenset[Kind]
    #: Where logs and trace are.
    directory: Path
    #: Calls of producers that ended with an error of ours.
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def summary(self) -> str:
        """One line of figures."""
        kinds = Counter(violation.kind for violation in self.found)
        others = {kind: n for kind, n in kinds.items() if kind not in COUNTED}
        ended = Counter(str(job.status) for job in self.history.jobs.values())
        faults = ", ".join(f"{n} {kind}" for kind, n in sorted(self.faults.items()))
        figures: dict[str, object] = {
            "receipts": len(self.history.accepted),
            "jobs": sum(ended.values()),
            **ended,
            "runs": len(self.history.runs),
            "events emitted": len(self.history.emitted),
            "events heard": len({(h.subscription, h.event_id) for h in self.history.heard}),
            "refused": sum(self.refused.values()),
            "faults": f"{sum(self.faults.values())} ({faults})",
            "recovery": f"{self.recovery:.0f} s",
            "lost": kinds["lost"] + kinds["event lost"] + kinds["unheard"],
            "forgotten": kinds["forgotten"],
            "rerun after completion": kinds["rerun"],
            "run beside itself": kinds["beside"],
            "outcomes dropped": kinds["dropped"],
            "attempts not counted": kinds["unpaid"],
            "stale settles accepted": kinds["stale"],
            "too many messages": kinds["flood"] + kinds["left"],
            "most messages": max((each.messages for each in self.history.samples), default=0),
            "other violations": others or 0,
        }
        told = ", ".join(f"{name} {value}" for name, value in figures.items())
        return f"chaos on {self.broker}, seed {self.seed}, {self.seconds:.0f} s: {told}"

    def story(self, most: int = 5) -> str:
        """Return the violations, with the seed and the timelines of the first of them."""
        kinds = dict(Counter(violation.kind for violation in self.found))
        lines = [f"SEED {self.seed} on {self.broker}: {len(self.found)} violations: {kinds}"]
        lines.append(f"logs of processes and servers, and the trace, are in {self.directory}")
        # The first of each kind before the second of any.
        numbers: Counter[str] = Counter()
        by_turn = []
        for violation in self.found:
            by_turn.append((numbers[violation.kind], violation))
            numbers[violation.kind] += 1
        for _, violation in sorted(by_turn, key=lambda turn: turn[0])[:most]:
            lines.append(f"* {violation.kind}: {violation.of}: {violation.text}")
            job_id = violation.of.split(":")[0]
            lines += [f"    {line}" for line in self.history.timeline(job_id)]
        return "\n".join(lines)
