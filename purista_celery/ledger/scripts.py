"""The ledger's transitions as Redis scripts, one Lua file each."""

from __future__ import annotations

from importlib.resources import files

import redis
from redis.commands.core import Script

#: Functions that several scripts begin with; they are no transitions.
_PARTS = ("line", "holder")


class Scripts:
    """All scripts of the ledger, ready to be called; each Lua file says what it does."""

    def __init__(self, client: redis.Redis) -> None:
        self.enqueue = _load(client, "enqueue")
        self.claim = _load(client, "claim")
        self.extend = _load(client, "extend")
        self.complete = _load(client, "complete")
        self.recall = _load(client, "recall")
        self.retry = _load(client, "retry")
        self.release = _load(client, "release")
        self.postpone = _load(client, "postpone")
        self.bury = _load(client, "bury")
        self.park = _load(client, "park")
        self.unpark = _load(client, "unpark")
        self.cancel = _load(client, "cancel")
        self.report = _load(client, "report")
        self.keep = _load(client, "keep")
        self.due = _load(client, "due")
        self.lost = _load(client, "lost")
        self.expired = _load(client, "expired")
        self.outbox = _load(client, "outbox")
        self.redrive = _load(client, "redrive")
        self.purge = _load(client, "purge")
        self.turns = _load(client, "turns")
        self.announce = _load(client, "announce")
        self.silent = _load(client, "silent")
        self.remove = _load(client, "remove")


def _load(client: redis.Redis, name: str) -> Script:
    source = _read(name)
    head = source.partition(".")[0]
    # What a script says that it is "with" goes before it.
    parts = [_read(part) for part in _PARTS if head.startswith("-- With ") and part in head]
    return client.register_script("".join([*parts, source]))


def _read(name: str) -> str:
    return files("purista_celery.ledger").joinpath("lua", f"{name}.lua").read_text("utf-8")
