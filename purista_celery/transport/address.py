"""Broker URLs: from what a user writes to what Kombu connects to, and back."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from kombu.connection import Connection
from kombu.utils.url import as_url, parse_url
from redis import ConnectionPool

from purista_celery.errors import ConfigurationError

#: What Celery's `broker_transport` is set to.
TRANSPORT = "purista_celery.transport:Transport"

TCP_SCHEMES = ("redis", "rediss")
SOCKET_SCHEMES = ("unix", "socket", "redis+socket")

EXPECTED = (
    "Expected redis://, rediss:// (TLS), or unix:///path or redis+socket:///path (a unix socket)."
)


def connection_settings(
    url: str,
    *,
    ssl: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the Celery settings that select this transport for the broker at `url`.

    `ssl` holds redis-py's `ssl_*` arguments, which may also stand in the URL's query; `rediss://`
    without any verifies the server's certificate. `options` are transport options.

    Raises ConfigurationError for anything but one Redis address.
    """
    scheme = _scheme(url)
    broker_url = "socket" + url[len(scheme) :] if scheme in SOCKET_SCHEMES else url
    if ssl and scheme in SOCKET_SCHEMES:
        raise ConfigurationError(f"TLS options were given for a unix socket ({scheme}://).")
    return {
        "broker_url": broker_url,
        "broker_transport": TRANSPORT,
        "broker_use_ssl": _tls(url, dict(ssl or {})) if scheme == "rediss" or ssl else False,
        "broker_transport_options": dict(options or {}),
    }


def settle_address(connection: Connection) -> None:
    """Spread a URL in `connection.hostname` over its fields, where no tool prints the password."""
    url = connection.hostname
    if not url or "://" not in url:
        return
    scheme = _scheme(url)
    parts = parse_url(url)
    for field in ("userid", "password", "credential_provider"):
        if parts.get(field):
            setattr(connection, field, parts[field])
    if scheme in SOCKET_SCHEMES:
        connection.hostname = f"socket:///{quote(parts['virtual_host'] or '')}"
        connection.virtual_host = _database(url) or connection.virtual_host
        return
    connection.hostname = parts["hostname"] or "localhost"
    connection.port = parts["port"] or connection.port
    connection.virtual_host = parts["virtual_host"] or connection.virtual_host
    if scheme == "rediss" or connection.ssl:
        given = connection.ssl if isinstance(connection.ssl, Mapping) else {}
        connection.ssl = _tls(url, dict(given))


def uri_of(connection: Connection, *, include_password: bool, mask: str) -> str:
    """Return the URL of a settled connection, for logs and for tools such as Flower."""
    user: Any = connection.userid
    password: Any = connection.password
    if callable(password):
        password = password() if include_password else mask
    host: Any = connection.hostname
    port: Any = connection.port
    path = connection.virtual_host
    scheme = "rediss" if connection.ssl else "redis"
    if host and str(host).startswith("socket://"):
        scheme, host, port, path = "redis+socket", None, None, urlsplit(str(host)).path
    url: str = as_url(
        scheme,
        host,
        port,
        user,
        password,
        quote(str(path).lstrip("/")),
        sanitize=not include_password,
        mask=mask,
    )
    return url


def leads_to(connection: Connection, pool: ConnectionPool) -> bool:
    """Tell whether a settled connection and ``pool`` lead to one database of one server.

    That is, by the same name, and as the same user. Nothing is connected.
    """
    at, to = connection, pool.connection_kwargs
    host, port = str(at.hostname or "localhost"), int(at.port or 6379)
    if host.startswith("socket://"):
        there: object = "/" + (parse_url(host)["virtual_host"] or "")
    else:
        there = host, port
    here = to.get("path") or (str(to.get("host", "localhost")), int(to.get("port", 6379)))
    database = str(at.virtual_host or "").strip("/") or "0"
    users = (at.userid or None, at.password or None, at.credential_provider or None)
    return (there, database, *users) == (
        *(here, str(to.get("db") or 0)),
        *(to.get(part) or None for part in ("username", "password", "credential_provider")),
    )


def _scheme(url: str) -> str:
    if not isinstance(url, str) or ";" in url:
        raise ConfigurationError(
            "Several broker addresses were given, but failover between them is not supported: "
            "Kombu would switch to its own transport. Give one address."
        )
    scheme = url.partition("://")[0]
    if scheme == "sentinel":
        raise ConfigurationError(
            "Redis Sentinel (sentinel://) is not supported by this transport yet. " + EXPECTED
        )
    if "://" not in url or scheme not in (*TCP_SCHEMES, *SOCKET_SCHEMES):
        raise ConfigurationError(f"The broker's scheme is {scheme!r}. {EXPECTED}")
    return scheme


def _tls(url: str, given: dict[str, Any]) -> dict[str, Any]:
    in_url = parse_url(url).get("ssl") or {}
    return {"ssl_cert_reqs": ssl.CERT_REQUIRED, **in_url, **given}


def _database(url: str) -> str | None:
    query = parse_url("redis://localhost/?" + urlsplit(url).query)
    return query.get("db")
