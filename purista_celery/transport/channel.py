"""The consuming side of a channel: how messages leave a queue."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import count
from queue import Empty
from time import monotonic
from typing import Any, cast
from uuid import uuid4

from kombu.transport import redis as stock
from kombu.transport.virtual.exchange import STANDARD_EXCHANGE_TYPES
from kombu.utils.encoding import bytes_to_str, ensure_bytes
from kombu.utils.scheduling import priority_cycle
from redis.exceptions import NoScriptError, RedisError

from purista_celery.outages import BROKER
from purista_celery.refusals import Refusal
from purista_celery.transport.claim import Claim, QueueTerms
from purista_celery.transport.delivery import (
    UNREADABLE,
    Delivery,
    is_message,
)
from purista_celery.transport.publish import Publishing
from purista_celery.transport.qos import QoS as Deliveries
from purista_celery.transport.scripts import CLAIM, Argument
from purista_celery.transport.topic import Topic

logger = logging.getLogger(__name__)

#: Upper bound of `claim_limit`: a script may not hold Redis up, and Lua passes 8,000 values at
#: most.
MOST_CLAIMED = 1000

#: Seconds within which a consumer's callback returns when the work is done elsewhere. One that
#: takes longer works inside the callback (the solo pool): its acknowledgements, which Celery sends
#: in the next loop turn, and the messages claimed with it would wait behind it.
QUICK = 0.1

#: After so many quick callbacks a consumer is given several messages at once again.
QUICK_AGAIN = 20

#: Seconds until a broker that refused is asked again; its connections are kept meanwhile.
REFUSED_PAUSE = 1.0


class Channel(Publishing):
    """A Redis channel whose claim is one step: popped and recorded, or neither.

    The poller's connection carries one command at a time: a claim or, when the last claim emptied
    the queues, a BRPOP on their wake lists. Nothing of value is in a wake list.
    """

    QoS = Deliveries
    _qos: Any
    exchange_types: Any = {**STANDARD_EXCHANGE_TYPES, "topic": Topic}  # noqa: RUF012 (as Kombu's)

    #: Transport option: lease of each queue in seconds; `visibility_timeout` for the others.
    queue_leases: dict[str, float] = {}  # noqa: RUF012 (Kombu sets options on the instance)
    #: Transport option: messages per claim at most; prefetch may allow fewer.
    claim_limit = 16
    #: Seconds between looks for ended leases.
    unacked_restore_interval = 1
    unacked_restore_throttle = 1

    #: The connection while a command of ours is under way.
    _in_poll: Any
    #: Process clock.
    _brpop_sent_at: Any

    from_transport_options = (  # type: ignore[assignment]
        *stock.Channel.from_transport_options,
        "queue_leases",
        "claim_limit",
        "priority_highest_first",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        #: The claim whose reply is awaited; None while waiting on wake lists.
        self._claim: Claim | None = None
        #: A claim whose reply never came.
        self._lost_claim: Claim | None = None
        #: The last claim emptied every queue.
        self._drained = False
        self._claim_in_full = False
        #: How many quick callbacks it takes until the consumer is no longer thought to work inside
        #: its callback; one slow callback may be a machine that was busy.
        self._slow_for = 0
        self._unrecorded: set[str] = set()
        #: Process clock; nothing is asked of the broker before.
        self._asks_again_at = 0.0
        self._tokens = _new_tokens()
        super().__init__(*args, **kwargs)

    @property
    def qos(self) -> Deliveries:
        """What this channel has delivered and not settled."""
        return cast(Deliveries, super().qos)

    def _after_fork(self) -> None:
        super()._after_fork()
        self._tokens = _new_tokens()
        if self._qos is not None:
            self._qos.renew_buffer()

    def _on_connection_disconnect(self, connection: Any) -> None:
        if self._in_poll is connection:
            self._abandon_claim()
        super()._on_connection_disconnect(connection)

    def basic_consume(self, queue: str, no_ack: bool, *args: Any, **kwargs: Any) -> Any:  # noqa: FBT001
        """Consume from `queue`; with `no_ack` a message is gone once it was sent to us."""
        self._drained = False
        if no_ack:
            self._unrecorded.add(queue)
        else:
            self._unrecorded.discard(queue)
        return super().basic_consume(queue, no_ack, *args, **kwargs)

    def basic_get(self, queue: str, no_ack: bool = False, **kwargs: Any) -> Any:  # noqa: ARG002, FBT001
        """Return one message, or None when the queue is empty."""
        deliveries = self._claim_now(queue, recorded=not no_ack)
        if not deliveries:
            return None
        message = self.Message(deliveries[0].payload, channel=self)
        if not no_ack:
            self.qos.append(message, str(message.delivery_tag))
        return message

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:  # noqa: ARG002
        deliveries = self._claim_now(queue, recorded=True)
        if not deliveries:
            raise Empty
        return deliveries[0].payload

    def _claim_now(self, queue: str, *, recorded: bool) -> list[Delivery]:
        claim = self._new_claim([self._terms(queue, recorded=recorded)], limit=1)
        arguments = claim.arguments(self.keys)
        return claim.deliveries(CLAIM.run(self.plain_client, claim.keys(self.keys), arguments))

    def _new_claim(
        self, queues: Sequence[QueueTerms], limit: int, acks: Sequence[str] = ()
    ) -> Claim:
        return Claim(
            token=next(self._tokens),
            limit=limit,
            queues=queues,
            in_turn=not isinstance(self._queue_cycle, priority_cycle),
            acks=acks,
        )

    def _terms(self, queue: str, *, recorded: bool) -> QueueTerms:
        lease = self.queue_leases.get(queue, self.visibility_timeout)
        return QueueTerms(
            queue=queue,
            lease_offset=lease - self.visibility_timeout if recorded else None,
            expires=self._expires.get(queue),
        )

    def _brpop_start(self, timeout: float | None = None) -> None:
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues or self._waits or not self._put_back_lost_claim():
            return
        limit = self.qos.free(1 if self._one_at_a_time else min(self.claim_limit, MOST_CLAIMED))
        if limit and (self.qos.acks or not self._drained):
            command = self._claim_command(queues, limit)
        else:
            wait = self.brpop_timeout if timeout is None else timeout
            command = ("BRPOP", *self.keys.wakes(queues), wait or 0)
        self._in_poll = self.client.connection
        self._brpop_sent_at = monotonic()
        self._in_poll.send_command(*command)

    def _claim_command(self, queues: Sequence[str], limit: int) -> tuple[Argument, ...]:
        terms = [self._terms(queue, recorded=queue not in self._unrecorded) for queue in queues]
        self._claim = claim = self._new_claim(terms, limit, self.qos.acks.take())
        keys, arguments = claim.keys(self.keys), claim.arguments(self.keys)
        return CLAIM.command(keys, arguments, in_full=self._claim_in_full)

    def _brpop_read(self, **options: Any) -> Any:
        try:
            deliveries = self._read_reply(**options)
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()
        if not deliveries:
            raise Empty
        self._deliver_all(deliveries)
        return True

    def _read_reply(self, **options: Any) -> list[Delivery]:
        """Return what was claimed; nothing also when the reply was that of a wake list."""
        command = "BRPOP" if self._claim is None else "EVALSHA"
        connection = self.client.connection
        try:
            reply = self.client.parse_response(connection, command, **options)
        except Refusal as refusal:
            # The connection is whole, and nothing was done: a script is refused at its first write.
            self._take_back_claim()
            self.refused(refusal)
            return []
        except self.connection_errors:
            connection.disconnect()
            self._abandon_claim()
            raise
        except NoScriptError:
            # A restarted server has forgotten its scripts; nothing was done.
            self._abandon_claim()
            self._claim_in_full = True
            return []
        except self.ResponseError:
            self._abandon_claim()
            raise
        BROKER.ends()
        claim, self._claim = self._claim, None
        if claim is None:
            self._drained = False
            return []
        self._claim_in_full = False
        deliveries = claim.deliveries(reply)
        self._drained = len(deliveries) < claim.limit
        return deliveries

    def _receive_one(self, c: Any) -> Any:
        """Read one broadcast; one that falls over its consumer holds up no others."""
        try:
            return super()._receive_one(c)
        except Refusal as refusal:
            # Of what was subscribed to, or of a health check: it is subscribed to anew.
            self.refused(refusal)
            raise Empty from refusal
        except UNREADABLE as error:
            logger.warning("A broadcast message can not be read and is dropped: %r", error)
            return False

    def _handle_message(self, client: Any, r: Any) -> dict[str, Any]:
        """Take a broadcast apart (called by Kombu); of what is no message, nothing is left.

        Kombu would stop reading at it, and what came with it would wait for the next broadcast.
        """
        found: dict[str, Any] = super()._handle_message(client, r)
        if not bytes_to_str(found["type"]).endswith("message"):
            return found
        if not is_message(ensure_bytes(found["data"])):
            logger.warning(
                "%d bytes on channel %.80r are no message and are dropped",
                len(found["data"]),
                bytes_to_str(found["channel"]),
            )
            found["data"] = None
        return found

    def _deliver_fanout_message(self, message: Any, exchange: str) -> Any:
        """Hand a broadcast over to who listens, if anybody does (called by Kombu)."""
        if exchange not in self._fanout_to_queue:
            return False
        message["properties"].setdefault("delivery_tag", "")
        return super()._deliver_fanout_message(message, exchange)

    def _poll_error(self, type: str, **options: Any) -> None:  # noqa: A002
        if type == "BRPOP":
            self._brpop_read(**options)
        else:
            super()._poll_error(type, **options)

    def _deliver_all(self, deliveries: Sequence[Delivery]) -> None:
        transport = self.connection
        unwanted: list[str] = []
        delivered = 0
        try:
            for delivery in deliveries:
                if self.closed or (delivered and self._one_at_a_time):
                    break
                delivered += 1
                if delivery.queue in transport._callbacks:
                    self._queue_cycle.rotate(delivery.queue)
                    self._deliver(transport, delivery)
                else:
                    unwanted.append(delivery.tag)
        finally:
            unwanted += [delivery.tag for delivery in deliveries[delivered:]]
            self._put_back(unwanted)

    def _deliver(self, transport: Any, delivery: Delivery) -> None:
        started = monotonic()
        transport._deliver(delivery.payload, delivery.queue)
        slow = monotonic() - started > QUICK
        self._slow_for = QUICK_AGAIN if slow else max(0, self._slow_for - 1)

    @property
    def _one_at_a_time(self) -> bool:
        return self._slow_for > 0

    def _put_back(self, tags: Sequence[str]) -> None:
        """Return claimed messages that nobody saw; what can not be returned has its lease."""
        if not tags:
            return
        try:
            self.qos.restore(tags, counted=False)
        except (RedisError, OSError) as error:
            logger.warning("%d claimed messages wait for their leases to end: %r", len(tags), error)

    def _abandon_claim(self) -> None:
        """Give up a claim that may have been done: what it brought is put back later."""
        self._lost_claim = self._take_back_claim() or self._lost_claim

    def _take_back_claim(self) -> Claim | None:
        claim, self._claim = self._claim, None
        if claim is not None:
            self.qos.acks.put_back(claim.acks)
        self._drained = False
        return claim

    def _put_back_lost_claim(self) -> bool:
        """Tell whether there is none, or none any more."""
        if self._lost_claim is not None:
            try:
                self.qos.restore(self._lost_claim.possible_tags(), counted=False)
            except Refusal as refusal:
                self.refused(refusal)
                return False
            self._lost_claim = None
        return True

    def refused(self, refusal: Refusal) -> None:
        """Leave a broker that takes nothing alone for a while.

        To Celery it is no lost connection: what is unacknowledged stays with this worker.
        """
        BROKER.begins(refusal)
        self._asks_again_at = monotonic() + REFUSED_PAUSE

    @property
    def _waits(self) -> bool:
        return monotonic() < self._asks_again_at

    def settle(self) -> None:
        """Send waiting acknowledgements, unless the next claim is about to take them along."""
        if self._qos is None or not self._qos.acks or self._claim is not None or self._waits:
            return
        try:
            self._qos.acks.flush()
        except Refusal as refusal:
            self.refused(refusal)

    def _subscribe(self) -> None:
        if not self._waits:
            super()._subscribe()

    def close(self) -> None:
        """Put back what is not settled, then close; what a claim under way brings goes unseen."""
        if not self.closed:
            self._end_poll()
            if self._qos is not None:
                self._qos.restore_unacked_once()
        super().close()

    def _end_poll(self) -> None:
        connection, claim = self._in_poll, self._claim
        try:
            if connection and claim is not None:
                self._put_back([delivery.tag for delivery in self._read_reply()])
            elif connection:
                connection.disconnect()
        except (self.ResponseError, *self.connection_errors) as error:
            logger.debug("The last claim of a closing channel failed: %r", error)
        self._in_poll = None
        if self._lost_claim is not None:
            self._put_back(self._lost_claim.possible_tags())
            self._lost_claim = None


def _new_tokens() -> Iterator[str]:
    """Return tokens for claims that no other channel, in no other process, ever makes."""
    channel = uuid4().hex
    return (f"{channel}.{number}" for number in count(1))
