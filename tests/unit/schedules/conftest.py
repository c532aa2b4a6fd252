"""Schedules to decide about."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from purista_celery.contracts.schedule import Interval, Schedule


@pytest.fixture
def schedule() -> Callable[..., Schedule]:
    """Makes schedules, every minute unless told."""

    def make(**fields: Any) -> Schedule:
        return Schedule(
            **{
                "name": "tick",
                "expression": Interval(timedelta(minutes=1)),
                "target_kind": "event",
                "target_name": "clock.ticked",
                "service_name": "clock",
                "service_version": "1",
                **fields,
            }
        )

    return make
