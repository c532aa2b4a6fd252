"""What the tests' workers run: ``celery -A tests.acceptance.governance.app worker``."""

from purista_celery import compile_app
from tests.acceptance.governance.services import vault

app = compile_app([vault])
