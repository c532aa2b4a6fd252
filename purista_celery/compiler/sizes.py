"""Does what contracts say once and for all fit the settings?"""

from __future__ import annotations

import json
from collections.abc import Sequence

from purista_celery.contracts.service import Service
from purista_celery.errors import UnsupportedPayload
from purista_celery.settings import Settings


def check(services: Sequence[Service], settings: Settings) -> None:
    """Check that the fixed job of each schedule is one that may be enqueued.

    Raises:
        UnsupportedPayload: it is larger than ``max_payload``, and would be refused at each firing.
    """
    for schedule in (each for service in services for each in service.schedules.values()):
        fixed = (schedule.job.payload, schedule.job.parameter) if schedule.job else ()
        for kind, value in zip(("payload", "parameter"), fixed, strict=False):
            size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
            if size > settings.max_payload:
                raise UnsupportedPayload(
                    f"Schedule {schedule.key!r}: its {kind} has {size} bytes, and "
                    f"{settings.max_payload} are allowed. Hand over the address of what it is "
                    f"about, or raise PURISTA_MAX_PAYLOAD."
                )
