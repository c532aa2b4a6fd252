"""What others say on Celery's broadcast exchanges, and which of it is fit to be listened to.

Whoever may publish on the broker can put anything there. Celery's code takes it as it comes: a
number in the place of a dictionary ends a worker, and a clock of four hundred digits is handed on
to all others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from purista_celery.producer.control import LATEST

_LONGEST = 1024

#: What Celery's own clients send, and nothing that would be handed on by another name.
_COMMAND = frozenset(
    {"method", "arguments", "destination", "pattern", "matcher", "ticket", "reply_to"}
)
_TEXTS = ("hostname", "type", "sw_ident", "sw_ver", "sw_sys")
_NUMBERS = ("clock", "timestamp", "pid", "freq", "active", "processed", "utcoffset")
#: What a worker says of itself.
EVENT = frozenset({*_TEXTS, *_NUMBERS, "loadavg"})


def refused_command(body: Any, headers: Any, reply_exchange: str) -> str | None:
    """Say why a remote-control message is not to be obeyed; None if it may be.

    Args:
        reply_exchange: where answers go, and nowhere else.
    """
    if not isinstance(body, Mapping) or not _is_text(body.get("method")):
        return "it is no command"
    if unknown := sorted(map(str, body.keys() - _COMMAND)):
        return f"it has fields that no command has ({unknown[0][:40]!r})"
    if not _is_clock(headers.get("clock") if isinstance(headers, Mapping) else None):
        return "its clock is no number that a clock can show"
    if not isinstance(body.get("arguments"), Mapping | None):
        return "its arguments have no names"
    return _refused_pattern(body) or _refused_address(body, reply_exchange)


def _refused_pattern(body: Mapping[str, Any]) -> str | None:
    if not all(isinstance(body.get(name), str | None) for name in ("pattern", "matcher", "ticket")):
        return "a field is no text"
    if not _is_pattern(body.get("pattern"), body.get("matcher")):
        return "its pattern is none"
    return None


def _refused_address(body: Mapping[str, Any], reply_exchange: str) -> str | None:
    destination, reply_to = body.get("destination"), body.get("reply_to")
    if destination is not None and not (
        isinstance(destination, list) and all(map(_is_text, destination))
    ):
        return "its destination is no list of worker names"
    if reply_to is None:
        return None
    if not isinstance(reply_to, Mapping) or not _is_text(reply_to.get("routing_key")):
        return "it says nowhere to answer to"
    if reply_to.get("exchange") != reply_exchange:
        return "its answer is to go to an exchange that is not for answers"
    return None


def refused_event(body: Any) -> str | None:
    """Say why what a worker says of itself is not to be believed; None if it may be."""
    if not isinstance(body, Mapping) or not _is_text(body.get("type")):
        return "it is no event"
    if not _is_text(body.get("hostname")) or not _is_clock(body.get("clock")):
        return "it has no hostname, or a clock that is none"
    for name in _TEXTS:
        if body.get(name) is not None and not _is_text(body[name]):
            return f"its {name} is no text"
    for name in _NUMBERS:
        if body.get(name) is not None and not _is_number(body[name]):
            return f"its {name} is no number"
    return None


def _is_pattern(pattern: str | None, matcher: str | None) -> bool:
    if matcher != "pcre" or pattern is None:
        return matcher in (None, "glob", "pcre")
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return False
    return True


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST and value.isprintable()


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -LATEST <= value <= LATEST and math.isfinite(value)


def _is_clock(value: Any) -> bool:
    return value is None or (isinstance(value, int) and 0 <= value <= LATEST)
