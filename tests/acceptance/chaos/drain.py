"""Whole workers are killed, one after another, while they drain a backlog."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

from purista_celery import Client, Enqueue, Settings, compile_app
from tests.acceptance.chaos.check import violations
from tests.acceptance.chaos.contracts import Work, steady
from tests.acceptance.chaos.history import Accepted, History, read_trace
from tests.acceptance.chaos.kinds import Kind
from tests.acceptance.chaos.outcome import Outcome
from tests.acceptance.chaos.services import services
from tests.acceptance.chaos.site import APP
from tests.acceptance.chaos.world import records
from tests.support.processes import Stage, staged
from tests.support.servers import RedisServer
from tests.support.waiting import until

#: Jobs handed over in one call.
BATCH = 500
WORKER = ("-c", "2", "--without-mingle", "--without-gossip")
#: Seconds in which the last worker is to finish what the others left.
RECOVERY = 120


def drain(jobs: int, kills: int, seed: int, directory: Path) -> Outcome:
    """Kill ``kills`` workers while they run ``jobs`` short jobs on Redis."""
    server = RedisServer().start()
    try:
        with staged(server.url, server.url, directory) as stage:
            settings = Settings(
                broker_url=server.url, ledger_url=server.url, namespace=stage.namespace
            )
            app = compile_app(services, settings)
            began = time.monotonic()
            accepted = _backlog(app.purista, jobs)
            _kill(stage, app.purista, jobs, kills, random.Random(seed))
            last_kill = time.monotonic()
            _rest(stage, app.purista, jobs)
            app.close()
            runs, _ = read_trace((directory / "trace.log").read_text().splitlines())
            with server.client() as redis:
                history = History(
                    accepted=accepted, runs=runs, jobs=records(redis, stage.namespace)
                )
            ended = time.monotonic()
            return Outcome(
                broker="redis",
                seed=seed,
                seconds=ended - began,
                history=history,
                found=violations(history),
                faults=Counter({Kind.KILL: kills}),
                recovery=ended - last_kill,
                possible=frozenset({Kind.KILL}),
                directory=directory,
            )
    finally:
        server.close()


def _backlog(client: Client, jobs: int) -> tuple[Accepted, ...]:
    return tuple(
        Accepted(receipt.job_id, time.time())
        for start in range(0, jobs, BATCH)
        for receipt in client.enqueue_many(
            steady, [Enqueue(Work()) for _ in range(start, min(jobs, start + BATCH))]
        )
    )


def _kill(stage: Stage, client: Client, jobs: int, kills: int, dice: random.Random) -> None:
    share = jobs // (kills + 2)
    for kill in range(1, kills + 1):
        worker = stage.worker(APP, *WORKER, wait=False)
        goal = share * kill + dice.randrange(share // 3)
        until(
            lambda goal=goal: client.metrics(steady).completed >= goal,  # type: ignore[misc]
            f"{goal} completed",
            timeout=120,
            every=0.001,
        )
        worker.kill()


def _rest(stage: Stage, client: Client, jobs: int) -> None:
    stage.worker(APP, *WORKER)
    deadline = time.monotonic() + RECOVERY
    while client.metrics(steady).completed < jobs and time.monotonic() < deadline:
        time.sleep(0.2)
