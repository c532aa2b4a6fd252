"""The data file of the billing example, the months, and the two routes to a total."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime

import pytest

from examples.billing import audit, make_data, months, pricing, usage
from examples.billing.models import Progress
from examples.billing.trouble import CORRUPT_TENANT, SLOW_TENANT, UNLUCKY_TENANT

MONTH = make_data.MONTH


def expectation() -> audit.Expectation:
    """Return what the audit says of the data's month."""
    start, end = (f"{instant:{usage.TIME_FORMAT}}" for instant in months.bounds(MONTH))
    return audit.expected(start, end)


def test_the_file_is_what_its_generator_makes() -> None:
    """Who changes one of them has to change the other."""
    with gzip.open(usage.DATA, "rt", encoding="utf-8", newline="") as file:
        assert file.read() == make_data.text()


def test_the_data_is_a_month_of_real_size() -> None:
    """At least 40 tenants and 20,000 records, with a tenant for each kind of trouble."""
    tenants = usage.tenants(MONTH)
    assert len(tenants) >= 40
    assert len(make_data.records()) >= 20_000
    assert {CORRUPT_TENANT, SLOW_TENANT, UNLUCKY_TENANT} <= set(tenants)


def test_both_routes_come_to_the_same_total() -> None:
    """For each tenant, decimals priced by record and SQL over integers agree to the cent."""
    expected = expectation()
    priced = {}
    for tenant in sorted(expected.cents):
        counted = Progress()
        for day, records in usage.by_day(MONTH, tenant).items():
            counted = counted.plus(day, records)
        priced[tenant] = int(pricing.invoice(counted.quantities).total * 100)
    assert priced == expected.cents
    assert sorted([*priced, CORRUPT_TENANT]) == usage.tenants(MONTH)


def test_the_corrupt_row_is_named() -> None:
    """The error names row, field and value; the audit finds the same row by itself."""
    ((tenant, row),) = expectation().unreadable.items()
    assert tenant == CORRUPT_TENANT
    with pytest.raises(usage.CorruptRecord, match=rf"row {row}, field quantity: '.*O.*'"):
        usage.by_day(MONTH, tenant)

    with gzip.open(usage.DATA, "rt", encoding="utf-8") as file:
        line = file.readlines()[row - 1]
    assert CORRUPT_TENANT in line
    assert "O" in line.rsplit(",", 1)[1]


def test_counting_can_stop_and_go_on() -> None:
    """Progress that went through a checkpoint's JSON comes to the same quantities."""
    days = usage.by_day(MONTH, UNLUCKY_TENANT)
    through, resumed = Progress(), Progress()
    for day, records in days.items():
        through = through.plus(day, records)
        resumed = Progress.model_validate(resumed.model_dump(mode="json")).plus(day, records)
    assert resumed == through
    assert through.through == max(days)


@pytest.mark.parametrize(
    ("instant", "month"),
    [
        (datetime(2025, 11, 1, 1, tzinfo=UTC), "2025-10"),
        (datetime(2025, 10, 31, 23, tzinfo=UTC), "2025-10"),  # midnight of the 1st in Berlin
        (datetime(2025, 10, 31, 22, 59, tzinfo=UTC), "2025-09"),  # a minute earlier
        (datetime(2026, 1, 31, 12, tzinfo=UTC), "2025-12"),
        (datetime(2026, 3, 31, 12, tzinfo=UTC), "2026-02"),
    ],
)
def test_the_month_before_is_reckoned_in_berlin(instant: datetime, month: str) -> None:
    """What counts is the calendar on the wall in Berlin, not UTC's."""
    assert months.before(instant) == month


@pytest.mark.parametrize(
    ("month", "hours"),
    [
        ("2025-10", 31 * 24 + 1),  # summer time ends
        ("2026-03", 31 * 24 - 1),  # summer time begins
        ("2025-12", 31 * 24),
        ("2026-02", 28 * 24),
    ],
)
def test_a_month_is_as_long_as_in_berlin(month: str, hours: int) -> None:
    """The hour that summer time takes and gives belongs to its month."""
    start, end = months.bounds(month)
    assert (end - start).total_seconds() == hours * 3600
    assert months.before(end) == month
