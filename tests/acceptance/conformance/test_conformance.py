"""The suites that users run, run on what we test with; and that they fail where they should."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from importlib.resources import files

import pytest
import redis
from redis.commands.core import Script

from purista_celery import Settings
from purista_celery.ledger import scripts as ledger_scripts
from purista_celery.schedules import scripts
from purista_celery.testing import (
    CAPABILITY_CASES,
    Bench,
    Case,
    ConformanceFailed,
    all_cases,
)
from tests.support.processes import ROOT
from tests.support.servers import RedisServer


@pytest.mark.parametrize("case", all_cases(), ids=str)
def test_our_servers_keep_each_promise(case: Case, bench: Bench) -> None:
    """Every case passes on Redis and on RabbitMQ."""
    case(bench)


def test_benches_of_a_process_take_turns(redis_server: RedisServer) -> None:
    """The worker of one stops when another's starts; nothing of either stays in the process."""
    settings = Settings(broker_url=redis_server.url, ledger_url=redis_server.url)
    with Bench(settings) as one, Bench(settings) as other:
        for bench in (one, other, one):
            receipt = bench.enqueue("plain")
            bench.start()
            assert bench.ended(receipt).status == "completed"
            assert [t.name for t in threading.enumerate()].count("bench-worker") == 1
    assert socket.getdefaulttimeout() is None


def test_each_capability_has_the_case_that_proves_it() -> None:
    """A flag names cases that exist, and each case says what it promises."""
    cases = {case.name: case for case in all_cases()}
    named = {name for names in CAPABILITY_CASES.values() for name in names}
    assert named <= set(cases)
    assert all(case.promise.endswith(".") for case in cases.values())
    assert len(cases) == len(all_cases())


@dataclass(frozen=True)
class Breakage:
    """A script of which some words are replaced, and the case that must notice, and how."""

    script: str
    words: str
    instead: str
    case: str
    says: str

    def __str__(self) -> str:
        return f"{self.script}-{self.case}-{self.says}"

    def of(self, package: str) -> str:
        """Return the altered script."""
        path = files(package).joinpath("lua", f"{self.script}.lua")
        source = path.read_text("utf-8")
        assert self.words in source
        return source.replace(self.words, self.instead)


BROKEN_LEDGERS = [
    Breakage(
        *("enqueue", "if ARGV[5] == '1' then", "if false then"),
        *("queue-an_idempotency_key_is_one_job", "Expected one job"),
    ),
    Breakage(
        *("enqueue", "due > now and 'scheduled' or 'ready'", "'ready'"),
        *("queue-a_delayed_job_is_not_early", "Expected a delay of"),
    ),
    Breakage(
        *("claim", "redis.call('EXISTS', KEYS[4]) == 1", "false"),
        *("queue-a_paused_queue_stays_paused", "Expected no run while it is paused"),
    ),
    Breakage(
        *("claim", "if state == 'leased' then", "fence = ''\nif false then"),
        *("queue-one_holder_at_a_time", "Expected the verdict 'held'"),
    ),
    Breakage(
        *("claim", "return answer('unknown')", "return answer('settled')"),
        *("queue-a_removed_record_is_made_again", "Expected that it runs"),
    ),
    Breakage(
        *("recall", "if state then\n", "if not state then return {'lost', ''} end if state then\n"),
        *("queue-a_running_job_outlives_its_record", "Expected that its result is heard"),
    ),
    Breakage(
        *("lost", "local waiting = tonumber(ARGV[6])", "local waiting = 0"),
        *("queue-messages_of_an_unserved_queue_do_not_multiply", "Expected 5 messages"),
    ),
    Breakage(
        *("keep", "job[2] ~= ARGV[1]", "false"),
        *("queue-a_late_holder_renews_nothing", "Expected each to be refused"),
    ),
    Breakage(
        *("keep", "if ARGV[i + 1] == ''", "if true"),
        *("event-two_bindings_of_one_event_each_have_their_jobs", "the jobs of both bindings run"),
    ),
    Breakage(
        *("park", "redis.call('ZADD', KEYS[2], now, ARGV[1])", ""),
        *("event-garbage_in_an_inbox_is_kept", "it is among the subscription's dead letters"),
    ),
    Breakage(
        *("complete", "if job[2] ~= ARGV[2]", "if false"),
        *("queue-a_stale_holder_settles_nothing", "Expected each settle to be refused"),
    ),
    Breakage(
        *("complete", "if ARGV[6] ~= '' then", "if false then"),
        *("delivery-a_required_event_outlives_its_worker", "Expected one event in the outbox"),
    ),
    Breakage(
        *("cancel", "'state', 'cancelled'", "'state', 'dead'"),
        *("queue-a_waiting_job_is_cancelled", "Expected status 'cancelled'; came 'deadLetter'"),
    ),
    Breakage(
        *("purge", "redis.call('DEL', KEYS[1])", ""),
        *("queue-a_dead_letter_is_purged", "Expected that it is unknown now"),
    ),
    Breakage(
        *("park", "redis.call('ZADD', KEYS[2], now, ARGV[1])", ""),
        *("queue-an_unreadable_message_is_kept", "the message is among the dead letters"),
    ),
]


@pytest.mark.parametrize("breakage", BROKEN_LEDGERS, ids=str)
def test_a_ledger_that_breaks_its_promise_is_noticed(
    spoilt: Bench, monkeypatch: pytest.MonkeyPatch, breakage: Breakage
) -> None:
    """One altered transition, and the case that it is about fails and says what came instead."""
    read = ledger_scripts._read
    broken = breakage.of("purista_celery.ledger")
    monkeypatch.setattr(
        ledger_scripts, "_read", lambda name: broken if name == breakage.script else read(name)
    )
    altered = getattr(ledger_scripts.Scripts(spoilt.ledger.client), breakage.script)
    monkeypatch.setattr(spoilt.ledger._scripts, breakage.script, altered)

    with pytest.raises(ConformanceFailed, match=re.escape(breakage.says)):
        _case(breakage.case)(spoilt)


BROKEN_SCHEDULERS = [
    Breakage(
        *("lead", "holder and holder ~= ARGV[1]", "false"),
        *("scheduler-a_second_claim_is_refused_meanwhile", "the second beat does not lead"),
    ),
    Breakage(
        *("advance", "redis.call('GET', KEYS[1]) ~= ARGV[1]", "false"),
        *("scheduler-a_stale_claim_completes_nothing", "by a beat that lost the lead to be"),
    ),
    Breakage(
        *("advance", "entry[1] ~= read", "false"),
        *("scheduler-a_stale_claim_completes_nothing", "progress that has moved to be refused"),
    ),
]


@pytest.mark.parametrize("breakage", BROKEN_SCHEDULERS, ids=str)
def test_a_scheduler_that_breaks_its_promise_is_noticed(
    spoilt: Bench, monkeypatch: pytest.MonkeyPatch, breakage: Breakage
) -> None:
    """As for the ledger."""
    load = scripts._load

    def altered(client: redis.Redis, name: str) -> Script:
        if name != breakage.script:
            return load(client, name)
        return client.register_script(breakage.of("purista_celery.schedules"))

    monkeypatch.setattr(scripts, "_load", altered)

    with pytest.raises(ConformanceFailed, match=re.escape(breakage.says)):
        _case(breakage.case)(spoilt)


def test_a_broker_that_loses_events_is_noticed(spoilt: Bench, redis_server: RedisServer) -> None:
    """What vanishes from a subscription's queue while nobody consumes it was not durable."""
    [inbox] = [q for q in spoilt.runtime.inboxes.values() if q.name.endswith(".exact")]
    key = f"{spoilt.settings.namespace}:{inbox.name}"
    stolen, ended = threading.Event(), threading.Event()

    def steal() -> None:
        with redis_server.client() as client:
            while not ended.is_set():
                if client.delete(key):
                    stolen.set()

    thief = threading.Thread(target=steal)
    spoilt.start()
    thief.start()
    try:
        with pytest.raises(ConformanceFailed, match="outlives_its_worker"):
            _case("event-a_subscription_outlives_its_worker")(spoilt)
        assert stolen.is_set()
    finally:
        ended.set()
        thief.join()


def test_the_command_says_what_was_kept_and_leaves_nothing(redis_server: RedisServer) -> None:
    """``python -m purista_celery.testing`` needs no pytest; its exit status is the verdict."""
    with redis_server.client() as client:
        before = {str(key) for key in client.scan_iter("*conformance-*")}
    done = _run("--broker", redis_server.url, "--only", "queue-a_dead_letter")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kept   queue-a_dead_letter_is_purged" in done.stdout
    assert done.stdout.endswith("2 of 2 promises kept\n")
    with redis_server.client() as client:
        left = {str(key) for key in client.scan_iter("*conformance-*")}
    assert left <= before


def test_the_command_names_no_password(redis_server: RedisServer) -> None:
    """A server that is away is a coded error in one line."""
    done = _run("--broker", "redis://:sekret@127.0.0.1:1/0", "--ledger", redis_server.url)
    assert done.returncode == 1
    assert "[PURISTA_BROKER_UNAVAILABLE]" in done.stderr
    assert "sekret" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def _case(name: str) -> Case:
    [case] = [case for case in all_cases() if case.name == name]
    return case


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "purista_celery.testing", *arguments],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=90,
    )
