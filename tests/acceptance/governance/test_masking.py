"""What is marked sensitive reaches its handler, and no text that people read."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest

from purista_celery import Enqueue
from purista_celery.errors import InvalidPayload
from purista_celery.messages.envelope import Trace
from tests.acceptance.governance.services import (
    IBAN,
    PASSWORD,
    PERSON,
    SECRETS,
    TOKEN,
    Account,
    Login,
    attempted,
    hash_of,
    login,
)
from tests.acceptance.spine.conftest import Spine
from tests.support.flower import flower_of, page
from tests.support.processes import ROOT
from tests.support.waiting import until


def enqueue(told: Spine, mode: str) -> str:
    payload = Login(person=PERSON, password=PASSWORD, mode=mode)
    return told.client.enqueue(login, payload, parameter=Account(iban=IBAN)).job_id


def celery(told: Spine, *arguments: str) -> str:
    """Run ``celery -A …`` and return all that it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", told.module, *arguments],
        cwd=ROOT,
        env=told.stage.environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def assert_masked(text: str, *expected: str) -> None:
    """Fail where a secret, or half of one, is in ``text``; or where what should be there is not."""
    for secret in SECRETS:
        assert secret not in text, text
    for word in expected:
        assert word in text, text


@pytest.fixture
def flower(told: Spine) -> Iterator[str]:
    with flower_of(told.stage, told.module) as base:
        yield base


def test_no_log_and_no_page_of_flower_shows_a_secret(told: Spine, flower: str) -> None:
    """At level DEBUG: what is received, logged, returned, retried, and raised with its cause."""
    worker = told.worker("-c", "2", "-l", "DEBUG", "-E")
    ids = {mode: enqueue(told, mode) for mode in ("ok", "fail", "invalid", "retry")}
    told.client.emit(attempted, Login(person=PERSON, password=PASSWORD))
    ended = {mode: told.client.wait(job_id, 30).status for mode, job_id in ids.items()}
    assert ended == {m: "completed" if m == "ok" else "deadLetter" for m in ids}
    for hearer in ("sub.vault.1.typed", "sub.vault.1.pattern"):
        until(
            lambda it=hearer: told.client.metrics(it).dead_letter,
            lambda it=hearer: f"{it}: {told.logs()}",
        )
    slow = enqueue(told, "slow")
    inspect = told.app.control.inspect(timeout=1)
    active = until(lambda: slow in (text := str(inspect.active())) and text, "the job runs")
    assert_masked(active, "'password': '***'", "'iban': '***'")
    told.client.wait(slow, 30)

    assert_masked(
        worker.text,
        "*** logs in with '***'",
        'ValueError: "***" of *** is not welcome',
        "raise ValueError(f",  # the traceback is there, and the handler's own log of its cause
        "KeyError: '***'",
        "input_value=***",
        "again for ***",
    )
    # What the handler got is what was sent.
    assert told.traced("login", ids["ok"], hash_of(PASSWORD), hash_of(IBAN))

    def seen() -> str | None:
        tasks = page(f"{flower}/api/tasks?limit=1000") or ""
        return tasks if tasks.count("FAILURE") == 5 else None

    pages = until(seen, "Flower has seen all")
    pages += "".join(page(f"{flower}/task/{task_id}") or "" for task_id in json.loads(pages))
    assert_masked(pages, "'password': '***'", "'iban': '***'", "'token': '***'")


def test_listings_are_masked_unless_asked_otherwise(redis_told: Spine) -> None:
    """A redriven job has its real payload; output and status are the application's to read."""
    told = redis_told
    told.worker("-c", "1")
    ids = {mode: enqueue(told, mode) for mode in ("ok", "fail")}
    for job_id in ids.values():
        told.client.wait(job_id, 30)
    letters = told.client.dead_letters(login)

    assert_masked(repr(letters.list()), "'password': '***'", "not welcome")
    assert_masked(repr(told.client.jobs(login)), "'iban': '***'")
    assert_masked(celery(told, "purista", "dead-letters", "vault.login"), "*** is not welcome")
    for mode, job_id in ids.items():
        assert_masked(celery(told, "purista", "job", job_id), '"iban": "***"', f'"mode": "{mode}"')
    assert PASSWORD in celery(told, "purista", "job", ids["ok"], "--reveal")

    (letter,) = letters.list(reveal=True)
    real = {"person": PERSON, "password": PASSWORD, "mode": "fail"}
    assert (letter.payload, letter.parameter) == (real, {"iban": IBAN})
    assert told.client.jobs(login, reveal=True)[0].payload == real
    assert letter.last_checkpoint == {"for": IBAN}
    assert told.client.job(ids["ok"]).output == {"token": TOKEN}

    before = len(told.traced("login", ids["fail"], hash_of(PASSWORD)))
    assert letters.redrive() == [ids["fail"]]
    told.await_trace("login", ids["fail"], hash_of(PASSWORD), count=before + 1)


def test_what_is_refused_is_not_repeated(redis_told: Spine) -> None:
    """Neither in an error's text, nor in the causes that a traceback would show."""
    told = redis_told
    import traceback

    weak = {"person": PERSON, "password": f"weak {PASSWORD}"}
    number = {"person": PERSON, "password": [PASSWORD]}
    for wrong in (weak, number):
        with pytest.raises(InvalidPayload) as refused:
            told.client.enqueue(login, wrong, parameter=Account(iban=IBAN))  # type: ignore[arg-type]
        assert_masked("".join(traceback.format_exception(refused.value)), "password: ")


def test_a_message_that_does_not_fit_its_contract_is_masked_too(redis_told: Spine) -> None:
    """Its fields may be misspelt or of another form; the dead letter keeps what came."""
    told = redis_told
    worker = told.worker("-c", "1", "-l", "DEBUG")
    runtime = told.app.purista_runtime
    receipt = told.client.enqueue(
        login,
        Login(person=PERSON, password=PASSWORD),
        parameter=Account(iban=IBAN),
        delay=timedelta(seconds=1.5),
    )
    key = runtime.ledger.keys(login.name).job(receipt.job_id)
    message = json.loads(runtime.ledger.client.hget(key, "message"))
    message["payload"] = {"person": PERSON, "passwort": f"weak {PASSWORD}"}
    message["parameter"] = IBAN
    runtime.ledger.client.hset(key, "message", json.dumps(message))

    assert told.client.wait(receipt.job_id, 30).reason == "invalid_payload"
    (letter,) = told.client.dead_letters(login).list()
    assert letter.payload == {"person": "***", "passwort": "***"}
    assert letter.parameter == "***"
    assert_masked(worker.text + repr(letter), "password: Field required")
    (letter,) = told.client.dead_letters(login).list(reveal=True)
    assert (letter.payload, letter.parameter) == (message["payload"], IBAN)


def test_a_sender_that_knows_of_no_secrets_shows_none(redis_told: Spine) -> None:
    """Such as one of an older release: the worker masks what Celery's tools show of its job."""
    told = redis_told
    told.worker("-c", "1", "-l", "DEBUG", "-E")
    runtime = told.app.purista_runtime
    queue = runtime.wiring.queue(login.name)
    payload = Login(person=PERSON, password=PASSWORD, mode="slow")
    message = runtime.producer.message(queue, Enqueue(payload, Account(iban=IBAN)), Trace())
    told.app.send_task(
        queue.name, kwargs=message.to_kwargs(), task_id=message.id, queue=queue.broker_name
    )
    inspect = told.app.control.inspect(timeout=1)
    active = until(lambda: message.id in (text := str(inspect.active())) and text, told.logs())
    assert_masked(active, "'password': '***'")
    assert_masked(told.logs())
