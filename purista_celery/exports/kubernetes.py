"""Schedules as Kubernetes CronJobs, each of which fires one schedule from outside.

The form is PURISTA's ``exportKubernetesCronJobs``: ``batch/v1``, cron expressions only, a container
``purista-trigger`` whose command may hold ``{{scheduleName}}`` and the other templates.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from purista_celery.contracts.expression import milliseconds
from purista_celery.contracts.schedule import Cron, Schedule
from purista_celery.contracts.service import Service
from purista_celery.exports.dialect import numbered_weekdays, refuse
from purista_celery.exports.manifest import write_entry

_LONGEST_NAME = 52  # Kubernetes adds up to 11 characters to a CronJob's name, of 63.
_PREFIX = "purista.dev/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Trigger:
    """The container that fires a schedule."""

    image: str
    #: ``{{scheduleName}}``, ``{{targetKind}}``, ``{{targetName}}``, ``{{targetServiceName}}`` and
    #: ``{{targetServiceVersion}}`` are filled in. Run it with ``PURISTA_*`` of the application.
    command: Sequence[str] = (
        *("celery", "-A", "purista_celery.worker", "purista", "fire"),
        "{{targetServiceName}}/{{targetServiceVersion}}/{{scheduleName}}",
    )
    env: dict[str, str] = field(default_factory=dict)
    #: A Secret or ConfigMap whose keys become environment variables; where the URLs are.
    env_from_secret: str | None = None
    restart_policy: Literal["OnFailure", "Never"] = "OnFailure"
    namespace: str | None = None


def kubernetes_cronjobs(declared: Iterable[Service | Schedule], trigger: Trigger) -> dict[str, Any]:
    """Return a ``v1`` List of CronJobs, sorted by schedule key.

    Args:
        declared: services, for all of their schedules, or schedules.

    Raises:
        UnsupportedExpression: a schedule is no cron expression that Kubernetes can read.
    """
    schedules = [
        schedule
        for one in declared
        for schedule in (one.schedules.values() if isinstance(one, Service) else (one,))
    ]
    ordered = sorted(schedules, key=lambda schedule: schedule.key)
    names = _names(ordered)
    items = [_cronjob(schedule, names[schedule.key], trigger) for schedule in ordered]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def _cronjob(schedule: Schedule, name: str, trigger: Trigger) -> dict[str, Any]:
    cron = schedule.expression
    if not isinstance(cron, Cron):
        raise refuse(schedule, "a Kubernetes CronJob", "a cron expression")
    annotations = _annotations(schedule)
    labels = {"app.kubernetes.io/managed-by": "purista"}
    metadata = {"name": name, "labels": labels, "annotations": annotations}
    if trigger.namespace is not None:
        metadata["namespace"] = trigger.namespace
    container: dict[str, Any] = {
        "name": "purista-trigger",
        "image": trigger.image,
        "command": [_filled(part, schedule) for part in trigger.command],
    }
    if trigger.env:
        container["env"] = [{"name": key, "value": value} for key, value in trigger.env.items()]
    if trigger.env_from_secret is not None:
        container["envFrom"] = [{"secretRef": {"name": trigger.env_from_secret}}]
    pod = {"restartPolicy": trigger.restart_policy, "containers": [container]}
    template = {"metadata": {"labels": labels, "annotations": annotations}, "spec": pod}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": metadata,
        "spec": {
            "schedule": numbered_weekdays(schedule, cron, "a Kubernetes CronJob"),
            "timeZone": cron.timezone,
            "concurrencyPolicy": schedule.concurrency.capitalize(),
            "suspend": not schedule.enabled,
            "jobTemplate": {"spec": {"template": template}},
        },
    }


def _annotations(schedule: Schedule) -> dict[str, str]:
    entry = write_entry(schedule)
    fields = {
        "schedule-name": schedule.name,
        "schedule-description": schedule.description or None,
        "target-kind": schedule.target_kind,
        "target-name": schedule.target_name,
        "target-service-name": schedule.service_name,
        "target-service-version": schedule.service_version,
        "missed-run-policy": schedule.missed_runs,
        "max-catch-up-count": schedule.max_catch_up,
        "jitter-window-ms": milliseconds(schedule.jitter_window),
        "scheduler-group": schedule.group,
        "provider-hints": json.dumps(entry["providerHints"]) if "providerHints" in entry else None,
    }
    return {_PREFIX + key: str(value) for key, value in fields.items() if value is not None}


def _filled(text: str, schedule: Schedule) -> str:
    values = {
        "scheduleName": schedule.name,
        "targetKind": schedule.target_kind,
        "targetName": schedule.target_name,
        "targetServiceName": schedule.service_name,
        "targetServiceVersion": schedule.service_version,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values.get(found[1], found[0]), text)


def _names(schedules: Sequence[Schedule]) -> dict[str, str]:
    plain = {s.key: _dns_label(f"{s.service_name}-{s.name}") for s in schedules}
    taken = list(plain.values())
    return {
        key: name
        if taken.count(name) == 1 and len(name) <= _LONGEST_NAME
        else f"{name[: _LONGEST_NAME - 8].rstrip('-')}-{_fnv1a(key)}"
        for key, name in plain.items()
    }


def _dns_label(text: str) -> str:
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1-\2", text).lower()
    return re.sub(r"[^a-z0-9]+", "-", words).strip("-")


def _fnv1a(text: str) -> str:
    value = 0x811C9DC5
    for byte in text.encode():
        value = (value ^ byte) * 0x01000193 % 2**32
    digits = ""
    while value:
        value, rest = divmod(value, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[rest] + digits
    return digits or "0"
