"""Instants as JavaScript writes them: occurrence ids are hashes of this text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from purista_celery.messages.envelope import iso_milliseconds

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        # new Date(0).toISOString()
        (datetime(1970, 1, 1, tzinfo=UTC), "1970-01-01T00:00:00.000Z"),
        # new Date(1767229200000).toISOString()
        (datetime.fromtimestamp(1767229200, UTC), "2026-01-01T01:00:00.000Z"),
        # new Date(1e12 + 7).toISOString(); three digits, always
        (datetime.fromtimestamp(1000000000.007, UTC), "2001-09-09T01:46:40.007Z"),
        # Milliseconds are cut, not rounded, as Date keeps none that are finer.
        (datetime(2026, 1, 1, 0, 0, 0, 999_999, tzinfo=UTC), "2026-01-01T00:00:00.999Z"),
        (datetime(1999, 12, 31, 23, 59, 59, 1000, tzinfo=UTC), "1999-12-31T23:59:59.001Z"),
        # new Date("2026-03-29T01:59:59+01:00"), the second before Berlin's clocks change
        (datetime(2026, 3, 29, 1, 59, 59, tzinfo=BERLIN), "2026-03-29T00:59:59.000Z"),
        (datetime(2026, 7, 1, 2, tzinfo=BERLIN), "2026-07-01T00:00:00.000Z"),
        # Both readings of an hour that occurs twice.
        (datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN), "2026-10-25T00:30:00.000Z"),
        (datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1), "2026-10-25T01:30:00.000Z"),
        # Half-hour offsets.
        (
            datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=45))),
            "2025-12-31T18:15:00.000Z",
        ),
        # Years of four digits.
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000Z"),
        (datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC), "9999-12-31T23:59:59.999Z"),
    ],
)
def test_an_instant_is_written_as_date_to_iso_string_writes_it(
    instant: datetime, text: str
) -> None:
    """UTC, three digits of a second, and a Z."""
    assert iso_milliseconds(instant) == text
