"""Typed contracts for schedules, events, queues and long-running jobs, compiled to Celery.

The public names are loaded when they are first used: every ``celery`` command imports this package,
because of its plug-in, and beat and the transport alone need little of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from purista_celery.client import Client
    from purista_celery.compiler.app import compile_app
    from purista_celery.contracts.command import Command
    from purista_celery.contracts.event import Event
    from purista_celery.contracts.http import Http
    from purista_celery.contracts.job import Job
    from purista_celery.contracts.lifecycle import Lifecycle, LongRunning, RetryStrategy
    from purista_celery.contracts.queue import Queue
    from purista_celery.contracts.receipt import Enqueue, Receipt
    from purista_celery.contracts.results import ResultEvents
    from purista_celery.contracts.schedule import Cron, Interval, OneShot, Schedule
    from purista_celery.contracts.sensitive import Sensitive
    from purista_celery.contracts.service import Service
    from purista_celery.errors import JobCancelled, LeaseLost, PuristaError
    from purista_celery.ledger.records import JobStatus, QueueMetrics
    from purista_celery.messages.envelope import EventMessage
    from purista_celery.messages.result import JobResult
    from purista_celery.settings import Settings

_HOME = {
    "Client": "purista_celery.client",
    "Command": "purista_celery.contracts.command",
    "Cron": "purista_celery.contracts.schedule",
    "Enqueue": "purista_celery.contracts.receipt",
    "Event": "purista_celery.contracts.event",
    "EventMessage": "purista_celery.messages.envelope",
    "Http": "purista_celery.contracts.http",
    "Interval": "purista_celery.contracts.schedule",
    "Job": "purista_celery.contracts.job",
    "JobCancelled": "purista_celery.errors",
    "JobResult": "purista_celery.messages.result",
    "JobStatus": "purista_celery.ledger.records",
    "LeaseLost": "purista_celery.errors",
    "Lifecycle": "purista_celery.contracts.lifecycle",
    "LongRunning": "purista_celery.contracts.lifecycle",
    "OneShot": "purista_celery.contracts.schedule",
    "PuristaError": "purista_celery.errors",
    "Queue": "purista_celery.contracts.queue",
    "QueueMetrics": "purista_celery.ledger.records",
    "Receipt": "purista_celery.contracts.receipt",
    "ResultEvents": "purista_celery.contracts.results",
    "RetryStrategy": "purista_celery.contracts.lifecycle",
    "Schedule": "purista_celery.contracts.schedule",
    "Sensitive": "purista_celery.contracts.sensitive",
    "Service": "purista_celery.contracts.service",
    "Settings": "purista_celery.settings",
    "compile_app": "purista_celery.compiler.app",
}

__all__ = [
    "Client",
    "Command",
    "Cron",
    "Enqueue",
    "Event",
    "EventMessage",
    "Http",
    "Interval",
    "Job",
    "JobCancelled",
    "JobResult",
    "JobStatus",
    "LeaseLost",
    "Lifecycle",
    "LongRunning",
    "OneShot",
    "PuristaError",
    "Queue",
    "QueueMetrics",
    "Receipt",
    "ResultEvents",
    "RetryStrategy",
    "Schedule",
    "Sensitive",
    "Service",
    "Settings",
    "compile_app",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
