"""Absence is not death: what is concluded from silence, against a model, on a real Redis.

Workers are well, frozen, cut off from the ledger, or dead; the ledger stalls, is away, or goes back
to what a stale replica had; looks at who is silent are acted upon late, or twice; messages are
delivered again whenever the broker likes. All times are the test's: anything may come late.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from purista_celery.ledger.ledger import Ledger
from purista_celery.ledger.records import Abandoned, Expired, Holding, Settled, Verdict
from purista_celery.ledger.workers import GAPS_PER_LIFE, Look
from purista_celery.messages.job import JobMessage
from tests.integration.ledger.clocked import CLOCK, clocked

LIFE = 15_000
LEASE = 60_000
#: A worker that can announces itself this often at the least, and renews its leases.
BEAT = 1_500
START = 1_700_000_000_000
QUEUE = "absence"
numbers = itertools.count(1)
pick = st.integers(0, 1000)


def ms(milliseconds: int) -> timedelta:
    return timedelta(milliseconds=milliseconds)


@dataclass
class Holder:
    """A handler that runs, as its worker remembers it."""

    job_id: str
    fence: str
    attempt: int
    redrives: int
    window_start: int


@dataclass
class ModelWorker:
    """One worker. It is well as long as it has not been kept from beating."""

    name: str
    alive: bool = True
    frozen: bool = False
    cut: bool = False
    #: Since when it can not say that it lives, though the ledger can be asked by others.
    unheard: int = 0
    #: Until when a look may still be acted upon that saw it silent for as long as it may be.
    suspected_until: int = 0
    running: dict[str, Holder] = field(default_factory=dict)

    @property
    def beats(self) -> bool:
        return self.alive and not self.frozen and not self.cut


class AbsenceMachine(RuleBasedStateMachine):
    """Lets things be late, lost and reordered; says what must never follow."""

    client: redis.Redis

    def __init__(self) -> None:
        super().__init__()
        own = clocked(self.client)
        self.now = START
        own.set(CLOCK, self.now)
        self.ledger = Ledger(own, f"a{next(numbers)}", timedelta(days=1))
        self.redis = own
        self.keys = self.ledger.keys(QUEUE)
        self.workers = [ModelWorker(f"w{n}") for n in range(3)]
        self.messages: dict[str, JobMessage] = {}
        self.completed: set[str] = set()
        self.looks: list[tuple[Look, list[Expired]]] = []
        self.well = True
        self.snapshot: dict[str, bytes] = {}
        self.beat_all()

    # Time

    def beat_all(self) -> None:
        """All who can say that they live, and renew; what the ledger has forgotten they tell it."""
        if not self.well:
            return
        for worker in self.workers:
            if not worker.beats:
                continue
            self.ledger.workers.announce(worker.name, ms(LIFE))
            for held in list(worker.running.values()):
                self.renew(worker, held)

    def renew(self, worker: ModelWorker, held: Holder) -> None:
        verdict, _ = self.ledger.extend(QUEUE, held.job_id, held.fence, ms(LEASE))
        if verdict in ("waiting", "unknown"):
            self.ledger.recall(self.messages[held.job_id], self.holding(held))
        if verdict == "lost":
            # As by the profile's on_lease_lost: its handler is ended.
            del worker.running[held.job_id]

    def holding(self, held: Holder) -> Holding:
        return Holding(
            fence=held.fence,
            worker=held.fence.partition("/")[0],
            attempt=held.attempt,
            redrives=held.redrives,
            window_start=held.window_start,
            lease=ms(LEASE),
            longest_hold=ms(100 * LEASE),
        )

    @rule(beats=st.integers(1, 14))
    def time_passes(self, beats: int) -> None:
        for _ in range(beats):
            self.now += BEAT
            self.redis.set(CLOCK, self.now)
            # The first to come after an outage is as often as not who looks.
            self.beat_all()
            for worker in self.workers:
                heard = worker.beats or not self.well or not self.others_beat(worker)
                if worker.unheard >= LIFE - BEAT:
                    worker.suspected_until = self.now + LIFE // GAPS_PER_LIFE
                worker.unheard = 0 if heard else worker.unheard + BEAT

    def others_beat(self, worker: ModelWorker) -> bool:
        return any(other.beats for other in self.workers if other is not worker)

    @precondition(lambda self: self.well)
    @rule(stall=st.integers(1, 90), job=pick, number=pick)
    def the_ledger_stalls_and_goes_on(self, stall: int, job: int, number: int) -> None:
        """Nobody is answered meanwhile; a look and a delivery are the first that are."""
        self.now += stall * 1000
        self.redis.set(CLOCK, self.now)
        for worker in self.workers:
            if stall * 1000 <= LIFE // GAPS_PER_LIFE and not worker.beats:
                # Too short to be a gap: others were heard before and after it.
                worker.unheard += stall * 1000
        self.a_rescuer_looks()
        if self.messages:
            self.a_message_is_delivered_again(job, number)
        self.beat_all()

    @rule()
    def the_ledger_comes_and_goes(self) -> None:
        self.well = not self.well
        if self.well:
            self.a_rescuer_looks()
            self.beat_all()

    # Workers

    @rule(number=pick, what=st.sampled_from(["frozen", "cut"]))
    def a_worker_is_kept_from_beating(self, number: int, what: str) -> None:
        worker = self.workers[number % 3]
        setattr(worker, what, not getattr(worker, what))

    @rule(number=pick)
    def a_worker_dies_and_another_starts(self, number: int) -> None:
        self.workers[number % 3] = ModelWorker(f"w{next(numbers)}")
        self.beat_all()

    @precondition(lambda self: self.well)
    @rule(number=pick)
    def a_job_is_begun(self, number: int) -> None:
        message = JobMessage(
            id=f"j{next(numbers)}",
            queue_name=QUEUE,
            created_at=self.now,
            max_attempts=1000,
        )
        self.messages[message.id] = message
        self.ledger.enqueue(message)
        self.delivered(message.id, number)

    @precondition(lambda self: self.well and self.messages)
    @rule(job=pick, number=pick)
    def a_message_is_delivered_again(self, job: int, number: int) -> None:
        """Of any job, to any worker: a connection was lost, a delivery's lease has ended."""
        self.delivered(list(self.messages)[job % len(self.messages)], number)

    def delivered(self, job_id: str, number: int) -> None:
        worker = self.workers[number % 3]
        if not worker.beats:
            return
        before = self.living_runner(job_id)
        fence = f"{worker.name}/{next(numbers)}"
        claim = self.ledger.claim(
            QUEUE,
            job_id,
            fence=fence,
            worker=worker.name,
            lease=ms(LEASE),
            longest_hold=ms(100 * LEASE),
        )
        if claim.verdict is not Verdict.GRANTED:
            return
        assert job_id not in self.completed, "what has completed is not begun again"
        assert before is None, f"{job_id} runs at {before}, which lives"
        worker.running[job_id] = Holder(
            job_id, fence, claim.attempt, claim.redrives, claim.window_start
        )

    def living_runner(self, job_id: str) -> ModelWorker | None:
        """Return who runs a job and was never silent for long while others could be heard."""
        for worker in self.workers:
            kept = worker.unheard >= LIFE - BEAT or self.now <= worker.suspected_until
            if job_id in worker.running and worker.alive and not kept:
                return worker
        return None

    @precondition(lambda self: self.well)
    @rule(number=pick)
    def a_handler_ends(self, number: int) -> None:
        """Its outcome is taken, of one holder; a ledger that has lost the claim is told of it."""
        running = [(w, h) for w in self.workers if w.beats for h in w.running.values()]
        if not running:
            return
        worker, held = running[number % len(running)]
        del worker.running[held.job_id]
        done = self.complete(held) or (
            self.ledger.recall(self.messages[held.job_id], self.holding(held))
            and self.complete(held)
        )
        if done:
            assert held.job_id not in self.completed, "one outcome is taken"
            self.completed.add(held.job_id)

    def complete(self, held: Holder) -> bool:
        return self.ledger.complete(QUEUE, held.job_id, held.fence, "1", keep_key=ms(LEASE))

    # Rescuers, who may be frozen between their look and their deed

    @precondition(lambda self: self.well)
    @rule()
    def a_rescuer_looks(self) -> None:
        if not self.well:
            return
        look = self.ledger.workers.look(ms(LIFE))
        if look is not None:
            found = self.ledger.expired(QUEUE, look.dead, 100, renewed_since=look.renewable_since)
            self.looks.append((look, found))

    @precondition(lambda self: self.well and self.looks)
    @rule(number=pick, again=st.booleans())
    def a_rescuer_acts(self, number: int, again: bool) -> None:  # noqa: FBT001
        at = number % len(self.looks)
        look, expired = self.looks[at] if again else self.looks.pop(at)
        for job in expired:
            gone = Abandoned(job.worker if job.worker in look.dead else "", look.until)
            runner = self.living_runner(job.job_id)
            settled = self.ledger.retry(
                QUEUE, job.job_id, job.fence, delay=ms(0), reason="gone", abandoned=gone
            )
            if settled is Settled.DONE and runner is not None:
                held = runner.running[job.job_id]
                assert held.fence != job.fence, f"{job.job_id} was taken from {runner}"

    # The ledger goes back in time, within what a beat tells it again

    @precondition(lambda self: self.well)
    @rule(number=pick, lost=st.sampled_from(["record", "claim"]))
    def the_ledger_forgets(self, number: int, lost: str) -> None:
        """A stale replica is promoted: a job's record, or its claim, has never been there."""
        held = [h for w in self.workers if w.beats for h in w.running.values()]
        held = [h for h in held if self.redis.hget(self.keys.job(h.job_id), "fence") == h.fence]
        if not held:
            return
        job = held[number % len(held)]
        key = self.keys.job(job.job_id)
        if lost == "record":
            self.redis.delete(key)
        else:
            self.redis.hset(key, mapping={"state": "ready", "attempt": job.attempt - 1})
            self.redis.hdel(key, "fence", "worker", "leaseExpiresAt")
            self.redis.zadd(self.keys.ready, {job.job_id: self.now})
        self.redis.zrem(self.keys.leased, job.job_id)
        self.redis.srem(self.keys.held(job.fence.partition("/")[0]), job.job_id)
        # A message that came within that very moment would be believed: see the docs.
        self.beat_all()

    # What must hold

    @invariant()
    def one_holder_at_most_can_settle(self) -> None:
        for job_id in self.messages:
            state, fence = self.redis.hmget(self.keys.job(job_id), "state", "fence")
            if state == "leased":
                worker = str(fence).partition("/")[0]
                assert self.redis.sismember(self.keys.held(worker), job_id), "it would be forgotten"
                assert self.redis.zscore(self.keys.leased, job_id) is not None
            elif state == "ready":
                assert self.redis.zscore(self.keys.ready, job_id) is not None

    def teardown(self) -> None:
        """When all is well again and time passes, every job is somebody's or can be."""
        self.well = True
        for worker in self.workers:
            worker.frozen = worker.cut = False
        for _ in range(2 + (LEASE + 2 * LIFE) // BEAT):
            self.time_passes(1)
            self.a_rescuer_looks()
            while self.looks:
                self.a_rescuer_acts(0, False)
        for job_id in self.messages:
            state = self.redis.hget(self.keys.job(job_id), "state")
            runs = any(job_id in worker.running for worker in self.workers)
            assert state in ("ready", "completed") or (state == "leased" and runs), state
        for key in self.redis.scan_iter(f"{{{self.ledger.namespace}*", count=1000):
            self.redis.delete(key)


@pytest.fixture
def machine(ledger_client: redis.Redis) -> type[AbsenceMachine]:
    return type("Machine", (AbsenceMachine,), {"client": ledger_client})


@pytest.mark.timeout(900)
def test_no_silence_is_taken_for_a_death(machine: type[AbsenceMachine]) -> None:
    """No running job of a living worker is begun again, one outcome is taken, none is forgotten."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=150,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
