"""The names of the scheduler's keys: RedBeat's layout, once per scheduler group."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GroupKeys:
    """Keys of one group. They share a Redis Cluster slot, as the scripts need."""

    namespace: str
    group: str

    @property
    def prefix(self) -> str:
        """RedBeat's key prefix; an entry's hash is this and its name."""
        return f"{{{self.namespace}:schedules:{self.group}}}:"

    @property
    def schedule(self) -> str:
        """Sorted set: entries by when to look at them next (s since the epoch), -1 never."""
        return f"{self.prefix}:schedule"

    @property
    def statics(self) -> str:
        """Set: names of the entries that a manifest brought."""
        return f"{self.prefix}:statics"

    @property
    def lock(self) -> str:
        """String: token of the beat that leads; expires with it."""
        return f"{self.prefix}:lock"

    @property
    def waiting(self) -> str:
        """String: token of a beat that would lead; expires with it."""
        return f"{self.prefix}:waiting"

    @property
    def looked(self) -> str:
        """String: when some beat was looking, ``began-ended`` (ms since the epoch) each, sorted."""
        return f"{self.prefix}:looked"

    @property
    def deployment(self) -> str:
        """String: the application that owns this group, and the manifest it deployed last."""
        return f"{self.prefix}:deployment"

    @property
    def changes(self) -> str:
        """Pub/sub channel: something may be due earlier than a waiting beat thinks."""
        return f"{self.prefix}:changes"

    def entry(self, name: str) -> str:
        """Hash: ``definition`` and ``meta`` of the entry ``name``, which is a schedule's key."""
        return f"{self.prefix}{name}"

    def name(self, entry: str) -> str:
        """Return the name of the entry whose hash is ``entry``."""
        return entry.removeprefix(self.prefix)
