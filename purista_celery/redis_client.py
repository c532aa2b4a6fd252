"""A redis-py client that keeps a connection for each thread."""

from __future__ import annotations

import os
import threading
from typing import Any

import redis


class ThreadClient(redis.Redis):
    """Keeps one connection for each thread that gives commands; safe to share between threads.

    redis-py's own takes one out of its pool for each command, asks the socket whether it is alive,
    and puts it back, which takes as long as a short command itself. One that has died is made anew
    by the retries that the pool's connections are configured with. When its thread ends, or the
    client is closed, it goes back. Pipelines and subscriptions are the pool's, as before.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._threads = threading.local()

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Give a command, as redis-py does."""
        mine = self._of_this_thread()
        try:
            return mine.execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except redis.ResponseError:
            raise
        except BaseException:
            # It may have been interrupted (by a soft time limit) between the command and its reply,
            # which would be taken for that to the next.
            if mine.connection is not None:
                mine.connection.disconnect()  # type: ignore[no-untyped-call]
            raise

    def _of_this_thread(self) -> redis.Redis:
        here = self._threads.__dict__
        # A fork inherits its parent's.
        if here.get("pid") != os.getpid():
            here["client"] = redis.Redis(
                connection_pool=self.connection_pool, single_connection_client=True
            )
            here["pid"] = os.getpid()
        client: redis.Redis = here["client"]
        return client
