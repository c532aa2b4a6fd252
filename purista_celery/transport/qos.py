"""What a channel has delivered and not settled yet."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

from kombu.transport import redis as stock
from kombu.transport.virtual import base as virtual
from redis import Redis
from redis.exceptions import RedisError

from purista_celery.refusals import Refusal
from purista_celery.transport.acks import AckBuffer
from purista_celery.transport.keys import HINTS_KEPT, HINTS_LIVE_MS, Keys
from purista_celery.transport.scripts import RESTORE, Argument

if TYPE_CHECKING:
    from purista_celery.transport.channel import Channel

logger = logging.getLogger(__name__)

#: Deliveries put back by one script call, so that it never holds Redis up for long.
BATCH = 100

UNREACHABLE = "Redis can not be reached (%r): %d deliveries are put back when their leases end"


class QoS(stock.QoS):
    """Prefetch, acknowledgements and restores of one channel.

    A claimed message is recorded by the claim itself, so `append` asks Redis for nothing; `ack`
    lets the tag travel with the next claim.
    """

    channel: Channel
    #: By delivery tag; Kombu's types leave room for None.
    _delivered: Any
    _dirty: Any

    def __init__(self, channel: Channel, prefetch_count: int = 0) -> None:
        super().__init__(channel, prefetch_count)
        self._restored_at = float("-inf")
        self.renew_buffer()

    def renew_buffer(self) -> None:
        """Start with no acknowledgements waiting: a forked child does not settle its parent's."""
        self.acks = AckBuffer(_ack_sender(self.channel.plain_client, self.channel.keys))

    def free(self, most: int) -> int:
        """Return how many messages may be claimed now, `most` at the most."""
        if "can_consume" in self.__dict__:
            # Celery's worker_disable_prefetch replaces the method and answers for one message.
            return min(most, 1)
        free = self.can_consume_max_estimate()
        return most if free is None else min(free, most)

    def append(self, message: Any, delivery_tag: str) -> None:
        """Keep the message until it is settled."""
        virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Settle the delivery; Redis learns of it with the next claim or within 200 ms."""
        self.acks.add(delivery_tag)
        self._settled(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001
        """Settle the delivery; with `requeue` it goes back to its queue, behind what waits."""
        if requeue:
            self.restore([delivery_tag], place="last")
            self._settled(delivery_tag)
        else:
            self.ack(delivery_tag)

    def _settled(self, delivery_tag: str) -> None:
        # A delivery of before a reconnect is settled in Redis, but never counted here.
        if delivery_tag in self._delivered:
            virtual.QoS.ack(self, delivery_tag)

    def restore(
        self, tags: Sequence[str], *, place: Literal["next", "last"] = "next", counted: bool = True
    ) -> int:
        """Put these deliveries back into their queues and return how many there were to put back.

        `counted`: a consumer may have seen the message, so the next one is told of a redelivery.
        """
        batches = [tags[start : start + BATCH] for start in range(0, len(tags), BATCH)]
        if place == "next":
            batches.reverse()  # what goes to the consuming end last is consumed first
        return sum(self._run_restore(place, counted=counted, tags=batch) for batch in batches)

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """Send what is acknowledged and put the rest back, once; at the channel's end."""
        try:
            self.acks.flush()
        except (RedisError, OSError) as error:
            logger.warning("Redis can not be reached (%r): acknowledgements are sent later", error)
        super().restore_unacked_once(stderr)

    def restore_unacked(self, client: Any = None) -> Any:  # noqa: ARG002
        """Put back all that is not settled, so that other workers get it at once."""
        tags = [tag for tag in list(self._delivered) if tag not in self._dirty]
        try:
            self.acks.flush()
            self.restore(tags)
        except (RedisError, OSError) as error:
            # Kombu would fail here and end the worker. The leases put the messages back anyway.
            logger.warning(UNREACHABLE, error, len(tags))
        self._delivered.clear()
        self._dirty.clear()
        return []

    def restore_visible(self, start: int = 0, num: int | None = None, interval: int = 1) -> None:  # noqa: ARG002
        """Put back deliveries whose lease has ended, of any worker, some at a time."""
        self._vrestore_count += 1
        now = monotonic()
        pause = min(self.channel.unacked_restore_interval, 1) / 2
        if (self._vrestore_count - 1) % (interval or 1) or now - self._restored_at < pause:
            return
        self._restored_at = now
        try:
            self._run_restore("next", counted=True, limit=num or BATCH)
        except Refusal as refusal:
            self.channel.refused(refusal)

    def restore_by_tag(
        self,
        tag: str,
        client: Any = None,  # noqa: ARG002
        leftmost: bool = False,  # noqa: FBT001
    ) -> None:
        """Put one delivery back."""
        self.restore([tag], place="last" if leftmost else "next")

    def _run_restore(
        self, place: str, *, counted: bool, tags: Sequence[str] = (), limit: int = 0
    ) -> int:
        keys = self.channel.keys
        args: list[Argument] = [
            keys.prefix,
            keys.sep,
            ",".join(str(step) for step in keys.steps),
            place,
            int(counted),
            HINTS_KEPT,
            HINTS_LIVE_MS,
            self.visibility_timeout,
            limit,
            *tags,
        ]
        restored, *foreign = RESTORE.run(
            self.channel.plain_client, [keys.unacked, keys.index], args
        )
        for tag in foreign:
            # Recorded by stock Kombu with an exchange: only routing knows where it goes.
            super().restore_by_tag(_text(tag), leftmost=place == "last")
        return int(restored) + len(foreign)


def _ack_sender(client: Redis, keys: Keys) -> Any:
    """Return the function that settles tags; it outlives the channel, as acknowledgements may."""

    def send(tags: Sequence[str]) -> None:
        # No MULTI: a server that is out of memory refuses it. The record goes first, because a
        # lease without one is cleared when it ends.
        with client.pipeline(transaction=False) as pipe:
            pipe.hdel(keys.unacked, *tags)
            pipe.zrem(keys.index, *tags)
            pipe.execute()

    return send


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
