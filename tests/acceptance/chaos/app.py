"""What the workers run: ``celery -A tests.acceptance.chaos.app worker``."""

from purista_celery import compile_app
from tests.acceptance.chaos.services import services

app = compile_app(services)
