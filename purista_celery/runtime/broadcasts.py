"""Celery's steps that listen to broadcasts, behind a look at what comes.

What is not fit to be listened to is logged and dropped: it has no sender to tell, and is nobody's
job. Where the broker refuses the step's queue or exchange, the worker does its work without it.
"""

from __future__ import annotations

import logging
from typing import Any

from amqp.exceptions import ChannelError
from celery.bootsteps import StartStopStep
from celery.worker import pidbox
from celery.worker.consumer.control import Control as CeleryControl
from celery.worker.consumer.gossip import Gossip as CeleryGossip
from celery.worker.consumer.mingle import Mingle as CeleryMingle
from celery.worker.consumer.tasks import Tasks as CeleryTasks
from kombu.exceptions import ContentDisallowed, DecodeError, OperationalError

from purista_celery.errors import BrokerUnavailable
from purista_celery.runtime.foreign import ForeignText
from purista_celery.runtime.intake import MALFORMED
from purista_celery.runtime.neighbours import EVENT, refused_command, refused_event

log = logging.getLogger(__name__)
log.addFilter(ForeignText())


class _Looking:
    """A mailbox that hands on commands only."""

    node: Any
    consumer: Any

    def on_message(self, body: Any, message: Any) -> None:
        """Obey a command (called by Kombu)."""
        refused = refused_command(body, message.headers, self.node.mailbox.reply_exchange.name)
        if refused is None:
            super().on_message(body, message)  # type: ignore[misc]
        else:
            log.warning("A remote-control message is dropped: %s.", refused)

    def start(self, c: Any) -> None:
        """Listen (called by Celery)."""
        super().start(c)  # type: ignore[misc]
        if self.consumer is not None:
            # Celery's would acknowledge what the broker waits for no acknowledgement of, which
            # closes the channel.
            self.consumer.on_decode_error = drop


class Mailbox(_Looking, pidbox.Pidbox):
    """In the event loop."""


class GreenMailbox(_Looking, pidbox.gPidbox):
    """In a green thread."""


class Mingle(CeleryMingle):
    """Celery's step; a broker that takes no messages for now is no reason not to work."""

    def send_hello(self, c: Any) -> Any:
        """Ask the other workers what they know (called by Celery)."""
        try:
            return super().send_hello(c)
        except (OperationalError, BrokerUnavailable) as error:
            log.warning("The other workers can not be asked what they know: %s", error)
            return {}


class Tasks(CeleryTasks):
    """Celery's step, which would bring Celery's mingle along."""

    requires = (Mingle,)


class Control(CeleryControl):
    """Celery's step, with these mailboxes."""

    requires = (Tasks,)

    def __init__(self, c: Any, **options: Any) -> None:
        super().__init__(c, **options)
        box: Any = (GreenMailbox if self.is_green else Mailbox)(c)
        self.box = box
        # Celery's step hands itself on in this way.
        attributes: Any = self.__dict__
        attributes.update(start=self._listen, stop=box.stop, shutdown=box.shutdown)

    def _listen(self, c: Any) -> None:
        try:
            self.box.start(c)
        except ChannelError as error:
            _tell_refused("remote control", error)


class Gossip(CeleryGossip):
    """Celery's step, without elections: one runs any task that its caller names."""

    requires = (Mingle,)

    def __init__(self, c: Any, **options: Any) -> None:
        super().__init__(c, **options)
        self.event_handlers: dict[str, Any] = {}

    def start(self, c: Any) -> None:
        """Listen (called by Celery)."""
        try:
            super().start(c)
        except ChannelError as error:
            _tell_refused("the events of other workers", error)

    def get_consumers(self, channel: Any) -> Any:
        """Return Celery's consumer (called by Celery)."""
        consumers = super().get_consumers(channel)
        for consumer in consumers:
            consumer.on_decode_error = drop
        return consumers

    def on_message(self, prepare: Any, message: Any) -> None:
        """Take note of what another worker says of itself (called by Kombu)."""
        try:
            self._note(prepare, message)
        except (*MALFORMED, DecodeError, ContentDisallowed) as error:
            drop(message, error)

    def _note(self, prepare: Any, message: Any) -> None:
        kind = message.delivery_info.get("routing_key")
        if not isinstance(kind, str) or not kind.startswith("worker."):
            return
        refused = refused_event(message.payload)
        if refused is not None:
            log.warning("An event of another worker is dropped: %s.", refused)
            return
        for name in message.payload.keys() - EVENT:
            # Celery makes each an attribute of what it knows of a worker.
            del message.payload[name]
        super().on_message(prepare, message)


def drop(message: Any, error: BaseException) -> None:
    """Log that a broadcast message can not be read."""
    del message
    log.warning("A broadcast message can not be read and is dropped: %s", str(error)[:300])


def _tell_refused(what: str, error: Exception) -> None:
    log.error(
        "The broker refuses the queue for %s (%s); the worker works without it until it connects "
        "anew.",
        what,
        str(error)[:300],
    )


#: Celery's steps, and ours in their places. None of ours may require one of those: it would run
#: beside ours.
IN_PLACE_OF: dict[str, type[StartStopStep]] = {
    "celery.worker.consumer.control:Control": Control,
    "celery.worker.consumer.gossip:Gossip": Gossip,
    "celery.worker.consumer.mingle:Mingle": Mingle,
    "celery.worker.consumer.tasks:Tasks": Tasks,
}
