"""Which broadcasts are fit to be listened to."""

from __future__ import annotations

from typing import Any

import pytest

from purista_celery.runtime.neighbours import refused_command, refused_event

REPLIES = "reply.acme.control.pidbox"
COMMAND = {
    "method": "ping",
    "arguments": {},
    "destination": None,
    "pattern": None,
    "matcher": None,
    "ticket": "t",
    "reply_to": {"exchange": REPLIES, "routing_key": "k"},
}
EVENT = {
    "type": "worker-heartbeat",
    "hostname": "w@h",
    "clock": 7,
    "timestamp": 1.5,
    "utcoffset": -1,
    "pid": 1,
    "freq": 2.0,
    "active": 0,
    "processed": 1,
    "loadavg": [0.1, 0.2, 0.3],
    "sw_ident": "py-celery",
    "sw_ver": "5.7.0",
    "sw_sys": "Linux",
}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"reply_to": None, "ticket": None},
        {"destination": ["w@h"]},
        {"pattern": "w@*", "matcher": "glob"},
        {"pattern": "w@.*", "matcher": "pcre"},
        {"arguments": {"task_id": ["a", "b"], "terminate": True}},
        {"arguments": None},
    ],
)
def test_what_celerys_tools_send_is_obeyed(change: dict[str, Any]) -> None:
    """With and without an answer, to all workers or to some."""
    assert refused_command(COMMAND | change, {"clock": 3, "expires": 1.5}, REPLIES) is None
    assert refused_command(COMMAND | change, {}, REPLIES) is None


@pytest.mark.parametrize("body", [5, 0, None, "x", [1], [], {}, b"x", True, 1.5])
def test_what_is_no_mapping_is_not(body: Any) -> None:
    """Neither a command nor an event."""
    assert refused_command(body, {}, REPLIES)
    assert refused_event(body)


@pytest.mark.parametrize(
    "change",
    [
        *({"method": each} for each in (5, None, [], {}, "x" * 2_000, "a\nb")),
        *({"arguments": each} for each in ([1], "x", 7)),
        *({"destination": each} for each in (7, "w@h", [7], {"w@h": 1}, [["w@h"]])),
        *({"reply_to": each} for each in (7, "x", [], {}, {"exchange": REPLIES})),
        {"reply_to": {"exchange": "amq.topic", "routing_key": "k"}},
        {"reply_to": {"exchange": REPLIES, "routing_key": ["k"]}},
        *({"ticket": each} for each in (7, [], {})),
        {"pattern": 7, "matcher": "glob"},
        {"pattern": "(", "matcher": "pcre"},
        {"pattern": "x", "matcher": "no-such"},
        {"self": 1},
        {"state": 1},
    ],
)
def test_a_command_with_a_wrong_field_is_dropped(change: dict[str, Any]) -> None:
    """Each would end Celery's mailbox, or make it answer where it should not."""
    assert refused_command(COMMAND | change, {}, REPLIES)


@pytest.mark.parametrize("clock", ["late", -1, 2**62, 10**400, [], {}, 1.5])
def test_a_clock_that_no_message_could_carry_on_is_dropped(clock: Any) -> None:
    """It would be handed on to every worker."""
    assert refused_command(COMMAND, {"clock": clock}, REPLIES)
    assert refused_event(EVENT | {"clock": clock})


def test_what_a_worker_says_of_itself_is_believed() -> None:
    """Also without what older ones did not say."""
    assert refused_event(EVENT) is None
    assert refused_event({"type": "worker-online", "hostname": "w@h"}) is None


@pytest.mark.parametrize(
    "change",
    [
        *({"hostname": each} for each in (None, 7, ["w@h"], "a\nb")),
        *({"timestamp": each} for each in ("x", [], float("nan"), float("inf"), 10**400)),
        *({"freq": each} for each in ("x", {}, True)),
        *({"pid": each} for each in ("x", [])),
        {"type": 7},
    ],
)
def test_an_event_with_a_wrong_field_is_dropped(change: dict[str, Any]) -> None:
    """Celery would count with it later on, in its timer."""
    assert refused_event(EVENT | change)
