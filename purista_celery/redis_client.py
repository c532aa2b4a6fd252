"""redis-py clients that keep their connection from one command to the next.

redis-py's own takes one out of its pool for each command, asks the socket whether it is alive, and
puts it back, which takes as long as a short command itself.
"""

from __future__ import annotations

import os
import threading
from time import monotonic
from typing import Any

import redis

#: Seconds; a server that went away meanwhile must not cost a command.
_IDLE = 0.5


class KeptConnection(redis.Redis):
    """Gives all its commands on one connection; threads that share it take turns.

    The connection is asked whether it is alive after a pause, and made anew by the retries that the
    pool's connections are configured with. It goes back to the pool when the client is closed or
    forgotten. Pipelines and subscriptions have connections of their own.
    """

    def __init__(self, pool: redis.ConnectionPool) -> None:
        super().__init__(connection_pool=pool, single_connection_client=True)
        self._used_at = monotonic()

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Give a command, as redis-py does."""
        with self.single_connection_lock:
            if monotonic() - self._used_at > _IDLE:
                self._look()
            try:
                return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
            except redis.ResponseError:
                raise
            except BaseException:
                # It may have been interrupted (by a soft time limit) between the command and its
                # reply, which would be taken for that to the next.
                self._disconnect()
                raise
            finally:
                self._used_at = monotonic()

    def _look(self) -> None:
        """Let go of a connection that the server has closed: the next command connects."""
        if self.connection is None:
            return
        try:
            unasked = self.connection.can_read()
        except (redis.RedisError, OSError):
            unasked = True
        if unasked:
            self._disconnect()

    def _disconnect(self) -> None:
        if self.connection is not None:
            self.connection.disconnect()  # type: ignore[no-untyped-call]


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
        # A fork inherits its parent's.
        if here.get("pid") != os.getpid():
            here["client"] = KeptConnection(self.connection_pool)
            here["pid"] = os.getpid()
        client: KeptConnection = here["client"]
        return client


def same_server(one: redis.ConnectionPool, other: redis.ConnectionPool) -> bool:
    """Tell whether both lead to one database of one server, as the same user."""
    return _place(one) == _place(other)


def _place(pool: redis.ConnectionPool) -> tuple[object, ...]:
    to: dict[str, Any] = pool.connection_kwargs
    address = to.get("path") or (to.get("host", "localhost"), int(to.get("port", 6379)))
    user = [to.get(part) or None for part in ("username", "password", "credential_provider")]
    return (address, int(to.get("db") or 0), *user)
