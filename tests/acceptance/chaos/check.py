"""The promises, read off a history: a pure function from what happened to what was broken."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from purista_celery import JobStatus
from tests.acceptance.chaos.history import RESULT_HEARERS, History, Run

#: The ledger's clock has whole milliseconds.
CLOCK = 0.002
#: The result events of each way that a job can end.
RESULTS = {
    "completed": ("success",),
    "deadLetter": ("failed", "dead-lettered"),
    "cancelled": ("cancelled",),
}


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken."""

    kind: str
    #: What it happened to: a job's, an event's or a process' name.
    of: str
    text: str


def violations(history: History) -> list[Violation]:
    """Return each promise that ``history`` breaks."""
    return [
        *_jobs_end(history),
        *_completed_jobs_rest(history),
        *_stale_holders_are_refused(history),
        *_nothing_is_early(history),
        *_keys_stand_for_one_job(history),
        *_order_is_kept(history),
        *_results_are_heard(history),
        *_events_are_heard(history),
        *_occurrences_come_once(history),
        *(Violation("crash", text.split(":")[0], text) for text in history.crashes),
    ]


def _jobs_end(history: History) -> Iterator[Violation]:
    """Every accepted job is remembered; every job ends, and says why if it is dead."""
    for accepted in history.accepted:
        if accepted.job_id not in history.jobs:
            yield Violation("lost", accepted.job_id, "accepted, and the ledger has no record")
    for job in history.jobs.values():
        if not job.finished:
            yield Violation("forgotten", job.job_id, f"still {job.status}")
        if job.status == "deadLetter" and not job.reason:
            yield Violation("unexplained", job.job_id, "a dead letter without a reason")


def _completed_jobs_rest(history: History) -> Iterator[Violation]:
    """No attempt begins after the one that completed.

    An attempt that was granted before may start its handler after: frozen between the two, it can
    not know. Its number is lower.
    """
    for run in history.runs:
        job = history.jobs.get(run.job_id)
        if job is None or job.status != "completed" or job.completed_at is None:
            continue
        late = run.started > job.completed_at.timestamp() + CLOCK
        if run.attempt > job.attempt or (late and run.attempt == job.attempt):
            yield Violation("rerun", run.job_id, f"attempt {run.attempt} began after completion")


def _stale_holders_are_refused(history: History) -> Iterator[Violation]:
    """No outcome is taken of a run that had a successor before it asked; one is, of completions."""
    for job_id, runs in _by_job(history.runs).items():
        for run in runs:
            if run.taken and any(_succeeds(other, run) for other in runs):
                text = f"{run.outcome} of attempt {run.attempt} was taken after its successor began"
                yield Violation("stale", job_id, text)
        job = history.jobs.get(job_id)
        ended = [run for run in runs if run.outcome == "completed"]
        if len(ended) > 1:
            yield Violation("stale", job_id, f"{len(ended)} completions were taken")
        if job is not None and ended and _fence_of(job) not in (None, ended[0].fence):
            yield Violation("stale", job_id, "the output is another run's than the one taken")


def _succeeds(other: Run, run: Run) -> bool:
    before = run.ended is not None and other.started < run.ended
    later = (other.attempt, other.started) > (run.attempt, run.started)
    return other is not run and before and later


def _nothing_is_early(history: History) -> Iterator[Violation]:
    """A delayed job begins when it is due."""
    due = {a.job_id: a.due for a in history.accepted if a.due is not None}
    for run in history.runs:
        if run.started + CLOCK < due.get(run.job_id, 0):
            yield Violation("early", run.job_id, f"began at {run.started}, due {due[run.job_id]}")


def _keys_stand_for_one_job(history: History) -> Iterator[Violation]:
    """All receipts of one idempotency key name one job."""
    by_key: dict[str, set[str]] = defaultdict(set)
    for accepted in history.accepted:
        if accepted.key is not None:
            by_key[accepted.key].add(accepted.job_id)
    for key, ids in by_key.items():
        if len(ids) > 1:
            yield Violation("duplicate", key, f"the key stands for {sorted(ids)}")


def _order_is_kept(history: History) -> Iterator[Violation]:
    """On the ordered queue a job begins when all of its partition before it have ended."""
    runs = _by_job(history.runs)
    partitions: dict[str, list[JobStatus]] = defaultdict(list)
    for job in history.jobs.values():
        if job.queue_name == history.in_order:
            partitions[job.payload["partition"]].append(job)
    for partition, jobs in partitions.items():
        jobs.sort(key=lambda job: job.created_at)
        ended = 0.0
        for before, job in itertools.pairwise(jobs):
            ended = max(ended, _end_of(before))
            # Of two that were accepted in one millisecond either may be the first.
            if before.created_at < job.created_at:
                for run in runs.get(job.job_id, []):
                    if run.started + CLOCK < ended:
                        text = f"attempt {run.attempt} began out of turn in {partition}"
                        yield Violation("disorder", job.job_id, text)


def _end_of(job: JobStatus) -> float:
    ends = (job.completed_at, job.failed_at, job.cancelled_at)
    return max((end.timestamp() for end in ends if end), default=float("inf"))


def _results_are_heard(history: History) -> Iterator[Violation]:
    """Each required result event reaches each subscription, as one job; no other outcome does."""
    due = {
        f"{job.job_id}:{status}"
        for job in history.jobs.values()
        if job.queue_name in history.with_results
        for status in RESULTS.get(job.status, ())
    }
    for subscription in RESULT_HEARERS:
        heard = _jobs_by_event(history, subscription)
        for event_id in due - heard.keys():
            yield Violation("unheard", event_id, f"{subscription} did not hear of it")
        for event_id in heard.keys() - due:
            yield Violation("untrue", event_id, f"{subscription} heard what did not happen")
        yield from _once(subscription, heard)


def _events_are_heard(history: History) -> Iterator[Violation]:
    """Each event that was emitted reaches its subscription and makes one job of its binding."""
    heard = _jobs_by_event(history, "happened")
    made: dict[str, list[str]] = defaultdict(list)
    for job in history.jobs.values():
        if job.queue_name in history.with_results and job.payload and job.payload.get("source"):
            made[job.payload["source"]].append(job.job_id)
    for event_id in history.emitted:
        if event_id not in heard:
            yield Violation("event lost", event_id, "its subscription did not hear it")
        if event_id not in made:
            yield Violation("event lost", event_id, "its binding made no job of it")
    for event_id, ids in made.items():
        if len(ids) > 1:
            yield Violation("duplicate", event_id, f"its binding made {ids} of it")
    yield from _once("happened", heard)


def _occurrences_come_once(history: History) -> Iterator[Violation]:
    """Each occurrence of the schedule comes, under one id."""
    ticks = [h for h in history.heard if h.occurrence is not None]
    by_moment: dict[float, set[str]] = defaultdict(set)
    for tick in ticks:
        by_moment[round(tick.occurrence or 0, 3)].add(tick.event_id)
    for moment, ids in by_moment.items():
        if len(ids) > 1:
            yield Violation("tick", str(moment), f"came under {len(ids)} ids: {sorted(ids)}")
    if history.ticking is not None:
        began, ended = history.ticking
        for number in range(int(began / history.tick) + 1, int(ended / history.tick)):
            if round(number * history.tick, 3) not in by_moment:
                yield Violation("tick", str(number * history.tick), "did not come")
    yield from _once("ticked", _jobs_by_event(history, "ticked"))


def _once(subscription: str, heard: dict[str, set[str]]) -> Iterator[Violation]:
    for event_id, ids in heard.items():
        if len(ids) > 1:
            yield Violation("repeated", event_id, f"{subscription} made jobs {sorted(ids)} of it")


def _jobs_by_event(history: History, subscription: str) -> dict[str, set[str]]:
    by_event: dict[str, set[str]] = defaultdict(set)
    for heard in history.heard:
        if heard.subscription == subscription:
            by_event[heard.event_id].add(heard.job_id)
    return dict(by_event)


def _by_job(runs: Iterable[Run]) -> dict[str, list[Run]]:
    by_job: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by_job[run.job_id].append(run)
    return dict(by_job)


def _fence_of(job: JobStatus) -> str | None:
    return job.output.get("fence") if isinstance(job.output, dict) else None
