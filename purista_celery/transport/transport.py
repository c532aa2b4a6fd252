"""What `broker_transport` names: the transport and the poller of its channels."""

from __future__ import annotations

from typing import Any

from kombu.transport import redis as stock

from purista_celery.errors import ConfigurationError
from purista_celery.transport.address import settle_address, uri_of
from purista_celery.transport.channel import Channel


class Poller(stock.MultiChannelPoller):
    """Kombu's poller; acknowledgements that no claim takes along go out once per loop turn."""

    def on_poll_start(self) -> None:
        """Send claims, then the acknowledgements that are left."""
        super().on_poll_start()
        for channel in self._channels:
            channel.settle()


class Transport(stock.Transport):
    """Redis transport with an atomic claim, leases per queue, and delivery counts.

    It reads its URL itself, because Kombu drops the scheme when a transport class is given: a
    `rediss://` broker would be spoken to in plain text.
    """

    Channel = Channel
    client: Any
    cycle: Any
    can_parse_url = True

    def __init__(self, client: Any, **kwargs: Any) -> None:
        settle_address(client)
        if not client.transport_options.get("ack_emulation", True):
            raise ConfigurationError(
                "The transport option ack_emulation=False is not supported: without a record of "
                "what is unacknowledged, a killed worker loses messages. Remove the option."
            )
        super().__init__(client, **kwargs)
        self.cycle = Poller()

    def as_uri(self, uri: str, include_password: bool = False, mask: str = "**") -> str:  # noqa: ARG002, FBT001
        """Return the URL that stock tools understand: `redis`, `rediss` or `redis+socket`."""
        return uri_of(self.client, include_password=include_password, mask=mask)

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Poll from Celery's event loop, and look for ended leases at our own interval."""
        super().register_with_event_loop(connection, loop)
        self.cycle._restore_messages_tref.cancel()
        interval = self.client.transport_options.get("unacked_restore_interval", 0)
        if interval <= 0:
            interval = Channel.unacked_restore_interval
        self.cycle._restore_messages_tref = loop.call_repeatedly(
            interval, self.cycle.maybe_restore_messages
        )
