"""RabbitMQ through py-amqp: a broker that blocks its publishers says so, and is not waited for.

While an alarm is on (memory, disk), RabbitMQ reads nothing more from a connection that publishes,
and tells it. py-amqp leaves it at that: a publisher waits for a confirm that does not come.
"""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import Any

from amqp import spec
from amqp.exceptions import MessageNacked
from kombu import connection as stock
from kombu.exceptions import OperationalError
from kombu.transport import pyamqp

#: Seconds after a missing confirm within which another one says that the broker is away. Before,
#: it may have been lost with its connection, and a new one brings it.
_SILENCE = 30.0


class Blocked(OperationalError):
    """RabbitMQ takes no messages for now; what was sent last, it may take once it does."""


class Unconfirmed(OperationalError):
    """RabbitMQ confirmed neither a message nor its repetition on another connection."""


class Channel(pyamqp.Channel):
    """Waits for the confirm of the very message that it sent, while the broker is not blocked."""

    #: Messages sent in confirm mode: RabbitMQ counts them, too.
    _sent = 0
    _confirm_selected: bool

    def basic_publish_confirm(self, *args: Any, **options: Any) -> Any:
        """Publish, and return once RabbitMQ has the message (called by Kombu).

        Raises:
            Blocked: it takes none for now.
            Unconfirmed: it did not confirm in time, twice.
        """
        confirm_timeout = options.pop("confirm_timeout", None)
        connection: Any = self.connection
        if connection is not None:
            connection.refuse_if_blocked()
        if not self._confirm_selected:
            self._confirm_selected = True
            self.confirm_select()
        answer = self._basic_publish(*args, **options)
        self._sent += 1
        self._await_confirm(connection, confirm_timeout or options.get("timeout"))
        return answer

    def _await_confirm(self, connection: Any, timeout: float | None) -> None:
        heard = _Confirm(self._sent)
        until = None if timeout is None else monotonic() + timeout
        connection.awaits_confirm = True
        try:
            while not heard.confirmed:
                # Other messages may come in between; none of them makes the time longer.
                left = None if until is None else max(0.001, until - monotonic())
                self.wait([spec.Basic.Ack, spec.Basic.Nack], callback=heard, timeout=left)
        except TimeoutError as error:
            if connection.is_silent_again():
                raise Unconfirmed("no message was confirmed in time") from error
            raise
        finally:
            connection.awaits_confirm = False


class _Confirm:
    """Hears of confirms until one is about a certain message, and not about one before it."""

    def __init__(self, tag: int) -> None:
        self._tag = tag
        self.confirmed = False

    def __call__(self, method: Any, tag: int, multiple: bool = False, *_: Any) -> None:  # noqa: FBT001 (AMQP's)
        if tag == self._tag or (multiple and tag > self._tag):
            if method == spec.Basic.Nack:
                raise MessageNacked
            self.confirmed = True


class AmqpConnection(pyamqp.Connection):
    """Knows whether RabbitMQ blocks it."""

    Channel = Channel
    #: Kombu's; it outlives this one.
    client: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.on_blocked, self.on_unblocked = self._blocks, self._unblocks
        self.blocked = False
        self.awaits_confirm = False

    def refuse_if_blocked(self) -> None:
        """Hear whether the block has ended.

        Raises:
            Blocked: it has not.
        """
        if self.blocked:
            with suppress(TimeoutError):
                self.drain_events(timeout=0)
        if self.blocked:
            raise Blocked("RabbitMQ blocks its publishers: an alarm (memory, disk) is on")

    def is_silent_again(self) -> bool:
        """Note that a confirm did not come, and tell whether that has just happened before."""
        before, self.client.unconfirmed_at = self.client.unconfirmed_at, monotonic()
        return bool(self.client.unconfirmed_at - before < _SILENCE)

    def _blocks(self, reason: str) -> None:
        del reason  # py-amqp's own words, not the broker's
        self.blocked = True
        if self.awaits_confirm:
            raise Blocked("RabbitMQ blocks its publishers: an alarm (memory, disk) is on")

    def _unblocks(self) -> None:
        self.blocked = False


class Transport(pyamqp.Transport):
    """Kombu's, with connections that know whether they are blocked."""

    Connection = AmqpConnection


class TlsTransport(pyamqp.SSLTransport):
    """The same, with TLS."""

    Connection = AmqpConnection


_OURS = {pyamqp.Transport: Transport, pyamqp.SSLTransport: TlsTransport}


class Connection(stock.Connection):
    """Kombu's connection, whose AMQP transports are those above, also after a failover."""

    #: Process clock.
    unconfirmed_at = float("-inf")

    def get_transport_cls(self) -> Any:
        """Return the transport's class (called by Kombu)."""
        found = super().get_transport_cls()
        return _OURS.get(found, found)
