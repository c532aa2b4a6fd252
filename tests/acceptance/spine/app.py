"""What the tests' workers run: ``celery -A tests.acceptance.spine.app worker``."""

from datetime import timedelta

from purista_celery import Settings, compile_app
from tests.acceptance.spine.services import listener, service

app = compile_app([service, listener], Settings(cancel_grace=timedelta(seconds=1)))
