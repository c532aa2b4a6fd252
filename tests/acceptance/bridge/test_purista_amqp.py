"""A PURISTA peer and our workers exchange events on one RabbitMQ, on PURISTA's own wire."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from purista_celery.errors import EventUnroutable
from tests.acceptance.bridge.conftest import Peer
from tests.acceptance.bridge.lonely import work
from tests.acceptance.spine.conftest import Spine
from tests.acceptance.spine.services import Work, happened
from tests.support.processes import Stage
from tests.support.waiting import until

EVENT = {"messageType": "customMessage"}


def test_a_peer_hears_what_we_emit(bridged: Spine, peer: Peer) -> None:
    """The whole envelope, with the properties and headers that PURISTA publishes itself."""
    queue = f"{bridged.stage.namespace}.sub.peer.1.onHappened"
    hearer = peer.hear(queue, {**EVENT, "eventName": happened.name, "tenantId": "acme"})

    bridged.client.emit(happened, Work(n=1), tenant_id="other")
    sent = bridged.client.emit(
        happened, Work(n=2), tenant_id="acme", principal_id="ada", correlation_id="c-1"
    )

    [heard] = hearer.heard(1)
    assert heard["known"], "PURISTA's own isCustomMessage"
    assert heard["message"] == sent.to_wire()
    assert heard["routingKey"] == ""
    assert heard["properties"] == {
        "messageId": sent.id,
        "timestamp": sent.timestamp,
        "type": "customMessage",
        "contentType": "application/json",
        "contentEncoding": "utf-8",
        "deliveryMode": 2,
    }
    assert abs(heard["properties"]["timestamp"] - time.time() * 1000) < 60_000
    # As OpenTelemetry injects it into PURISTA's headers.
    assert heard["headers"].pop("traceparent").split("-")[1] == sent.trace_id
    assert heard["headers"] == {
        "messageType": "customMessage",
        "senderServiceName": "spine",
        "senderServiceVersion": "1",
        "senderServiceTarget": "client",
        "senderInstanceId": sent.sender.instance_id,
        "eventName": happened.name,
        "principalId": "ada",
        "tenantId": "acme",
    }


def test_our_subscriptions_and_bindings_hear_a_peer(bridged: Spine, peer: Peer) -> None:
    """By name and by pattern; an answer of a command that is an event too, and nothing else."""
    worker = bridged.worker()
    answer = {"messageType": "commandSuccessResponse", "correlationId": "c-9"}
    [_, night, *_] = peer.emit(
        {"eventName": happened.name, "payload": {"n": 4}, "tenantId": "acme"},
        {**answer, "eventName": "spine.nightFell"},
        # not for us: another event, and an answer that is none
        {"eventName": "elsewhere.happened"},
        {**answer, "payload": {"n": 5}},
        {"eventName": "spine.last"},
    )

    bridged.await_trace("night", night)
    bridged.await_trace("any", "spine.last")
    # The binding makes two jobs of it, whose results travel on the same exchange.
    completed = bridged.await_trace("completed", count=2)
    assert {line[4] for line in completed} == {"41", "42"}
    assert {line[6] for line in completed} == {"acme"}
    assert {line[3] for line in bridged.traced("any")} == {
        *(happened.name, "spine.nightFell", "spine.last"),
        "spine.work.completed",
    }
    for queue in bridged.app.purista_runtime.inboxes:
        assert bridged.client.dead_letters(queue).list() == []
    assert f"{bridged.stage.namespace}.sub.listener.1.night" in {
        inbox.name for inbox in bridged.app.purista_runtime.inboxes.values()
    }
    assert "ERROR" not in worker.text


def test_a_message_that_comes_back_through_a_retry_queue_is_one_job(
    bridged: Spine, peer: Peer
) -> None:
    """A peer that shares our queue hands a message to ``<queue>.retry.<ms>``; we take it then."""
    queue = f"{bridged.stage.namespace}.sub.listener.1.night"
    hearer = peer.hear(queue, {**EVENT, "eventName": "spine.nightFell"}, retries=1)
    [shared] = peer.emit({"eventName": "spine.nightFell"})
    assert hearer.heard(1)[0]["headers"]["x-purista-retry-attempt"] == 2
    hearer.process.kill()
    hearer.process.wait(10)

    bridged.worker()
    [once] = peer.emit({"eventName": "spine.nightFell"}, queue=queue)
    bridged.await_trace("night", once)
    # The same message again, as a peer that died before it acknowledged would send it.
    [again] = peer.emit({"id": once, "eventName": "spine.nightFell"})
    [last] = peer.emit({"eventName": "spine.nightFell"})
    bridged.await_trace("night", last)
    assert again == once
    assert len(bridged.traced("night", once)) == 1
    assert bridged.traced("night", shared) == []


def test_a_required_result_event_waits_for_somebody_who_hears_it(lonely: Spine, peer: Peer) -> None:
    """While nobody does it stays in the outbox; then it arrives, under the id it always had."""
    worker = lonely.stage.worker("tests.acceptance.bridge.lonely_app", "-c", "1")
    job = lonely.client.enqueue(work, 21).job_id
    assert lonely.client.wait(job, 30).status == "completed"
    until(lambda: EventUnroutable.code in worker.text, "it is given back")

    hearer = peer.hear(f"{lonely.stage.namespace}.sub.peer.1.onDone", {"eventName": "lonely.done"})
    [heard] = hearer.heard(1)

    assert heard["message"]["id"] == heard["properties"]["messageId"] == f"{job}:success"
    assert (heard["message"]["payload"]["jobId"], heard["message"]["payload"]["payload"]) == (
        job,
        42,
    )


def test_what_is_no_envelope_is_a_dead_letter_of_its_subscription(
    bridged: Spine, peer: Peer
) -> None:
    """And the next event is heard."""
    bridged.worker()
    peer.emit({"eventName": "spine.nightFell"}, raw="no envelope")
    [good] = peer.emit({"eventName": "spine.nightFell"})
    bridged.await_trace("night", good)
    [letter] = bridged.client.dead_letters("sub.listener.1.night").list()
    assert letter.reason == "undecodable"


def test_beat_fires_on_the_same_exchange(bridged_stage: Stage, peer: Peer) -> None:
    """A peer hears the occurrences of a schedule, with PURISTA's ``schedule`` metadata."""
    stage = bridged_stage
    hearer = peer.hear(f"{stage.namespace}.sub.peer.1.onTick", {**EVENT, "eventName": "ticked"})
    entry = {
        "name": "everySecond",
        "targetKind": "event",
        "targetName": "ticked",
        "targetServiceName": "clock",
        "targetServiceVersion": "1",
        "expression": {"kind": "interval", "everyMs": 1000},
    }
    manifest = stage.directory / "schedules.json"
    manifest.write_text(json.dumps({"version": "1", "schedules": [entry]}))
    with (stage.directory / "beat.log").open("wb") as log:
        beat = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "purista_celery.beat", "beat", "-l", "INFO"],
            env={**stage.environment, "PURISTA_SCHEDULE_MANIFEST": str(manifest)},
            cwd=stage.directory,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        first, second, *_ = hearer.heard(2)
    finally:
        beat.terminate()
        beat.wait(20)
    for heard in (first, second):
        assert heard["message"]["schedule"]["scheduleKey"] == "clock/1/everySecond"
        assert "payload" not in heard["message"]
    assert first["message"]["id"] != second["message"]["id"]
