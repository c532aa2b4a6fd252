"""redis-py's connections and clients, as everything here uses them.

A connection reads a refusal as what it is, an outage, for all who use it: scripts, pipelines,
subscriptions and Kombu. A client keeps its connection from one command to the next: redis-py's own
takes one out of its pool for each command, asks the socket whether it is alive, and puts it back,
which takes as long as a short command itself.
"""

from __future__ import annotations

import os
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any

import redis

from purista_celery import refusals

if TYPE_CHECKING:
    from redis.connection import AbstractConnection as _Connection
else:
    _Connection = object

#: Seconds; a server that went away meanwhile must not cost a command.
_IDLE = 0.5


class Heeding(_Connection):
    """Mixed into a connection: raises a refusal as one, and takes no server but a plain Redis.

    Raises:
        Refusal: the server takes nothing for now. The answer was read, the connection is whole.
        Forbidden: it does not let this user do that.
        UnsupportedServer: it is a node of a cluster, or a sentinel.
    """

    def read_response(self, *args: Any, **options: Any) -> Any:
        """Return the answer to a command (called by redis-py)."""
        try:
            return super().read_response(*args, **options)
        except redis.RedisError as error:
            refused = refusals.refused(error)
            if refused is None or (type(refused) is refusals.Refusal and _is_over(error)):
                raise
            if not isinstance(refused, redis.RedisError):
                # redis-py does not expect it, and may leave other answers unread.
                self.disconnect()  # type: ignore[no-untyped-call]
            raise refused from error

    def on_connect_check_health(self, check_health: bool = True) -> None:  # noqa: FBT001
        """Introduce ourselves, and see with whom we speak (called by redis-py)."""
        try:
            super().on_connect_check_health(check_health)
        finally:
            self._refuse_others()

    def _refuse_others(self) -> None:
        # Each server that speaks RESP3 says it unasked.
        said: Any = self.handshake_metadata or {}
        mode = said.get("mode", said.get(b"mode", "standalone"))
        mode = mode.decode() if isinstance(mode, bytes) else mode
        if mode != "standalone":
            self.disconnect()  # type: ignore[no-untyped-call]
            raise refusals.unsupported(f"its mode is {mode!r}")


def _is_over(error: redis.RedisError) -> bool:
    """Tell whether redis-py has given the connection up with this answer (no room for clients).

    A pipeline would go on to read what is the answer to a command for it.
    """
    return isinstance(error, redis.ConnectionError) and not isinstance(error, redis.ResponseError)


def heeding(kind: type[Any]) -> type[Any]:
    """Return a class of connections that is ``kind`` and :class:`Heeding`."""
    return kind if issubclass(kind, Heeding) else type(kind.__name__, (Heeding, kind), {})


def connection_class(url: str) -> type[Any]:
    """Return the class of connections that ``url`` asks for (``rediss://``, ``unix://``, …)."""
    parts: dict[str, Any] = redis.connection.parse_url(url)  # type: ignore[no-untyped-call]
    return heeding(parts.get("connection_class", redis.Connection))


class KeptConnection(redis.Redis):
    """Gives all its commands on one connection; threads that share it take turns.

    The connection is taken with the first command, asked whether it is alive after a pause, and
    made anew by the retries that the pool's connections are configured with. It goes back to the
    pool when the client is closed or forgotten. Pipelines and subscriptions have their own.
    """

    _used_at: float
    #: The last command has come to its end, so the connection is open as far as we know.
    _answered: bool
    #: A command of the thread whose turn it is has not come to its end.
    _asking: bool

    def __init__(self, pool: redis.ConnectionPool) -> None:
        super().__init__(connection_pool=pool)
        self._begin()

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Give a command, as redis-py does."""
        if self._pid != os.getpid():
            # A fork inherits its parent's, and a lock that nobody here may ever release.
            self._begin()
        with self._turn:
            if self._asking:
                # The handler of a signal (beat's of SIGTERM gives its lock back), in the midst of
                # another command: on this connection it would read the answer to that one.
                aside = redis.Redis(connection_pool=self.connection_pool)
                return aside.execute_command(*args, **options)  # type: ignore[no-untyped-call]
            self._asking = True
            try:
                return self._ask(*args, **options)
            finally:
                self._asking = False

    def _ask(self, *args: Any, **options: Any) -> Any:
        if self.connection is None:
            self.connection = self.connection_pool.get_connection()
        elif self._answered and monotonic() - self._used_at > _IDLE:
            self._look()
        self._answered = False
        try:
            answer = super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except redis.ResponseError:
            self._answered = True
            raise
        except BaseException:
            # It may have been interrupted (by a soft time limit) between the command and its
            # reply, which would be taken for that to the next.
            self.connection.disconnect()  # type: ignore[no-untyped-call]
            raise
        self._answered, self._used_at = True, monotonic()
        return answer

    def close(self) -> None:
        """Give the connection back; the next command takes one again."""
        with self._turn:
            super().close()

    def _begin(self) -> None:
        self.connection = None
        self._pid = os.getpid()
        self._turn = threading.RLock()
        self._used_at = monotonic()
        self._answered = self._asking = False

    def _look(self) -> None:
        """Let go of a connection that the server has closed: the command connects anew."""
        connection: Any = self.connection
        try:
            unasked = connection.can_read()
        except (redis.RedisError, OSError):
            unasked = True
        if unasked:
            connection.disconnect()


class ThreadClient(redis.Redis):
    """Keeps one connection for each thread that gives commands; safe to share between threads.

    When its thread ends, or the client is closed, the connection goes back to the pool.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._threads = threading.local()

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Give a command, as redis-py does."""
        return self._of_this_thread().execute_command(*args, **options)

    def _of_this_thread(self) -> KeptConnection:
        here = self._threads.__dict__
        if "client" not in here:
            here["client"] = KeptConnection(self.connection_pool)
        client: KeptConnection = here["client"]
        return client
