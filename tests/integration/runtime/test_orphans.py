"""What a deploy removed is found, told of, and moved or purged when somebody asks for it."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from amqp.exceptions import NotFound
from click.testing import CliRunner
from kombu.exceptions import ChannelError

from purista_celery import Enqueue, ResultEvents, Service, Settings, compile_app
from purista_celery.cli.commands import purista
from purista_celery.compiler.app import CompiledApp
from purista_celery.errors import QueueInUse, UnknownQueue
from purista_celery.ledger.registry import Registry
from purista_celery.messages.envelope import Trace
from purista_celery.messages.job import JobMessage
from purista_celery.producer.events import new_event
from purista_celery.runtime.execute import Ending
from purista_celery.runtime.moving import Moved
from purista_celery.runtime.orphans import OrphanWatch
from purista_celery.runtime.runtime import Runtime
from tests.support.servers import RedisServer, require_rabbitmq

HOUR = timedelta(hours=1)


class Deploys:
    """Deploys of one application, one after the other; each is an app with or without a part."""

    def __init__(self, broker: str, ledger: str) -> None:
        self.settings = Settings(
            broker_url=broker, ledger_url=ledger, namespace=f"o{uuid.uuid4().hex[:8]}"
        )
        self.apps: list[CompiledApp] = []

    def old(self) -> CompiledApp:
        """With a queue and a subscription that the next one does not have."""
        shop = Service("shop")
        sold = shop.event("shop.sold", payload=str)
        letters = shop.queue("letters", payload=str, results=ResultEvents(success="letter.sent"))
        letters.worker()(lambda job: None)
        shop.subscribe(sold, name="old")(lambda event: None)
        return self.deploy(shop)

    def new(self) -> CompiledApp:
        """Without them, and with others in their place."""
        shop = Service("shop")
        sold = shop.event("shop.sold", payload=str)
        posts = shop.queue("posts", payload=str)
        numbers = shop.queue("numbers", payload=int)
        for queue in (posts, numbers):
            queue.worker()(lambda job: None)
        shop.subscribe(sold, name="new")(lambda event: None)
        return self.deploy(shop)

    def deploy(self, service: Service) -> CompiledApp:
        self.apps.append(compile_app([service], self.settings))
        return self.apps[-1]

    def close(self) -> None:
        for app in self.apps:
            with app.connection_for_write() as connection:
                names = [q.name for q in app.purista_runtime.inboxes.values()]
                names += [q.broker_name for q in app.purista_runtime.wiring.queues.values()]
                for name in names:
                    with connection.channel() as channel:
                        channel.queue_delete(name)
                with connection.channel() as channel:
                    app.purista_runtime.publisher.bridge.exchange(channel).delete()
            app.close()


@pytest.fixture(params=["redis", "rabbitmq"])
def deploys(runtime_redis: RedisServer, request: pytest.FixtureRequest) -> Iterator[Deploys]:
    """On each broker."""
    redis = request.param == "redis"
    made = Deploys(runtime_redis.url if redis else require_rabbitmq(), runtime_redis.url)
    yield made
    made.close()


def serving(runtime: Runtime) -> OrphanWatch:
    """Let a worker live and say what it serves."""
    runtime.ledger.workers.announce(runtime.fences.worker_id, HOUR)
    watch = OrphanWatch(runtime)
    watch.look()
    return watch


def gone(runtime: Runtime) -> None:
    """Let it go in good order."""
    Registry(runtime.ledger).retire(runtime.fences.worker_id)
    runtime.ledger.workers.retire(runtime.fences.worker_id)


def left_behind(deploys: Deploys) -> CompiledApp:
    """Return the old app, gone, with a delayed and a waiting job, and an event in its inbox."""
    old = deploys.old()
    serving(old.purista_runtime)
    letters = old.purista_runtime.wiring.queue("letters").declared
    assert letters is not None
    old.purista.enqueue(letters, "later", delay=HOUR)
    old.purista.enqueue(letters, "now")
    [sold] = [s.events["shop.sold"] for s in old.purista_runtime.services]
    old.purista.emit(sold, "Ada", event_id="e1")
    gone(old.purista_runtime)
    return old


SUBSCRIPTION = "sub.shop.1.old"


def test_a_removed_queue_and_subscription_are_listed(deploys: Deploys) -> None:
    """With what waits there; not while a worker lives, nor where they are still declared."""
    old = deploys.old()
    serving(old.purista_runtime)
    new = deploys.new()
    assert new.purista.orphans.list() == []
    gone(old.purista_runtime)
    assert old.purista.orphans.list() == []

    left_behind(deploys)
    found = {each.name: each for each in new.purista.orphans.list()}
    assert found.keys() == {"letters", SUBSCRIPTION}
    assert (found["letters"].kind, found["letters"].pending) == ("queue", 2)
    assert (found[SUBSCRIPTION].kind, found[SUBSCRIPTION].inbox) == ("subscription", 1)
    assert all(each.served_until is not None for each in found.values())
    assert all(
        (each.service_name, each.service_version) == ("shop", "1") for each in found.values()
    )


def test_a_queue_that_only_a_producer_knows_is_listed(deploys: Deploys) -> None:
    """It has never had a worker."""
    service = Service("lonely")
    queue = service.queue("lonely", payload=None)
    app, new = deploys.deploy(service), deploys.new()
    assert new.purista.orphans.list() == []
    app.purista.enqueue(queue, None)
    [orphan] = new.purista.orphans.list()
    assert (orphan.name, orphan.pending, orphan.served_until) == ("lonely", 1, None)
    assert "never served" in str(orphan)


def test_namespaces_do_not_see_each_others(runtime_redis: RedisServer) -> None:
    """Each has a registry of its own."""
    first, second = (Deploys(runtime_redis.url, runtime_redis.url) for _ in range(2))
    left_behind(first)
    assert second.new().purista.orphans.list() == []
    assert len(first.new().purista.orphans.list()) == 2
    for each in (first, second):
        each.close()


def test_a_killed_workers_queues_are_orphans_once_it_is_taken_for_dead(deploys: Deploys) -> None:
    """It did not say that it goes."""
    old, new = deploys.old(), deploys.new()
    serving(old.purista_runtime)
    runtime = old.purista_runtime
    runtime.ledger.client.hset(
        f"{{{runtime.ledger.namespace}}}:queues:servers",
        runtime.fences.worker_id,
        '{"at": 0, "queues": ["letters"]}',
    )
    assert "letters" not in {each.name for each in new.purista.orphans.list()}
    runtime.ledger.workers.announce(runtime.fences.worker_id, timedelta(0))
    assert "letters" in {each.name for each in new.purista.orphans.list()}


def test_a_worker_warns_of_what_nobody_serves(
    deploys: Deploys, caplog: pytest.LogCaptureFixture
) -> None:
    """Once as it starts, of what it finds later, and again only after hours."""
    left_behind(deploys)
    new = deploys.new()
    with caplog.at_level(logging.WARNING, logger="purista_celery.runtime.orphans"):
        watch = serving(new.purista_runtime)
        told = [record.getMessage() for record in caplog.records]
        assert len(told) == 2
        assert any("letters (queue of shop 1): 2 pending" in each for each in told)
        assert any("1 events in its inbox" in each for each in told)
        assert all("celery purista orphans" in each for each in told)
        for _ in range(35):
            watch.look()
        assert len(caplog.records) == 2
        watch.look()
        assert len(caplog.records) == 4


def test_a_worker_does_not_warn_of_what_is_empty(
    deploys: Deploys, caplog: pytest.LogCaptureFixture
) -> None:
    """A queue that was removed after it was drained is nobody's trouble."""
    old = deploys.old()
    serving(old.purista_runtime)
    gone(old.purista_runtime)
    with caplog.at_level(logging.WARNING, logger="purista_celery.runtime.orphans"):
        serving(deploys.new().purista_runtime)
    assert caplog.records == []


def test_jobs_are_moved_to_another_queue(deploys: Deploys) -> None:
    """With their ids, due times and checkpoints; again, nothing is moved twice."""
    old = left_behind(deploys)
    runtime, letters = old.purista_runtime, old.purista_runtime.wiring.queue("letters")
    held = runtime.producer.message(letters, Enqueue("held"), Trace())
    runtime.ledger.enqueue(held)
    runtime.ledger.claim("letters", held.id, fence="w/1", worker="w", lease=HOUR, longest_hold=HOUR)
    runtime.ledger.report("letters", held.id, "w/1", "checkpoint", {"page": 7})
    before = {job.job_id: job for job in old.purista.jobs("letters")}
    new = deploys.new()
    assert new.purista.orphans.move("letters", "posts") == Moved(jobs=3)
    assert new.purista.orphans.move("letters", "posts") == Moved()
    after = {job.job_id: job for job in new.purista.jobs("posts")}
    assert after.keys() == before.keys()
    assert {job.payload for job in after.values()} == {"later", "now", "held"}
    later = next(job for job in after.values() if job.payload == "later")
    assert later.scheduled_at == before[later.job_id].scheduled_at
    assert after[held.id].last_checkpoint == {"page": 7}
    assert new.purista.job(held.id).status == "pending"
    assert runtime.ledger.extend("letters", held.id, "w/1", HOUR)[0] != "held"


def test_what_a_live_worker_holds_is_not_moved(deploys: Deploys) -> None:
    """It may be about to end."""
    old = left_behind(deploys)
    runtime = old.purista_runtime
    held = runtime.producer.message(runtime.wiring.queue("letters"), Enqueue("held"), Trace())
    runtime.ledger.enqueue(held)
    runtime.ledger.workers.announce("w", HOUR)
    runtime.ledger.claim("letters", held.id, fence="w/1", worker="w", lease=HOUR, longest_hold=HOUR)
    new = deploys.new()
    assert new.purista.orphans.move("letters", "posts").jobs == 2
    assert runtime.ledger.held("letters", held.id) is not None


def test_what_the_other_queue_does_not_take_stays(deploys: Deploys) -> None:
    """A text is no number, and an event is no job."""
    left_behind(deploys)
    new = deploys.new()
    assert new.purista.orphans.move("letters", "numbers") == Moved(left=2)
    assert new.purista.orphans.move(SUBSCRIPTION, "posts") == Moved()
    found = {each.name: each for each in new.purista.orphans.list()}
    assert (found["letters"].pending, found[SUBSCRIPTION].inbox) == (2, 1)


def test_dead_letters_are_moved_only_if_asked_for(deploys: Deploys) -> None:
    """They have failed for good; one that was no job stays."""
    old = left_behind(deploys)
    ledger = old.purista_runtime.ledger
    dead = old.purista_runtime.producer.message(
        old.purista_runtime.wiring.queue("letters"), Enqueue("dead"), Trace()
    )
    ledger.enqueue(dead)
    ledger.bury("letters", dead.id, "", reason="no", keep_key=HOUR)
    new = deploys.new()
    assert new.purista.orphans.move("letters", "posts").jobs == 2
    assert new.purista.orphans.move("letters", "posts", dead_letters=True).jobs == 1
    assert new.purista.job(dead.id).queue_name == "posts"


def test_events_are_moved_to_another_subscription_each_once(deploys: Deploys) -> None:
    """Those of the inbox and those that were jobs already; one that it has heard itself, too."""
    old = left_behind(deploys)
    router_job(old.purista_runtime, SUBSCRIPTION, "e2")
    new = deploys.new()
    router_job(new.purista_runtime, "sub.shop.1.new", "e1")
    moved = new.purista.orphans.move(SUBSCRIPTION, "sub.shop.1.new")
    assert moved == Moved(jobs=1, events=1)
    heard = [job.payload["id"] for job in new.purista.jobs("sub.shop.1.new")]
    assert sorted(heard) == ["e1", "e2"]
    for job in new.purista.jobs("sub.shop.1.new"):
        text = new.purista_runtime.ledger.message("sub.shop.1.new", job.job_id)
        ending = execute(new.purista_runtime, text)
        assert ending is Ending.COMPLETED


def test_result_events_that_were_left_are_published(
    deploys: Deploys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A required one is never lost."""
    left_behind(deploys)
    new = deploys.new()
    runtime, published = new.purista_runtime, []
    event = {
        "id": "r1",
        "timestamp": 1,
        "eventName": "letter.sent",
        "payload": None,
        "sender": {
            "serviceName": "a",
            "serviceVersion": "1",
            "serviceTarget": "b",
            "instanceId": "c",
        },
    }
    keys = runtime.ledger.keys("letters")
    runtime.ledger.client.hset(keys.outbox, "r1", json.dumps(event))
    runtime.ledger.client.zadd(keys.outbox_times, {"r1": 1})
    publish = runtime.publisher.publish
    monkeypatch.setattr(
        runtime.publisher, "publish", lambda e, **o: (published.append(e.id), publish(e, **o))
    )
    new.purista.orphans.move("letters", "posts")
    assert published == ["r1"]
    assert new.purista.metrics("letters").outbox == 0


def test_a_purged_queue_is_gone_and_hears_nothing_any_more(deploys: Deploys) -> None:
    """Its jobs, its inbox with its binding, and what the registry knew."""
    old = left_behind(deploys)
    new = deploys.new()
    assert new.purista.orphans.purge("letters").pending == 2
    assert new.purista.orphans.purge(SUBSCRIPTION).inbox == 1
    assert new.purista.orphans.list() == []
    client, namespace = old.purista_runtime.ledger.client, deploys.settings.namespace
    assert not list(client.scan_iter(f"{{{namespace}:letters}}*"))
    # A process that knows the new subscription alone emits, and only that hears it.
    [service] = new.purista_runtime.services
    new.purista.emit(service.events["shop.sold"], "Eve")
    inbox = old.purista_runtime.inboxes[SUBSCRIPTION].name
    assert depth(new, inbox) is None
    assert depth(new, new.purista_runtime.inboxes["sub.shop.1.new"].name) == 1


def test_what_is_in_use_is_neither_moved_nor_purged(deploys: Deploys) -> None:
    """Nor what nobody knows."""
    old, new = deploys.old(), deploys.new()
    serving(old.purista_runtime)
    asks: list[Callable[[str], Any]] = [
        new.purista.orphans.purge,
        lambda name: new.purista.orphans.move(name, "posts"),
    ]
    for ask in asks:
        with pytest.raises(QueueInUse, match="served by a live worker"):
            ask("letters")
        with pytest.raises(QueueInUse, match="declared by a service of this app"):
            ask("posts")
        with pytest.raises(UnknownQueue, match="'nowhere' is not known to the ledger"):
            ask("nowhere")


def test_the_commands_list_move_and_purge(
    deploys: Deploys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``purista queues`` shows them too; a purge shows what it deletes, and asks."""
    left_behind(deploys)
    new = deploys.new()

    def run(*arguments: str, answer: str = "") -> str:
        context = type("Context", (), {"app": new})()
        done = CliRunner().invoke(purista, arguments, obj=context, input=answer)
        assert done.exit_code in (0, 1), done.output
        return done.output

    shown = "orphan letters (queue of shop 1): 2 pending"
    assert shown in run("queues")
    assert "letters (queue of shop 1): 2 pending, 0 in flight" in run("orphans")
    assert (
        run("orphans", "letters", "--move-to", "numbers") == "0 jobs and 0 events moved, 2 left\n"
    )
    assert "Aborted" in run("orphans", "letters", "--purge", answer="n\n")
    assert shown in run("queues")
    assert "2 jobs, dead letters and events are gone" in run(
        "orphans", "letters", "--purge", "--yes"
    )
    assert shown not in run("queues")
    wrong = CliRunner().invoke(purista, ["orphans", "letters"])
    assert wrong.exit_code == 2


def depth(app: CompiledApp, name: str) -> int | None:
    """Return how many messages wait in a broker queue; None where there is none."""
    with app.connection_for_read() as connection, connection.channel() as channel:
        try:
            return int(channel.queue_declare(name, passive=True).message_count)
        except (ChannelError, NotFound):
            return None


def router_job(runtime: Runtime, queue: str, event_id: str) -> None:
    """Store an event as a subscription's job, as the router does."""
    event = new_event(
        "shop.sold", "Ada", event_id=event_id, sender=runtime.wiring.sender("shop", "1", "x")
    )
    job: Enqueue[Any, Any] = Enqueue(event.to_wire(), idempotency_key=event_id)
    runtime.producer.enqueue(runtime.wiring.queue(queue), job, Trace())


def execute(runtime: Runtime, text: str | None) -> Ending:
    message = JobMessage.from_wire(text)
    return runtime.executor.execute(message, f"w/{message.id}").ending
