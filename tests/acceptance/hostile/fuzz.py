"""A seeded source of messages that no worker must run: each breaks what a job's message has to be.

What is broken is drawn at random, and so is what surrounds it. Bodies differ by spaces at their
end, so that each is found again among the dead letters.
"""

from __future__ import annotations

import json
import random
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

from celery.app.task import Context

from tests.acceptance.hostile.raw import Raw, body_of, headers_of_a_job, job

#: Celery's own tasks, and another queue's; a worker of the spine knows them all.
FOREIGN_TASKS = ("celery.map", "celery.chain", "celery.backend_cleanup", "spine.patient")
#: Names that Celery makes attributes of a task's request.
STEERING = sorted(name for name in vars(Context) if not name.startswith("__"))
CONTENT_TYPES = (
    "application/x-python-serialize",
    "application/x-yaml",
    "application/x-msgpack",
    "application/octet-stream",
    "text/plain",
    "application/json\x1b[2J",
)
REVIVED = (
    {"__type__": "decimal", "__value__": "1e999999999"},
    {"__type__": "datetime", "__value__": "2026-01-01T00:00:00"},
    {"__type__": "uuid", "__value__": {"hex": "0" * 32}},
    {"__type__": "bytes", "__value__": 5},
    {"__type__": "os.system", "__value__": "true"},
)


class Fuzz:
    """Makes hostile messages from a seed."""

    def __init__(self, seed: int, *, redis: bool) -> None:
        self._random = random.Random(seed)
        self._redis = redis

    def messages(self, count: int) -> Iterator[Raw]:
        """Yield ``count`` of them; each kind comes about equally often."""
        kinds: list[Callable[[], Raw]] = [
            *(self._body, self._nested, self._number, self._field, self._embedded),
            *(self._task, self._identity, self._content, self._revived),
            *([self._item] if self._redis else []),
        ]
        for number in range(count):
            message = kinds[number % len(kinds)]()
            if message.item is None:
                message.body += b" " * number
            yield message

    def steered(self) -> Raw:
        """Return a job that can be run, with headers that would steer it elsewhere."""
        headers = headers_of_a_job()
        for name in self._random.sample(STEERING, 5):
            if name not in ("id", "retries"):
                headers[name] = self._value()
        return Raw(body_of(job(headers)), headers)

    def _raw(self, keywords: Any = None, headers: Any = None, **parts: Any) -> Raw:
        headers = headers or headers_of_a_job()
        if self._random.random() < 0.3:
            headers[self._random.choice(("x-note", "eta", "chain", "get", "\x1b]0;x\x07"))] = (
                self._value()
            )
        return Raw(body_of(keywords or job(headers), **parts), headers)

    def _value(self, depth: int = 2) -> Any:
        scalars = [None, True, -1, 2**40, "", "\n[CRITICAL] forged\x1b[31m", "9" * 300, 1.5]
        if depth == 0 or self._random.random() < 0.5:
            return self._random.choice(scalars)
        if self._random.random() < 0.5:
            return [self._value(depth - 1) for _ in range(self._random.randrange(3))]
        return {str(key): self._value(depth - 1) for key in range(self._random.randrange(3))}

    def _body(self) -> Raw:
        raw = self._raw()
        whole = raw.body
        raw.body = self._random.choice(
            (
                b"",
                self._random.randbytes(self._random.randrange(1, 200)),
                whole[: self._random.randrange(1, len(whole) - 2)],
                whole.decode().encode("utf-16"),
                b"\xef\xbb\xbf" + whole,
                b"5",
                b"null",
                b"[]",
                b"[[],{},{},{}]",
                b'["args","kwargs","embed"]',
                b'{"args":[],"kwargs":{},"task":"spine.work","id":"x"}',
                b"\x80\x04\x95.",
                whole[:-1],
                whole + b"}",
            )
        )
        return raw

    def _nested(self) -> Raw:
        headers = headers_of_a_job()
        depth = self._random.choice((300, 700, 900, 950, 990, 5_000, 100_000))
        opening, closing = self._random.choice(((b"[", b"]"), (b'{"a":', b"}")))
        deep = opening * depth + b"1" + closing * depth
        where = self._random.choice(("payload", "parameter", "unknown", "headers"))
        text = body_of(job(headers, **{where: "HERE"}))
        return Raw(text.replace(b'"HERE"', deep), headers)

    def _number(self) -> Raw:
        headers = headers_of_a_job()
        number = self._random.choice((b"NaN", b"Infinity", b"-Infinity", b"1e999", b"9" * 5_000))
        where = self._random.choice(("payload", "parameter", "unknown", "createdAt"))
        return Raw(body_of(job(headers, **{where: "HERE"})).replace(b'"HERE"', number), headers)

    def _field(self) -> Raw:
        headers = headers_of_a_job()
        broken = self._random.choice(
            (
                {"createdAt": 10**400},
                {"createdAt": -1},
                {"scheduledAt": 2**63},
                {"scheduledAt": "soon"},
                {"maxAttempts": 0},
                {"maxAttempts": 10**30},
                {"priority": 10},
                {"idempotencyKey": "k" * 5_000},
                {"idempotencyKey": "}:*\n"},
                {"tenantId": "t\r\n[2026-01-01 00:00:00,000: CRITICAL/MainProcess] forged"},
                {"traceId": "\x1b[2J\x9b31m"},
                {"correlationId": ["a"]},
                {"headers": {"a": "b" * 10_000}},
                {"headers": {str(n): "" for n in range(100)}},
                {"headers": {"a\n": "b"}},
                {"headers": {"a": {}}},
                {"queueName": "spine.patient"},
                {"queueName": None},
                {"payload": "\ud800"},
            )
        )
        return Raw(body_of(job(headers, **broken)), headers)

    def _embedded(self) -> Raw:
        signature = {"task": "spine.patient", "args": [], "kwargs": {}, "options": {}}
        if self._random.random() < 0.3:
            return self._raw(arguments=[self._random.choice((1, "args", {}))])
        embedded = self._random.choice(
            (
                *({name: [signature]} for name in ("callbacks", "errbacks", "chain")),
                {"chord": signature},
                ["callbacks"],
                "args",
                1,
            )
        )
        return self._raw(embedded=embedded)

    def _task(self) -> Raw:
        task = self._random.choice((*FOREIGN_TASKS, {"a": 1}, ["spine.work"], None, 7))
        headers = headers_of_a_job(task=task)
        if self._random.random() < 0.2:
            del headers["task"]
        return Raw(body_of(job(headers)), headers)

    def _identity(self) -> Raw:
        headers = headers_of_a_job()
        keywords = job(headers)
        hostile = self._random.choice(
            ("", "a" * 2_000, "a\n[CRITICAL] forged", "\x1b[2J", "a\u2028b", 7, None, {}, ["x"])
        )
        headers["id"] = hostile
        if self._random.random() < 0.7:
            keywords["id"] = hostile
        elif self._random.random() < 0.5:
            del headers["id"]
        return Raw(body_of(keywords), headers)

    def _content(self) -> Raw:
        raw = self._raw()
        choice = self._random.randrange(3)
        if choice == 0:
            raw.content_type = self._random.choice(CONTENT_TYPES)
        elif choice == 1:
            raw.headers["compression"] = self._random.choice(("zlib", "bzip2", "nonsense"))
        else:
            raw.body = body_of(job(headers_of_a_job()))
            raw.content_type, raw.content_encoding = "application/x-yaml", "no-such-encoding"
        return raw

    def _revived(self) -> Raw:
        headers = headers_of_a_job()
        where = self._random.choice(("payload", "createdAt", "unknown"))
        return Raw(body_of(job(headers, **{where: self._random.choice(REVIVED)})), headers)

    def _item(self) -> Raw:
        garbage = self._random.randbytes(40)
        opaque = (
            garbage,
            json.dumps([garbage.hex()]).encode(),
            b"[" * 5_000 + garbage.hex().encode(),
            json.dumps({"body": 1, "properties": {}, "x": garbage.hex()}).encode(),
            json.dumps({"body": "x", "properties": [], "x": garbage.hex()}).encode(),
            json.dumps({"__type__": "decimal", "__value__": garbage.hex()}).encode(),
        )
        half = "\ud800" + garbage.hex()
        forged = {"routing_key": "a}:dead", "exchange": {}, "consumer_tag": [], "redelivered": "x"}
        properties = {"delivery_info": forged, "body_encoding": "base64", "priority": []}
        shaped = (
            (half.encode("utf-8", "surrogatepass"), {"body": half, "properties": {}}),
            (garbage, {"body": b64encode(garbage).decode(), "properties": properties}),
            (
                garbage,
                {
                    "body": b64encode(garbage).decode(),
                    "headers": {"task": {}, "id": self._value()},
                    "properties": properties,
                },
            ),
        )
        if self._random.random() < 0.5:
            item = self._random.choice(opaque)
            return Raw(item, {}, item=item)
        body, wrapped = self._random.choice(shaped)
        return Raw(body, {}, item=json.dumps(wrapped).encode())
