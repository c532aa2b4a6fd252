"""Broker URLs and the Celery settings they become."""

from __future__ import annotations

import ssl

import pytest
import redis
from kombu import Connection

from purista_celery.errors import ConfigurationError
from purista_celery.transport import connection_settings, leads_to
from purista_celery.transport.address import TRANSPORT, settle_address, uri_of


class Settled(Connection):
    """A connection whose URL was spread over its fields, without connecting."""

    def __init__(self, **settings: object) -> None:
        super().__init__(
            settings["broker_url"],
            transport=settings["broker_transport"],
            ssl=settings["broker_use_ssl"],
            transport_options=settings["broker_transport_options"],
        )
        settle_address(self)


@pytest.mark.parametrize(
    ("url", "printed"),
    [
        ("redis://localhost:6379/1", "redis://localhost:6379/1"),  # plain
        ("redis://u:p%40ss@h:7/0", "redis://u:**@h:7/0"),  # a password is never printed
        ("rediss://:secret@h:7/2", "rediss://:**@h:7/2"),  # TLS
        ("unix:///run/r.sock", "redis+socket:///run/r.sock"),  # a socket, two spellings
        ("redis+socket:///run/r.sock", "redis+socket:///run/r.sock"),
        ("redis+socket://:secret@/run/r.sock?db=3", "redis+socket://:**@/run/r.sock"),
    ],
)
def test_url_as_stock_tools_expect_it(url, printed):
    """The connection prints the URL that Flower and others understand, without the password."""
    connection = Settled(**connection_settings(url))
    assert connection.transport_cls == TRANSPORT
    assert uri_of(connection, include_password=False, mask="**") == printed


def test_password_leaves_the_host_name():
    """After settling, the password is in no field that Celery's `inspect stats` shows."""
    connection = Settled(**connection_settings("redis://u:secret@h:7/4"))
    assert (connection.hostname, connection.port, connection.virtual_host) == ("h", 7, "4")
    assert (connection.userid, connection.password) == ("u", "secret")
    socket = Settled(**connection_settings("unix://:secret@/run/r.sock?db=3"))
    assert (socket.hostname, socket.virtual_host) == ("socket:///run/r.sock", "3")
    assert socket.password == "secret"


def test_complete_url_for_tools_that_connect():
    """With include_password the URL opens the broker."""
    connection = Settled(**connection_settings("redis://u:p%40ss@h:7/4"))
    assert uri_of(connection, include_password=True, mask="**") == "redis://u:p%40ss@h:7/4"
    connection.password = lambda: "made"
    assert uri_of(connection, include_password=True, mask="**") == "redis://u:made@h:7/4"
    assert uri_of(connection, include_password=False, mask="**") == "redis://u:**@h:7/4"


def test_tls_verifies_unless_told_otherwise():
    """rediss:// demands a valid certificate; query and argument may relax or complete that."""
    assert connection_settings("rediss://h")["broker_use_ssl"] == {
        "ssl_cert_reqs": ssl.CERT_REQUIRED
    }
    relaxed = connection_settings("rediss://h?ssl_cert_reqs=none")["broker_use_ssl"]
    assert relaxed["ssl_cert_reqs"] == ssl.CERT_NONE
    own = connection_settings("redis://h", ssl={"ssl_ca_certs": "/ca.pem"})["broker_use_ssl"]
    assert own == {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": "/ca.pem"}
    assert connection_settings("redis://h")["broker_use_ssl"] is False


def test_tls_scheme_is_kept_when_only_the_class_is_set():
    """An app that sets just broker_url and broker_transport is not talked down to plain text."""
    connection = Connection("rediss://h:7", transport=TRANSPORT)
    settle_address(connection)
    assert connection.ssl == {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    connection = Connection("redis://h:7", transport=TRANSPORT, ssl=True)
    settle_address(connection)
    assert connection.ssl == {"ssl_cert_reqs": ssl.CERT_REQUIRED}


def test_options_are_passed_on():
    """Transport options become Celery's broker_transport_options."""
    settings = connection_settings("redis://h", options={"queue_leases": {"q": 5}})
    assert settings["broker_transport_options"] == {"queue_leases": {"q": 5}}


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("sentinel://h:26379", "Sentinel"),  # not supported yet
        ("redis://a;redis://b", "failover"),  # Kombu would leave the transport
        ("amqp://h", "amqp"),  # another broker
        ("localhost", "Expected"),  # no URL
    ],
)
def test_other_addresses_are_refused(url, text):
    """What this transport can not serve is refused with the reason."""
    with pytest.raises(ConfigurationError, match=text):
        connection_settings(url)


def test_tls_over_a_unix_socket_is_refused():
    """TLS options that could not take effect are an error."""
    with pytest.raises(ConfigurationError, match="unix socket"):
        connection_settings("unix:///run/r.sock", ssl={"ssl_ca_certs": "/ca.pem"})


def test_connection_without_url_is_left_alone():
    """A connection made from single fields keeps them."""
    connection = Connection("h", port=7, transport=TRANSPORT)
    settle_address(connection)
    assert (connection.hostname, connection.port) == ("h", 7)


@pytest.mark.parametrize(
    ("broker", "other", "same"),
    [
        ("redis://h", "redis://h:6379/0", True),
        ("redis://u:p%2F@h:7/3", "redis://u:p%2F@h:7/3", True),
        ("rediss://h:7", "rediss://h:7", True),
        ("unix:///run/a%20b/redis.sock?db=1", "unix:///run/a%20b/redis.sock?db=1", True),
        ("unix:///run/redis.sock", "unix:///run/redis.sock", True),
        ("redis://h:7", "redis://h:8", False),
        ("redis://h", "redis://i", False),
        ("redis://h/0", "redis://h/1", False),
        ("redis://u:p@h", "redis://v:p@h", False),
        ("redis://u:p@h", "redis://u:q@h", False),
        ("unix:///run/redis.sock", "unix:///run/other.sock", False),
        ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock", False),
        ("unix:///run/redis.sock", "redis://h", False),
    ],
)
def test_a_broker_leads_to_the_place_of_a_pool_or_not(broker, other, *, same):
    """One server by the same name, one database of it, one user; nothing is connected."""
    connection = Settled(**connection_settings(broker))
    assert leads_to(connection, redis.ConnectionPool.from_url(other)) is same
