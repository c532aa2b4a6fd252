"""Where broker and ledger of this process are: as set, or the embedded Redis."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from purista_celery.embedded import embedded_redis
from purista_celery.errors import ConfigurationError
from purista_celery.settings import Settings

#: Schemes that name a Redis server, and what redis-py calls them.
_REDIS_SCHEMES = {
    "redis": "redis",
    "rediss": "rediss",
    "unix": "unix",
    "redis+socket": "unix",
}
_AMQP_SCHEMES = {"amqp", "amqps", "pyamqp"}


@dataclass(frozen=True, slots=True)
class Endpoints:
    """URLs as Kombu and redis-py take them; they may hold passwords, so they are not shown."""

    broker_url: str = field(repr=False)
    ledger_url: str = field(repr=False)

    @property
    def broker_is_redis(self) -> bool:
        """Whether the broker is a Redis, and so our transport's."""
        return urlsplit(self.broker_url).scheme in _REDIS_SCHEMES


def resolve(settings: Settings) -> Endpoints:
    """Return the endpoints that ``settings`` name, and start the embedded Redis if it is needed.

    Raises:
        ConfigurationError: a URL can not be read, its scheme is none that we speak, or several are
            given that can not stand in for each other.
        EmbeddedRedisError: the embedded server is needed and does not start.
    """
    broker = settings.broker_url
    for variable, url in (("BROKER", broker), ("LEDGER", settings.ledger_url)):
        for each in [] if url is None else url.split(";"):
            _check_readable(f"PURISTA_{variable}_URL", each)
    if broker is not None:
        _check_kinds(broker)
    ledger = settings.ledger_url
    if ledger is None and broker is not None and urlsplit(broker).scheme in _REDIS_SCHEMES:
        ledger = broker
    if broker is None or ledger is None:
        embedded = embedded_redis(settings.embedded_directory)
        broker, ledger = broker or embedded, ledger or embedded
    return Endpoints(broker_url=broker, ledger_url=redis_url(ledger))


def _check_kinds(broker: str) -> None:
    """Check that what Kombu may fail over to is of one kind, and one that can be failed over to.

    Raises:
        ConfigurationError: it is not; Kombu would go on with a transport of its own, which loses
            messages.
    """
    schemes = [urlsplit(each).scheme for each in broker.split(";")]
    for scheme in schemes:
        if scheme not in _AMQP_SCHEMES | set(_REDIS_SCHEMES):
            raise ConfigurationError(
                f"PURISTA_BROKER_URL: scheme {scheme!r} is not supported; expected redis://, "
                f"rediss://, unix:///path or amqp://."
            )
    if len(schemes) > 1 and not set(schemes) <= _AMQP_SCHEMES:
        raise ConfigurationError(
            f"PURISTA_BROKER_URL names {len(schemes)} brokers ({', '.join(schemes)}); expected one "
            f"Redis, or several nodes of one RabbitMQ cluster as amqp://…;amqp://…. A Redis has "
            f"nothing to fail over to here: give the address of its primary."
        )


def _check_readable(variable: str, url: str) -> None:
    """Check what the parsers of Kombu and redis-py would quote, password and all.

    Raises:
        ConfigurationError: it can not be read; the message shows nothing of it.
    """
    try:
        parts = urlsplit(url)
        readable = "://" in url and (parts.port or 0) >= 0
        secret_in_query = "password" in parse_qs(parts.query)
    except ValueError:
        readable, secret_in_query = False, False
    if not readable:
        # From nowhere: the parser's own error quotes a part of the URL.
        raise ConfigurationError(
            f"{variable} is no URL that can be read; expected scheme://user:password@host:port/… "
            f"with / ? # @ : of a password written as %2F %3F %23 %40 %3A."
        ) from None
    if secret_in_query:
        raise ConfigurationError(
            f"{variable} has its password in the query, where logs would show it; write it as "
            f"scheme://user:password@host."
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
    if scheme not in _REDIS_SCHEMES:
        # Without a scheme all of it, and so a password, would be in front of the separator.
        shown = repr(scheme) if separator else "(none)"
        raise ConfigurationError(
            f"PURISTA_LEDGER_URL: scheme {shown} is no Redis; expected redis://, rediss:// or "
            f"unix:///path."
        )
    return f"{_REDIS_SCHEMES[scheme]}://{rest}"
