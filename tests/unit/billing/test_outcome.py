"""The demo's verdict: a right run has no fault, and each wrong one is called wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from examples.billing.audit import Expectation
from examples.billing.models import ClosedCycle
from examples.billing.stage.outcome import ClosedJob, Outcome
from examples.billing.trouble import CORRUPT_TENANT, SLOW_TENANT, UNLUCKY_TENANT

TENANTS = sorted(["ample-tenant", CORRUPT_TENANT, SLOW_TENANT, UNLUCKY_TENANT])
REASON = f"{CORRUPT_TENANT}: usage.csv.gz row 7, field quantity: 'O' is not readable"
PAYING = [tenant for tenant in TENANTS if tenant != CORRUPT_TENANT]


def right() -> Outcome:
    """Return what a right run of four tenants comes to."""
    return Outcome(
        month="2025-10",
        tenants=TENANTS,
        jobs=[job(tenant) for tenant in TENANTS],
        invoices=[cycle(number, tenant) for number, tenant in enumerate(PAYING, start=1)],
        recorded={f"job of {tenant}": tenant for tenant in PAYING},
        notified={f"job of {CORRUPT_TENANT}": REASON},
        expectation=Expectation(dict.fromkeys(PAYING, 1050), {CORRUPT_TENANT: 7}),
    )


def job(tenant: str) -> ClosedJob:
    """Return a tenant's job as it has to be."""
    dead = tenant == CORRUPT_TENANT
    return ClosedJob(
        tenant=tenant,
        job_id=f"job of {tenant}",
        status="deadLetter" if dead else "completed",
        attempts=2 if tenant == UNLUCKY_TENANT else 1,
        held=timedelta(seconds=9),
        reason=REASON if dead else "",
    )


def cycle(number: int, tenant: str) -> ClosedCycle:
    """Return a tenant's invoice as it has to be."""
    return ClosedCycle(
        tenant=tenant,
        month="2025-10",
        invoice=number,
        subtotal=Decimal("10.50"),
        discount=Decimal("0.00"),
        total=Decimal("10.50"),
    )


def changed(tenant: str, **facts: object) -> Callable[[Outcome], Outcome]:
    """Return what makes one tenant's job another than it has to be."""
    return lambda outcome: replace(
        outcome,
        jobs=[
            replace(each, **facts) if each.tenant == tenant else each  # type: ignore[arg-type]
            for each in outcome.jobs
        ],
    )


def test_a_right_run_has_no_fault() -> None:
    """And its report says so."""
    outcome = right()
    assert list(outcome.faults()) == []
    assert outcome.report(12.34).model_dump(mode="json") == {
        "tenants": 4,
        "completed": 3,
        "dead": 1,
        "retried": 1,
        "invoices": 3,
        "total": "31.50",
        "expected_total": "31.50",
        "result_events": 4,
        "seconds": 12.3,
    }


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        (lambda o: replace(o, invoices=[*o.invoices, o.invoices[0]]), "twice"),
        (lambda o: replace(o, invoices=o.invoices[1:]), "invoiced None cents"),
        (
            lambda o: replace(o, expectation=replace(o.expectation, cents={PAYING[0]: 1050})),
            "the audit says None",
        ),
        (lambda o: replace(o, jobs=o.jobs[1:]), "one job for each"),
        (lambda o: replace(o, jobs=[*o.jobs, o.jobs[0]]), "one job for each"),
        (changed("ample-tenant", status="deadLetter"), "expected one dead letter"),
        (changed(CORRUPT_TENANT, reason="row 8, field quantity"), "does not name row 7"),
        (changed(UNLUCKY_TENANT, attempts=1), "took 1 attempts, expected 2"),
        (changed(SLOW_TENANT, attempts=2), "took 2 attempts, expected 1"),
        (changed(SLOW_TENANT, held=timedelta(seconds=2)), "no renewal"),
        (lambda o: replace(o, recorded={}), "books has 0 of 3"),
        (lambda o: replace(o, notified={}), "notifications heard"),
        (lambda o: replace(o, notified=dict.fromkeys(o.notified, "?")), "notifications heard"),
    ],
)
def test_a_wrong_run_is_called_wrong(wrong: Callable[[Outcome], Outcome], fault: str) -> None:
    """One change to a right run, and the verdict names it."""
    assert any(fault in found for found in wrong(right()).faults())
