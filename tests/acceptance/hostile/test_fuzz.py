"""Garbage on a job queue and on a subscription's: kept, never run, and no worker is the worse."""

from __future__ import annotations

import base64
import os
import time

import psutil
import pytest

from tests.acceptance.hostile.fuzz import Fuzz
from tests.acceptance.hostile.raw import publish
from tests.acceptance.spine.conftest import Spine
from tests.acceptance.spine.services import Work, happened, work
from tests.support.waiting import until

HOSTILE = 200
#: Others are for whoever wants to try their luck: PURISTA_FUZZ_SEEDS="3 4 5" scripts/test …
SEEDS = [int(seed) for seed in os.environ.get("PURISTA_FUZZ_SEEDS", "1 2026").split()]
#: What the log of a worker says that fell over a message, or began anew because of one.
STUMBLES = ("Unrecoverable error", "Traceback (most recent", "Connection to broker lost", "failed;")
#: A share of one core: what an idle worker and its threads take, with much to spare.
IDLE = 0.5


@pytest.mark.parametrize("seed", SEEDS)
def test_hostile_messages_are_dead_letters_with_their_bytes(spine: Spine, seed: int) -> None:
    """Ordinary jobs between them complete, none of them is run, and then the worker rests."""
    fuzz = Fuzz(seed, redis=spine.stage.broker_url.startswith("redis"))
    worker = spine.worker("-c", "1")
    pid, receipts, steered = worker.pid, [], []
    hostile = list(fuzz.messages(HOSTILE))
    for number, message in enumerate(hostile):
        publish(spine, message)
        if number % 20 == 0:
            receipts.append(spine.enqueue(n=number))
            steered.append(fuzz.steered())
            publish(spine, steered[-1])

    letters = spine.client.dead_letters(work)
    until(
        lambda: len(letters.list(2 * HOSTILE)) >= HOSTILE,
        lambda: f"all are kept (seed {seed}); {spine.logs()}",
        60,
    )

    ids = {receipt.job_id for receipt in receipts} | {raw.headers["id"] for raw in steered}
    assert {spine.client.wait(job_id, 30).status for job_id in ids} == {"completed"}
    kept = letters.list(2 * HOSTILE)
    raw = [base64.b64decode(letter.raw or "") for letter in kept]
    assert sorted(raw) == sorted(message.body for message in hostile)
    assert {letter.reason for letter in kept} <= {"undecodable", "invalid_payload"}
    assert {line[3] for line in spine.traced("start")} == ids
    _assert_at_rest(spine, pid)


def test_hostile_events_are_dead_letters_of_their_subscription(spine: Spine) -> None:
    """The router keeps each with its bytes, and the events between them become jobs."""
    fuzz = Fuzz(7, redis=spine.stage.broker_url.startswith("redis"))
    runtime = spine.app.purista_runtime
    [key] = [key for key in runtime.inboxes if key.startswith("sub.spine")]
    inbox = runtime.inboxes[key].name
    pid = spine.worker("-c", "1").pid
    hostile = [message for message in fuzz.messages(60) if message.item is None]
    for number, message in enumerate(hostile):
        publish(spine, message, inbox=inbox)
        if number % 20 == 0:
            spine.client.emit(happened, Work(n=number))

    letters = spine.client.dead_letters(key)
    until(
        lambda: len(letters.list(200)) >= len(hostile), lambda: f"all are kept; {spine.logs()}", 60
    )
    assert {base64.b64decode(letter.raw or "") for letter in letters.list(200)} == {
        message.body for message in hostile
    }
    spine.await_trace("completed", count=6)
    _assert_at_rest(spine, pid)


def _assert_at_rest(spine: Spine, pid: int) -> None:
    [worker] = spine.stage.workers
    process = psutil.Process(pid)
    assert worker.process.poll() is None
    assert process.is_running()
    assert [word for word in STUMBLES if word in worker.text] == [], worker.text[-4000:]
    assert _busy(process, 1.0) < IDLE, "the worker goes on handling what it has kept"


def _busy(process: psutil.Process, seconds: float) -> float:
    """Return the share of one core that a process takes for a while."""
    before = process.cpu_times()
    began = time.monotonic()
    time.sleep(seconds)
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    return used / (time.monotonic() - began)
