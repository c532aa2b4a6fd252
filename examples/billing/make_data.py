"""Make ``usage.csv.gz``: ``python -m examples.billing.make_data``. The same data every time.

October 2025 in Berlin: 31 days and one hour, for daylight saving time ends in it. Nobody's use is
real.
"""

from __future__ import annotations

import csv
import gzip
import io
import random
from datetime import timedelta

from examples.billing import months
from examples.billing.trouble import CORRUPT_TENANT
from examples.billing.usage import DATA, TIME_FORMAT

MONTH = "2025-10"
SEED = 20251001
TENANTS = [
    f"{colour}-{place}"
    for colour in ("amber", "brisk", "coral", "dusty", "early", "fabled")
    for place in ("anchor", "bridge", "cove", "harbor", "island", "lantern", "meadow", "quarry")
]
#: Largest quantity of one record in thousandths of the product's unit, and its granularity.
PRODUCTS = {
    "api_calls": (900_000, 1000),
    "compute_seconds": (9_000_000, 100),
    "egress_gb": (24_000, 1),
    "emails": (700_000, 1000),
    "storage_gb_days": (160_000, 1),
}
#: Small tenants are many.
SIZES = (1, 1, 1, 1, 2, 2, 3, 5, 8)


def records() -> list[tuple[str, str, str, str]]:
    """Return all rows below the header, in the order of the file."""
    # Whole numbers only: they are the same on every platform.
    dice = random.Random(SEED)
    start, end = months.bounds(MONTH)
    seconds = int((end - start).total_seconds())
    rows = []
    for tenant in TENANTS:
        size = dice.choice(SIZES)
        for _ in range(dice.randrange(380, 640)):
            at = start + timedelta(seconds=dice.randrange(seconds))
            product = dice.choice(sorted(PRODUCTS))
            largest, grain = PRODUCTS[product]
            thousandths = dice.randrange(1, size * largest // grain) * grain
            rows.append((f"{at:{TIME_FORMAT}}", tenant, product, _decimal(thousandths)))
    rows.sort()
    return _corrupted(rows)


def text() -> str:
    """Return the file's content."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("at", "tenant", "product", "quantity"))
    writer.writerows(records())
    return out.getvalue()


def _decimal(thousandths: int) -> str:
    whole, rest = divmod(thousandths, 1000)
    return f"{whole}.{rest:03}".rstrip("0").rstrip(".")


def _corrupted(rows: list[tuple[str, str, str, str]]) -> list[tuple[str, str, str, str]]:
    """Type the letter O for a zero, once, as people do."""
    index, (at, tenant, product, quantity) = next(
        (index, row)
        for index, row in enumerate(rows[len(rows) // 2 :], start=len(rows) // 2)
        if row[1] == CORRUPT_TENANT and "0" in row[3]
    )
    rows[index] = (at, tenant, product, quantity.replace("0", "O", 1))
    return rows


if __name__ == "__main__":
    # Without a time in it, the compressed file is the same every time, too.
    DATA.write_bytes(gzip.compress(text().encode(), mtime=0))
