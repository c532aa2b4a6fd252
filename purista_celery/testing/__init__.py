"""Does your broker and ledger, with your settings, keep what purista-celery promises?

Run the suites in your own CI, against servers that are configured as in production::

    import pytest
    from purista_celery.testing import Bench, all_cases

    @pytest.fixture(scope="module")
    def bench():
        with Bench() as bench:  # where PURISTA_BROKER_URL and PURISTA_LEDGER_URL point
            yield bench

    @pytest.mark.parametrize("case", all_cases(), ids=str)
    def test_conformance(case, bench):
        case(bench)

or without pytest: ``python -m purista_celery.testing --broker URL --ledger URL``. A namespace of
their own keeps them apart from everything else on these servers, and is deleted afterwards.
"""

from purista_celery.errors import ConformanceFailed
from purista_celery.testing.bench import Bench
from purista_celery.testing.case import Case
from purista_celery.testing.suites import (
    CAPABILITY_CASES,
    all_cases,
    delivery_cases,
    event_cases,
    queue_cases,
    scheduler_cases,
)

__all__ = [
    "CAPABILITY_CASES",
    "Bench",
    "Case",
    "ConformanceFailed",
    "all_cases",
    "delivery_cases",
    "event_cases",
    "queue_cases",
    "scheduler_cases",
]
