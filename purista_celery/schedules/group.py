"""The manifest divided into scheduler groups: one lock, one set of keys and one host each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from purista_celery.contracts.schedule import Schedule
from purista_celery.exports.manifest import Manifest, Rejected
from purista_celery.schedules.deployment import Deployment
from purista_celery.schedules.entry import definition_of
from purista_celery.schedules.keys import GroupKeys


@dataclass(frozen=True, kw_only=True)
class Group:
    """One group's part of the manifest."""

    keys: GroupKeys
    #: What is fired, by schedule key.
    schedules: Mapping[str, Schedule]
    #: Entries that can not be fired: their keys, and the codes of why.
    rejected: Mapping[str, str] = field(default_factory=dict)
    #: The application that the manifest belongs to: its title, and its services.
    title: str | None = None
    services: tuple[str, ...] = ()

    @cached_property
    def definitions(self) -> Mapping[str, str]:
        """The schedules' texts in the store, by schedule key."""
        return {key: definition_of(schedule) for key, schedule in self.schedules.items()}

    @cached_property
    def deployment(self) -> Deployment:
        """This manifest's part as a deployment."""
        return Deployment.of(
            self.title, self.services, self.definitions.values(), self.rejected.keys()
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What one beat process hosts."""

    groups: tuple[Group, ...]
    rejected: tuple[Rejected, ...] = ()


def plan(namespace: str, manifest: Manifest, only: str | None = None) -> Plan:
    """Divide a manifest.

    Args:
        only: the group to host; all of the manifest's by default. A group's lock and progress are
            the same either way, so that one beat for all and one beat per group can run together.
    """
    members: dict[str, dict[str, Schedule]] = defaultdict(dict)
    if only is not None:
        members[only] = {}
    for schedule in manifest.schedules:
        if only is not None and schedule.group != only:
            continue
        members[schedule.group][schedule.key] = schedule
    codes = {entry.key: entry.error.code for entry in manifest.rejected}
    services = tuple(sorted({schedule.service_name for schedule in manifest.schedules}))
    groups = tuple(
        Group(
            keys=GroupKeys(namespace, name),
            schedules=schedules,
            rejected=codes,
            title=manifest.title,
            services=services,
        )
        for name, schedules in sorted(members.items())
    )
    return Plan(groups=groups, rejected=manifest.rejected)
