"""Contracts -> channels and operations: one small function for each kind of contract.

What PURISTA's ``exportAsyncApi`` leaves out is covered: events that only bindings, schedules or
result policies name. A further kind is one more function in :data:`KINDS`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from purista_celery.contracts.command import Command
from purista_celery.contracts.expression import write_expression
from purista_celery.contracts.queue import Queue
from purista_celery.contracts.schedule import Schedule
from purista_celery.contracts.service import Service
from purista_celery.contracts.subscription import Binding, Subscription
from purista_celery.exports.channels import (
    Action,
    Channel,
    Message,
    Operation,
    channel_id,
    command_channel,
    event_channel,
    queue_channel,
)
from purista_celery.exports.contacts import governance
from purista_celery.exports.document import given


class Draft:
    """Channels and operations as they come together."""

    def __init__(self, services: Iterable[Service]) -> None:
        self.services = sorted(services, key=lambda service: (service.name, service.version))
        self.channels: dict[str, Channel] = {}
        self.operations: dict[str, Operation] = {}
        self._named: Counter[str] = Counter()
        self._events = {name: event for s in self.services for name, event in s.events.items()}

    @property
    def messages(self) -> list[Message]:
        """The messages of all channels."""
        return [found for channel in self.channels.values() for found in channel.messages.values()]

    def event(self, name: str) -> str:
        """Return the id of the channel of an event or topic pattern; it is made when needed."""
        channel = self._free_id("event", name)
        if channel not in self.channels:
            self.channels[channel] = event_channel(channel, name, self._events.get(name))
        return channel

    def queue(self, queue: Queue[Any, Any, Any]) -> str:
        """Return the id of a queue's channel; it is made when needed."""
        channel = self._free_id("queue", queue.name)
        if channel not in self.channels:
            self.channels[channel] = queue_channel(channel, queue)
        return channel

    def command(self, command: Command[Any, Any, Any]) -> str:
        """Return the id of the channel of a command's requests, which is made."""
        service = (command.service_name, command.service_version)
        channel = channel_id(*service, "command", command.name, "request")
        self.channels[channel] = command_channel(channel, command)
        return channel

    def add(self, operation: Operation) -> None:
        """Note an operation; two that PURISTA would call the same are told apart by a number."""
        self._named[operation.id] += 1
        count = self._named[operation.id]
        key = operation.id if count == 1 else f"{operation.id}-{count}"
        self.operations[key] = replace(operation, id=key)

    def _free_id(self, kind: str, address: str) -> str:
        channel = channel_id(kind, address)
        if channel not in self.channels or self.channels[channel].address == address:
            return channel
        # Names that differ in a character that ids do not have.
        return f"{channel}-{hashlib.sha256(address.encode()).hexdigest()[:8]}"


def draft(services: Iterable[Service]) -> Draft:
    """Return the channels and operations of all that ``services`` declare."""
    found = Draft(services)
    for kind in KINDS:
        for service in found.services:
            kind(service, found)
    return found


def events(service: Service, found: Draft) -> None:
    """Each declared event, and each result event of a queue."""
    for name in sorted(service.events):
        channel = found.event(name)
        event = service.events[name]
        found.add(
            Operation(
                id=f"{channel}.send",
                action="send",
                channel=channel,
                description=event.description or f"{service.name} emits {name}.",
                tags=(service.name, *event.tags),
                x_purista=_result_of(service).get(name, {}),
            )
        )


def subscriptions(service: Service, found: Draft) -> None:
    """Each subscription hears its event, or the events of its topic pattern."""
    for name in sorted(service.subscriptions):
        subscription = service.subscriptions[name]
        owner = {"serviceName": service.name, "serviceVersion": service.version}
        found.add(
            Operation(
                id=channel_id(service.name, service.version, "subscription", name, "receive"),
                action="receive",
                channel=found.event(subscription.event_name),
                description=subscription.description
                or f"{service.name} hears {subscription.event_name}.",
                tags=(service.name,),
                x_purista={**owner, "subscriptionName": name},
            )
        )


def queues(service: Service, found: Draft) -> None:
    """Each queue takes jobs, and has them run."""
    for name in sorted(service.queues):
        queue = service.queues[name]
        channel = found.queue(queue)
        verbs: tuple[tuple[Action, str], ...] = (("send", "Enqueue"), ("receive", "Run"))
        for action, verb in verbs:
            found.add(
                Operation(
                    id=f"{channel}.{action}",
                    action=action,
                    channel=channel,
                    description=f"{verb} a job of {name}.",
                    tags=(service.name, *queue.tags),
                )
            )


def commands(service: Service, found: Draft) -> None:
    """Each command takes requests; its answer is the invocation's own."""
    for name in sorted(service.commands):
        command = service.commands[name]
        channel = found.command(command)
        found.add(
            Operation(
                id=f"{channel}.receive",
                action="receive",
                channel=channel,
                description=command.description or f"{service.name} answers {name}.",
                tags=(service.name, *command.tags),
            )
        )


def bindings(service: Service, found: Draft) -> None:
    """Each binding turns an event into jobs."""
    for binding in sorted(service.bindings.values(), key=lambda binding: binding.name):
        found.add(
            Operation(
                id=channel_id("binding", binding.event_name, binding.queue.name),
                action="receive",
                channel=found.event(binding.event_name),
                reply=found.queue(binding.queue),
                description=_doc(binding)
                or f"{binding.event_name} becomes jobs of {binding.queue.name}.",
                tags=(service.name,),
                x_purista={
                    "kind": "event-to-queue-binding",
                    "eventName": binding.event_name,
                    "queueName": binding.queue.name,
                    "idempotencyMode": binding.idempotency,
                    # The mapping may give each job a key of its own.
                    "idempotencyKey": "function",
                },
            )
        )


def schedules(service: Service, found: Draft) -> None:
    """Each schedule emits its event, enqueues its job or invokes its command."""
    for name in sorted(service.schedules):
        schedule = service.schedules[name]
        channel = _fired(service, schedule, found)
        if channel is None:
            continue  # what it fires is none of these services'
        found.add(
            Operation(
                id=channel_id(service.name, service.version, "schedule", name, "send"),
                action="send",
                channel=channel,
                description=schedule.description or f"Fires {schedule.target_name} by the clock.",
                tags=(service.name, *schedule.tags),
                x_purista={
                    "kind": "schedule",
                    "serviceName": service.name,
                    "serviceVersion": service.version,
                    "scheduleName": name,
                    "expression": write_expression(schedule.expression),
                    "missedRunPolicy": schedule.missed_runs,
                    "concurrencyPolicy": schedule.concurrency,
                    **governance(schedule),
                },
            )
        )


def _fired(service: Service, schedule: Schedule, found: Draft) -> str | None:
    target = schedule.target_name
    match schedule.target_kind:
        case "event":
            return found.event(target)
        case "queue":
            queues = [s.queues[target] for s in found.services if target in s.queues]
            return found.queue(queues[0]) if queues else None
        case "command":
            command = service.commands.get(target)
            return found.command(command) if command else None


#: In this order, so that an event's own declaration makes its channel.
KINDS: tuple[Callable[[Service, Draft], None], ...] = (
    events,
    queues,
    commands,
    subscriptions,
    bindings,
    schedules,
)


def _result_of(service: Service) -> dict[str, dict[str, Any]]:
    return {
        event.name: given(
            kind="result-event",
            queueName=queue.name,
            status=status,
            delivery=queue.results.policy.delivery if queue.results.policy else None,
        )
        for queue in service.queues.values()
        for status, event in queue.results.events.items()
    }


def _doc(contract: Subscription | Binding) -> str:
    return " ".join((contract.function.__doc__ or "").split())
