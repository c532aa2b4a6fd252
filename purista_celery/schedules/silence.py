"""Since when this process has been looking, and so when nobody was."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Silence:
    """No beat was running between these instants (the first excluded, the last included)."""

    after: datetime
    until: datetime


def silence(
    evaluated: datetime | None, awake_since: datetime, patience: timedelta
) -> Silence | None:
    """Return when nobody was looking; None if that was no longer than ``patience``.

    Args:
        evaluated: until when the last leader looked at all.
        awake_since: since when this process has been looking, as leader or waiting to lead.
    """
    if evaluated is None or awake_since - evaluated <= patience:
        return None
    return Silence(after=evaluated, until=awake_since)


class Wakefulness:
    """Notices when this process was asleep: suspended, stopped, or starved of the processor."""

    def __init__(self, now: datetime, patience: timedelta) -> None:
        self._patience = patience
        self._since = self._last = now

    def since(self, now: datetime) -> datetime:
        """Return since when this process has been looking without a break."""
        if now - self._last > self._patience:
            self._since = now
        return self._since

    def looked(self, now: datetime) -> None:
        """Note that a look has ended."""
        self._last = now
