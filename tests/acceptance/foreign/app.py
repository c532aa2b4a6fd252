"""What ``celery -A tests.acceptance.foreign.app`` runs."""

from __future__ import annotations

from purista_celery import compile_app
from tests.acceptance.foreign.services import services

app = compile_app(services)
