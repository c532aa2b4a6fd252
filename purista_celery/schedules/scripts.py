"""The scheduler's transitions as Redis scripts, one Lua file each."""

from __future__ import annotations

from importlib.resources import files

import redis
from redis.commands.core import Script


class Scripts:
    """All scripts of the scheduler, ready to be called; each Lua file says what it does."""

    def __init__(self, client: redis.Redis) -> None:
        self.lead = _load(client, "lead")
        self.advance = _load(client, "advance")
        self.put = _load(client, "put")
        self.drop = _load(client, "drop")
        self.park = _load(client, "park")
        self.pause = _load(client, "pause")
        self.resume = _load(client, "resume")
        self.deploy = _load(client, "deploy")


def _load(client: redis.Redis, name: str) -> Script:
    source = files("purista_celery.schedules").joinpath("lua", f"{name}.lua").read_text("utf-8")
    return client.register_script(source)
