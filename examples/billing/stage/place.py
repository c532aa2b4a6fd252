"""Where one run of the demo takes place: a directory, a broker, and names that no other run has."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from celery import Celery

from examples.billing.services import services
from purista_celery import Settings, compile_app
from purista_celery.embedded import release_embedded_redis
from purista_celery.exports.manifest import schedule_manifest
from purista_celery.producer.events import BROKER_ERRORS

ROOT = Path(__file__).parents[3]


@dataclass
class Place:
    """One run's own place. Nothing set in the environment for other apps has a say in it."""

    broker_url: str | None
    #: Runs that share a broker do not meet.
    namespace: str = field(default_factory=lambda: f"demo-{secrets.token_hex(4)}")
    #: Whether what the run needs is to stay when the demo ends.
    keep: bool = False

    @property
    def directory(self) -> Path:
        """Logs, database, schedule manifest and embedded Redis of this run."""
        return ROOT / ".purista" / "demo" / self.namespace

    @property
    def database(self) -> Path:
        """The database with the invoices."""
        return self.directory / "billing.db"

    @property
    def logs(self) -> Path:
        """Where the processes' logs are."""
        return self.directory

    @contextmanager
    def taken(self) -> Iterator[Celery]:
        """Make the place, give this process' app, and clear the place afterwards."""
        self.directory.mkdir(mode=0o700, parents=True)
        self._manifest.write_text(json.dumps(schedule_manifest(services), indent=2))
        app = compile_app(
            services,
            Settings(
                broker_url=self.broker_url,
                ledger_url=None,
                namespace=self.namespace,
                embedded_directory=self._redis,
            ),
        )
        try:
            yield app
        finally:
            if self.broker_url is not None and not self.keep:
                # A broker that is away keeps what it has; the run has failed for that already.
                with suppress(*BROKER_ERRORS):
                    _delete_queues(app)
                    _delete_keys(app, self.namespace)
            app.close()
            app.purista_runtime.ledger.client.close()
            release_embedded_redis(self._redis)

    def environment(self) -> Mapping[str, str]:
        """Return the environment of the run's processes."""
        others = {k: v for k, v in os.environ.items() if not k.startswith("PURISTA_")}
        own = {
            "PURISTA_SERVICES": "examples.billing.services:services",
            "PURISTA_NAMESPACE": self.namespace,
            "PURISTA_EMBEDDED_DIRECTORY": str(self._redis),
            "PURISTA_SCHEDULE_MANIFEST": str(self._manifest),
            "BILLING_DATABASE": str(self.database),
        }
        if self.broker_url is not None:
            own["PURISTA_BROKER_URL"] = self.broker_url
        return {**others, **own}

    @property
    def _redis(self) -> Path:
        return self.directory / "redis"

    @property
    def _manifest(self) -> Path:
        return self.directory / "schedules.json"


def _delete_queues(app: Celery) -> None:
    inboxes = app.purista_runtime.inboxes.values()
    with app.connection_for_write() as connection, connection.channel() as channel:
        for queue in [*app.amqp.queues.values(), *inboxes]:
            queue(channel).delete()
        for exchange in [app.amqp.default_exchange, *(inbox.exchange for inbox in inboxes)]:
            exchange(channel).delete()


def _delete_keys(app: Celery, namespace: str) -> None:
    ledger = app.purista_runtime.ledger.client
    for key in ledger.scan_iter(match=f"*{namespace}*", count=1000):
        ledger.delete(key)
