"""What somebody with publish rights can try, one by one: refused, or without effect."""

from __future__ import annotations

import base64
import json
import re
import uuid
from datetime import timedelta
from pathlib import Path

from celery import signature

from purista_celery import JobStatus
from tests.acceptance.hostile.raw import Raw, body_of, headers_of_a_job, job, publish
from tests.acceptance.spine.conftest import Spine, compiled, forget
from tests.acceptance.spine.services import EVIL, FORGED, patient, work
from tests.acceptance.spine.test_commands import purista
from tests.acceptance.spine.test_intake import ended
from tests.support.processes import staged
from tests.support.servers import RedisServer
from tests.support.waiting import until

#: Would move the cursor, clear the screen, or look like a line of somebody else's.
TERMINAL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def refused(spine: Spine, *messages: Raw) -> dict[bytes, JobStatus]:
    """Return the dead letters that ``messages`` became, by their bytes."""
    letters = spine.client.dead_letters(work)
    until(lambda: len(letters.list()) >= len(messages), lambda: f"all are kept; {spine.logs()}")
    found = {base64.b64decode(letter.raw or ""): letter for letter in letters.list()}
    assert set(found) == {message.body for message in messages}
    return found


def test_no_header_steers_a_job(spine: Spine) -> None:
    """Delays, limits, chains, callbacks and even names of Celery's methods do nothing."""
    spine.worker("-c", "1")
    chained = dict(signature(patient.name, kwargs={}, app=spine.app))
    steering = (
        {"eta": "2999-01-01T00:00:00+00:00"},
        {"expires": "2000-01-01T00:00:00+00:00"},
        {"timelimit": [0.001, 0.001]},
        {"timelimit": "soon"},
        {"callbacks": [chained], "chain": [chained], "chord": chained, "errbacks": [chained]},
        {"get": "x", "update": "x", "clear": 1, "delivery_info": 5},
        {"is_eager": True, "called_directly": True, "args": [1], "kwargs": 5},
        {"purista_fence": "somebody/1", "purista_results": {"events": []}},
        {"shadow": EVIL, "stamps": 5, "stamped_headers": 5, "group": 5},
        {"root_id": {}, "parent_id": 5, "origin": [], "argsrepr": {}, "kwargsrepr": 5},
        {"retries": 10**9 * 10, "ignore_result": False, "reply_to": "somebody"},
    )
    jobs = [headers_of_a_job(**each) for each in steering]
    publish(spine, *(Raw(body_of(job(headers)), headers) for headers in jobs))

    for headers in jobs:
        assert ended(spine, headers["id"]).status == "completed", headers
    assert {line[3] for line in spine.traced("start")} == {headers["id"] for headers in jobs}
    assert spine.client.metrics(patient).completed == 0


def test_a_message_can_name_no_other_queues_task(spine: Spine) -> None:
    """Neither another queue's nor one of Celery's own runs from this queue."""
    spine.worker("-c", "1")
    other = headers_of_a_job(task=patient.name)
    messages = [
        Raw(body_of(job(other, queueName=patient.name)), other),
        Raw(body_of(job(other)) + b" ", other),
        Raw(body_of({"task": {"task": work.name}, "it": []}), headers_of_a_job(task="celery.map")),
    ]
    publish(spine, *messages)

    letters = refused(spine, *messages)

    assert {letter.reason for letter in letters.values()} == {"invalid_payload"}
    assert spine.traced("start") == []


def test_a_message_of_redis_can_not_say_that_it_came_from_elsewhere(redis_spine: Spine) -> None:
    """The routing key within it is not believed: it is kept where it was, or not run."""
    spine = redis_spine
    spine.worker("-c", "1")
    forged = {"delivery_info": {"exchange": "", "routing_key": "a}:*\n"}}
    other = headers_of_a_job(task=patient.name)
    elsewhere = f"{spine.stage.namespace}.job.{patient.name}"
    messages = [
        Raw(b"nonsense", headers_of_a_job(), properties=forged),
        Raw(
            body_of(job(other, queueName=patient.name)),
            other,
            properties={"delivery_info": {"exchange": "", "routing_key": elsewhere}},
        ),
    ]
    publish(spine, *messages)

    refused(spine, *messages)
    assert spine.traced("start") == []


def test_identity_headers_are_not_taken_from_a_message(redis_spine: Spine) -> None:
    """Whatever their case: who a job is for is in the envelope alone."""
    spine = redis_spine
    spine.worker("-c", "1")
    headers = headers_of_a_job()
    forged = {"purista.tenantId": "victim", "PURISTA.PRINCIPALID": "root", "colour": "blue"}
    publish(spine, Raw(body_of(job(headers, payload={"mode": "headers"}, headers=forged)), headers))

    assert ended(spine, headers["id"]).status == "completed"
    [line] = spine.traced("headers")
    assert line[3:] == ["colour"]


def test_a_name_in_a_message_can_not_forge_a_log_line(redis_spine: Spine) -> None:
    """It is refused as it arrives, and what is logged of it is one line without a control."""
    worker = redis_spine.worker("-c", "1")
    messages = []
    for name in ("tenantId", "principalId", "correlationId", "traceId", "id"):
        headers = headers_of_a_job(EVIL if name == "id" else None)
        messages.append(Raw(body_of(job(headers, **{name: EVIL})), headers))
    publish(redis_spine, *messages)

    refused(redis_spine, *messages)
    assert redis_spine.traced("start") == []
    _assert_unforged(worker.text)


def test_a_jobs_error_can_not_forge_a_log_line(spine: Spine) -> None:
    """Neither its message, nor its traceback, nor the reason that a handler gives."""
    worker = spine.worker("-c", "1")
    for mode in ("evil", "evilReason", "evilRetry"):
        receipt = spine.enqueue(mode, max_attempts=1)
        assert spine.client.wait(receipt.job_id, 20).status == "deadLetter"
    until(lambda: worker.text.count("forged") >= 3, "the errors are logged")

    _assert_unforged(worker.text)


def _assert_unforged(log: str) -> None:
    assert TERMINAL.search(log) is None
    assert not any(line.startswith(FORGED) for line in log.splitlines())


def test_names_are_no_keys(redis_spine: Spine) -> None:
    """Braces, colons and stars in keys and tenants stay within them, and can be told apart."""
    spine = redis_spine
    spine.worker("-c", "1")
    namespace = spine.stage.namespace
    names = ("a}b", "{a", "a:b", "a*", f"{{{namespace}:{work.name}}}:dead", "*", "a b", "ü→")
    receipts = {
        name: spine.enqueue(idempotency_key=name, tenant_id=name, correlation_id=name)
        for name in names
    }
    assert len({receipt.job_id for receipt in receipts.values()}) == len(names)
    for name, receipt in receipts.items():
        assert spine.client.wait(receipt.job_id, 20).tenant_id == name
        assert spine.enqueue(idempotency_key=name).job_id == receipt.job_id
    with spine.app.purista_runtime.ledger.client as client:
        keys = set(client.scan_iter(f"{{{namespace}*", count=1000))
    roots = (f"{{{namespace}:", f"{{{namespace}}}:")
    assert all(str(key).startswith(roots) for key in keys)


def test_lua_is_never_made_of_what_comes_from_outside(redis_spine: Spine) -> None:
    """What looks like a script, a command or a format comes back as it went in."""
    spine = redis_spine
    spine.worker("-c", "1")
    code = "'] redis.call('FLUSHALL') --[[ %s {0} ${x} \\u0000 ]]"
    receipt = spine.enqueue(idempotency_key=code, tenant_id=code, headers={code: code})

    status = spine.client.wait(receipt.job_id, 20)

    assert (status.status, status.tenant_id) == ("completed", code)
    assert spine.enqueue(idempotency_key=code).job_id == receipt.job_id
    assert spine.client.cancel(spine.enqueue(delay=timedelta(hours=1)).job_id, code).reason == code


def test_a_dead_letter_shows_the_operator_no_controls(redis_spine: Spine) -> None:
    """``purista dead-letters`` and ``queues`` speak to people, not to their terminals."""
    redis_spine.worker("-c", "1")
    receipt = redis_spine.enqueue("evil", max_attempts=1)
    redis_spine.client.wait(receipt.job_id, 20)
    redis_spine.client.pause(work, EVIL)

    shown = [
        purista(redis_spine, "dead-letters", work.name),
        purista(redis_spine, "queues"),
        purista(redis_spine, "job", receipt.job_id),
    ]

    for text in shown:
        assert "forged" in text
        assert TERMINAL.search(text) is None
        assert not any(line.startswith(FORGED) for line in text.splitlines())


def test_an_unknown_task_with_a_hostile_name_is_kept(redis_spine: Spine) -> None:
    """Its name is quoted in the log, and is part of no key."""
    redis_spine.stage.extra["PURISTA_UNKNOWN_TASK_GRACE"] = "1"
    worker = redis_spine.worker("-c", "1")
    headers = headers_of_a_job(task=EVIL, id=EVIL)
    message = Raw(json.dumps([[], {"x": uuid.uuid4().hex}, {}]).encode(), headers)
    publish(redis_spine, message)

    [letter] = refused(redis_spine, message).values()

    assert letter.reason == "unknown_task"
    assert letter.job_id.isprintable()
    _assert_unforged(worker.text)


def test_no_password_is_in_a_log_or_a_terminal(tmp_path: Path) -> None:
    """Neither while a worker works, nor when its servers refuse the password or are gone."""
    server = RedisServer().start()
    secret, wrong = "hunter2", "hunter3"
    url = server.url.replace("redis://", f"redis://:{secret}@")
    try:
        with server.client() as client:
            client.config_set("requirepass", secret)
        with staged(url, url, tmp_path) as stage:
            spine = compiled(stage)
            worker = spine.worker("-c", "1", "-l", "DEBUG")
            spine.client.wait(spine.enqueue("fail", max_attempts=1).job_id, 20)
            shown = [purista(spine, "queues"), purista(spine, "export", "schedule-manifest")]
            stage.broker_url = stage.ledger_url = url.replace(secret, wrong)
            shown += [purista(spine, "queues", status=1)]
            refused_worker = spine.worker("-c", "1", "-l", "DEBUG", wait=False)
            # It waits, as for any server that does not let it in, and says why.
            until(lambda: "waits for its ledger" in refused_worker.text, "that it is refused")
            server.stop()
            until(lambda: "Connection to broker lost" in worker.text, "and that it has lost it")
            forget(spine)
    finally:
        server.close()
    assert secret not in worker.text
    assert wrong not in refused_worker.text
    assert not any(each in text for each in (secret, wrong) for text in shown)
