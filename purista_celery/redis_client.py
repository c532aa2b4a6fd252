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

    The connection is taken with the first command, asked whether it is alive after a pause, and
    made anew by the retries that the pool's connections are configured with. It goes back to the
    pool when the client is closed or forgotten. Pipelines and subscriptions have their own.
    """

    _used_at: float
    #: The last command has come to its end, so the connection is open as far as we know.
    _answered: bool

    def __init__(self, pool: redis.ConnectionPool) -> None:
        super().__init__(connection_pool=pool)
        self._begin()

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Give a command, as redis-py does."""
        if self._pid != os.getpid():
            # A fork inherits its parent's, and a lock that nobody here may ever release.
            self._begin()
        with self._turn:
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
        self._answered = False

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
