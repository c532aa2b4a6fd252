"""What a message of ours may hold, at the least: all that can be enqueued."""

from __future__ import annotations

import json

import pytest
from kombu.utils.json import dumps

from purista_celery.messages.job import JobMessage
from purista_celery.producer.bodies import MOST_NESTED, body_bounds

MOST = 4_096


def _filled(piece: str) -> object:
    """Return the largest payload of pieces that is accepted."""
    text = "[" + ",".join([piece] * ((MOST - 1) // (len(piece.encode()) + 1))) + "]"
    assert len(text.encode()) <= MOST
    return json.loads(text)


@pytest.mark.parametrize(
    "piece",
    ["[]", "{}", "1", '""', '{"a":1}', "[" * 150 + "]" * 150, '"é"', '"😀"', '"\\u0001"', '"\\\\"'],
)
@pytest.mark.parametrize("revived", [False, True])
def test_the_largest_job_keeps_the_bounds_of_a_body(piece: str, *, revived: bool) -> None:
    """However its payload and parameter are made up, and also where it travels as text."""
    message = JobMessage.create(
        id="i" * 512,
        queue_name="q" * 100,
        payload=_filled(piece),
        parameter=_filled(piece),
        headers={"😀" * 500 + str(n): "😀" * 8_192 for n in range(64)},
        tenant_id="__type__" if revived else "é" * 1_024,
        correlation_id='"__type__"' if revived else None,
        created_at=1,
        max_attempts=1,
    )
    body = dumps([[], message.to_kwargs(), {"callbacks": None}]).encode()
    assert body_bounds(MOST).excess(body) is None


def test_depth_is_what_parsers_can_read() -> None:
    """Of pydantic's, which gives up at 200, and Python's own."""
    text = "[" * MOST_NESTED + "]" * MOST_NESTED
    assert json.loads(text)
    assert body_bounds(MOST).excess(text.encode()) is None
    assert body_bounds(MOST).excess(b"[" + text.encode() + b"]") is not None
