"""A client whose Redis has a clock of the test's own: scripts and ``TIME`` read it from a key."""

from __future__ import annotations

from typing import Any

import redis
from redis.commands.core import Script

from purista_celery.redis_client import ThreadClient

CLOCK = "test:clock"
#: What stands for ``redis.call('TIME')``: seconds and microseconds of a clock in milliseconds.
_TOLD = f"""
local function told()
  local now = tonumber(redis.call('GET', '{CLOCK}'))
  return {{math.floor(now / 1000), (now % 1000) * 1000}}
end
"""


class ClockedClient(ThreadClient):
    """Lets a test say how late it is on the server."""

    def register_script(self, script: Any) -> Script:
        """Register a script that reads the test's clock."""
        return super().register_script(_TOLD + str(script).replace("redis.call('TIME')", "told()"))

    def time(self, **_: Any) -> Any:
        """Return the test's time as Redis does."""
        now = int(self.get(CLOCK))
        return now // 1000, now % 1000 * 1000


def clocked(client: redis.Redis) -> ClockedClient:
    """Return a client with a clock for the Redis of ``client``."""
    return ClockedClient(connection_pool=client.connection_pool)
