"""What is set as a URL, so that Kombu and redis-py read it alike, or told to be wrong.

Each of the two has words of its own for one thing (the database, whether a certificate is needed),
leaves out what the other takes, and raises errors of its own over what it can not read, some of
them with the first command only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

import redis
from kombu.connection import Connection

from purista_celery.errors import ConfigurationError

#: Schemes that name a Redis server, and what redis-py calls them.
REDIS_SCHEMES = {
    "redis": "redis",
    "rediss": "rediss",
    "unix": "unix",
    "redis+socket": "unix",
}
AMQP_SCHEMES = {"amqp", "amqps", "pyamqp"}

_TLS_OPTIONS = {
    *("ssl_ca_certs", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname"),
    *("ssl_ciphers", "ssl_keyfile", "ssl_password"),
}
#: What may stand in a query; of a Redis also the database.
_REDIS_OPTIONS = {
    *("client_name", "health_check_interval", "protocol", "socket_keepalive"),
    *_TLS_OPTIONS,
}
_AMQP_OPTIONS = {"heartbeat", "login_method", *_TLS_OPTIONS}
_DATABASE = re.compile(r"[0-9]{0,9}")
_STRANGE_IN_HOST = re.compile(r"[\s,]")


def parts_of(variable: str, url: str) -> tuple[str, ...]:
    """Return the URLs that ``url`` lists, each as all parsers read it.

    Raises:
        ConfigurationError: one can not be read, or says what can not be kept. The message shows no
            more of it than the names of its options: the parsers' own quote it, password and all.
    """
    return tuple(_alike(variable, each.strip()) for each in url.split(";"))


def _alike(variable: str, url: str) -> str:
    parts, query = urlsplit(""), dict[str, str]()
    try:
        parts = urlsplit(url)
        readable = "://" in url and (parts.port or 0) >= 0
        query = dict(parse_qsl(parts.query))
    except ValueError:
        readable = False
    if not readable or _STRANGE_IN_HOST.search(parts.hostname or ""):
        # From nowhere: the parser's own error quotes a part of the URL.
        raise ConfigurationError(
            f"{variable} is no URL that can be read; expected scheme://user:password@host:port/… "
            f"with / ? # @ : of a password written as %2F %3F %23 %40 %3A."
        ) from None
    if any("password" in name.lower() and not name.startswith("ssl_") for name in query):
        raise ConfigurationError(
            f"{variable} has its password in the query, where logs would show it; write it as "
            f"scheme://user:password@host."
        )
    if parts.scheme in REDIS_SCHEMES:
        return _redis_alike(variable, parts, query)
    if parts.scheme in AMQP_SCHEMES:
        _check_options(variable, query, _AMQP_OPTIONS)
        _check_amqp(variable, url)
    return url


def _redis_alike(variable: str, parts: SplitResult, query: dict[str, str]) -> str:
    by_path = "" if REDIS_SCHEMES[parts.scheme] == "unix" else unquote(parts.path).strip("/")
    # Celery's manual has "virtual_host" for the database of a socket.
    given = [by_path, query.pop("db", ""), query.pop("virtual_host", "")]
    database = next(filter(None, reversed(given)), "")
    if not all(map(_DATABASE.fullmatch, given)):
        raise ConfigurationError(
            f"{variable}: the database is no number; expected …host:port/0 or unix:///path?db=0."
        )
    _check_options(variable, query, _REDIS_OPTIONS)
    if "ssl_cert_reqs" in query:
        # So in Celery's manual; redis-py has it shorter.
        query["ssl_cert_reqs"] = query["ssl_cert_reqs"].lower().removeprefix("cert_")
    path = f"/{database}" if database else parts.path
    if REDIS_SCHEMES[parts.scheme] == "unix":
        path, query = parts.path, query | ({"db": database} if database else {})
    # Not by ``urlunsplit``, which writes unix:/path.
    found = f"{parts.scheme}://{parts.netloc}{path}" + ("?" + urlencode(query) if query else "")
    _check_redis(variable, found)
    return found


def _check_options(variable: str, query: Mapping[str, str], taken: set[str]) -> None:
    strange = sorted(query.keys() - taken)
    if strange:
        raise ConfigurationError(
            f"{variable} has options that can not be kept: {', '.join(map(repr, strange))}; "
            f"expected only {', '.join(sorted(taken))}. Leave them out: timeouts, retries and "
            f"connections follow from PURISTA_BROKER_TIMEOUT and PURISTA_LIVENESS_TTL."
        )


def _check_redis(variable: str, url: str) -> None:
    """Let redis-py make a connection of ``url``, which connects nothing."""
    scheme, _, rest = url.partition("://")
    try:
        options: dict[str, Any] = redis.connection.parse_url(  # type: ignore[no-untyped-call]
            f"{REDIS_SCHEMES[scheme]}://{rest}"
        )
        options.pop("connection_class", redis.Connection)(**options)
    except (redis.RedisError, ValueError, TypeError, OSError) as error:
        raise _wrong_option(variable, error) from None


def _check_amqp(variable: str, url: str) -> None:
    """Let Kombu make a connection of ``url``, which connects nothing."""
    try:
        made: Any = Connection(url)  # type: ignore[no-untyped-call]
        float(made.heartbeat or 0)
    except (KeyError, ValueError, TypeError) as error:
        raise _wrong_option(variable, error) from None


def _wrong_option(variable: str, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"{variable}: an option in its query has a value that can not be read "
        f"({type(error).__name__}). Correct it; ssl_cert_reqs is required, optional or none."
    )
