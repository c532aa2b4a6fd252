"""Which application owns a scheduler group, and which of its deployments is the newest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Self

from purista_celery.messages.envelope import Instant
from purista_celery.messages.wire import WireModel


class Deployment(WireModel):
    """One application's manifest for one group."""

    #: The manifest's title, and the services whose schedules it holds: who the application is.
    title: str | None = None
    services: tuple[str, ...] = ()
    #: Hash of the group's entries.
    digest: str
    #: When a beat first brought these entries into the store.
    applied_at: Instant | None = None

    @classmethod
    def of(
        cls,
        title: str | None,
        services: Iterable[str],
        definitions: Iterable[str],
        rejected: Iterable[str],
    ) -> Self:
        """Return the deployment of a manifest's part, of schedules with these definitions."""
        parts = [*sorted(definitions), "", *sorted(rejected)]
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        return cls(title=title, services=tuple(sorted(set(services))), digest=digest)

    def applied(self, now: datetime) -> Self:
        """Return it, brought into the store at ``now``."""
        return self.model_copy(update={"applied_at": now})

    def is_same_application(self, other: Deployment) -> bool:
        """Tell whether both are deployments of one application.

        Their titles say so where both have one; else that they have a service in common. A manifest
        without schedules fits any: the last one may have been removed.
        """
        if self.title is not None and other.title is not None:
            return self.title == other.title
        mine, theirs = set(self.services), set(other.services)
        return not mine or not theirs or bool(mine & theirs)

    def is_stale(self, current: Deployment | None, started_at: datetime) -> bool:
        """Tell whether ``current`` was deployed after the process of this one was started.

        A process that was started later is a later deployment, be it of an earlier manifest.
        """
        if current is None or current.applied_at is None or current.digest == self.digest:
            return False
        return current.applied_at > started_at

    def __str__(self) -> str:
        return f"{self.title or ', '.join(self.services) or 'no schedules'} ({self.digest[:12]})"
