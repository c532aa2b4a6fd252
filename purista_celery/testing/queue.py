"""Queues: PURISTA's seven cases of a queue bridge (``describeQueueBridgeContract``), and ours."""

from __future__ import annotations

import base64
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

from kombu.messaging import Producer

from purista_celery.errors import CapabilityMissing, JobNotFound
from purista_celery.ledger.records import Settled, Verdict
from purista_celery.runtime import capabilities, inspection
from purista_celery.runtime.depth import depth
from purista_celery.runtime.execute import Ending
from purista_celery.runtime.stager import Stager
from purista_celery.testing.bench import SOON, Bench, expect
from purista_celery.testing.contracts import LEASE, MAX_ATTEMPTS, REQUIRED, RETRY_DELAY, Work

HOUR = timedelta(hours=1)


def a_job_runs_once_and_leaves_nothing(bench: Bench) -> None:
    """A job is leased, runs once, is acknowledged, and nothing of it waits afterwards."""
    receipt = bench.enqueue("plain", Work(n=7))
    status = bench.ended(receipt)
    came = (status.status, status.output)
    expect(came == ("completed", {"mode": "ok", "n": 7}), "completed, with its output", came)
    runs = bench.notes.runs_of(receipt.job_id)
    expect(len(runs) == 1, "one run", len(runs))
    m = bench.client.metrics(bench.queue("plain"))
    left = (m.pending, m.inflight, m.dead_letter)
    expect(left == (0, 0, 0), "nothing pending, in flight or dead", left)


def a_delayed_job_is_not_early(bench: Bench) -> None:
    """A job that is delayed by 150 ms runs, and not before."""
    delay = timedelta(milliseconds=150)
    before = time.monotonic()
    receipt = bench.enqueue("delayed", delay=delay)
    bench.ended(receipt)
    waited = bench.notes.runs_of(receipt.job_id)[0] - before
    expect(waited >= delay.total_seconds(), f"a delay of {delay} at least", f"{waited:.3f} s")


def a_delayed_job_survives_a_restart(bench: Bench) -> None:
    """What is delayed waits on the servers, not in a worker: another worker runs it."""
    delay = timedelta(seconds=2)
    before = time.monotonic()
    receipt = bench.enqueue("surviving", delay=delay)
    bench.stop()
    bench.start()
    status = bench.ended(receipt)
    expect(status.status == "completed", "status 'completed'", status.status)
    waited = bench.notes.runs_of(receipt.job_id)[0] - before
    expect(waited >= delay.total_seconds(), f"a delay of {delay} at least", f"{waited:.3f} s")


def a_failed_attempt_is_tried_again_until_they_are_spent(bench: Bench) -> None:
    """A failed attempt is followed by another after a delay; after the last it is a dead letter."""
    receipt = bench.enqueue("failing", Work(mode="fail"))
    status = bench.ended(receipt)
    expect(status.status == "deadLetter", "a dead letter", status.status)
    runs = bench.notes.runs_of(receipt.job_id)
    expect(len(runs) == status.attempt == MAX_ATTEMPTS, f"{MAX_ATTEMPTS} attempts", len(runs))
    waited = runs[1] - runs[0]
    expect(waited >= RETRY_DELAY.total_seconds(), f"{RETRY_DELAY} between", f"{waited:.3f} s")


def a_handler_can_bury_its_job(bench: Bench) -> None:
    """A dead letter that a handler asks for has its reason, and no other attempt."""
    receipt = bench.enqueue("buried", Work(mode="bury"))
    status = bench.ended(receipt)
    came = (status.status, status.reason, status.attempt)
    expect(came == ("deadLetter", "as_asked", 1), "a dead letter at once, with its reason", came)


def dead_letters_are_shown(bench: Bench) -> None:
    """A dead letter is listed with its reason and payload."""
    receipt = bench.enqueue("buried", Work(mode="bury", n=5))
    bench.ended(receipt)
    letters = {
        each.job_id: each for each in bench.client.dead_letters(bench.queue("buried")).list()
    }
    letter = letters.get(receipt.job_id)
    came = letter and (letter.reason, letter.payload)
    expect(came == ("as_asked", {"mode": "bury", "n": 5}), "the letter, its reason, payload", came)


def a_dead_letter_is_redriven(bench: Bench) -> None:
    """A redriven dead letter runs again on its own queue, from its first attempt."""
    receipt = bench.enqueue("buried", Work(mode="bury once"))
    bench.ended(receipt)
    again = bench.client.dead_letters(bench.queue("buried")).redrive(receipt.job_id)
    expect(list(again) == [receipt.job_id], "that it is redriven", again)
    status = bench.ended(receipt)
    came = (status.status, status.attempt)
    expect(came == ("completed", 1), "that it completes at its first attempt", came)


def a_dead_letter_is_purged(bench: Bench) -> None:
    """A purged dead letter is gone for good."""
    receipt = bench.enqueue("buried", Work(mode="bury"))
    bench.ended(receipt)
    purged = bench.client.dead_letters(bench.queue("buried")).purge(receipt.job_id)
    expect(purged == 1, "one to be purged", purged)
    try:
        expect(False, "that it is unknown now", bench.client.job(receipt.job_id).status)
    except JobNotFound:
        return


def a_vanished_workers_job_is_recovered(bench: Bench) -> None:
    """When a lease ends without a word, the same job runs again, as its next attempt."""
    message, _ = bench.held("abandoned", "vanished/1")
    status = bench.client.wait(message.id, bench.patience)
    came = (status.job_id, status.status, status.attempt >= 2)
    expect(came == (message.id, "completed", True), "its second attempt to complete", status)


def leases_are_shown(bench: Bench) -> None:
    """A held job is listed with its holder and the end of its lease."""
    message, claim = bench.held("inspected", "inspected/1")
    leases = {lease.job_id: lease for lease in bench.client.leases(bench.queue("inspected"))}
    lease = leases.get(message.id)
    came = lease and (lease.lease_id, lease.worker)
    expect(came == (claim.fence, "inspected"), "the job's lease and its holder", came)
    length = lease and lease.lease_expires_at - lease.leased_at
    expect(length == LEASE, f"a lease of {LEASE}", length)
    bench.client.wait(message.id, bench.patience)


def a_stale_holder_settles_nothing(bench: Bench) -> None:
    """A worker that was silent past its lease can not settle what its successor did."""
    message, claim = bench.held("stale", "silent/1")
    bench.client.wait(message.id, bench.patience)
    name, fence = bench.queue("stale").name, claim.fence
    complete = bench.ledger.complete(name, message.id, fence, '{"stale":1}', keep_key=HOUR)
    buried = bench.ledger.bury(name, message.id, fence, reason="stale", keep_key=HOUR)
    retried = bench.ledger.retry(name, message.id, fence, delay=HOUR, reason="stale")
    came = (complete, buried, retried)
    expect(came == (False, False, Settled.LOST), "each settle to be refused", came)
    status = bench.client.job(message.id)
    expect(status.output == {"mode": "ok", "n": 0}, "the successor's output", status.output)


def one_holder_at_a_time(bench: Bench) -> None:
    """A job that a worker holds is granted to nobody else."""
    message, _ = bench.held("stale", "first/1")
    name = bench.queue("stale").name
    second = bench.ledger.claim(
        name, message.id, fence="second/1", worker="second", lease=LEASE, longest_hold=HOUR
    )
    expect(second.verdict is Verdict.HELD, "the verdict 'held'", second.verdict)
    bench.client.wait(message.id, bench.patience)


def a_redelivery_does_not_take_a_living_workers_job(bench: Bench) -> None:
    """A worker whose connections were cut still lives: its job, delivered again, is not granted."""
    bench.ledger.workers.announce("living", HOUR)
    try:
        message, _ = bench.held("cut", "living/1")
        again = bench.runtime.executor.execute(message, "other/1")
        expect(again.ending is Ending.REFUSED, "the redelivery to be refused", again.ending)
    finally:
        bench.ledger.workers.retire("living")
    bench.client.wait(message.id, bench.patience)


def a_late_holder_renews_nothing(bench: Bench) -> None:
    """A worker that was stalled past its lease is told that it lost its job; nothing changes."""
    bench.notes.released.clear()
    try:
        message, claim = bench.held("late", "stalled/1", Work(mode="hold"))
        bench.until(lambda: bench.notes.runs_of(message.id), "another worker runs it")
        late = (bench.queue("late").name, message.id, claim.fence)
        came = (
            bench.ledger.extend(*late, LEASE)[0],
            bench.ledger.report(*late, "checkpoint", "late")[0],
            bench.ledger.keep(*late, {0: "late"}, "late")[0],
        )
    finally:
        bench.notes.released.set()
    expect(came == ("lost", False, False), "each to be refused", came)
    status = bench.client.wait(message.id, bench.patience)
    came_of_it = (status.status, status.last_checkpoint)
    expect(came_of_it == ("completed", None), "its successor's outcome", came_of_it)


def a_removed_record_is_made_again(bench: Bench) -> None:
    """A job whose record the ledger has lost runs all the same: its message is enough."""
    name = bench.queue("removed").name
    with bench.busy():
        receipt = bench.enqueue("removed", Work(n=3))
        keys = bench.ledger.keys(name)
        bench.ledger.client.delete(keys.job(receipt.job_id))
        bench.ledger.client.zrem(keys.ready, receipt.job_id)
    bench.until(lambda: bench.notes.runs_of(receipt.job_id), "it runs")
    status = bench.ended(receipt)
    expect(status.status == "completed", "status 'completed'", status.status)


def a_running_job_outlives_its_record(bench: Bench) -> None:
    """A job whose record is lost while it runs is settled, and its required event is heard."""
    keys = bench.ledger.keys(bench.queue(REQUIRED).name)
    bench.notes.released.clear()
    try:
        receipt = bench.enqueue(REQUIRED, Work(mode="hold", n=4))
        bench.until(lambda: bench.notes.runs_of(receipt.job_id), "it runs")
        bench.ledger.client.delete(keys.job(receipt.job_id))
        bench.ledger.client.zrem(keys.leased, receipt.job_id)
    finally:
        bench.notes.released.set()
    heard = f"{receipt.job_id}:success"
    bench.until(lambda: bench.notes.heard_by(REQUIRED, heard), "its result is heard")
    status = bench.ended(receipt)
    came = (status.status, status.output, len(bench.notes.runs_of(receipt.job_id)))
    expect(came == ("completed", {"mode": "hold", "n": 4}, 1), "completed, after one run", came)


def messages_of_an_unserved_queue_do_not_multiply(bench: Bench) -> None:
    """However long jobs wait, the broker holds no more messages than there are jobs."""
    queue = bench.runtime.wiring.queue(bench.queue("unserved").name)
    impatient = bench.settings.model_copy(update={"lost_grace": timedelta(0)})
    bench.stop()
    stager = Stager(replace(bench.runtime, settings=impatient))
    try:
        receipts = [bench.enqueue("unserved", Work(n=n)) for n in range(5)]
        with bench.app.connection_for_write() as connection:
            bench.until(lambda: depth(connection, queue) == len(receipts), "their messages wait")
            for _ in range(3):
                stager.look()
            time.sleep(SOON.total_seconds())
            messages = depth(connection, queue)
    finally:
        stager.close()
        bench.start()
    expect(messages == len(receipts), f"{len(receipts)} messages", messages)
    runs = [(bench.ended(each), len(bench.notes.runs_of(each.job_id)))[1] for each in receipts]
    expect(runs == [1] * len(receipts), "one run each", runs)


def an_idempotency_key_is_one_job(bench: Bench) -> None:
    """Many enqueues of one key at once give one job, one run and equal receipts, also later."""
    key = f"key-{uuid.uuid4().hex}"

    def enqueue(n: int) -> str:
        return bench.enqueue("keyed", Work(n=n), idempotency_key=key).job_id

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(enqueue, range(32)))
    expect(len(ids) == 1, "one job", ids)
    [job_id] = ids
    bench.client.wait(job_id, bench.patience)
    later = enqueue(99)
    expect(later == job_id, "the first receipt after it has ended too", later)
    runs = len(bench.notes.runs_of(job_id))
    expect(runs == 1, "one run", runs)


def a_waiting_job_is_cancelled(bench: Bench) -> None:
    """A cancelled job that nobody holds ends at once and never runs."""
    receipt = bench.enqueue("cancelled", delay=HOUR)
    status = bench.client.cancel(receipt.job_id)
    expect(status.status == "cancelled", "status 'cancelled'", status.status)
    expect(not bench.notes.runs_of(receipt.job_id), "no run", "one")


def a_running_job_is_cancelled(bench: Bench) -> None:
    """A handler that asks is told that its job was cancelled, and there is no other attempt."""
    bench.notes.released.clear()
    receipt = bench.enqueue("cancelled", Work(mode="hold"))
    bench.until(lambda: bench.notes.runs_of(receipt.job_id), "the job runs")
    bench.client.cancel(receipt.job_id)
    status = bench.ended(receipt)
    came = (status.status, len(bench.notes.runs_of(receipt.job_id)))
    expect(came == ("cancelled", 1), "status 'cancelled' after one run", came)


def jobs_of_one_queue_are_in_order(bench: Bench) -> None:
    """With one worker at work, jobs run in the order in which they were enqueued."""
    with bench.busy():
        receipts = [bench.enqueue("ordered", Work(n=n)) for n in range(6)]
    _expect_order(bench, [receipt.job_id for receipt in receipts])


def priorities_are_kept_or_reported_as_missing(bench: Bench) -> None:
    """The highest priority is first, or the check at start says that this broker has none."""
    wired = bench.runtime.wiring.queue(bench.queue("ranked").name)
    ranked = replace(wired, contract=replace(bench.queue("ranked"), priority=5))
    facts = (inspection.ledger_facts(bench.runtime), inspection.broker_facts(bench.runtime))
    missing = any(gap.need == "priorities" for gap in capabilities.gaps(ranked, *facts))
    with bench.busy():
        low = [bench.enqueue("ranked", priority=0).job_id for _ in range(3)]
        high = [bench.enqueue("ranked", priority=9).job_id for _ in range(3)]
    if missing:
        for job_id in (*low, *high):
            bench.client.wait(job_id, bench.patience)
        return
    _expect_order(bench, [*high, *low])


def a_paused_queue_stays_paused(bench: Bench) -> None:
    """No job of a paused queue starts, not even in a worker that is started later."""
    queue = bench.queue("paused")
    bench.client.pause(queue, "conformance")
    try:
        receipt = bench.enqueue("paused")
        bench.stop()
        bench.start()
        # A job of another queue that was enqueued later shows that the worker is at work.
        bench.ended(bench.enqueue("plain"))
        expect(bench.client.metrics(queue).paused == "conformance", "a paused queue", "another")
        expect(not bench.notes.runs_of(receipt.job_id), "no run while it is paused", "one")
    finally:
        bench.client.resume(queue)
    status = bench.ended(receipt)
    expect(status.status == "completed", "that it runs after that", status.status)


def an_unreadable_message_is_kept(bench: Bench) -> None:
    """A message that can not be read is a dead letter with its bytes, and the worker goes on."""
    queue = bench.queue("unreadable")
    broker_name = bench.runtime.wiring.queue(queue.name).broker_name
    raw = b"{ no JSON " + uuid.uuid4().hex.encode()
    with bench.app.connection_for_write() as connection, connection.channel() as channel:
        Producer(channel).publish(
            raw,
            routing_key=broker_name,
            headers={"task": queue.name, "id": str(uuid.uuid4())},
            content_type="application/json",
            content_encoding="utf-8",
        )
    letters = bench.client.dead_letters(queue)
    [letter, *_] = bench.until(letters.list, "the message is among the dead letters")
    came = (letter.reason, base64.b64decode(letter.raw or ""))
    expect(came == ("undecodable", raw), "reason 'undecodable' and the bytes", came)
    status = bench.ended(bench.enqueue("unreadable"))
    expect(status.status == "completed", "that the next job runs", status.status)


def a_strict_start_is_refused_over_what_forgets(bench: Bench) -> None:
    """A worker that is to be strict starts on these servers only if they keep what is needed."""
    facts = inspection.ledger_facts(bench.runtime)
    evicting = replace(facts, eviction_policy="allkeys-lru")
    named = [gap.remedy for gap in capabilities.ledger_gaps(evicting)]
    expect(any("noeviction" in remedy for remedy in named), "the remedy for eviction", named)
    settings = bench.settings.model_copy(update={"strict": True})
    broker = inspection.broker_facts(bench.runtime)
    found = (
        *capabilities.ledger_gaps(facts),
        *capabilities.broker_gaps(broker, facts),
        *capabilities.power_gaps(facts, broker),
    )
    gaps = [str(gap) for gap in found]
    try:
        capabilities.check(replace(bench.runtime, settings=settings))
    except CapabilityMissing as refusal:
        expect(gaps, "that it starts", str(refusal))
    else:
        expect(not gaps, "that it refuses to start", gaps)


def _expect_order(bench: Bench, job_ids: list[str]) -> None:
    for job_id in job_ids:
        bench.client.wait(job_id, bench.patience)
    came = [job for job, _, _ in list(bench.notes.runs) if job in job_ids]
    positions = [job_ids.index(job) for job in came]
    expect(came == job_ids, "them in that order", positions)
