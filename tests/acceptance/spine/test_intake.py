"""What a worker can not run is kept with a reason; it neither ends the worker nor loops."""

from __future__ import annotations

import base64
import json
import time
import uuid
from datetime import timedelta
from typing import Any

import pytest
from kombu import Producer

from purista_celery import JobStatus, Settings
from purista_celery.errors import JobNotFound
from tests.acceptance.spine.conftest import Spine
from tests.acceptance.spine.services import Work, happened, work
from tests.support.waiting import until

PICKLE = {"content_type": "application/x-python-serialize"}


def publish(spine: Spine, body: Any, headers: dict[str, Any], **options: Any) -> None:
    """Put a raw message into the broker queue of ``spine.work``."""
    queue = f"{spine.stage.namespace}.job.{work.name}"
    [declared] = [q for q in spine.app.conf.task_queues if q.name == queue]
    with spine.app.connection_for_write() as connection, connection.channel() as channel:
        declared(channel).declare()
        Producer(channel).publish(
            body,
            routing_key=queue,
            headers=headers,
            **{"content_type": "application/json", "content_encoding": "utf-8", **options},
        )


def ended(spine: Spine, job_id: str) -> JobStatus:
    """Wait for a job that the ledger hears of only when a worker claims it."""

    def known() -> bool:
        try:
            return bool(spine.client.job(job_id))
        except JobNotFound:
            return False

    until(known, lambda: f"{job_id} is claimed; {spine.logs()}")
    return spine.client.wait(job_id, 20)


def job_headers(**other: Any) -> dict[str, Any]:
    identity = str(uuid.uuid4())
    return {"task": work.name, "id": identity, "lang": "py", "retries": 0, **other}


def job_body(headers: dict[str, Any], **other: Any) -> str:
    message = {
        "id": headers["id"],
        "queueName": work.name,
        "payload": {"n": 1},
        "createdAt": time.time_ns() // 1_000_000,
        "maxAttempts": 1,
        **other,
    }
    return json.dumps([[], message, {}])


def test_what_can_not_be_run_becomes_a_dead_letter_with_its_bytes(spine: Spine) -> None:
    """Each kind of broken message is kept, and a healthy job behind them all runs."""
    spine.worker("-c", "1")
    good = job_headers()
    broken: list[tuple[str, Any, dict[str, Any], dict[str, Any]]] = [
        # not JSON
        ("undecodable", b"{nonsense", job_headers(), {}),
        # pickle is never loaded
        ("undecodable", b"\x80\x04.", job_headers(), PICKLE),
        # JSON, but no Celery message: these end a bare Celery worker
        ("undecodable", "5", job_headers(), {}),
        ("undecodable", "[1]", job_headers(), {}),
        # no task header
        ("undecodable", "{}", {"id": "x"}, {}),
        # arguments where a job has none
        ("invalid_payload", json.dumps([[1], {"id": "x"}, {}]), job_headers(), {}),
        # headers and body name different jobs
        ("invalid_payload", job_body(good), job_headers(), {}),
        # an id that is no text
        ("invalid_payload", job_body(good), job_headers(id={"a": 1}), {}),
    ]
    for _, body, headers, options in broken:
        publish(spine, body, headers, **options)
    # Steering headers of the wrong type do no harm: a job has no use for them.
    steered = job_headers(timelimit="soon", eta="never", expires=[1])
    publish(spine, job_body(steered), steered)

    letters = spine.client.dead_letters(work)
    until(lambda: len(letters.list()) == len(broken), lambda: f"all are kept; {spine.logs()}")
    assert sorted(letter.reason or "" for letter in letters.list()) == sorted(
        reason for reason, *_ in broken
    )
    kept = {base64.b64decode(letter.raw or "") for letter in letters.list()}
    assert b"{nonsense" in kept
    assert b"\x80\x04." in kept
    assert ended(spine, steered["id"]).status == "completed"
    assert spine.client.wait(spine.enqueue().job_id, 20).status == "completed"
    assert spine.stage.workers[0].process.poll() is None


def test_a_payload_that_does_not_fit_is_a_dead_letter_that_can_be_redriven(spine: Spine) -> None:
    """Its handler never sees it; the reason names the field and not its value."""
    spine.worker("-c", "1")
    headers = job_headers()
    publish(spine, job_body(headers, payload={"n": "secret-text"}), headers)

    status = ended(spine, headers["id"])

    assert (status.status, status.reason, status.attempt) == ("deadLetter", "invalid_payload", 1)
    assert "n: " in (status.error or "")
    assert "secret-text" not in (status.error or "")
    assert spine.traced("start") == []
    assert spine.client.dead_letters(work).redrive(headers["id"]) == [headers["id"]]


def test_a_message_of_an_unknown_task_is_offered_again_before_it_is_kept(
    spine: Spine,
) -> None:
    """For a grace period another worker may know it; then it is a dead letter."""
    spine.stage.extra["PURISTA_UNKNOWN_TASK_GRACE"] = "3"
    worker = spine.worker("-c", "1")
    headers = job_headers(task="spine.fromTheFuture")
    publish(spine, job_body(headers), headers)

    letters = spine.client.dead_letters(work)
    until(lambda: len(letters.list()) == 1, lambda: f"it is kept; {spine.logs()}")

    assert letters.list()[0].reason == "unknown_task"
    assert "is offered again" in worker.text
    # Redriven, it is refused again, and stays a dead letter.
    assert len(letters.redrive()) == 1
    until(lambda: worker.text.count("is now a dead letter") == 2, f"again; {worker.text}")
    assert [letter.reason for letter in letters.list()] == ["unknown_task"]
    assert spine.client.wait(spine.enqueue().job_id, 20).status == "completed"


def test_an_event_that_is_no_envelope_is_a_dead_letter_of_its_subscription(spine: Spine) -> None:
    """The router keeps it and goes on with the next event."""
    worker = spine.worker("-c", "1")
    runtime = spine.app.purista_runtime
    key, inbox = next(
        (key, inbox) for key, inbox in runtime.inboxes.items() if key.startswith("sub.spine")
    )
    with spine.app.connection_for_write() as connection, connection.channel() as channel:
        Producer(channel).publish(
            '{"no": "envelope"}',
            exchange=inbox.exchange,
            routing_key=happened.name,
            declare=[inbox.exchange],
            content_type="application/json",
            content_encoding="utf-8",
        )

    letters = spine.client.dead_letters(key)
    until(lambda: len(letters.list()) == 1, lambda: f"it is kept; {worker.text}")
    assert letters.list()[0].reason == "undecodable"
    assert len(letters.redrive()) == 1
    until(lambda: worker.text.count(f"event for {key} is no") == 2, f"again; {worker.text}")
    spine.client.emit(happened, Work(n=3))
    spine.await_trace("completed", count=2)


def test_a_job_for_a_newer_contract_waits_for_a_newer_worker(spine: Spine) -> None:
    """An older one does not run it; without a newer one it is a dead letter, to be redriven."""
    spine.stage.extra["PURISTA_UNKNOWN_TASK_GRACE"] = "3"
    worker = spine.worker("-c", "1")
    headers = job_headers()
    publish(spine, job_body(headers, serviceVersion="2"), headers)

    status = ended(spine, headers["id"])

    assert (status.status, status.reason) == ("deadLetter", "newer_contract")
    assert "knows 1" in (status.error or "")
    assert "is offered again" in worker.text
    assert spine.traced("start") == []
    assert spine.client.dead_letters(work).redrive(headers["id"]) == [headers["id"]]
    older = job_headers()
    publish(spine, job_body(older, serviceVersion="0.9"), older)
    assert ended(spine, older["id"]).status == "completed"


def test_a_kept_message_is_redriven_as_it_came(spine: Spine) -> None:
    """Once somebody knows its task: here the queue's own, after a deploy that was late."""
    spine.stage.extra["PURISTA_UNKNOWN_TASK_GRACE"] = "0"
    worker = spine.worker("-c", "1")
    headers = job_headers(task="spine.fromTheFuture")
    body = job_body(headers, extra="\u00e4\U0001f600")
    publish(spine, body, headers)
    letters = spine.client.dead_letters(work)
    until(lambda: len(letters.list()) == 1, lambda: f"it is kept; {spine.logs()}")
    worker.kill()

    assert len(letters.redrive()) == 1

    assert letters.list() == []
    name = f"{spine.stage.namespace}.job.{work.name}"
    [declared] = [queue for queue in spine.app.conf.task_queues if queue.name == name]
    with spine.app.connection_for_write() as connection, connection.channel() as channel:
        message = until(declared(channel).get, "the broker has it")
        assert message.headers["task"] == "spine.fromTheFuture"
        assert message.payload == json.loads(body)
        message.ack()


def test_settings_of_the_grace_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds are what an operator types."""
    monkeypatch.setenv("PURISTA_UNKNOWN_TASK_GRACE", "3")
    assert Settings().unknown_task_grace == timedelta(seconds=3)


def test_a_message_whose_record_has_expired_is_kept_and_not_run(spine: Spine) -> None:
    """The job may have completed: somebody decides, and redrives or purges it."""
    spine.worker("-c", "1")
    headers = job_headers()
    publish(spine, job_body(headers, createdAt=1), headers)

    status = ended(spine, headers["id"])

    assert (status.status, status.reason) == ("deadLetter", "record_expired")
    assert spine.traced("start") == []
    assert spine.client.dead_letters(work).redrive(headers["id"]) == [headers["id"]]
    assert spine.client.wait(headers["id"], 20).status == "completed"
