"""Each duty of the heartbeat stands alone: what one server does is no other's concern."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest
from celery.worker import state

from purista_celery.ledger.keys import workers_key
from purista_celery.runtime.abandoned import give_up_stray
from purista_celery.runtime.fence import FenceMint
from purista_celery.runtime.heartbeat import Announcer, Deliveries, Heartbeat, Leases, Strays
from tests.integration.runtime.main_process import LIFE, Main
from tests.support.waiting import until


def verdicts() -> tuple[list[str], Any]:
    """Return a list, and what puts verdicts into it."""
    found: list[str] = []
    return found, lambda request, verdict, cancelled: found.append(verdict)


def test_a_broker_that_does_not_answer_stops_neither_announcement_nor_lease(main: Main) -> None:
    """Its thread hangs; the worker is alive all the same, and its jobs' leases do not pass."""
    held, _ = main.running(main.enqueue())
    hung, found = threading.Event(), verdicts()
    heartbeat = Heartbeat(main.runtime, lambda tags: hung.wait(60), found[1], print)
    heartbeat._duties[1].renew_all()  # type: ignore[attr-defined]
    key = main.ledger.keys("desk.call").leased
    main.ledger.client.zadd(key, {held.message.id: 1})
    heartbeat.start()
    leases: Any = heartbeat._duties[1]
    until(lambda: leases._renewed, "the job is seen")
    leases.renew_all()

    until(lambda: found[0] == ["held"], "the lease is renewed")
    until(lambda: main.ledger.client.zscore(key, held.message.id) > 1, "it ends later")
    alive = workers_key(main.settings.namespace)
    me = main.runtime.fences.worker_id
    until(lambda: main.ledger.client.zscore(alive, me), "it is announced")
    hung.set()
    heartbeat.stop()
    assert main.ledger.client.zscore(alive, me) is None


def test_all_deliveries_are_renewed_running_or_waiting(main: Main) -> None:
    """For as long as a worker may be silent."""
    found: list[dict[str, float]] = []
    duty = Deliveries(LIFE, found.append)
    duty.look()
    assert found == []
    _, request = main.running(main.enqueue())
    state.active_requests.clear()
    duty.look()
    assert found == [{request.message.delivery_tag: 15.0}]


def test_leases_are_renewed_when_nobody_could_say_that_he_lives(main: Main) -> None:
    """They may have passed meanwhile: after a gap all are renewed, due or not."""
    found, on_verdict = verdicts()
    main.running(main.enqueue())
    leases = Leases(main.runtime, on_verdict)
    announcer = Announcer(main.runtime, leases.renew_all)
    for _ in range(3):
        announcer.look()
        leases.look()
    assert found == []

    main.ledger.client.delete(f"{{{main.settings.namespace}}}:workers:heard")
    announcer._since = 1
    announcer.look()
    leases.look()
    assert found == ["held"]


def test_a_claim_that_the_ledger_has_lost_is_told_again_while_the_job_runs(main: Main) -> None:
    """Or a message that comes again would begin it a second time beside itself."""
    message = main.enqueue()
    held, _ = main.running(message)
    leases = Leases(main.runtime, verdicts()[1])
    leases.look()
    leases.renew_all()
    leases.look()
    keys = main.ledger.keys("desk.call")
    main.ledger.client.delete(keys.job(message.id), keys.leased)

    leases.renew_all()
    leases.look()

    assert main.state_of(message) == "leased"
    assert main.held_by("other", message).fence == held.fence, "another one's claim is refused"


def test_what_the_ledger_takes_for_held_and_is_over_is_given_up(main: Main) -> None:
    """It went back to before the job was settled; nobody else can tell that it does not run."""
    job, running = main.enqueue(max_attempts=5), main.enqueue()
    held, _ = main.running(running)
    over = main.held_by(main.runtime.fences.worker_id, job)
    main.held_by("another", main.enqueue())
    given_up: list[tuple[str, str, str]] = []
    strays = Strays(main.runtime, lambda *what: given_up.append(what))
    strays.look()
    assert given_up == []
    main.runtime.fences.end(over.fence)
    strays.look()
    assert given_up == [("desk.call", job.id, over.fence)]

    give_up_stray(main.runtime, *given_up[0], publish=print)
    give_up_stray(main.runtime, *given_up[0], publish=print)
    assert (main.state_of(job), main.state_of(running)) == ("ready", "leased")
    assert [offer.job_id for offer in main.ledger.take_urgent("desk.call", 10)] == [job.id]
    assert main.app.purista.job(job.id).reason == "outcome_lost"
    assert held.fence != over.fence


def test_what_was_never_held_is_not_told(main: Main) -> None:
    """A message that waits in a worker is no claim."""
    message = main.enqueue()
    _, request = main.running(message)
    main.ledger.client.delete(main.ledger.keys("desk.call").job(message.id))
    leases = Leases(main.runtime, verdicts()[1])
    leases.look()
    leases.renew_all()
    leases.look()
    assert main.state_of(message) is None
    assert request in state.active_requests


@pytest.mark.parametrize("held", [0, 1, 450])
def test_many_leases_are_renewed_in_few_round_trips(main: Main, held: int) -> None:
    """A worker that has reserved thousands of jobs is not late for it."""
    for _ in range(held):
        main.running(main.enqueue())
    found, on_verdict = verdicts()
    leases = Leases(main.runtime, on_verdict)
    leases.look()
    leases.renew_all()
    asked = main.ledger.client.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0)
    leases.look()
    assert found == ["held"] * held
    after = main.ledger.client.info("commandstats")["cmdstat_evalsha"]["calls"]
    assert after - asked == held


def test_a_process_that_is_forked_from_a_compiled_app_is_a_worker_of_its_own() -> None:
    """Two of them would renew, and settle, each other's jobs."""
    mint = FenceMint()
    ours, (reader, writer) = mint.worker_id, os.pipe()
    if (child := os.fork()) == 0:
        os.write(writer, mint.next().encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reader, 200).decode()
    os.close(reader)
    os.close(writer)
    assert ours not in theirs
    assert mint.worker_id == ours
    assert theirs.endswith("/1")
