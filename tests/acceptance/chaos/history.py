"""What happened: everything that was accepted, run, settled and heard, as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from purista_celery import JobStatus
from tests.acceptance.chaos.contracts import BRIEF, TICK
from tests.acceptance.chaos.kinds import Kind

#: Seconds around a lag within which it is not known which side of it something was on.
LAG = 1.0
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
    #: The post whose process ran it.
    post: str = "-"
    #: When that was known: it waits for a ledger that is away.
    settled: float | None = None

    @property
    def taken(self) -> bool:
        """Whether the ledger took this run's outcome."""
        return self.outcome in ("completed", "retried", "buried", "cancelled")

    def __str__(self) -> str:
        lasted = "never ended" if self.ended is None else f"{self.ended - self.started:.3f} s"
        who = f"{self.fence} at {self.post}"
        return f"attempt {self.attempt} as {who}, {lasted}: {self.outcome}"


@dataclass(frozen=True, slots=True)
class Heard:
    """An event that arrived at a subscription's handler."""

    subscription: str
    event_id: str
    job_id: str
    at: float
    #: The intended instant of a schedule's event.
    occurrence: float | None = None


@dataclass(frozen=True, slots=True)
class Ordeal:
    """A fault, from before it began until it was mended."""

    kind: Kind
    post: str
    began: float
    ended: float

    def __str__(self) -> str:
        return f"{self.kind} {self.post} for {self.ended - self.began:.3f} s"


@dataclass(frozen=True, slots=True)
class Sample:
    """How many messages waited for a queue on the broker, and how many of its jobs were open."""

    at: float
    queue: str
    messages: int
    jobs: int


@dataclass(frozen=True, kw_only=True)
class History:
    """The whole of it."""

    accepted: tuple[Accepted, ...] = ()
    #: Ids of the events that a broker has confirmed.
    emitted: tuple[str, ...] = ()
    #: When they were, in seconds since the epoch, where that is known.
    emitted_at: Mapping[str, float] = field(default_factory=dict)
    #: Jobs that were to be cancelled, and when that was asked for or answered.
    cancelled: tuple[tuple[str, float], ...] = ()
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
    tick: float = TICK
    #: Processes that ended by themselves, or did not end.
    crashes: tuple[str, ...] = ()
    #: Errors that producers got and that are none of ours.
    raw: tuple[str, ...] = ()
    ordeals: tuple[Ordeal, ...] = ()
    #: The post of the ledger's server.
    ledger: str = "redis"
    #: Seconds for which jobs are held without a word of their holder, where less than liveness.
    leases: Mapping[str, float] = field(
        default_factory=lambda: {"chaos.brief": BRIEF, "chaos.ordered": BRIEF}
    )
    #: Seconds after which a silent worker is taken for dead.
    liveness: float = 5.0
    samples: tuple[Sample, ...] = ()
    #: Messages that are left in broker queues at the end, by broker queue.
    left: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def lags(self) -> tuple[tuple[float, float], ...]:
        """From when a replica lagged until it was promoted: what the ledger took then is gone."""
        return tuple(
            (each.began - LAG, each.ended + LAG)
            for each in self.ordeals
            if each.kind is Kind.STALE_REPLICA and each.post == self.ledger
        )

    def forgets(self, began: float, ended: float | None = None) -> bool:
        """Tell whether something of that time was taken by a ledger that has lost it since."""
        last = began if ended is None else ended
        return any(began < promoted and last > lagged for lagged, promoted in self.lags)

    @cached_property
    def doubtful(self) -> frozenset[str]:
        """Ids of jobs of which a promoted replica has not heard all."""
        touched = {a.job_id for a in self.accepted if self.forgets(a.at)}
        touched |= {job_id for job_id, at in self.cancelled if self.forgets(at)}
        touched |= {run.job_id for run in self.runs if self.forgets(run.started, run.ended)}
        return frozenset(touched | {e.job_id for e in self.heard if self.forgets(e.at)})

    def timeline(self, job_id: str) -> list[str]:
        """Return what is known of one job, in order, as lines."""
        lines = [(a.at, f"accepted {a}") for a in self.accepted if a.job_id == job_id]
        lines += [(run.started, str(run)) for run in self.runs if run.job_id == job_id]
        lines += [
            (heard.at, f"{heard.subscription} hears {heard.event_id}")
            for heard in self.heard
            if heard.job_id == job_id or heard.event_id.startswith(f"{job_id}:")
        ]
        if lines:
            began, ended = min(lines)[0] - 1, max(lines)[0] + 1
            lines += [
                (each.began, f"({each})")
                for each in self.ordeals
                if each.began < ended and each.ended > began
            ]
        told = [f"{at:.3f} {what}" for at, what in sorted(lines)]
        return [*told, f"in the end: {self.jobs.get(job_id, 'no record')}"]


def read_trace(lines: Iterable[str]) -> tuple[tuple[Run, ...], tuple[Heard, ...]]:
    """Return the runs and the events that handlers have traced."""
    # Forked workers may mistake each other's fences for their own.
    runs: dict[tuple[str, str], Run] = {}
    heard = []
    for line in lines:
        at, _, what, *words = line.split()
        if what == "start":
            job_id, attempt, fence, *post = words
            runs[job_id, fence] = Run(
                job_id, int(attempt), fence, float(at), post=post[0] if post else "-"
            )
        elif what == "end":
            run = (words[0], words[2])
            runs[run] = replace(runs[run], ended=float(at))
        elif what == "settled" and (run := (words[0], words[1])) in runs:
            runs[run] = replace(runs[run], outcome=words[2], settled=float(at))
        elif what == "heard":
            occurrence = None if words[3] == "-" else float(words[3])
            heard.append(Heard(words[0], words[1], words[2], float(at), occurrence))
    return tuple(runs.values()), tuple(heard)


def read_accepted(lines: Iterable[str]) -> tuple[Accepted, ...]:
    """Return the receipts that a producer process has traced."""
    words = (line.split() for line in lines)
    return tuple(
        Accepted(word[3], float(word[0]), word[4]) for word in words if word[2] == "accepted"
    )
