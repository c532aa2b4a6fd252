"""What the tenants have used: ``usage.csv.gz``, a record per row, ordered by time.

=========  ========================================================
at         when, UTC, ``YYYY-MM-DDThh:mm:ssZ``: ordered as text, too
tenant     who
product    what; see ``prices.csv``
quantity   how much, in the product's unit, up to three decimals
=========  ========================================================
"""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from examples.billing import months

DATA = Path(__file__).with_name("usage.csv.gz")
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_QUANTITY = re.compile(r"\d+(\.\d{1,3})?")


@dataclass(frozen=True, slots=True)
class Record:
    """One record of use."""

    at: datetime
    product: str
    quantity: Decimal


class CorruptRecord(Exception):
    """A field of a row can not be read."""

    def __init__(self, row: int, field: str, value: str) -> None:
        super().__init__(f"{DATA.name} row {row}, field {field}: {value!r} is not readable")


def tenants(month: str) -> list[str]:
    """Return who has used anything in ``month``, by name."""
    return sorted({row["tenant"] for _, row in _rows(month)})


def by_day(month: str, tenant: str) -> dict[str, list[Record]]:
    """Return a tenant's records of ``month`` by the day, in Berlin, that they were used on.

    Raises:
        CorruptRecord: one of them can not be read; a month is billed whole or not at all.
    """
    days: dict[str, list[Record]] = {}
    for number, row in _rows(month):
        if row["tenant"] == tenant:
            record = _read(number, row)
            days.setdefault(f"{record.at.astimezone(months.ZONE):%Y-%m-%d}", []).append(record)
    return days


def _rows(month: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of ``month`` with their line numbers; the header is line 1."""
    start, end = (f"{instant:{TIME_FORMAT}}" for instant in months.bounds(month))
    with gzip.open(DATA, "rt", encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            if start <= row["at"] < end:
                yield number, row


def _read(number: int, row: dict[str, str]) -> Record:
    if not _QUANTITY.fullmatch(row["quantity"]):
        raise CorruptRecord(number, "quantity", row["quantity"])
    return Record(
        at=datetime.fromisoformat(row["at"]),
        product=row["product"],
        quantity=Decimal(row["quantity"]),
    )
