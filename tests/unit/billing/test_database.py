"""The billing example's database: nobody is invoiced twice, no event counts twice."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest

from examples.billing.database import Database
from examples.billing.pricing import invoice


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty database."""
    database = Database(tmp_path / "new" / "billing.db")
    yield database
    database.close()


def test_a_month_is_invoiced_once(database: Database) -> None:
    """A repeated closing finds the invoice that is there, even where prices have changed since."""
    first = database.write_invoice("amber", "2025-10", invoice({"emails": Decimal(100_000)}))
    again = database.write_invoice("amber", "2025-10", invoice({"emails": Decimal(1)}))
    assert again == first
    assert [cycle.total for cycle in database.closed_cycles()] == [Decimal("75.00")]


def test_many_writers_invoice_once(database: Database, tmp_path: Path) -> None:
    """Threads of one process and connections of others race for one invoice; one writes it."""
    other = Database(tmp_path / "new" / "billing.db")
    try:
        with ThreadPoolExecutor(8) as pool:
            numbers = pool.map(
                lambda each: each.write_invoice("amber", "2025-10", invoice({})),
                [database, other] * 20,
            )
            assert set(numbers) == {1}
    finally:
        other.close()


def test_a_repeated_event_is_recorded_once(database: Database) -> None:
    """Result events may come twice; books and notifications hold each job once."""
    number = database.write_invoice("amber", "2025-10", invoice({}))
    for _ in range(2):
        database.record_closed_month("job-1", database.closed_cycle(number))
        database.record_failure("job-2", "row 7")
    assert database.recorded_months() == {"job-1": "amber"}
    assert database.recorded_failures() == {"job-2": "row 7"}
