"""The contracts of the example, and the handlers that serve them.

    02:00 on the 1st, Berlin ──► billing.monthlyCycleDue
                                        │  close_previous_month: one job per tenant
                                        ▼
                               billing.monthlyClosing ──► close_cycle: price, write the invoice
                                        │
                  .completed ───────────┴────────── .failed
                      ▼                                ▼
              books.record_month          notifications.record_failure

Serve it with ``PURISTA_SERVICES=examples.billing.services:services celery -A workers worker``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from examples.billing import months, pricing, trouble, usage
from examples.billing.database import Database, database_path
from examples.billing.models import CloseCycle, ClosedCycle, Progress, TenantScope
from purista_celery import (
    Cron,
    Enqueue,
    EventMessage,
    Http,
    Job,
    JobResult,
    LongRunning,
    ResultEvents,
    Service,
)

billing = Service(
    "billing", version="1", description="Closes monthly billing cycles", owner="finance-platform"
)
books = Service("books", version="1", description="Keeps the books", owner="accounting")
notifications = Service(
    "notifications", version="1", description="Tells people what went wrong", owner="support"
)
services = [billing, books, notifications]


# --- what billing declares ------------------------------------------------------------------------

cycle_due = billing.event("billing.monthlyCycleDue", description="A billing month has ended")

monthly_closing = billing.queue(
    "billing.monthlyClosing",
    payload=CloseCycle,
    parameter=TenantScope,
    output=ClosedCycle,
    description="Close one tenant's billing month",
    http=Http(path="/tenants/{tenant}/closings", mode="async-job", tenant_aware=True),
    # The lease is short so that you can watch it being renewed. Minutes are usual: see the defaults
    # of LongRunning.
    profile=LongRunning(
        max_runtime=timedelta(hours=6),
        visibility_timeout=timedelta(seconds=3),
        heartbeat_interval=timedelta(seconds=1),
    ),
    results=ResultEvents(
        success="billing.monthlyClosing.completed",
        failure="billing.monthlyClosing.failed",
        delivery="required",
    ),
)

billing.schedule(
    "monthlyBillingCycle",
    Cron("0 2 1 * *", timezone=months.ZONE.key),
    emits=cycle_due,
    missed_runs="runOnce",
    group="billing",
    description="On the 1st, bill the month before",
)


# --- what billing does ----------------------------------------------------------------------------


@billing.bind(cycle_due, to=monthly_closing, idempotency="strict")
def close_previous_month(event: EventMessage[None]) -> list[Enqueue[CloseCycle, TenantScope]]:
    """Ask for one closing per tenant, keyed by month and tenant: asking twice closes once."""
    month = months.before(_occurred_at(event))
    return [
        Enqueue(
            CloseCycle(month=month),
            TenantScope(tenant=tenant),
            idempotency_key=f"{month}:{tenant}",
            tenant_id=tenant,
        )
        for tenant in usage.tenants(month)
    ]


@monthly_closing.worker()
def close_cycle(job: Job[CloseCycle, TenantScope]) -> ClosedCycle:
    """Price one tenant's month and write its invoice. It may be killed and repeated at any point:
    the checkpoint says which days are counted, and a second invoice is never written.
    """
    month, tenant = job.payload.month, job.parameter.tenant
    trouble.ask_tax_gateway(tenant, job.attempt)
    try:
        days = usage.by_day(month, tenant)
    except usage.CorruptRecord as error:
        # No retry will mend the data; people must.
        job.dead_letter(f"{tenant}: {error}")

    counted = Progress.model_validate(job.last_checkpoint or {})
    for done, (day, records) in enumerate(days.items(), start=1):
        if day <= counted.through:
            continue  # an earlier attempt came this far
        counted = counted.plus(day, records)
        trouble.take_long(tenant)
        job.progress(done, len(days), f"{tenant} {day}")
        job.checkpoint(counted.model_dump(mode="json"))

    database: Database = job.resources.db
    number = database.write_invoice(tenant, month, pricing.invoice(counted.quantities))
    return database.closed_cycle(number)


def _occurred_at(event: EventMessage[None]) -> datetime:
    """Return the instant that the event stands for; one that was emitted by hand stands for now."""
    if event.schedule is not None:
        return event.schedule.scheduled_at
    return datetime.fromtimestamp(event.timestamp / 1000, UTC)


# --- who hears of it ------------------------------------------------------------------------------


@books.subscribe(monthly_closing.results.success)
def record_month(event: EventMessage[JobResult[ClosedCycle]], job: Job[Any, Any]) -> None:
    """Record a completed month. Events may come twice; the books hold each job once."""
    job.resources.db.record_closed_month(event.payload.job_id, event.payload.payload)


@notifications.subscribe(monthly_closing.results.failure)
def record_failure(event: EventMessage[JobResult[None]], job: Job[Any, Any]) -> None:
    """Note what could not be closed, and why, for the people who will mend it."""
    job.resources.db.record_failure(event.payload.job_id, event.payload.reason or "unknown")


# --- what they all need ---------------------------------------------------------------------------


@billing.resource("db")
@books.resource("db")
@notifications.resource("db")
def open_database() -> Iterator[Database]:
    """Open the database once per worker process, after the fork, and close it with the process."""
    database = Database(database_path())
    yield database
    database.close()
