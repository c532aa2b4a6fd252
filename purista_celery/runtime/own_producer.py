"""A producer on a connection that one thread has to itself."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from purista_celery.errors import BrokerUnavailable
from purista_celery.producer.events import BROKER_ERRORS

log = logging.getLogger(__name__)


class OwnProducer:
    """Lends its producer to its thread; connects when it is first asked, and anew after a failure.

    The app's pool of producers is shared by all that publishes in this process: who waits there for
    a broker that hangs would hold up the others.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._producer: Any = None

    @contextmanager
    def lent(self) -> Iterator[Any]:
        """Yield the producer.

        Raises:
            one of ``BROKER_ERRORS``: what was raised inside; the connection is made anew after it.
        """
        if self._producer is None:
            connection = self._app.connection_for_write()
            self._producer = self._app.amqp.Producer(connection, auto_declare=False)
        try:
            yield self._producer
        except (BrokerUnavailable, *BROKER_ERRORS):
            self.close()
            raise

    def close(self) -> None:
        """Let go of the connection."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            producer.__connection__.release()
        except BROKER_ERRORS as error:
            log.debug("A connection could not be closed: %s", error)
