"""This repository's worker deployment: ``celery -A workers worker``, ``celery -A workers flower``.

It serves what ``PURISTA_SERVICES`` names; the billing example, where that is not set.
"""

import os

os.environ.setdefault("PURISTA_SERVICES", "examples.billing.services:services")

from purista_celery.worker import app

__all__ = ["app"]
