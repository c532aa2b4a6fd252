"""The promises, read off a history: a pure function from what happened to what was broken."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator

from purista_celery import JobStatus
from tests.acceptance.chaos.beside import (
    CLOCK,
    by_job,
    free_attempts,
    outcomes_are_taken,
    runs_beside_themselves,
)
from tests.acceptance.chaos.bounds import floods, left_at_rest
from tests.acceptance.chaos.history import RESULT_HEARERS, History, Run
from tests.acceptance.chaos.violation import Violation

#: The result events of each way that a job can end.
RESULTS = {
    "completed": ("success",),
    "deadLetter": ("failed", "dead-lettered"),
    "cancelled": ("cancelled",),
}
ALL_RESULTS = tuple(status for statuses in RESULTS.values() for status in statuses)


#: Seconds for which an event may wait for its router, and what becomes of it for a worker.
BACKLOG = 30.0


def violations(history: History) -> list[Violation]:
    """Return each promise that ``history`` breaks."""
    return [
        *_jobs_end(history),
        *_completed_jobs_rest(history),
        *_stale_holders_are_refused(history),
        *runs_beside_themselves(history),
        *outcomes_are_taken(history),
        *free_attempts(history),
        *floods(history),
        *left_at_rest(history),
        *_nothing_is_early(history),
        *_keys_stand_for_one_job(history),
        *_order_is_kept(history),
        *_results_are_heard(history),
        *_events_are_heard(history),
        *_occurrences_come_once(history),
        *(Violation("raw", text.split(":")[0], text) for text in history.raw),
        *(Violation("crash", text.split(":")[0], text) for text in history.crashes),
    ]


def _jobs_end(history: History) -> Iterator[Violation]:
    """Every accepted job is remembered; every job ends, and says why if it is dead."""
    for accepted in history.accepted:
        if accepted.job_id not in history.jobs and not _is_gone_with_a_lag(
            history, accepted.job_id
        ):
            yield Violation("lost", accepted.job_id, "accepted, and the ledger has no record")
    for job in history.jobs.values():
        if not job.finished:
            yield Violation("forgotten", job.job_id, f"still {job.status}")
        if job.status == "deadLetter" and not job.reason:
            yield Violation("unexplained", job.job_id, "a dead letter without a reason")


def _is_gone_with_a_lag(history: History, job_id: str) -> bool:
    """Tell whether a promoted replica never heard of a job, nor anybody after its promotion."""
    accepted = all(history.forgets(a.at) for a in history.accepted if a.job_id == job_id)
    ran = [run for run in history.runs if run.job_id == job_id]
    last = max((promoted for _, promoted in history.lags), default=0.0)
    return accepted and not any(run.ended is not None and run.ended > last for run in ran)


def _completed_jobs_rest(history: History) -> Iterator[Violation]:
    """No attempt begins after the one that completed.

    An attempt that was granted before may start its handler after: frozen between the two, it can
    not know. Its number is lower.
    """
    for run in history.runs:
        job = history.jobs.get(run.job_id)
        if job is None or job.status != "completed" or job.completed_at is None:
            continue
        if run.job_id in history.doubtful:
            continue
        late = run.started > job.completed_at.timestamp() + CLOCK
        if run.attempt > job.attempt or (late and run.attempt == job.attempt):
            yield Violation("rerun", run.job_id, f"attempt {run.attempt} began after completion")


def _stale_holders_are_refused(history: History) -> Iterator[Violation]:
    """No outcome is taken of a run that had a successor before it asked; one is, of completions."""
    for job_id, runs in by_job(history.runs).items():
        if job_id in history.doubtful:
            continue
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
        # A key of which the ledger has lost the receipt stands for another job afterwards.
        if accepted.key is not None and not history.forgets(accepted.at):
            by_key[accepted.key].add(accepted.job_id)
    for key, ids in by_key.items():
        if len(ids) > 1:
            yield Violation("duplicate", key, f"the key stands for {sorted(ids)}")


def _order_is_kept(history: History) -> Iterator[Violation]:
    """On the ordered queue a job begins when all of its partition before it have ended."""
    runs = by_job(history.runs)
    partitions: dict[str, list[JobStatus]] = defaultdict(list)
    for job in history.jobs.values():
        if job.queue_name == history.in_order and job.raw is None:
            partitions[job.payload["partition"]].append(job)
    for partition, jobs in partitions.items():
        jobs.sort(key=lambda job: job.created_at)
        ended = 0.0
        for before, job in itertools.pairwise(jobs):
            ended = max(ended, _end_of(before))
            # Of two that were accepted in one millisecond either may be the first.
            if before.created_at < job.created_at and job.job_id not in history.doubtful:
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
        # What was no job when it came has no outcome that anybody waits for.
        if job.queue_name in history.with_results and job.raw is None
        for status in RESULTS.get(job.status, ())
    }
    forgotten = {event_id for event_id in due if _result_is_doubtful(history, event_id)}
    untold = {f"{job_id}:{status}" for job_id in history.doubtful for status in ALL_RESULTS}
    for subscription in RESULT_HEARERS:
        heard = _jobs_by_event(history, subscription)
        for event_id in due - heard.keys() - forgotten:
            yield Violation("unheard", event_id, f"{subscription} did not hear of it")
        for event_id in heard.keys() - due - untold:
            yield Violation("untrue", event_id, f"{subscription} heard what did not happen")
        yield from _once(history, subscription, heard)


def _result_is_doubtful(history: History, event_id: str) -> bool:
    job = history.jobs[event_id.rpartition(":")[0]]
    return history.forgets(_end_of(job), _end_of(job) + BACKLOG)


def _events_are_heard(history: History) -> Iterator[Violation]:
    """Each event that was emitted reaches its subscription and makes one job of its binding."""
    heard = _jobs_by_event(history, "happened")
    made: dict[str, list[str]] = defaultdict(list)
    for job in history.jobs.values():
        if job.queue_name in history.with_results and job.payload and job.payload.get("source"):
            made[job.payload["source"]].append(job.job_id)
    for event_id in history.emitted:
        at = history.emitted_at.get(event_id, float("inf"))
        if history.forgets(at, at + BACKLOG):
            continue
        if event_id not in heard:
            yield Violation("event lost", event_id, "its subscription did not hear it")
        if event_id not in made:
            yield Violation("event lost", event_id, "its binding made no job of it")
    for event_id, ids in made.items():
        if len(set(ids) - history.doubtful) > 1:
            yield Violation("duplicate", event_id, f"its binding made {ids} of it")
    yield from _once(history, "happened", heard)


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
            moment = number * history.tick
            if history.forgets(moment, moment + BACKLOG):
                continue
            if round(moment, 3) not in by_moment:
                yield Violation("tick", str(number * history.tick), "did not come")
    yield from _once(history, "ticked", _jobs_by_event(history, "ticked"))


def _once(history: History, subscription: str, heard: dict[str, set[str]]) -> Iterator[Violation]:
    for event_id, ids in heard.items():
        if len(ids - history.doubtful) > 1:
            yield Violation("repeated", event_id, f"{subscription} made jobs {sorted(ids)} of it")


def _jobs_by_event(history: History, subscription: str) -> dict[str, set[str]]:
    by_event: dict[str, set[str]] = defaultdict(set)
    for heard in history.heard:
        if heard.subscription == subscription:
            by_event[heard.event_id].add(heard.job_id)
    return dict(by_event)


def _fence_of(job: JobStatus) -> str | None:
    return job.output.get("fence") if isinstance(job.output, dict) else None
