"""What the tests' worker of the lonely service runs."""

from purista_celery import compile_app
from tests.acceptance.bridge.lonely import service

app = compile_app([service])
