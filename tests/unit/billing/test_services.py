"""The billing example's contracts and handlers, without any broker."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from examples.billing import months, services, trouble, usage
from examples.billing.database import Database
from examples.billing.models import CloseCycle, Progress, TenantScope
from purista_celery import EventMessage
from purista_celery.messages.envelope import ScheduleTrigger, Sender

MONTH = "2025-10"


class DeadLetter(Exception):
    """The handler gave up for good."""


class FakeJob:
    """As much of a job as the handler uses."""

    def __init__(self, tenant: str, database: Database, attempt: int = 1) -> None:
        self.payload = CloseCycle(month=MONTH)
        self.parameter = TenantScope(tenant=tenant)
        self.attempt = attempt
        self.last_checkpoint: Any = None
        self.resources = self
        self.db = database
        self.reports: list[float] = []
        #: After this many reports the worker is killed.
        self.lives = 1000

    def progress(self, done: float, total: float, message: str) -> None:
        if len(self.reports) == self.lives:
            raise KeyboardInterrupt
        self.reports.append(done)

    def checkpoint(self, value: Any) -> None:
        self.last_checkpoint = value

    def dead_letter(self, reason: str) -> None:
        raise DeadLetter(reason)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty database."""
    database = Database(tmp_path / "billing.db")
    yield database
    database.close()


@pytest.fixture(autouse=True)
def _no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trouble.time, "sleep", lambda seconds: None)


def occurrence(at: datetime) -> EventMessage[None]:
    """Return the event of the occurrence at ``at``."""
    return EventMessage[None](
        id="event",
        timestamp=0,
        event_name=services.cycle_due.name,
        sender=Sender(service_name="s", service_version="1", service_target="t", instance_id="i"),
        schedule=ScheduleTrigger(
            schedule_key="k", schedule_name="n", occurrence_id="o", scheduled_at=at, fired_at=at
        ),
    )


def test_an_occurrence_asks_for_each_tenant_once() -> None:
    """One job per tenant, for the month before, under a key of month and tenant."""
    jobs = services.close_previous_month(occurrence(datetime(2025, 11, 1, 2, tzinfo=months.ZONE)))
    assert {job.payload.month for job in jobs} == {MONTH}
    assert [job.parameter.tenant for job in jobs] == usage.tenants(MONTH)
    assert {job.idempotency_key for job in jobs} == {f"{MONTH}:{t}" for t in usage.tenants(MONTH)}


def test_two_occurrences_in_one_month_have_the_same_keys() -> None:
    """Whenever in November it is fired, October is closed once."""
    first, late = (
        services.close_previous_month(occurrence(datetime(2025, 11, day, tzinfo=months.ZONE)))
        for day in (1, 30)
    )
    assert first == late


def test_a_month_without_use_closes_nothing() -> None:
    """Beat may fire for a month that the data knows nothing of."""
    assert services.close_previous_month(occurrence(datetime(2031, 5, 1, tzinfo=months.ZONE))) == []


def test_an_event_emitted_by_hand_stands_for_now() -> None:
    """Without an occurrence, the event's own time says which month ended."""
    at = datetime(2025, 11, 5, tzinfo=months.ZONE)
    event = occurrence(at).model_copy(
        update={"schedule": None, "timestamp": int(at.timestamp() * 1000)}
    )
    assert {job.payload.month for job in services.close_previous_month(event)} == {MONTH}


def test_a_closing_writes_the_invoice_and_returns_it(database: Database) -> None:
    """Each day is reported and the output is what the invoice says."""
    job = FakeJob("amber-cove", database)
    closed = services.close_cycle(job)
    assert database.closed_cycles() == [closed]
    assert job.reports == list(range(1, 32))
    assert Progress.model_validate(job.last_checkpoint).through == "2025-10-31"


def test_a_killed_closing_goes_on_where_it_was(database: Database, tmp_path: Path) -> None:
    """The next attempt counts only the days that are missing, and comes to the same invoice."""
    job = FakeJob("amber-cove", database)
    job.lives = 10
    with pytest.raises(KeyboardInterrupt):
        services.close_cycle(job)
    assert database.closed_cycles() == []

    job.lives, job.attempt, before = 1000, 2, len(job.reports)
    resumed = services.close_cycle(job)
    assert job.reports[before:] == list(range(11, 32))

    elsewhere = Database(tmp_path / "elsewhere.db")
    try:
        assert services.close_cycle(FakeJob("amber-cove", elsewhere)) == resumed
    finally:
        elsewhere.close()


def test_closing_twice_invoices_once(database: Database) -> None:
    """A closing that was repeated after its invoice was written finds it."""
    first = services.close_cycle(FakeJob("amber-cove", database))
    assert services.close_cycle(FakeJob("amber-cove", database, attempt=2)) == first
    assert len(database.closed_cycles()) == 1


def test_corrupt_data_is_a_dead_letter_that_names_the_row(database: Database) -> None:
    """No attempt is wasted on data that no attempt can read, and nothing is invoiced."""
    with pytest.raises(DeadLetter, match=r"coral-meadow: usage\.csv\.gz row \d+, field quantity"):
        services.close_cycle(FakeJob(trouble.CORRUPT_TENANT, database))
    assert database.closed_cycles() == []


def test_the_unlucky_tenant_succeeds_at_the_second_attempt(database: Database) -> None:
    """The simulated gateway fails its first attempt only."""
    with pytest.raises(trouble.GatewayTimeout):
        services.close_cycle(FakeJob(trouble.UNLUCKY_TENANT, database, attempt=1))
    assert services.close_cycle(FakeJob(trouble.UNLUCKY_TENANT, database, attempt=2)).total > 0
