"""What servers refuse, word by word, and how often a process says so."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import redis
from amqp.exceptions import AccessRefused, NotFound, PreconditionFailed
from kombu.exceptions import EncodeError, OperationalError
from redis import exceptions

from purista_celery.errors import (
    BrokerForbidden,
    BrokerUnavailable,
    LedgerForbidden,
    LedgerUnavailable,
    PermissionDenied,
    UnsupportedServer,
)
from purista_celery.ledger.connection import available
from purista_celery.outages import BROKER, LEDGER, OncePerOutage, Outage
from purista_celery.producer.events import unaccepted
from purista_celery.refusals import Forbidden, Refusal, Verdict, is_final, reason, refused, verdict
from purista_celery.runtime.foreign import ForeignText
from purista_celery.transport.rabbitmq import Blocked

AWAY, FORBIDDEN, UNSUPPORTED = Verdict.AWAY, Verdict.FORBIDDEN, Verdict.UNSUPPORTED
#: Redis 6.2's wrapping of what a script is refused.
SCRIPT = f"Error running script (call to f_{'0a' * 20}): @user_script:1: @user_script: 1: -"
PIPELINE = "Command # 1 (EVALSHA 0a0a 1 key) of pipeline caused error: "

#: What a server says, as redis-py hands it on where it knows no class for it.
ANSWERS = [
    ("READONLY You can't write against a read only replica.", AWAY),
    ("OOM command not allowed when used memory > 'maxmemory'.", AWAY),
    ("MISCONF Redis is configured to save RDB snapshots, but", AWAY),
    ("NOREPLICAS Not enough good replicas to write.", AWAY),
    ("BUSY Redis is busy running a script.", AWAY),
    ("LOADING Redis is loading the dataset in memory", AWAY),
    ("MASTERDOWN Link with MASTER is down", AWAY),
    ("CLUSTERDOWN The cluster is down", AWAY),
    ("UNBLOCKED force unblock from blocking operation", AWAY),
    ("TRYAGAIN Multiple keys request during rehashing of slot", AWAY),
    ("NOPERM this user has no permissions to run the 'info' command", FORBIDDEN),
    ("NOAUTH Authentication required.", FORBIDDEN),
    ("WRONGPASS invalid username-password pair", FORBIDDEN),
    ("MOVED 3999 127.0.0.1:6381", UNSUPPORTED),
    ("CROSSSLOT Keys in request don't hash to the same slot", UNSUPPORTED),
]
#: What looks like that and is something else: our own mistake, or another's data.
OTHERS = [
    "BUSYGROUP Consumer Group name already exists",
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "NOTBUSY No scripts in execution right now.",
    "ERR unknown command 'CONFIG', with args beginning with: 'get'",
    "ERR wrong number of arguments for 'get' command",
    "value is not an integer: OOM",
    f"{PIPELINE}WRONGTYPE of OOM",
    "Command # 1 (SET a READONLY) of pipeline caused error: ERR syntax error",
]


@pytest.fixture(autouse=True)
def _of_this_test_alone() -> Iterator[None]:
    """What one test notices of this process' servers, no other one is to see."""
    yield
    for each in (BROKER, LEDGER):
        each._since.clear()


@pytest.mark.parametrize(("answer", "expected"), ANSWERS)
@pytest.mark.parametrize("around", ["", SCRIPT, PIPELINE, PIPELINE + SCRIPT, "ERR " + SCRIPT])
def test_a_refusal_is_read_in_any_wrapping(around: str, answer: str, expected: Verdict) -> None:
    """As it comes, within a script of Redis 6.2, in a pipeline, and both."""
    assert verdict(redis.ResponseError(around + answer)) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        # redis-py takes the code off the text where it has a class for it.
        (exceptions.ReadOnlyError("You can't write against a read only replica."), AWAY),
        (exceptions.OutOfMemoryError("command not allowed"), AWAY),
        (exceptions.BusyLoadingError("Redis is loading the dataset in memory"), AWAY),
        (exceptions.MasterDownError("Link with MASTER is down"), AWAY),
        (exceptions.ClusterDownError("The cluster is down"), AWAY),
        (exceptions.ExecAbortError("Transaction discarded because of: OOM command"), AWAY),
        (exceptions.NoPermissionError("this user has no permissions"), FORBIDDEN),
        (exceptions.AuthenticationError("invalid username-password pair"), FORBIDDEN),
        (exceptions.ClusterCrossSlotError("Keys in request don't hash"), UNSUPPORTED),
        (redis.ConnectionError("max number of clients reached"), AWAY),
        (redis.ResponseError("ERR max number of clients + cluster connections reached"), AWAY),
        (redis.ResponseError(f"{SCRIPT[:-1]}The user executing the script can't run"), FORBIDDEN),
        (redis.ResponseError("unknown command 'EVALSHA', with args"), UNSUPPORTED),
        (redis.ResponseError("ERR unknown command `evalsha`, with args"), UNSUPPORTED),
        # Not there at all.
        (redis.ConnectionError("Error 111 connecting to 127.0.0.1:1."), AWAY),
        (redis.TimeoutError("Timeout reading from socket"), AWAY),
        (ConnectionResetError(), AWAY),
        (OperationalError("no connection"), AWAY),
        (Blocked("an alarm is on"), AWAY),
        (EncodeError("no JSON"), None),
        # RabbitMQ.
        (NotFound("home node 'rabbit@a' of durable queue 'q' is down"), AWAY),
        (PreconditionFailed("inequivalent arg 'x-queue-type'"), AWAY),
        (AccessRefused("access to exchange refused"), FORBIDDEN),
        # Our own mistakes.
        (exceptions.NoScriptError("No matching script."), None),
        (ValueError("BUSY"), None),
    ],
)
def test_an_error_of_a_library_is_read_by_its_class(
    error: Exception, expected: Verdict | None
) -> None:
    """Also where its text alone would not tell."""
    assert verdict(error) is expected


@pytest.mark.parametrize("text", OTHERS)
def test_other_errors_are_no_outage(text: str) -> None:
    """They are raised as they are, and nobody waits."""
    error = redis.ResponseError(text)

    assert verdict(error) is None
    assert refused(error) is None
    with pytest.raises(redis.ResponseError, match=text[:5]), available():
        raise error


def test_a_refusal_is_a_lost_connection_to_libraries_and_an_answer_to_us() -> None:
    """redis-py and Kombu try again what they would give up; the text says what the server said."""
    found = refused(redis.ResponseError(f"{SCRIPT}READONLY You can't write."))

    assert isinstance(found, Refusal)
    assert isinstance(found, redis.ConnectionError)
    assert isinstance(found, redis.ResponseError)
    assert str(found) == "READONLY You can't write"
    assert isinstance(refused(exceptions.NoPermissionError("no permissions")), Forbidden)
    assert isinstance(refused(exceptions.MovedError("1 a:1")), UnsupportedServer)


def test_what_kombu_wraps_is_read_through() -> None:
    """Its transports' errors are the cause of its own."""
    wrapped = OperationalError("no")
    wrapped.__cause__ = Forbidden("NOPERM no")

    assert verdict(wrapped) is FORBIDDEN
    assert reason(wrapped) == "NOPERM no"


def test_a_ledger_that_refuses_is_unavailable() -> None:
    """With a code of its own, and no wait, where it is a matter of permissions."""
    says = r"takes nothing \(MISCONF can not save\)"
    with pytest.raises(LedgerUnavailable, match=says), available():
        raise redis.ResponseError(f"{PIPELINE}{SCRIPT}MISCONF can not save.")
    with pytest.raises(LedgerForbidden, match="NOPERM") as caught, available():
        raise exceptions.NoPermissionError("no permissions to run 'zadd'")
    assert caught.value.code == PermissionDenied.code == BrokerForbidden.code
    assert isinstance(caught.value, LedgerUnavailable)


def test_a_broker_that_does_not_let_us_has_a_code_of_its_own() -> None:
    """It is an unavailable one too, for those who do not care why."""
    error = unaccepted("Event 'a'", AccessRefused("write access refused"))

    assert isinstance(error, BrokerForbidden)
    assert isinstance(error, BrokerUnavailable)
    assert error.code == "PURISTA_PERMISSION_DENIED"


@pytest.mark.parametrize(
    ("error", "then"),
    [
        (Forbidden("NOPERM"), "ends"),
        (UnsupportedServer("cluster"), "ends"),
        # A password is changed in two places, one after the other.
        (refused(exceptions.AuthenticationError("invalid password")), "waits"),
        (Refusal("BUSY"), "waits"),
    ],
)
def test_what_a_starting_worker_does_not_wait_for(error: Exception, then: str) -> None:
    """A missing right, and a server of another kind, are told at once."""
    assert is_final(error) is (then == "ends")


@pytest.fixture
def outage(monkeypatch: pytest.MonkeyPatch) -> Outage:
    monkeypatch.setattr(Outage, "QUIET", 0.0)
    return Outage("broker")


def test_an_outage_is_said_once_and_its_end_once(
    outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    """However often it is noticed; the next one is said again."""
    outage.ends()
    for _ in range(3):
        outage.begins(Refusal("BUSY running a script"))
    for _ in range(3):
        outage.ends()
    outage.begins(redis.ConnectionError("refused"))

    assert [record.getMessage() for record in caplog.records] == [
        "The broker takes no commands: BUSY running a script. "
        "What is to be done is tried again until it does.",
        "The broker takes commands again.",
        "The broker takes no commands: refused. What is to be done is tried again until it does.",
    ]


def test_a_server_that_only_reads_is_not_well(caplog: pytest.LogCaptureFixture) -> None:
    """While it refuses to write, reads succeed in between."""
    outage = Outage("ledger")
    outage.begins(Refusal("OOM"))
    outage.ends()

    assert outage.since is not None
    assert len(caplog.records) == 1


def test_the_next_outage_is_said_to_whoever_asked_too_seldom_to_see_the_last_one_end(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process of the pool hears of its ledger only when a job ends."""
    outage = Outage("ledger")
    outage.begins(Refusal("OOM"))
    outage.ends()
    monkeypatch.setattr(Outage, "QUIET", 0.0)
    outage.begins(Refusal("BUSY"))

    said = [record.getMessage().partition(".")[0] for record in caplog.records]
    assert said == [
        "The ledger takes no commands: OOM",
        "The ledger takes commands again",
        "The ledger takes no commands: BUSY",
    ]


def test_what_others_say_at_each_try_is_shown_once_an_outage(
    outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as it is about that; anything else is shown."""
    monkeypatch.setattr("purista_celery.outages.BROKER", outage)
    once, logger = OncePerOutage(), logging.Logger("celery")
    logger.addFilter(ForeignText())  # It makes texts of errors.
    for _ in range(2):  # Workers of one process, one after the other.
        once.watch(logger)

    def shown(text: str, *args: object) -> bool:
        return bool(logger.filter(logging.LogRecord("celery", 30, "", 1, text, args, None)))

    lost = "Connection to broker lost: %r", redis.ConnectionError("gone")
    assert shown(*lost)
    assert shown(*lost)  # Of no outage that we know of.
    outage.begins(redis.ConnectionError("gone"))
    assert [shown(*lost), shown(*lost)] == [True, False]
    assert shown("A job failed: %r", ValueError("no"))
    assert shown("A job failed: %r", ValueError("no"))
    outage.ends()
    outage.begins(redis.ConnectionError("gone"))
    assert shown(*lost)
