"""What the tests' workers run: ``celery -A tests.acceptance.flow.app worker``."""

from purista_celery import compile_app
from tests.acceptance.flow.services import service

app = compile_app([service])
