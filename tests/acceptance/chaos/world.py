"""A world for faults: servers, workers, a beat and producers, each over lines of its own."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from celery import Celery
from redis import Redis

from purista_celery import JobStatus
from purista_celery.ledger.reading import status_of
from tests.acceptance.chaos.history import History, Ordeal, read_accepted, read_trace
from tests.acceptance.chaos.kinds import Kind
from tests.acceptance.chaos.posts import Post, ProcessPost, living_orphans
from tests.acceptance.chaos.producers import Notebook
from tests.acceptance.chaos.sampler import Sampler
from tests.acceptance.chaos.servers import RedisPost
from tests.acceptance.chaos.site import PLACES, Site
from tests.support.processes import Stage
from tests.support.rabbitmq import RabbitServer, SharedRabbit
from tests.support.waiting import until


@dataclass
class World:
    """Where faults happen, and what is remembered of it."""

    stage: Stage
    ledger: RedisPost
    posts: dict[str, Post]
    #: For producers, over lines that can be cut.
    app: Celery
    sampler: Sampler
    book: Notebook = field(default_factory=Notebook)
    rabbit: RabbitServer | SharedRabbit | None = None
    began: float = field(default_factory=time.time)
    #: What was done to the posts.
    ordeals: list[Ordeal] = field(default_factory=list)
    _crashes: list[str] = field(default_factory=list)

    @property
    def faults(self) -> dict[str, tuple[Kind, ...]]:
        """What can go wrong at each post."""
        return {name: post.kinds for name, post in self.posts.items()}

    def calm(self) -> None:
        """Let the last of the producers end."""
        outsider = self.posts.get("outsider")
        if isinstance(outsider, ProcessPost):
            outsider.retire()

    def history(self, ended: float, *, at_rest: bool = False) -> History:
        """Return what has happened so far; the schedule is looked at from start to ``ended``.

        Args:
            at_rest: no fault is under way, so that what is left on the broker can be counted.
        """
        self._crashes += living_orphans(self.posts)
        posts = [post for post in self.posts.values() if isinstance(post, ProcessPost)]
        for post in posts:
            post.look()
        trace = self.stage.directory / "trace.log"
        lines = trace.read_text().splitlines() if trace.exists() else []
        runs, heard = read_trace(lines)
        ticks = [each.occurrence for each in heard if each.occurrence is not None]
        return History(
            accepted=(*self.book.accepted, *read_accepted(lines)),
            emitted=tuple(emitted := dict(self.book.emitted)),
            emitted_at=emitted,
            cancelled=tuple(self.book.cancelled),
            runs=runs,
            heard=heard,
            jobs=self._records(),
            ticking=(min(ticks, default=self.began), ended) if "beat" in self.posts else None,
            crashes=(*self._crashes, *(crash for post in posts for crash in post.crashes)),
            raw=tuple(self.book.raw),
            ordeals=tuple(self.ordeals),
            samples=tuple(self.sampler.samples),
            left=self.sampler.left() if at_rest else {},
        )

    def _records(self) -> dict[str, JobStatus]:
        with self.ledger.client() as client:
            return records(client, self.stage.namespace)


def records(client: Redis, namespace: str) -> dict[str, JobStatus]:
    """Return all jobs that a ledger has a record of."""
    keys = list(client.scan_iter(f"{{{namespace}:*}}:job:*", count=1000))
    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.hgetall(key)
    found = {}
    for key, record in zip(keys, pipe.execute(), strict=True):
        queue, job_id = key.removeprefix(f"{{{namespace}:").split("}:job:")
        found[job_id] = status_of(queue, job_id, record)
    return found


@contextmanager
def world(broker: str, directory: Path, without: Collection[str] = ()) -> Iterator[World]:
    """Provide a world on servers of its own.

    Args:
        broker: one of :data:`BROKERS`.
        without: posts that are to stay empty.
    """
    with ExitStack() as stack:
        site = Site(broker, directory, stack)
        producers = site.producers()
        app = site.app(producers)
        posts = {**site.servers, "producers": producers}
        for name, place in PLACES.items():
            if name not in without:
                posts[name] = site.process(name, place)
            if name == "outsider" and name not in without:
                _await_outsider(directory)
        sampler = Sampler(site.messages, site.ledger.client)
        stack.callback(sampler.stop)
        yield World(site.stage, site.ledger, posts, app, sampler, rabbit=site.rabbit)


def _await_outsider(directory: Path) -> None:
    """Wait until something was accepted that no worker has ever heard of."""
    trace = directory / "trace.log"
    until(
        lambda: trace.exists() and " accepted " in trace.read_text(),
        f"a producer without workers got a receipt; logs are in {directory}",
        timeout=60,
    )
