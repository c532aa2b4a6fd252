"""What a run came to, and whether it is what it has to be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from pydantic import BaseModel

from examples.billing.audit import Expectation
from examples.billing.database import Database, cents, euros
from examples.billing.models import ClosedCycle
from examples.billing.services import monthly_closing
from examples.billing.trouble import CORRUPT_TENANT, SLOW_TENANT, UNLUCKY_TENANT
from purista_celery import Client, JobStatus


@dataclass(frozen=True, slots=True)
class ClosedJob:
    """One tenant's job, as the ledger knows it in the end."""

    tenant: str
    job_id: str
    status: str
    attempts: int
    #: From the last attempt's start to its end.
    held: timedelta
    reason: str


class Report(BaseModel):
    """The figures of a run. Amounts are euros, as text with two decimals."""

    tenants: int
    completed: int
    dead: int
    retried: int
    invoices: int
    total: Decimal
    expected_total: Decimal
    result_events: int
    #: From the start of the processes until all was checked.
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """All facts of a run, from three witnesses: the ledger, the database and the audit."""

    month: str
    tenants: Sequence[str]
    jobs: Sequence[ClosedJob]
    invoices: Sequence[ClosedCycle]
    #: What books has heard: the tenant by job.
    recorded: dict[str, str]
    #: What notifications has heard: the reason by job.
    notified: dict[str, str]
    expectation: Expectation

    @property
    def completed(self) -> list[ClosedJob]:
        """The jobs that completed."""
        return [job for job in self.jobs if job.status == "completed"]

    @property
    def dead(self) -> list[ClosedJob]:
        """The jobs that are dead letters."""
        return [job for job in self.jobs if job.status == "deadLetter"]

    def report(self, seconds: float) -> Report:
        """Return the figures."""
        return Report(
            tenants=len(self.tenants),
            completed=len(self.completed),
            dead=len(self.dead),
            retried=sum(job.attempts > 1 for job in self.jobs),
            invoices=len(self.invoices),
            total=sum((cycle.total for cycle in self.invoices), Decimal("0.00")),
            expected_total=euros(self.expectation.total),
            result_events=len(self.recorded) + len(self.notified),
            seconds=round(seconds, 1),
        )

    def faults(self) -> Iterator[str]:
        """Yield what is not as it has to be."""
        yield from self._money()
        yield from self._ends()
        yield from self._events()

    def _money(self) -> Iterator[str]:
        invoiced = {cycle.tenant: cents(cycle.total) for cycle in self.invoices}
        if len(invoiced) != len(self.invoices):
            yield "a tenant was invoiced twice"
        for tenant in sorted(invoiced.keys() | self.expectation.cents.keys()):
            found, due = invoiced.get(tenant), self.expectation.cents.get(tenant)
            if found != due:
                yield f"{tenant} was invoiced {found} cents, and the audit says {due}"

    def _ends(self) -> Iterator[str]:
        by_tenant = {job.tenant: job for job in self.jobs}
        if sorted(by_tenant) != sorted(self.tenants) or len(by_tenant) != len(self.jobs):
            yield f"expected one job for each of {len(self.tenants)} tenants, got {len(self.jobs)}"
            return
        if {job.tenant for job in self.dead} != {CORRUPT_TENANT}:
            yield f"expected one dead letter, {CORRUPT_TENANT}'s: {self.dead}"
        row = f"row {self.expectation.unreadable[CORRUPT_TENANT]},"
        if row not in by_tenant[CORRUPT_TENANT].reason:
            yield f"the dead letter's reason does not name {row} {by_tenant[CORRUPT_TENANT].reason}"
        for tenant, job in by_tenant.items():
            expected = 2 if tenant == UNLUCKY_TENANT else 1
            if job.attempts != expected:
                yield f"{tenant} took {job.attempts} attempts, expected {expected}"
        slow, lease = by_tenant[SLOW_TENANT], monthly_closing.lifecycle.visibility_timeout
        if slow.held < 2 * lease:
            yield f"{SLOW_TENANT} took {slow.held}; that tests no renewal of a lease of {lease}"

    def _events(self) -> Iterator[str]:
        if self.recorded != {job.job_id: job.tenant for job in self.completed}:
            yield f"books has {len(self.recorded)} of {len(self.completed)} completed months"
        if self.notified != {job.job_id: job.reason for job in self.dead}:
            yield f"notifications heard {self.notified}, and the dead letters are {self.dead}"


def gather(
    client: Client, database: Database, month: str, tenants: Sequence[str], audit: Expectation
) -> Outcome:
    """Ask all witnesses."""
    recorded = database.recorded_months()
    ended = [*map(client.job, recorded), *client.dead_letters(monthly_closing).list()]
    return Outcome(
        month=month,
        tenants=tenants,
        jobs=sorted(map(_closed, ended), key=lambda job: job.tenant),
        invoices=database.closed_cycles(),
        recorded=recorded,
        notified=database.recorded_failures(),
        expectation=audit,
    )


def _closed(status: JobStatus) -> ClosedJob:
    ended = status.completed_at or status.failed_at or status.updated_at
    return ClosedJob(
        tenant=status.parameter["tenant"],
        job_id=status.job_id,
        status=status.status,
        attempts=status.attempt,
        held=ended - (status.leased_at or ended),
        reason=status.reason or "",
    )
