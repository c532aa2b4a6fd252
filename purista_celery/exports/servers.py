"""Where the broker is, as a document may say it: without credentials."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from purista_celery.errors import ConfigurationError

_PORTS = {"amqp": 5672, "amqps": 5671, "redis": 6379, "rediss": 6379}
_PROTOCOLS = {"pyamqp": "amqp", "redis+socket": "redis", "unix": "redis"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """A broker, as AsyncAPI describes servers."""

    name: str
    #: ``host`` or ``host:port``.
    host: str
    #: ``amqp``, ``amqps``, ``redis`` or ``rediss``.
    protocol: str
    #: RabbitMQ's virtual host; Redis has none.
    vhost: str | None = None
    description: str = ""


#: What a process talks to that is told of no broker.
EMBEDDED = Server(
    name="embedded",
    host="localhost",
    protocol="redis",
    description="The Redis that all processes of a directory share where no broker is set",
)


def server_of(url: str | None, name: str = "broker") -> Server:
    """Return the server that a broker URL names, without its user and password.

    Raises:
        ConfigurationError: it is none that can be read; the message shows nothing of it.
    """
    if url is None:
        return EMBEDDED
    try:
        # Several are the nodes of one cluster, each as good as the others.
        parts = urlsplit(url.partition(";")[0])
        port = parts.port
    except ValueError:
        raise _unreadable(name) from None  # the parser's own error quotes a part of the URL
    protocol = _PROTOCOLS.get(parts.scheme, parts.scheme)
    if protocol not in _PORTS:
        raise _unreadable(name)
    if parts.hostname is None:
        # A unix socket; its path is a matter of that machine.
        return Server(name=name, host="localhost", protocol=protocol, description="A unix socket")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    amqp = protocol in ("amqp", "amqps")
    return Server(
        name=name,
        host=f"{host}:{port or _PORTS[protocol]}",
        protocol=protocol,
        vhost=(unquote(parts.path[1:]) or "/") if amqp else None,
    )


def _unreadable(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"The URL of server {name!r} can not be read; expected amqp://, redis://, rediss:// or "
        f"unix:///path, with / ? # @ : of a password written as %2F %3F %23 %40 %3A."
    )
