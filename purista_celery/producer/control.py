"""Celery's ``app.control``, for a broker on which anybody may answer what was asked of our workers.

What comes back is taken only as far as it is an answer, and no clock is moved beyond what the next
message could carry.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from amqp.exceptions import ChannelError
from celery.app.control import Control as CeleryControl
from kombu.clocks import LamportClock
from kombu.exceptions import ContentDisallowed, DecodeError
from kombu.pidbox import Mailbox as KombuMailbox

from purista_celery.producer.events import unaccepted

log = logging.getLogger(__name__)

#: The largest number that JSON readers agree about: more events than there will be.
LATEST = 2**53
_NO_ANSWER = (DecodeError, ContentDisallowed, TypeError, ValueError, LookupError, AttributeError)


class Clock(LamportClock):
    """A logical clock that moves only to times that a message can carry."""

    def adjust(self, other: Any) -> int:
        """Move behind ``other``, or by one where that is no time (called by Celery and Kombu)."""
        is_time = isinstance(other, int) and not isinstance(other, bool) and 0 <= other < LATEST
        return int(super().adjust(other) if is_time else self.forward())


class Mailbox(KombuMailbox):
    """Kombu's, with this clock."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"clock": Clock(), **options})


class Control(CeleryControl):
    """Given to Celery's app as its ``control``."""

    Mailbox = Mailbox

    def broadcast(self, command: str, *args: Any, **options: Any) -> Any:
        """Send a command and return the answers, if any are asked for (called by Celery's tools).

        What can not be read as an answer is left out, and what was to come after it.

        Raises:
            BrokerUnavailable: the broker refuses it, as one does whose exchange was deleted.
        """
        try:
            answers = super().broadcast(command, *args, **options)
        except _NO_ANSWER as error:
            if not options.get("reply"):
                raise
            log.warning("Something on the reply exchange is no answer to %s: %s", command, error)
            return []
        except ChannelError as error:
            raise unaccepted(f"Command {command!r} was not accepted", error) from error
        if not isinstance(answers, list):
            return answers
        return [answer for answer in answers if isinstance(answer, Mapping)]
