"""The SQLite database of the example: invoices, the books, and what could not be billed.

Amounts are stored in cents. Several worker processes write to it, and with a thread pool several
threads share one connection: writing is one short transaction at a time.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from examples.billing.models import ClosedCycle
from examples.billing.pricing import Invoice

Execute = Callable[..., sqlite3.Cursor]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS invoices (
    number INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    month TEXT NOT NULL,
    subtotal INTEGER NOT NULL,
    discount INTEGER NOT NULL,
    total INTEGER NOT NULL,
    UNIQUE (tenant, month)
);
CREATE TABLE IF NOT EXISTS invoice_lines (
    invoice INTEGER NOT NULL REFERENCES invoices,
    product TEXT NOT NULL,
    quantity TEXT NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (invoice, product)
);
CREATE TABLE IF NOT EXISTS books_closed_months (
    job_id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    month TEXT NOT NULL,
    total INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS notifications_failures (
    job_id TEXT PRIMARY KEY,
    reason TEXT NOT NULL
);
"""


def database_path() -> Path:
    """Return where the database is: ``BILLING_DATABASE``, or below ``.purista/``."""
    return Path(os.environ.get("BILLING_DATABASE", ".purista/billing.db"))


class Database:
    """An open connection. SQLite's must not cross a fork: open one per process."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            path,
            timeout=30,  # how long a writer waits for another
            isolation_level=None,
            check_same_thread=False,
        )
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        with self._transaction() as execute:
            for statement in _SCHEMA.split(";"):
                execute(statement)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def write_invoice(self, tenant: str, month: str, invoice: Invoice) -> int:
        """Write a tenant's invoice unless the month has one, and return the month's number."""
        with self._transaction() as execute:
            found = execute(
                "SELECT number FROM invoices WHERE tenant = ? AND month = ?", (tenant, month)
            ).fetchone()
            if found is not None:
                return int(found["number"])
            amounts = map(cents, (invoice.subtotal, invoice.discount, invoice.total))
            number: int = execute(
                "INSERT INTO invoices (tenant, month, subtotal, discount, total)"
                " VALUES (?, ?, ?, ?, ?) RETURNING number",
                (tenant, month, *amounts),
            ).fetchone()["number"]
            for line in invoice.lines:
                execute(
                    "INSERT INTO invoice_lines VALUES (?, ?, ?, ?)",
                    (number, line.product, str(line.quantity), cents(line.amount)),
                )
            return number

    def closed_cycle(self, number: int) -> ClosedCycle:
        """Return what invoice ``number`` says."""
        with self._transaction() as execute:
            row = execute("SELECT * FROM invoices WHERE number = ?", (number,)).fetchone()
        return _closed_cycle(row)

    def closed_cycles(self) -> list[ClosedCycle]:
        """Return what all invoices say, by number."""
        with self._transaction() as execute:
            rows = execute("SELECT * FROM invoices ORDER BY number").fetchall()
        return [_closed_cycle(row) for row in rows]

    def record_closed_month(self, job_id: str, closed: ClosedCycle) -> None:
        """Enter a closed month in the books, once for each job."""
        with self._transaction() as execute:
            execute(
                "INSERT INTO books_closed_months VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (job_id, closed.tenant, closed.month, cents(closed.total)),
            )

    def record_failure(self, job_id: str, reason: str) -> None:
        """Note why a job failed, once for each job."""
        with self._transaction() as execute:
            execute(
                "INSERT INTO notifications_failures VALUES (?, ?) ON CONFLICT DO NOTHING",
                (job_id, reason),
            )

    def recorded_months(self) -> dict[str, str]:
        """Return the tenant of each closing in the books, by job."""
        with self._transaction() as execute:
            return dict(map(tuple, execute("SELECT job_id, tenant FROM books_closed_months")))

    def recorded_failures(self) -> dict[str, str]:
        """Return the reason of each failure that was notified, by job."""
        with self._transaction() as execute:
            return dict(map(tuple, execute("SELECT job_id, reason FROM notifications_failures")))

    @contextmanager
    def _transaction(self) -> Iterator[Execute]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection.execute
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")


def _closed_cycle(row: sqlite3.Row) -> ClosedCycle:
    return ClosedCycle(
        tenant=row["tenant"],
        month=row["month"],
        invoice=row["number"],
        subtotal=euros(row["subtotal"]),
        discount=euros(row["discount"]),
        total=euros(row["total"]),
    )


def cents(amount: Decimal) -> int:
    """Return an amount in euros as cents."""
    return int(amount * 100)


def euros(cents: int) -> Decimal:
    """Return an amount in cents as euros with two decimals."""
    return Decimal(cents).scaleb(-2)
