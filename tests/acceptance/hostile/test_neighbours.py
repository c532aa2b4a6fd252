"""Whoever else is on the broker: what they put where Celery listens ends no worker."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from kombu import Connection, Exchange, Producer

from purista_celery.errors import InvalidMessage
from tests.acceptance.hostile.raw import Raw, body_of, headers_of_a_job, job, publish
from tests.acceptance.spine.conftest import Spine
from tests.acceptance.spine.services import work
from tests.support.waiting import until

DEEP = b"[" * 100_000 + b"]" * 100_000
GIANT = 10**400
#: Bodies that are no command and no event, and some that nearly are.
BODIES: tuple[bytes, ...] = (
    *(b"5", b"0", b"null", b'"x"', b"[1]", b"[[]]", b"{}", b"", b"\x80\x04\x95.", b"\xff\xfe"),
    *(DEEP, b'{"a":' * 50_000 + b"1" + b"}" * 50_000, b'{"__type__":"os.system","__value__":1}'),
    b'{"__type__":"bytes","__value__":5}',
    b'{"__type__":"decimal","__value__":"x"}',
    *(
        json.dumps(each).encode()
        for each in (
            {"method": 5},
            {"method": None},
            {"method": "ping", "arguments": [1]},
            {"method": "ping", "arguments": "x"},
            {"method": "ping", "reply_to": 7, "ticket": "t"},
            {"method": "ping", "reply_to": {"exchange": "amq.topic", "routing_key": "x"}},
            {"method": "ping", "reply_to": {"exchange": 7, "routing_key": []}, "ticket": {}},
            {"method": "ping", "ticket": {"a": 1}},
            {"method": "ping", "destination": 7},
            {"method": "ping", "pattern": "(", "matcher": "pcre", "arguments": None},
            {"method": "ping", "pattern": 1, "matcher": 2},
            {"method": "ping", "self": 1, "state": 2},
            {"method": "no_such_command", "arguments": {"x": 1}},
            {"method": "revoke", "arguments": {"nothing": []}},
            {"type": 7, "hostname": "h"},
            {"type": "worker-heartbeat"},
            {"type": "worker-heartbeat", "hostname": ["h"], "clock": 1},
            {"type": "worker-heartbeat", "hostname": "h", "clock": "late", "timestamp": 1},
            {"type": "worker-heartbeat", "hostname": "h", "clock": GIANT, "timestamp": 1},
            {"type": "worker-heartbeat", "hostname": "h", "clock": 1, "timestamp": "x"},
            {"type": "worker-heartbeat", "hostname": "h", "clock": 1, "freq": "x", "timestamp": 1},
            {"type": "worker-online", "hostname": "h", "event": 1, "heartbeats": 7, "update": "x"},
            {"type": "worker-elect", "id": [], "hostname": "h", "clock": 1},
            {
                "type": "worker-elect",
                "id": "1",
                "clock": 1,
                "hostname": "h",
                "pid": 1,
                "topic": "task",
                "cver": 1,
                "action": {"task": work.name, "args": [], "kwargs": {}},
            },
        )
    ),
)
HEADERS: tuple[dict[str, Any], ...] = (
    {},
    {"clock": "late"},
    {"clock": 2**62},
    {"hostname": ["h"], "clock": -1},
    {"compression": "zlib"},
    {"compression": "no-such"},
    {"ticket": ["t"], "expires": "never"},
)


def test_garbage_on_broadcast_exchanges_has_no_effect(spine: Spine) -> None:
    """Remote control, the events of other workers, and the answers of those who never were asked.

    Then commands are obeyed, jobs run, and the worker is the one that it was.
    """
    worker = spine.worker("-c", "1", "-E")
    shout(spine)

    until(lambda: obeys(spine), lambda: f"it obeys; {spine.logs()}")
    receipt = spine.enqueue(n=1)
    assert spine.client.wait(receipt.job_id, 20).status == "completed"
    late = spine.worker("-c", "1", wait=False)  # It greets the others, who have heard all that.
    late.ready()
    assert spine.app.control.inspect(timeout=2).ping().keys() >= {
        f"w{number}@{spine.stage.namespace}" for number in (1, 2)
    }
    assert worker.process.poll() is None
    for each in (
        "Unrecoverable",
        "Connection to broker lost",
        "Error in timer",
        "Frequent restarts",
    ):
        assert each not in worker.text, worker.text[-4000:]


def test_a_compressed_message_is_kept_as_it_came(spine: Spine) -> None:
    """Nobody opens it: a few kilobytes may be a gigabyte."""
    worker = spine.worker("-c", "1")
    receipt = spine.enqueue(n=1)
    spine.client.wait(receipt.job_id, 20)
    before = memory(worker.pid)
    headers = headers_of_a_job(compression="application/x-gzip")
    body = body_of(job(headers, payload={"n": 1, "text": "HERE"}))
    bomb = zlib.compress(body.replace(b"HERE", b" " * 400 * 2**20), 9)
    headless = {"compression": "zlib"}
    publish(spine, Raw(bomb, headers), Raw(bomb + b"2", headless))
    [inbox] = [q.name for k, q in spine.app.purista_runtime.inboxes.items() if "sub.spine" in k]
    publish(spine, Raw(bomb, {"compression": "bzip2"}), inbox=inbox)

    letters = spine.client.dead_letters(work)
    until(lambda: len(letters.list()) == 2, lambda: f"both are kept; {spine.logs()}")
    assert {letter.raw for letter in letters.list()} == {
        b64encode(each).decode() for each in (bomb, bomb + b"2")
    }
    assert all("compressed" in (letter.error or "") for letter in letters.list())
    last = spine.enqueue(n=2)
    assert spine.client.wait(last.job_id, 20).status == "completed"
    assert memory(worker.pid) - before < 100, "the worker has opened it"


def test_what_is_larger_than_any_message_of_ours_is_kept_in_part(spine: Spine) -> None:
    """And can not be sent back; a dead letter must not fill the ledger."""
    spine.worker("-c", "1")
    headers = headers_of_a_job()
    publish(spine, Raw(body_of(job(headers, payload={"text": "x" * 30 * 2**20})), headers))

    letters = spine.client.dead_letters(work)
    until(lambda: len(letters.list()) == 1, lambda: f"it is kept; {spine.logs()}")
    [letter] = letters.list()
    assert len(letter.raw or "") < 200_000
    assert "bytes, and" in (letter.error or "")
    with pytest.raises(InvalidMessage, match="can not go back"):
        letters.redrive(letter.job_id)


def test_wrong_values_by_the_ten_thousand_are_said_in_few_words(spine: Spine) -> None:
    """An error for each would be a thousand times the message, in the log and in the ledger."""
    worker = spine.worker("-c", "1")
    headers = headers_of_a_job()
    publish(spine, Raw(body_of(job(headers, headers={f"h{n}": n for n in range(20_000)})), headers))

    letters = spine.client.dead_letters(work)
    until(lambda: len(letters.list()) == 1, lambda: f"it is kept; {spine.logs()}")
    assert len(worker.text) < 20_000


def shout(spine: Spine) -> None:
    """Publish everything everywhere, as a neighbour would that knows the names."""
    if spine.stage.broker_url.startswith("redis"):
        _shout_on_redis(spine)
        return
    conf = spine.app.conf
    exchanges = (
        (f"{conf.control_exchange}.pidbox", ""),
        (conf.event_exchange, "worker.heartbeat"),
        (conf.event_exchange, "worker.elect"),
        (f"reply.{conf.control_exchange}.pidbox", "x"),
    )
    with Connection(spine.stage.broker_url) as connection, connection.channel() as channel:
        Exchange(exchanges[-1][0], type="direct", durable=False)(channel).declare()
        producer = Producer(channel)
        for (exchange, key), body, headers in _combined(exchanges):
            for content_type in ("application/json", "application/x-python-serialize"):
                producer.publish(
                    body,
                    exchange=exchange,
                    routing_key=key,
                    headers=headers,
                    content_type=content_type,
                    content_encoding="utf-8",
                )


def _combined(exchanges: Any) -> Iterator[tuple[Any, bytes, dict[str, Any]]]:
    for exchange in exchanges:
        for number, body in enumerate(BODIES):
            yield exchange, body, HEADERS[number % len(HEADERS)]
            yield exchange, body, {}
        for headers in HEADERS:
            yield exchange, b'{"method":"ping"}', headers


def _shout_on_redis(spine: Spine) -> None:
    conf, namespace = spine.app.conf, spine.stage.namespace
    channels = (
        (f"/0.{conf.control_exchange}.pidbox", ""),
        (f"/0.{conf.event_exchange}/worker.heartbeat", "worker.heartbeat"),
        (f"/0.{conf.event_exchange}/worker.elect", "worker.elect"),
    )
    with redis.Redis.from_url(spine.stage.broker_url) as client:
        heard = [name.decode() for name in client.pubsub_channels("*")]
        patterns = client.pubsub_numpat()
        assert heard or patterns, "somebody listens"
        for (channel, key), body, headers in _combined(channels):
            info = {"exchange": channel.split("/")[1][2:], "routing_key": key}
            item = {
                "body": b64encode(body).decode(),
                "content-encoding": "utf-8",
                "content-type": "application/json",
                "headers": headers,
                "properties": {
                    "body_encoding": "base64",
                    "delivery_info": info,
                    "delivery_tag": "t",
                },
            }
            client.publish(f"{namespace}:{channel}", json.dumps(item))
            client.publish(f"{namespace}:{channel}", body)


def obeys(spine: Spine) -> bool:
    return bool(spine.app.control.inspect(timeout=2).ping())


def memory(pid: int) -> float:
    """Return the most that a process has ever taken, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024
