"""The worker entry point: ``celery -A purista_celery.worker worker``, or ``-A workers``.

Compiles the services that ``PURISTA_SERVICES`` names.
"""

from __future__ import annotations

from celery import Celery

from purista_celery.compiler.app import compile_app
from purista_celery.loading import load_services
from purista_celery.settings import Settings


def _compiled() -> Celery:
    settings = Settings.from_environment()
    return compile_app(load_services(settings.services), settings)


app = _compiled()
