"""Real `celery worker` processes on the atomic transport: killed, cut off, controlled."""

from __future__ import annotations

import os

import redis
from transport_support import RedisServer, until

JOBS = 2000


def send(server: RedisServer, name: str, *jobs: tuple) -> None:
    """Publish jobs from this process, over a connection of its own."""
    os.environ["TRANSPORT_TEST_BROKER"] = server.url
    from celery import Celery

    from purista_celery.transport import connection_settings

    app = Celery("sender", set_as_current=False)
    app.conf.update(connection_settings(server.url), task_default_queue="jobs")
    with app.connection_for_write() as connection, connection.Producer() as producer:
        for args in jobs:
            app.send_task(name, args=args, producer=producer)
    app.close()


def left(client: redis.Redis) -> int:
    return client.llen("jobs") + client.hlen("unacked")


def end_leases(client: redis.Redis) -> None:
    """Let every lease of a killed worker end now instead of waiting for it."""
    for tag in client.zrange("unacked_index", 0, -1):
        client.zadd("unacked_index", {tag: 0}, xx=True)


def test_ten_kills_lose_no_job(server, client, start_worker):
    """Ten SIGKILLs of the whole worker while it drains its queue: every job runs."""
    send(server, "transport.mark", *[(number,) for number in range(JOBS)])
    for kill in range(1, 11):
        worker = start_worker("-c", "2", "--loglevel", "WARNING", "--without-mingle")
        share = JOBS * kill // 11
        until(lambda wanted=share: client.scard("done") >= wanted, what=f"{share} jobs")
        worker.kill()
        end_leases(client)
    worker = start_worker("-c", "2", "--loglevel", "WARNING", "--without-mingle")
    until(lambda: left(client) == 0, what="the queue to be empty")
    assert worker.stop() == 0
    assert client.scard("done") == JOBS
    # What was under way is repeated, and nothing more: prefetch and unsent acknowledgements.
    assert int(client.get("runs")) - JOBS < 10 * 100


def test_worker_survives_a_redis_restart(server, client, start_worker):
    """A worker that holds unacknowledged messages reconnects, and all jobs are done."""
    worker = start_worker("-c", "2", "--loglevel", "INFO", TRANSPORT_TEST_LEASE="5")
    send(server, "transport.wait", *[(number,) for number in range(8)])
    until(lambda: client.scard("started") >= 2, what="two jobs to start")
    server.stop()
    until(lambda: "Connection to broker lost" in worker.output, what="the worker to notice")
    server.start()
    client.set("release", 1)
    until(lambda: client.scard("done") == 8 and left(client) == 0, seconds=60, what="all jobs")
    assert worker.process.poll() is None
    assert worker.stop() == 0
    # What ends a worker on Kombu's own transport. (Celery's gossip may log another AttributeError
    # when it is stopped without a connection; that is its own, and harmless.)
    assert "attribute 'hostname'" not in worker.output


def test_warm_shutdown_settles_what_ran_and_returns_the_rest(server, client, start_worker):
    """After SIGTERM no job is left unacknowledged; what was only prefetched is in the queue."""
    worker = start_worker("-c", "1", "--loglevel", "WARNING")
    send(server, "transport.wait", *[(number,) for number in range(4)])
    until(lambda: client.scard("started") == 1)
    worker.process.terminate()
    client.set("release", 1)
    assert worker.stop() == 0
    assert client.hlen("unacked") == client.zcard("unacked_index") == 0
    assert client.llen("jobs") + client.scard("done") == 4


def test_remote_control_and_threads_pool(server, client, start_worker):
    """A worker with threads answers a ping, runs all jobs and leaves nothing unacknowledged."""
    worker = start_worker("-c", "4", "-P", "threads", "--loglevel", "WARNING")
    send(server, "transport.mark", *[(number,) for number in range(200)])
    from celery import Celery

    from purista_celery.transport import connection_settings

    app = Celery("control", set_as_current=False)
    app.conf.update(connection_settings(server.url))
    until(lambda: app.control.ping(timeout=1), what="an answer to the ping")
    until(lambda: client.scard("done") == 200 and left(client) == 0, what="all jobs")
    app.close()
    assert worker.stop() == 0
    assert int(client.get("runs")) == 200


def test_solo_pool_settles_each_job_while_the_next_one_runs(server, client, start_worker):
    """A finished job is acknowledged although the event loop is blocked by the next one."""
    worker = start_worker("-P", "solo", "--loglevel", "WARNING")
    send(server, "transport.mark", (1, 0.3), (2,))
    send(server, "transport.wait", (3,))
    until(lambda: client.sismember("started", 3))
    until(lambda: left(client) == 1, what="jobs 1 and 2 to be acknowledged")
    client.set("release", 1)
    until(lambda: left(client) == 0)
    assert worker.stop() == 0
    assert int(client.get("runs")) == 3
