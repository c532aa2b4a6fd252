"""What a process knows of the contracts: enough to hand work over, and nothing of how it runs."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any, Union

from pydantic import TypeAdapter

from purista_celery.contracts import names
from purista_celery.contracts.lifecycle import Lifecycle
from purista_celery.contracts.masking import is_sensitive
from purista_celery.contracts.queue import Queue
from purista_celery.contracts.schedule import Schedule
from purista_celery.contracts.subscription import Binding, Subscription
from purista_celery.contracts.types import adapter_of
from purista_celery.contracts.worker import DEFAULT_INTERVAL, Worker
from purista_celery.errors import UnknownQueue
from purista_celery.ledger.records import UNLIMITED, Limits
from purista_celery.ledger.registry import KnownQueue
from purista_celery.messages.envelope import EventMessage, Sender
from purista_celery.settings import LARGEST_PAYLOAD


@dataclass(frozen=True, kw_only=True)
class JobQueue:
    """A queue of jobs as the runtime sees it: declared, or that of a subscription or binding."""

    name: str
    #: The Celery queue that its messages travel through.
    broker_name: str
    lifecycle: Lifecycle
    contract: Queue[Any, Any, Any] | Subscription | Binding
    #: Who runs it; None where another app does.
    worker: Worker | None
    #: The broker queue in which the events wait that it hears; empty for a declared queue.
    inbox: str = ""
    #: What the events carry that it hears; none for a declared queue.
    heard_payloads: tuple[Any, ...] = ()

    @cached_property
    def limits(self) -> Limits:
        """How many of its jobs may run, over all workers."""
        parallel = self.declared.max_parallel if self.declared else None
        if self.worker is None or self.worker.mode == "continuous":
            return Limits(parallel)
        if self.worker.mode == "sequential":
            return Limits(parallel=1)
        return Limits(parallel, self.worker.interval or DEFAULT_INTERVAL)

    @property
    def must_wait(self) -> bool:
        """Whether the ledger may refuse one of its jobs until another has ended."""
        return self.limits != UNLIMITED or self.ordered

    @property
    def ordered(self) -> bool:
        """Whether its jobs stand in lines."""
        return self.declared is not None and self.declared.ordering != "none"

    @property
    def longest_hold(self) -> timedelta:
        """The longest time that one attempt may hold its job.

        PURISTA's number of leases ends with ``max_runtime``; but until its hard limit the handler
        may run on, and nobody is to begin another attempt beside it.
        """
        profile = self.declared.profile if self.declared else None
        if profile is None:
            return self.lifecycle.longest_hold
        return max(
            self.lifecycle.longest_hold, profile.hard_limit + self.lifecycle.visibility_timeout
        )

    @property
    def heard(self) -> str:
        """The event, or the pattern of events, that its jobs come from; empty where none."""
        return "" if isinstance(self.contract, Queue) else self.contract.event_name

    @property
    def known(self) -> KnownQueue:
        """What the ledger's registry keeps of it."""
        kinds = {Subscription: "subscription", Binding: "binding"}
        # A command's queue is a declared one, under a name of the compiler's.
        kind = "command" if self.name.startswith(names.RESERVED_PREFIXES) else "queue"
        return KnownQueue(
            name=self.name,
            kind=kinds.get(type(self.contract), kind),
            service_name=self.contract.service_name,
            service_version=self.contract.service_version,
            broker_name=self.broker_name,
            inbox=self.inbox,
            heard=self.heard,
        )

    @property
    def declared(self) -> Queue[Any, Any, Any] | None:
        """The contract, if it is a declared queue."""
        return self.contract if isinstance(self.contract, Queue) else None

    @cached_property
    def payload_adapter(self) -> TypeAdapter[Any]:
        """Knows the payloads of its jobs; that of one that an event became is the event."""
        if self.declared is not None:
            return self.declared.payload_adapter
        payloads = Union[self.heard_payloads] if self.heard_payloads else Any  # noqa: UP007 - members are data
        return adapter_of(EventMessage[payloads])  # type: ignore[valid-type]

    @cached_property
    def is_sensitive(self) -> bool:
        """Whether its jobs' payload, parameter or output may hold what is not to be shown."""
        adapters = [self.payload_adapter]
        if self.declared is not None:
            adapters += [self.declared.parameter_adapter, self.declared.output_adapter]
        return any(map(is_sensitive, adapters))


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """The compiled contracts."""

    namespace: str
    queues: Mapping[str, JobQueue]
    #: By key.
    schedules: Mapping[str, Schedule] = field(default_factory=dict)
    #: The largest payload, parameter, output or event, in bytes of its JSON.
    max_payload: int = LARGEST_PAYLOAD
    #: Tells this process from others in envelopes.
    instance_id: str = field(default_factory=lambda: f"{socket.gethostname()}:{uuid.uuid4().hex}")

    def queue(self, name: str) -> JobQueue:
        """Return the queue of that name.

        Raises:
            UnknownQueue: none of this app's services declares it.
        """
        try:
            return self.queues[name]
        except KeyError:
            raise UnknownQueue(
                f"Queue {name!r} is not declared by any service of this app; it knows "
                f"{', '.join(sorted(self.queues)) or 'none'}."
            ) from None

    def sender(self, service: str, version: str, target: str) -> Sender:
        """Return who this process is in an envelope."""
        return Sender(
            service_name=service,
            service_version=version,
            service_target=target,
            instance_id=f"{self.instance_id}:{os.getpid()}",
        )
