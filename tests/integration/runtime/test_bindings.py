"""An event becomes the jobs that its bindings named first, all of them and each once."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from purista_celery import Enqueue, EventMessage, Lifecycle, RetryStrategy, Service, Settings
from purista_celery.client import Client
from purista_celery.compiler.app import compile_app
from purista_celery.messages.envelope import Trace
from purista_celery.messages.job import JobMessage
from purista_celery.producer.events import new_event
from purista_celery.runtime import binding
from purista_celery.runtime.execute import Ending
from tests.support.servers import RedisServer

AT_ONCE = RetryStrategy(initial_delay=timedelta(0), max_delay=timedelta(0), jitter_factor=0)
Mapping = Callable[[EventMessage[str]], Any]


@dataclass
class Post:
    """Services that bind one event to one queue, with the mappings that a test gives."""

    url: str
    mappings: list[Mapping]
    namespace: str = field(default_factory=lambda: f"b{uuid.uuid4().hex[:8]}")

    def __post_init__(self) -> None:
        shop = Service("shop")
        self.sold = shop.event("shop.sold", payload=str)
        self.letters = shop.queue("letters", payload=str)
        self.letters.worker()(lambda job: None)
        services = [Service(f"s{number}") for number, _ in enumerate(self.mappings)]
        again = Lifecycle(retry_strategy=AT_ONCE)
        for service, mapping in zip(services, self.mappings, strict=True):
            service.bind(self.sold, to=self.letters, lifecycle=again)(mapping)
        settings = Settings(broker_url=self.url, namespace=self.namespace)
        self.app = compile_app([shop, *services], settings)
        self.runtime = self.app.purista_runtime
        self.queues = [q for q in self.runtime.wiring.queues if q.startswith("sub.")]
        self._fences = itertools.count()

    @property
    def client(self) -> Client:
        return self.app.purista

    def hear(self, queue: str, event_id: str = "e1") -> JobMessage:
        """Store an event as the job of a binding, as the router does."""
        runtime = self.runtime
        event = new_event(
            "shop.sold", "Ada", event_id=event_id, sender=runtime.wiring.sender("shop", "1", "x")
        )
        wired = runtime.wiring.queue(queue)
        message = runtime.producer.message(wired, Enqueue(event.to_wire()), Trace())
        runtime.ledger.enqueue(message)
        return message

    def attempt(self, message: JobMessage) -> Ending:
        """Run one delivery of a binding's job."""
        fence = f"w/{next(self._fences)}"
        return self.runtime.executor.execute(message, fence).ending

    def run(self, event_id: str = "e1") -> None:
        """Let each binding hand the event over."""
        for queue in self.queues:
            assert self.attempt(self.hear(queue, event_id)) is Ending.COMPLETED

    def payloads(self) -> list[str]:
        return sorted(str(job.payload) for job in self.client.jobs(self.letters, 10_000))


@pytest.fixture
def post(runtime_redis: RedisServer) -> Iterator[Callable[..., Post]]:
    """Makes an app whose services have these mappings, one each."""
    made: list[Post] = []

    def make(*mappings: Mapping) -> Post:
        made.append(Post(runtime_redis.url, list(mappings)))
        return made[-1]

    yield make
    for each in made:
        each.app.close()


def fails_once(monkeypatch: pytest.MonkeyPatch, post: Post, after: int, *, stored: int = 0) -> None:
    """Let something fail as part number ``after`` is handed over, ``stored`` jobs into it."""
    hand_over, calls = post.runtime.producer.hand_over, itertools.count()

    def hand_some_over(queue: Any, messages: Any) -> Any:
        if next(calls) == after:
            hand_over(queue, messages[:stored])
            raise ConnectionResetError("gone")
        return hand_over(queue, messages)

    monkeypatch.setattr(post.runtime.producer, "hand_over", hand_some_over)


def test_two_bindings_of_one_event_to_one_queue_each_have_their_jobs(
    post: Callable[..., Post],
) -> None:
    """The second one's job is not taken for a repeat of the first's."""
    both = post(lambda _: Enqueue("customer"), lambda _: [Enqueue("auditor"), Enqueue("archive")])
    both.run()
    assert both.payloads() == ["archive", "auditor", "customer"]


def test_a_key_that_two_bindings_give_is_shared(post: Callable[..., Post]) -> None:
    """Whoever names a key says what is the same job."""
    same = Enqueue("Ada", idempotency_key="letter-1")
    both = post(lambda _: same, lambda _: [same])
    both.run()
    assert both.payloads() == ["Ada"]


def test_an_event_that_is_heard_again_makes_no_more_jobs(post: Callable[..., Post]) -> None:
    """Even where the first job of the binding is forgotten: the keys are the event's."""
    one = post(lambda _: [Enqueue("a"), Enqueue("b")])
    one.run("e1")
    one.run("e1")
    assert one.payloads() == ["a", "b"]
    one.run("e2")
    assert one.payloads() == ["a", "a", "b", "b"]


@pytest.mark.parametrize(("after", "stored"), [(0, 0), (0, 1), (0, 3), (1, 0), (2, 2)])
def test_what_a_mapping_gave_first_is_kept(
    post: Callable[..., Post], monkeypatch: pytest.MonkeyPatch, after: int, stored: int
) -> None:
    """Another attempt stores the rest of the same jobs, wherever the first one ended.

    The mapping gives others in another order, more and fewer of them, and other keys each time.
    """
    asked: list[list[Enqueue[Any, Any]]] = []

    def maps(_: EventMessage[str]) -> list[Enqueue[Any, Any]]:
        first = not asked
        jobs = [
            Enqueue(str(uuid.uuid4()), idempotency_key=uuid.uuid4().hex if number % 2 else None)
            for number in range(9 if first else 12)
        ]
        asked.append(jobs)
        return jobs

    one = post(maps)
    monkeypatch.setattr(binding, "_PART", 1000)  # three parts or more
    message = one.hear(one.queues[0])
    fails_once(monkeypatch, one, after, stored=stored)

    assert one.attempt(message) is Ending.RETRIED
    assert one.attempt(message) is Ending.COMPLETED

    assert len(asked) == 1
    assert one.payloads() == sorted(job.payload for job in asked[0])


def test_what_was_handed_over_is_not_kept_twice(post: Callable[..., Post]) -> None:
    """A large list goes over in parts, and the binding's record is small again afterwards."""
    one = post(lambda _: [Enqueue("x" * 2000) for _ in range(1_000)])
    message = one.hear(one.queues[0])
    assert one.attempt(message) is Ending.COMPLETED
    keys = one.runtime.ledger.keys(one.queues[0])
    record = one.runtime.ledger.client.hgetall(keys.job(message.id))
    assert not [name for name in record if name.startswith("kept:")]
    assert one.client.metrics(one.letters).pending == 1_000
    assert one.client.job(message.id).last_checkpoint == {"jobs": 1_000, "parts": 3}


def test_a_list_that_was_not_kept_as_a_whole_does_not_count(
    post: Callable[..., Post], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No job of it is stored before its last part is written, and so the mapping is asked again."""
    answers = iter([[Enqueue(f"first {n}") for n in range(9)], [Enqueue("second")]])
    one = post(lambda _: next(answers))
    monkeypatch.setattr(binding, "_PART", 1000)
    keep, calls = one.runtime.ledger.keep, itertools.count()

    def keep_some(*what: Any) -> Any:
        if next(calls) == 1:
            raise ConnectionResetError("gone")
        return keep(*what)

    monkeypatch.setattr(one.runtime.ledger, "keep", keep_some)
    message = one.hear(one.queues[0])
    assert one.attempt(message) is Ending.RETRIED
    assert one.payloads() == []
    assert one.attempt(message) is Ending.COMPLETED
    assert one.payloads() == ["second"]


def test_a_mapping_that_failed_is_asked_again(post: Callable[..., Post]) -> None:
    """It gave nothing yet."""
    answers = iter([RuntimeError("database away"), [Enqueue("a")]])

    def maps(_: EventMessage[str]) -> list[Enqueue[Any, Any]]:
        answer = next(answers)
        if isinstance(answer, RuntimeError):
            raise answer
        return answer

    one = post(maps)
    message = one.hear(one.queues[0])
    assert one.attempt(message) is Ending.RETRIED
    assert one.attempt(message) is Ending.COMPLETED
    assert one.payloads() == ["a"]


def test_an_event_may_become_no_job(post: Callable[..., Post]) -> None:
    """None and an empty list name none."""
    none = post(lambda _: None, lambda _: [])
    none.run()
    assert none.payloads() == []
