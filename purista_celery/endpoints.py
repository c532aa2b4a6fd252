"""Where broker and ledger of this process are: as set, or the embedded Redis."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from purista_celery.embedded import embedded_redis
from purista_celery.errors import ConfigurationError
from purista_celery.settings import Settings
from purista_celery.urls import AMQP_SCHEMES, REDIS_SCHEMES, parts_of


@dataclass(frozen=True, slots=True)
class Endpoints:
    """URLs as Kombu and redis-py take them; they may hold passwords, so they are not shown."""

    broker_url: str = field(repr=False)
    ledger_url: str = field(repr=False)

    @property
    def broker_is_redis(self) -> bool:
        """Whether the broker is a Redis, and so our transport's."""
        return urlsplit(self.broker_url).scheme in REDIS_SCHEMES


def resolve(settings: Settings) -> Endpoints:
    """Return the endpoints that ``settings`` name, and start the embedded Redis if it is needed.

    Raises:
        ConfigurationError: a URL can not be read, its scheme is none that we speak, or several are
            given that can not stand in for each other.
        EmbeddedRedisError: the embedded server is needed and does not start.
    """
    broker = _read("PURISTA_BROKER_URL", settings.broker_url)
    ledger = _read("PURISTA_LEDGER_URL", settings.ledger_url)
    if broker is not None:
        _check_kinds(broker)
    if ledger is None and broker is not None and urlsplit(broker).scheme in REDIS_SCHEMES:
        ledger = broker
    if broker is None or ledger is None:
        embedded = embedded_redis(settings.embedded_directory)
        broker, ledger = broker or embedded, ledger or embedded
    return Endpoints(broker_url=broker, ledger_url=redis_url(ledger))


def _read(variable: str, url: str | None) -> str | None:
    return None if url is None else ";".join(parts_of(variable, url))


def _check_kinds(broker: str) -> None:
    """Check that what Kombu may fail over to is of one kind, and one that can be failed over to.

    Raises:
        ConfigurationError: it is not; Kombu would go on with a transport of its own, which loses
            messages.
    """
    schemes = [urlsplit(each).scheme for each in broker.split(";")]
    for scheme in schemes:
        if scheme not in AMQP_SCHEMES | set(REDIS_SCHEMES):
            raise ConfigurationError(
                f"PURISTA_BROKER_URL: scheme {scheme!r} is not supported; expected redis://, "
                f"rediss://, unix:///path or amqp://."
            )
    if len(schemes) > 1 and not set(schemes) <= AMQP_SCHEMES:
        raise ConfigurationError(
            f"PURISTA_BROKER_URL names {len(schemes)} brokers ({', '.join(schemes)}); expected one "
            f"Redis, or several nodes of one RabbitMQ cluster as amqp://…;amqp://…. A Redis has "
            f"nothing to fail over to here: give the address of its primary."
        )


def redis_url(url: str) -> str:
    """Return ``url`` as redis-py takes it.

    Raises:
        ConfigurationError: it names no Redis.
    """
    scheme, separator, rest = url.partition("://")
    if ";" in url:
        raise ConfigurationError(
            "PURISTA_LEDGER_URL names several servers; expected one Redis, the primary."
        )
    if scheme not in REDIS_SCHEMES:
        # Without a scheme all of it, and so a password, would be in front of the separator.
        shown = repr(scheme) if separator else "(none)"
        raise ConfigurationError(
            f"PURISTA_LEDGER_URL: scheme {shown} is no Redis; expected redis://, rediss:// or "
            f"unix:///path."
        )
    return f"{REDIS_SCHEMES[scheme]}://{rest}"
