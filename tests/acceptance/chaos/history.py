"""What happened: everything that was accepted, run, settled and heard, as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from purista_celery import JobStatus

#: Subscriptions that hear each result event.
RESULT_HEARERS = ("first", "second")


@dataclass(frozen=True, slots=True)
class Accepted:
    """A receipt that a producer got."""

    job_id: str
    at: float
    mode: str = "ok"
    key: str | None = None
    #: Seconds since the epoch; not before then.
    due: float | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One delivery whose handler began. Times are seconds since the epoch."""

    job_id: str
    attempt: int
    fence: str
    started: float
    #: When the handler returned or raised; None where its process did not live to.
    ended: float | None = None
    #: What the ledger took (completed, retried, buried, cancelled), or why it took nothing.
    outcome: str | None = None

    @property
    def taken(self) -> bool:
        """Whether the ledger took this run's outcome."""
        return self.outcome in ("completed", "retried", "buried", "cancelled")

    def __str__(self) -> str:
        lasted = "never ended" if self.ended is None else f"{self.ended - self.started:.3f} s"
        return f"attempt {self.attempt} as {self.fence}, {lasted}: {self.outcome}"


@dataclass(frozen=True, slots=True)
class Heard:
    """An event that arrived at a subscription's handler."""

    subscription: str
    event_id: str
    job_id: str
    at: float
    #: The intended instant of a schedule's event.
    occurrence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The whole of it."""

    accepted: tuple[Accepted, ...] = ()
    #: Ids of the events that a broker has confirmed.
    emitted: tuple[str, ...] = ()
    runs: tuple[Run, ...] = ()
    heard: tuple[Heard, ...] = ()
    #: All records of the ledger at the end.
    jobs: Mapping[str, JobStatus] = field(default_factory=dict)
    #: Queues whose outcomes are ``required`` result events.
    with_results: tuple[str, ...] = ("chaos.brief",)
    #: The queue whose jobs run in order within their payload's ``partition``.
    in_order: str = "chaos.ordered"
    #: From when to when the schedule's occurrences must all have come, and their distance.
    ticking: tuple[float, float] | None = None
    tick: float = 1.0
    #: Processes that ended by themselves, or did not end.
    crashes: tuple[str, ...] = ()

    def timeline(self, job_id: str) -> list[str]:
        """Return what is known of one job, in order, as lines."""
        lines = [(a.at, f"accepted {a}") for a in self.accepted if a.job_id == job_id]
        lines += [(run.started, str(run)) for run in self.runs if run.job_id == job_id]
        lines += [
            (heard.at, f"{heard.subscription} hears {heard.event_id}")
            for heard in self.heard
            if heard.job_id == job_id or heard.event_id.startswith(f"{job_id}:")
        ]
        told = [f"{at:.3f} {what}" for at, what in sorted(lines)]
        return [*told, f"in the end: {self.jobs.get(job_id, 'no record')}"]


def read_trace(lines: Iterable[str]) -> tuple[tuple[Run, ...], tuple[Heard, ...]]:
    """Return the runs and the events that handlers have traced."""
    runs: dict[str, Run] = {}
    heard = []
    for line in lines:
        at, _, what, *words = line.split()
        if what == "start":
            runs[words[2]] = Run(words[0], int(words[1]), words[2], float(at))
        elif what == "end":
            runs[words[2]] = replace(runs[words[2]], ended=float(at))
        elif what == "settled" and words[1] in runs:
            runs[words[1]] = replace(runs[words[1]], outcome=words[2])
        elif what == "heard":
            occurrence = None if words[3] == "-" else float(words[3])
            heard.append(Heard(words[0], words[1], words[2], float(at), occurrence))
    return tuple(runs.values()), tuple(heard)
