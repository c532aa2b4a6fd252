"""What a month must come to, computed a second time and in another way.

No line of this is shared with ``pricing.py`` or ``usage.py``: SQLite adds up whole thousandths and
whole millionths, and Python divides and rounds integers. If both routes agree to the cent, it is
not because they share a mistake.
"""

from __future__ import annotations

import csv
import gzip
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent

_TABLES = """
CREATE TABLE usage (line INTEGER, at TEXT, tenant TEXT, product TEXT, thousandths INTEGER);
CREATE TABLE tiers (product TEXT, start INTEGER, price INTEGER);
"""

#: Thousandths of a unit times millionths of a euro: billionths of a euro, by tenant and product.
_AMOUNTS = """
WITH
used AS (
    SELECT tenant, product, SUM(thousandths) AS quantity
    FROM usage WHERE at >= :start AND at < :end
    GROUP BY tenant, product
),
tiers_with_ends AS (
    SELECT product, price, start,
           LEAD(start, 1, 9000000000000) OVER (PARTITION BY product ORDER BY start) AS end
    FROM tiers
)
SELECT tenant, SUM((MIN(quantity, end) - start) * price) AS billionths
FROM used JOIN tiers_with_ends USING (product)
WHERE quantity > start
GROUP BY tenant, product
"""

_UNREADABLE = "SELECT tenant, MIN(line) FROM usage WHERE thousandths IS NULL GROUP BY tenant"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What there is to bill."""

    #: Cents by tenant.
    cents: dict[str, int]
    #: Who can not be billed, with the line of the file that can not be read.
    unreadable: dict[str, int]

    @property
    def total(self) -> int:
        """All tenants' cents."""
        return sum(self.cents.values())


def expected(start: str, end: str) -> Expectation:
    """Return what the records from ``start`` to before ``end`` (UTC, as in the file) come to."""
    database = sqlite3.connect(":memory:")
    try:
        database.executescript(_TABLES)
        database.executemany("INSERT INTO usage VALUES (?, ?, ?, ?, ?)", _usage())
        database.executemany("INSERT INTO tiers VALUES (?, ?, ?)", _tiers())
        unreadable = dict(database.execute(_UNREADABLE).fetchall())
        subtotals: dict[str, int] = defaultdict(int)
        for tenant, billionths in database.execute(_AMOUNTS, {"start": start, "end": end}):
            subtotals[tenant] += _half_even(billionths, 10_000_000)
    finally:
        database.close()
    return Expectation(
        {tenant: _discounted(s) for tenant, s in subtotals.items() if tenant not in unreadable},
        unreadable,
    )


def _discounted(cents: int) -> int:
    return cents - _half_even(cents * 5, 100) if cents >= 100_000 else cents


def _half_even(dividend: int, divisor: int) -> int:
    whole, rest = divmod(dividend, divisor)
    return whole + (2 * rest > divisor or (2 * rest == divisor and whole % 2 == 1))


def _usage() -> Iterator[tuple[int, str, str, str, int | None]]:
    with gzip.open(HERE / "usage.csv.gz", "rt", encoding="utf-8", newline="") as file:
        next(file)
        for line, (at, tenant, product, quantity) in enumerate(csv.reader(file), start=2):
            yield line, at, tenant, product, _shifted(quantity, 3)


def _tiers() -> Iterator[tuple[str, int | None, int | None]]:
    with (HERE / "prices.csv").open(encoding="utf-8", newline="") as file:
        next(file)
        for product, start, price in csv.reader(file):
            yield product, _shifted(start, 3), _shifted(price, 6)


def _shifted(number: str, places: int) -> int | None:
    """Return a decimal text times ten to the ``places``; None if it is no such number."""
    whole, _, fraction = number.partition(".")
    digits = whole + fraction.ljust(places, "0")
    if len(fraction) > places or not (digits.isascii() and digits.isdigit()):
        return None
    return int(digits)
