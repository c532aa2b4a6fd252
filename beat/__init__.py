"""This repository's beat deployment: ``celery -A beat beat``.

It fires what ``PURISTA_SCHEDULE_MANIFEST`` names; the billing example's manifest, which lies beside
this file, where that is not set. Write it anew with::

    celery -A workers purista export schedule-manifest --out beat/schedule-manifest.json
"""

import os
from pathlib import Path

os.environ.setdefault(
    "PURISTA_SCHEDULE_MANIFEST", str(Path(__file__).with_name("schedule-manifest.json"))
)

from purista_celery.beat import app

__all__ = ["app"]
