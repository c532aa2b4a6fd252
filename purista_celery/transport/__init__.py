"""Kombu's Redis transport with an atomic claim: a killed worker loses no message.

Any Celery app can use it, with no contract declared::

    app.conf.update(connection_settings("redis://localhost/0"))

The keys in Redis are those of Kombu's own transport, so publishers, consumers and monitors that use
that one can share the broker.
"""

from __future__ import annotations

from kombu.transport import TRANSPORT_ALIASES

from purista_celery.transport.address import connection_settings, leads_to
from purista_celery.transport.channel import Channel
from purista_celery.transport.leases import DeliveryLeases
from purista_celery.transport.scripts import Condition
from purista_celery.transport.transport import Transport

# A unix socket's broker_url is "socket:///path", and Celery's own tools (inspect conf, report) look
# the scheme up without regard to broker_transport.
TRANSPORT_ALIASES.setdefault("socket", "purista_celery.transport:Transport")

__all__ = ["Channel", "Condition", "DeliveryLeases", "Transport", "connection_settings", "leads_to"]
