"""What a server refuses, and what that means: one reading for broker, ledger and schedules.

A server that answers "not now" is away, whoever asks it: a Redis that is full, read-only, busy with
a script or can not save, a RabbitMQ whose queue's node is down or that blocks its publishers. One
that answers "not you" is a matter of configuration, and so is one of another kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto

import redis
from redis import exceptions

from purista_celery.errors import UnsupportedServer

#: A Redis that is there, and that takes no commands, or no writes, until it is well again.
_AWAY = {
    *("READONLY", "OOM", "MISCONF", "NOREPLICAS", "BUSY", "LOADING", "MASTERDOWN", "CLUSTERDOWN"),
    *("UNBLOCKED", "TRYAGAIN"),
}
_STRANGER = {"NOAUTH", "WRONGPASS"}
_FORBIDDEN = {"NOPERM", "DENIED", *_STRANGER}
#: What only a node of a Redis Cluster says.
_CLUSTER = {"MOVED", "ASK", "CROSSSLOT"}
#: What Sentinel says to the commands that everything here begins with.
_UNKNOWN = re.compile(r"unknown command [`']?(EVAL|EVALSHA|BRPOP|LLEN|SADD|ZADD)\b", re.IGNORECASE)
_CROWDED = re.compile(r"max number of clients\b.* reached", re.IGNORECASE)
#: How Redis says within a script that its caller may not do that.
_SCRIPT_FORBIDDEN = "The user executing the script can't"

#: What stands in front of the server's own words: a pipeline's, and a script's of Redis 6.2.
_WRAPPING = re.compile(
    r"(?:Command # \d+ \(.*\) of pipeline caused error: )?"
    r"(?:-?ERR )?"
    r"(?:Transaction discarded because of: )?"
    r"(?:Error running script \(call to f_[0-9a-f]+\): (?:@\w+: ?\d+: )*)?"
    r"-?",
    re.DOTALL,
)
#: redis-py takes these words off the text, and names the error by them.
_BY_CLASS: tuple[tuple[type[redis.RedisError], str], ...] = (
    (exceptions.OutOfMemoryError, "OOM"),
    (exceptions.ReadOnlyError, "READONLY"),
    (exceptions.BusyLoadingError, "LOADING"),
    (exceptions.MasterDownError, "MASTERDOWN"),
    (exceptions.ClusterDownError, "CLUSTERDOWN"),
    (exceptions.TryAgainError, "TRYAGAIN"),
    (exceptions.NoPermissionError, "NOPERM"),
    (exceptions.AuthenticationError, "NOAUTH"),
    (exceptions.MovedError, "MOVED"),
    (exceptions.AskError, "ASK"),
    (exceptions.ClusterCrossSlotError, "CROSSSLOT"),
)
#: AMQP's ACCESS_REFUSED and NOT_ALLOWED.
_AMQP_FORBIDDEN = {403, 530}
#: What Redis 7 appends to the words of a refusal within a script.
_SCRIPT = re.compile(r" script: [0-9a-f]{40}, on @\S+$")
_LONGEST = 200
#: By name: who knows no broker reads this module, too.
_KOMBU_AWAY = {"kombu.exceptions.OperationalError", "kombu.exceptions.LimitExceeded"}


class Verdict(Enum):
    """What an error of a server means to whoever asked it."""

    #: It is away, or takes nothing for now: what is asked again later is done.
    AWAY = auto()
    #: It does not let us; somebody has to change a permission or a password.
    FORBIDDEN = auto()
    #: It is none that we can work with.
    UNSUPPORTED = auto()


class Refusal(redis.ConnectionError, redis.ResponseError):
    """A Redis answered that it takes nothing for now; to redis-py and Kombu, it is away."""


class Forbidden(Refusal):
    """A Redis does not let this user do what was asked; to ask again at once is of no use."""


class Stranger(Forbidden):
    """A Redis does not know this user, or not by this password, which may be about to change."""


def verdict(error: BaseException) -> Verdict | None:
    """Return what an error of redis-py, Kombu or py-amqp means; None if it is a fault of another
    kind, such as that of a script or of a wrong argument.
    """
    for each in _chain(error):
        if isinstance(each, UnsupportedServer):
            return Verdict.UNSUPPORTED
        if isinstance(each, redis.RedisError):
            return _of_redis(each)
        if (code := getattr(each, "reply_code", None)) is not None:
            return Verdict.FORBIDDEN if code in _AMQP_FORBIDDEN else Verdict.AWAY
        if isinstance(each, OSError):
            return Verdict.AWAY
    return Verdict.AWAY if any(map(_is_kombus, _chain(error))) else None


def reason(error: BaseException) -> str:
    """Return what an error says, on one line and for people, without what was sent."""
    found = next((e for e in _chain(error) if isinstance(e, redis.RedisError)), error)
    text = str(found)
    if isinstance(found, redis.ResponseError):
        text = text[_WRAPPING.match(text).end() :]  # type: ignore[union-attr]  # it may be empty
        code = _code(found)
        text = text if not code or text.startswith(code) else f"{code} {text}"
    line = _SCRIPT.sub("", " ".join(text.split())).rstrip(".")
    return f"{line[:_LONGEST]}…" if len(line) > _LONGEST else line or type(found).__name__


def refused(error: redis.RedisError) -> Exception | None:
    """Return what is to be raised for an answer that is a refusal; None for any other error."""
    found = _of_answer(error)
    if found is Verdict.UNSUPPORTED:
        return unsupported(reason(error))
    if found is None or isinstance(error, Refusal):
        return None
    if found is Verdict.AWAY:
        return Refusal(reason(error))
    return (Stranger if _code(error) in _STRANGER else Forbidden)(reason(error))


def is_final(error: BaseException) -> bool:
    """Tell whether nothing is to be hoped from waiting: somebody has to change something first.

    A password is changed on the server and here, one after the other.
    """
    found = verdict(error)
    stranger = any(isinstance(each, Stranger) for each in _chain(error))
    return found is Verdict.UNSUPPORTED or (found is Verdict.FORBIDDEN and not stranger)


def answered(error: BaseException) -> bool:
    """Tell whether a server is there and refuses, rather than not being there at all."""
    return any(
        isinstance(each, redis.ResponseError) or getattr(each, "reply_code", None) is not None
        for each in _chain(error)
    )


def unsupported(what: str) -> UnsupportedServer:
    """Return the error about a server that is no plain Redis, as ``what`` shows."""
    return UnsupportedServer(
        f"This is no Redis that stands alone ({what}): expected a single Redis or Valkey server, "
        f"or the primary of a replicated one. The URL leads to a node of a Redis Cluster or to a "
        f"Sentinel, which are not supported; give the address of the primary itself."
    )


def _is_kombus(error: BaseException) -> bool:
    """Tell whether Kombu says that the broker is away, or that no connection to it is free."""
    names = {f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__}
    return bool(names & _KOMBU_AWAY)


def _of_redis(error: redis.RedisError) -> Verdict | None:
    found = _of_answer(error)
    if found is None and isinstance(error, redis.ConnectionError | redis.TimeoutError):
        return Verdict.AWAY
    return found


def _of_answer(error: redis.RedisError) -> Verdict | None:
    """Read a server's words; None where there are none, or they say something else."""
    if isinstance(error, Refusal):
        return Verdict.FORBIDDEN if isinstance(error, Forbidden) else Verdict.AWAY
    if not isinstance(error, redis.ResponseError | redis.ConnectionError):
        return None
    code, text = _code(error), str(error)
    if code in _AWAY or _CROWDED.search(text):
        return Verdict.AWAY
    if code in _FORBIDDEN or _SCRIPT_FORBIDDEN in text:
        return Verdict.FORBIDDEN
    if code in _CLUSTER or _UNKNOWN.search(text):
        return Verdict.UNSUPPORTED
    return None


def _code(error: redis.RedisError) -> str:
    for kind, code in _BY_CLASS:
        if isinstance(error, kind):
            return code
    text = str(error)
    wrapping = _WRAPPING.match(text)
    return text[wrapping.end() if wrapping else 0 :].partition(" ")[0]


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was raised from: Kombu wraps what its transports raise."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__
