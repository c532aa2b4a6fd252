"""RabbitMQ through py-amqp: a broker that blocks its publishers says so, and is not waited for.

While an alarm is on (memory, disk), RabbitMQ reads nothing more from a connection that publishes,
and tells it. py-amqp leaves it at that: a publisher waits for a confirm that does not come.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

from amqp import spec
from amqp.exceptions import MessageNacked
from kombu.exceptions import OperationalError
from kombu.transport import pyamqp

#: Seconds for which a block is remembered, on whatever connection: each message that is sent to see
#: whether it has ended is in RabbitMQ afterwards, and comes on top of what is offered again.
BLOCK_KEPT = 5.0
#: Seconds after a missing confirm within which another one says that the broker is away. Before,
#: it may have been lost with its connection, and a new one brings it.
_SILENCE = 30.0
_BLOCKED = "RabbitMQ blocks its publishers: an alarm (memory, disk) is on"

#: Until when, by the process' clock, nothing is sent to a server.
_blocked_until: dict[str, float] = {}


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
            Unconfirmed: it did not confirm in time, and neither did it another one before.
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
            connection.mute = True
            if connection.is_silent_again():
                raise Unconfirmed("no message was confirmed in time") from error
            raise
        finally:
            connection.awaits_confirm = False

    def close(self, *args: Any, **options: Any) -> None:
        """Close the channel; where nobody would answer, without asking (called by Kombu)."""
        if getattr(self.connection, "mute", False):
            self.collect()
        else:
            super().close(*args, **options)


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
        #: RabbitMQ reads nothing that we send.
        self.mute = False
        self.awaits_confirm = False

    def refuse_if_blocked(self) -> None:
        """Hear whether a block has ended.

        Raises:
            Blocked: it has not, or not as far as is known here.
        """
        if self.mute:
            with suppress(TimeoutError):
                self.drain_events(timeout=0)
        if self.mute or monotonic() < _blocked_until.get(self._server, 0.0):
            raise Blocked(_BLOCKED)

    def is_silent_again(self) -> bool:
        """Note that a confirm did not come, and tell whether that has just happened before."""
        before, self.client.unconfirmed_at = self.client.unconfirmed_at, monotonic()
        return bool(self.client.unconfirmed_at - before < _SILENCE)

    @property
    def _server(self) -> str:
        return str(self.host)

    def _blocks(self, reason: str) -> None:
        del reason  # py-amqp's own words, not the broker's
        self.mute = True
        _blocked_until[self._server] = monotonic() + BLOCK_KEPT
        if self.awaits_confirm:
            raise Blocked(_BLOCKED)

    def _unblocks(self) -> None:
        self.mute = False
        _blocked_until.pop(self._server, None)


def _closed(close: Callable[[Any], None], connection: Any) -> None:
    """Close a connection, without a word where nobody would answer."""
    if connection.mute:
        connection.client = None
        connection.collect()
    else:
        close(connection)


class Transport(pyamqp.Transport):
    """Kombu's, with connections that know whether they are blocked."""

    Connection = AmqpConnection
    # Whoever consumes begins anew; whoever publishes is told at once, and tries nothing more.
    connection_errors = (*pyamqp.Transport.connection_errors, Blocked)

    def close_connection(self, connection: Any) -> None:
        """Close the connection (called by Kombu)."""
        _closed(super().close_connection, connection)


class TlsTransport(pyamqp.SSLTransport):
    """The same, with TLS."""

    Connection = AmqpConnection
    # Whoever consumes begins anew; whoever publishes is told at once, and tries nothing more.
    connection_errors = (*pyamqp.SSLTransport.connection_errors, Blocked)

    def close_connection(self, connection: Any) -> None:
        """Close the connection (called by Kombu)."""
        _closed(super().close_connection, connection)
