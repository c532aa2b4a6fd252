"""A job that runs is not run again beside itself; its outcome counts, and so does each attempt."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from tests.acceptance.chaos.history import History, Ordeal, Run
from tests.acceptance.chaos.kinds import Kind
from tests.acceptance.chaos.violation import Violation

#: The ledger's clock has whole milliseconds.
CLOCK = 0.002
#: Seconds that a worker may be late with saying that it lives: a fifth of its liveness, a tick, and
#: what a busy machine and a new connection take.
LATE = 2.0
#: What keeps a living worker from telling the ledger so, at its post alone.
SILENCES = (Kind.FREEZE, Kind.CUT_LEDGER, Kind.HANG_LEDGER)


def runs_beside_themselves(history: History) -> Iterator[Violation]:
    """No run begins while another of its job goes on whose worker lives.

    A worker lives unless its main process was killed (its pool goes on for a moment); or was
    frozen, or had no line to the ledger, for longer than the job's lease or its own liveness (less
    what it may be late). Neither a lost connection nor an outage of a server, which nobody can
    reach then, is a death. A run whose handler did not come to its end has no known one, and is
    none that goes on.
    """
    for job_id, runs in by_job(history.runs).items():
        for first, second in itertools.combinations(sorted(runs, key=lambda run: run.started), 2):
            if first.ended is None or second.started + CLOCK >= first.ended:
                continue
            if _was_alive(history, first, second.started):
                text = f"attempt {second.attempt} began while attempt {first.attempt} went on"
                yield Violation("beside", job_id, text)


def outcomes_are_taken(history: History) -> Iterator[Violation]:
    """What a handler came to counts, if its worker lived until it had said so."""
    asked = {job_id for job_id, _ in history.cancelled}
    for run in history.runs:
        if run.outcome != "lease_lost" or run.ended is None or run.job_id in asked:
            continue
        if _was_alive(history, run, run.settled or run.ended):
            yield Violation(
                "dropped", run.job_id, f"nobody took what attempt {run.attempt} came to"
            )


def _was_alive(history: History, run: Run, moment: float) -> bool:
    """Tell whether nobody may have taken the worker of ``run`` for dead until ``moment``."""
    forgotten = history.forgets(run.started, run.ended)
    return not (forgotten or _was_dead(history, run, moment))


def _was_dead(history: History, run: Run, moment: float) -> bool:
    silent: list[Ordeal] = []
    for each in sorted(history.ordeals, key=lambda ordeal: ordeal.began):
        if each.began > moment or each.ended + LATE < run.started:
            continue
        if each.post == run.post and each.kind is Kind.KILL_MAIN:
            return True
        if (each.post == run.post and each.kind in SILENCES) or each.post == history.ledger:
            silent.append(replace(each, ended=min(each.ended, moment)))
    return any(
        ended - began >= _allowed(history, run) and own
        for began, ended, own in _together(history, silent)
    )


def _together(history: History, silent: Iterable[Ordeal]) -> Iterator[tuple[float, float, bool]]:
    """Return silences that follow each other closely as one, and whether any is of the post alone.

    A worker that could not say that it lives because the ledger was away, and then because its
    line was cut, has been silent all the while.
    """
    began, ended, own = 0.0, 0.0, False
    for each in silent:
        mine = each.post != history.ledger
        if each.began > ended + LATE:
            yield began, ended, own
            began, ended, own = each.began, each.ended, mine
        else:
            ended, own = max(ended, each.ended), own or mine
    yield began, ended, own


def _allowed(history: History, run: Run) -> float:
    """Return for how many seconds a worker may be silent and keep the job of ``run``."""
    job = history.jobs.get(run.job_id)
    lease = history.leases.get(job.queue_name if job else "", history.liveness)
    return min(lease, history.liveness) - LATE


def free_attempts(history: History) -> Iterator[Violation]:
    """An attempt begins once, unless its worker was asked to end and has given it back."""
    for job_id, runs in by_job(history.runs).items():
        by_attempt: dict[int, list[Run]] = defaultdict(list)
        for run in sorted(runs, key=lambda run: run.started):
            by_attempt[run.attempt].append(run)
        for attempt, again in by_attempt.items():
            unpaid = [
                run
                for run, following in itertools.pairwise(again)
                if not _was_given_back(history, run, following.started)
            ]
            if unpaid and job_id not in history.doubtful:
                yield Violation("unpaid", job_id, f"attempt {attempt} began {len(again)} times")


def _was_given_back(history: History, run: Run, following: float) -> bool:
    # When a handler was interrupted is not known; a moment after it the worker may be told to stop.
    ended = following if run.ended is None else run.ended
    return any(
        each.kind is Kind.TERMINATE
        and each.post == run.post
        and each.began <= ended + CLOCK
        and each.ended >= run.started
        for each in history.ordeals
    )


def by_job(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Return runs by their job, each job's as they came."""
    found: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        found[run.job_id].append(run)
    return dict(found)
