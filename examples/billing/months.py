"""Billing months are calendar months in Berlin, written ``YYYY-MM``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Berlin")


def before(instant: datetime) -> str:
    """Return the month before the one that ``instant`` is in."""
    first = instant.astimezone(ZONE).replace(day=1)
    return f"{first - timedelta(days=1):%Y-%m}"


def bounds(month: str) -> tuple[datetime, datetime]:
    """Return the first instant of ``month`` and that of the next one, in UTC."""
    year, number = map(int, month.split("-"))
    first = datetime(year, number, 1, tzinfo=ZONE)
    following = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=ZONE)
    return first.astimezone(UTC), following.astimezone(UTC)
