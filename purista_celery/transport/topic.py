"""Topic patterns as AMQP 0-9-1 has them: ``*`` is one word, ``#`` is any number, none included.

Kombu's own want at least one word for ``#``, so that ``order.#`` would hear ``order`` on RabbitMQ
and not on Redis. A binding's expression is stored beside it, so that publishers with Kombu's own
transport route by it too.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from kombu.transport.virtual.exchange import TopicExchange

_WILDCARDS = {"*": r"(?:^|\.)[^.]+", "#": r"(?:(?:^|\.)[^.]+)*"}


@lru_cache(maxsize=4096)
def expression(pattern: str) -> str:
    """Return the regular expression that a topic pattern stands for."""
    words = (_WILDCARDS.get(w) or rf"(?:^|\.){re.escape(w)}" for w in pattern.split("."))
    return f"^{''.join(words)}$"


def fits(pattern: str, name: str) -> bool:
    """Tell whether the event ``name`` is one that a queue bound with ``pattern`` gets."""
    return re.match(expression(pattern), name) is not None


class Topic(TopicExchange):
    """Kombu's topic exchange, with AMQP's meaning of ``#``."""

    def key_to_pattern(self, rkey: str) -> str:
        """Return what is stored beside a binding (called by Kombu)."""
        return expression(rkey)

    def deliver(self, message: Any, exchange: str, routing_key: str, **kwargs: Any) -> Any:
        """Store ``message`` in all queues that hear it (called by Kombu)."""
        condition = kwargs.get("condition")
        by_kombu = kwargs.get("_publish_batch") is not None or not self.channel.fans_out
        if by_kombu and condition is None:
            return super().deliver(message, exchange, routing_key, **kwargs)
        return self.channel.fan_out(message, exchange, routing_key, condition)
