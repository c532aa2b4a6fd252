"""What ``celery -A purista_celery.beat beat`` runs: a schedule manifest, and no business code."""

from __future__ import annotations

import json
from pathlib import Path

import redis
from celery import Celery
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from purista_celery.compiler.configuration import base_app
from purista_celery.contracts import names
from purista_celery.endpoints import Endpoints, resolve
from purista_celery.errors import ConfigurationError, InvalidName, InvalidSchedule
from purista_celery.exports.manifest import Manifest, read_manifest
from purista_celery.producer.bridges import bridge_of
from purista_celery.redis_client import connection_class
from purista_celery.schedules.group import plan
from purista_celery.settings import Settings

#: Seconds for which a server may say nothing before it counts as away. Whole seconds: amqp's.
PATIENCE = 3


def beat_app(settings: Settings) -> Celery:
    """Return the app that fires the manifest ``settings`` name.

    Raises:
        ConfigurationError: there is no manifest, or it can not be read.
    """
    manifest = load_manifest(settings.schedule_manifest)
    group = _checked_group(settings.scheduler_group)
    endpoints = resolve(settings)
    app = base_app(Celery, "purista.beat", settings, endpoints)
    app.conf.update(
        beat_scheduler="purista_celery.schedules.scheduler:Scheduler",
        purista_beat_plan=plan(settings.namespace, manifest, group),
        purista_event_bridge=bridge_of(settings, endpoints),
        redbeat_redis_url=endpoints.ledger_url,
        redbeat_key_prefix=f"{settings.namespace}:schedules:",
        beat_max_loop_interval=settings.scheduler_interval.total_seconds(),
        redbeat_lock_timeout=settings.scheduler_lock.total_seconds(),
        # A restart of Redis must neither end beat nor hold up a tick for long.
        redbeat_redis_options={
            "retry": Retry(ExponentialBackoff(cap=0.5, base=0.05), 3),
            "retry_on_error": [redis.ConnectionError, redis.TimeoutError],
            "socket_timeout": PATIENCE,
            "socket_connect_timeout": PATIENCE,
            "connection_class": connection_class(endpoints.ledger_url),
        },
        broker_connection_timeout=PATIENCE,
        broker_transport_options={
            **app.conf.broker_transport_options,
            **_publishing_timeouts(endpoints),
        },
    )
    return app


def _publishing_timeouts(endpoints: Endpoints) -> dict[str, float]:
    """Let a broker behind a network that swallows all be away, where a publish would hang."""
    if endpoints.broker_is_redis:
        return {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
    return {"read_timeout": PATIENCE, "write_timeout": PATIENCE}


def load_manifest(path: Path | None) -> Manifest:
    """Read the manifest file.

    Raises:
        ConfigurationError: it is not set, not there, or no manifest.
    """
    remedy = "Write it with 'celery -A workers purista export schedule-manifest'."
    if path is None:
        raise ConfigurationError(
            f"PURISTA_SCHEDULE_MANIFEST is not set; beat fires nothing else. {remedy}"
        )
    try:
        return read_manifest(json.loads(path.read_text("utf-8")))
    except OSError as error:
        raise ConfigurationError(
            f"PURISTA_SCHEDULE_MANIFEST {path}: {error.strerror}. {remedy}"
        ) from error
    except (ValueError, InvalidSchedule) as error:
        raise ConfigurationError(
            f"PURISTA_SCHEDULE_MANIFEST {path} is no schedule manifest: {error}. {remedy}"
        ) from error


def _checked_group(group: str | None) -> str | None:
    try:
        return None if group is None else names.identifier("Scheduler group", group)
    except InvalidName as error:
        raise ConfigurationError(f"PURISTA_SCHEDULER_GROUP: {error.message}") from error


app = beat_app(Settings.from_environment())
