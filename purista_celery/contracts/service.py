"""A service: the place where a team declares what it does, once."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Unpack, overload

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypeVar

from purista_celery.contracts import choices, handler, names, types
from purista_celery.contracts.command import DEFAULT_TIMEOUT, Command, CommandOptions
from purista_celery.contracts.event import Event
from purista_celery.contracts.governance import Governance, Link, governed
from purista_celery.contracts.job import Job
from purista_celery.contracts.lifecycle import Lifecycle, LongRunning
from purista_celery.contracts.masking import masked
from purista_celery.contracts.queue import Queue, QueueOptions, QueueResults
from purista_celery.contracts.receipt import Enqueue
from purista_celery.contracts.resource import Resource, check_factory
from purista_celery.contracts.results import ResultEvents
from purista_celery.contracts.schedule import (
    FixedJob,
    Schedule,
    ScheduleExpression,
    ScheduleOptions,
)
from purista_celery.contracts.subscription import Binding, IdempotencyMode, Subscription
from purista_celery.contracts.worker import Worker
from purista_celery.errors import (
    ContractError,
    DuplicateName,
    InvalidHandler,
    InvalidLifecycle,
    InvalidSchedule,
    UnsupportedPayload,
    UnsupportedTarget,
)
from purista_celery.messages.envelope import EventMessage
from purista_celery.messages.result import ResultStatus, result_type
from purista_celery.messages.wire import explain

if TYPE_CHECKING:
    from collections.abc import Mapping

# The defaults are what is inferred where no type is given: ``service.event("…")`` is an
# ``Event[None]``.
PayloadT = TypeVar("PayloadT", default=None)
ParameterT = TypeVar("ParameterT", default=None)
OutputT = TypeVar("OutputT", default=None)
ContractT = TypeVar("ContractT")
ResourceT = TypeVar("ResourceT", bound=Callable[[], Any])

EventHandler = (
    Callable[[EventMessage[PayloadT]], Awaitable[None] | None]
    | Callable[[EventMessage[PayloadT], Job[Any, Any]], Awaitable[None] | None]
)
Mapped = Enqueue[PayloadT, ParameterT] | Sequence[Enqueue[PayloadT, ParameterT]] | None
SubscribedT = TypeVar("SubscribedT")


class Service:
    """What one team declares. Declaring connects to nothing and registers nowhere else.

    Raises:
        InvalidName: the name or version could not be part of a queue name.
    """

    def __init__(
        self,
        name: str,
        *,
        version: str = "1",
        description: str = "",
        **governance: Unpack[Governance],
    ) -> None:
        where = f"Service {name!r}"
        _check_options(where, governance, Governance)
        found = governed(where, governance)
        self.name = names.identifier("Service", name)
        self.version = names.dotted("Service version", version)
        self.description = description
        self.owner: str = found["owner"]
        self.deprecated: bool = found["deprecated"]
        self.tags: tuple[str, ...] = found["tags"]
        self.links: tuple[Link, ...] = found["links"]
        self._events: dict[str, Event[Any]] = {}
        self._queues: dict[str, Queue[Any, Any, Any]] = {}
        self._commands: dict[str, Command[Any, Any, Any]] = {}
        self._workers: dict[str, Worker] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._bindings: dict[str, Binding] = {}
        self._schedules: dict[str, Schedule] = {}
        self._resources: dict[str, Resource] = {}

    def __repr__(self) -> str:
        return f"Service({self.name!r}, version={self.version!r})"

    @classmethod
    def from_definitions(
        cls, definitions: Any, name: str | None = None, *, version: str | None = None
    ) -> Service:
        """Read a service that another team declared, such as one of PURISTA in TypeScript.

        It has the queues and events of the document, with payload types that are built from their
        JSON Schema; declare workers and subscriptions on it as on one of your own.

        Args:
            definitions: the decoded ``purista.definitions.json``, or its path.
            name, version: which service, where the document holds several.

        Raises:
            InvalidDefinitions: the document can not be read.
            UnknownReference: it holds no such service, or several.
        """
        from purista_celery.contracts.foreign.definitions import service_of

        return service_of(definitions, cls, name, version)

    @classmethod
    def all_from_definitions(cls, definitions: Any) -> list[Service]:
        """Read all services of a document, as :meth:`from_definitions` reads one."""
        from purista_celery.contracts.foreign.definitions import services_of

        return services_of(definitions, cls)

    @property
    def events(self) -> Mapping[str, Event[Any]]:
        """Declared events by name, result events included."""
        return self._events

    @property
    def queues(self) -> Mapping[str, Queue[Any, Any, Any]]:
        """Declared queues by name."""
        return self._queues

    @property
    def commands(self) -> Mapping[str, Command[Any, Any, Any]]:
        """Declared commands by name."""
        return self._commands

    @property
    def workers(self) -> Mapping[str, Worker]:
        """Declared workers by the name of their queue; a command's handler is one."""
        return self._workers

    @property
    def subscriptions(self) -> Mapping[str, Subscription]:
        """Declared subscriptions by name."""
        return self._subscriptions

    @property
    def bindings(self) -> Mapping[str, Binding]:
        """Declared event-to-queue bindings by name."""
        return self._bindings

    @property
    def schedules(self) -> Mapping[str, Schedule]:
        """Declared schedules by name."""
        return self._schedules

    @property
    def resources(self) -> Mapping[str, Resource]:
        """Declared resources by name."""
        return self._resources

    def event(
        self,
        name: str,
        *,
        payload: type[PayloadT] | None = None,
        description: str = "",
        **governance: Unpack[Governance],
    ) -> Event[PayloadT]:
        """Declare an event that this service emits, and return it.

        Args:
            governance: see :class:`Governance`.
        """
        where = f"Event {name!r}"
        _check_options(where, governance, Governance)
        names.dotted("Event", name)
        types.check(where, "payload", payload)
        event: Event[PayloadT] = Event(
            name=name,
            payload=payload,
            description=description,
            service_name=self.name,
            service_version=self.version,
            **governed(where, governance, self.owner),
        )
        return self._declare(self._events, "event", name, event)

    def queue(
        self,
        name: str,
        *,
        payload: type[PayloadT],
        parameter: type[ParameterT] | None = None,
        output: type[OutputT] | None = None,
        **options: Unpack[QueueOptions],
    ) -> Queue[PayloadT, ParameterT, OutputT]:
        """Declare a queue and return it.

        Args:
            payload, parameter, output: types that pydantic can validate: what the job is about,
                for whom or where, and what its handler returns.
            options: see :class:`QueueOptions`.

        Raises:
            ContractError: a name, number or combination is wrong; the message says which.
        """
        where = f"Queue {name!r}"
        _check_options(where, options, QueueOptions)
        names.dotted("Queue", name)
        if name.startswith(names.RESERVED_PREFIXES):
            raise ContractError(
                f"{where}: names that begin with {' or '.join(names.RESERVED_PREFIXES)} are the "
                f"compiler's."
            )
        _check_types(where, payload, parameter, output)
        self._require_free(self._queues, "queue", name)
        profile = options.get("profile")
        governance = governed(where, options, self.owner)
        queue: Queue[PayloadT, ParameterT, OutputT] = Queue(
            name=name,
            payload=payload,
            parameter=parameter,
            output=output,
            service_name=self.name,
            service_version=self.version,
            description=options.get("description", ""),
            lifecycle=_lifecycle_of(name, options.get("lifecycle"), profile),
            profile=profile,
            results=self._result_events(name, governance["owner"], output, options.get("results")),
            dead_letter=options.get("dead_letter"),
            ordering=options.get("ordering", "none"),
            priority=options.get("priority"),
            max_parallel=options.get("max_parallel"),
            http=options.get("http"),
            **governance,
            declare_worker=self._declare_worker,
        )
        for event in queue.results.events.values():
            self._declare(self._events, "event", event.name, event)
        return self._declare(self._queues, "queue", name, queue)

    def command(
        self,
        name: str,
        *,
        payload: type[PayloadT] | None = None,
        parameter: type[ParameterT] | None = None,
        output: type[OutputT] | None = None,
        **options: Unpack[CommandOptions],
    ) -> Command[PayloadT, ParameterT, OutputT]:
        """Declare a command and return it; its ``handler`` declares the function that answers.

        Args:
            payload, parameter, output: as for :meth:`queue`.
            options: see :class:`CommandOptions`.

        Raises:
            ContractError: a name, number or combination is wrong; the message says which.
        """
        where = f"Command {name!r}"
        _check_options(where, options, CommandOptions)
        _check_types(where, payload, parameter, output)
        command: Command[PayloadT, ParameterT, OutputT] = Command(
            name=names.identifier("Command", name),
            payload=payload,
            parameter=parameter,
            output=output,
            service_name=self.name,
            service_version=self.version,
            description=options.get("description", ""),
            timeout=options.get("timeout", DEFAULT_TIMEOUT),
            http=options.get("http"),
            **governed(where, options, self.owner),
            declare_worker=self._declare_worker,
        )
        return self._declare(self._commands, "command", name, command)

    @overload
    def subscribe(
        self,
        event: Event[PayloadT],
        *,
        name: str | None = None,
        description: str = "",
        lifecycle: Lifecycle | None = None,
        emits: Sequence[Event[Any]] = (),
        enqueues: Sequence[Queue[Any, Any, Any]] = (),
        invokes: Sequence[Command[Any, Any, Any]] = (),
    ) -> Callable[[EventHandler[PayloadT]], EventHandler[PayloadT]]: ...
    @overload
    def subscribe(
        self,
        event: str,
        *,
        name: str | None = None,
        description: str = "",
        lifecycle: Lifecycle | None = None,
        emits: Sequence[Event[Any]] = (),
        enqueues: Sequence[Queue[Any, Any, Any]] = (),
        invokes: Sequence[Command[Any, Any, Any]] = (),
    ) -> Callable[[EventHandler[Any]], EventHandler[Any]]: ...
    def subscribe(
        self,
        event: Event[Any] | str,
        *,
        name: str | None = None,
        description: str = "",
        lifecycle: Lifecycle | None = None,
        emits: Sequence[Event[Any]] = (),
        enqueues: Sequence[Queue[Any, Any, Any]] = (),
        invokes: Sequence[Command[Any, Any, Any]] = (),
    ) -> Callable[[EventHandler[Any]], EventHandler[Any]]:
        """Declare a durable subscription; the decorated function receives each event.

        It takes the :class:`EventMessage` and, if it wants one, the :class:`Job` as its second
        argument. Each event is a job of the subscription's own, with leases, retries and dead
        letters.

        Args:
            event: a declared event, or a topic pattern such as ``"billing.#"`` (payload untyped).
            name: the subscription's name within this service; the function's name otherwise.
        """
        event_name, payload = (
            (names.pattern("Subscribed event", event), Any)
            if isinstance(event, str)
            else (event.name, event.payload)
        )

        def declare(function: EventHandler[Any]) -> EventHandler[Any]:
            own_name = names.dotted("Subscription", name or str(getattr(function, "__name__", "")))
            expected = EventMessage[payload]  # type: ignore[valid-type]
            arity = handler.check(
                f"Subscription {own_name!r}", function, (expected, Job[Any, Any]), None, least=1
            )
            subscription = Subscription(
                name=own_name,
                event_name=event_name,
                payload=payload,
                service_name=self.name,
                service_version=self.version,
                description=description or (function.__doc__ or "").strip(),
                lifecycle=lifecycle or Lifecycle(),
                function=function,
                arity=arity,
                emits=tuple(emits),
                enqueues=tuple(enqueues),
                invokes=tuple(invokes),
            )
            self._declare(self._subscriptions, "subscription", own_name, subscription)
            return function

        return declare

    def bind(
        self,
        event: Event[SubscribedT],
        *,
        to: Queue[PayloadT, ParameterT, Any],
        idempotency: IdempotencyMode = "advisory",
        lifecycle: Lifecycle | None = None,
    ) -> Callable[
        [Callable[[EventMessage[SubscribedT]], Mapped[PayloadT, ParameterT]]],
        Callable[[EventMessage[SubscribedT]], Mapped[PayloadT, ParameterT]],
    ]:
        """Declare that an event becomes jobs of a queue; the decorated function says which.

        It returns one :class:`Enqueue`, a list of them, or None. The event is done only after all
        of them are stored. What it returned first is kept: an attempt that follows stores the rest
        of the same jobs. A job without an idempotency key gets one of the binding's own, from the
        event's id and its position; of jobs with the same key, a queue takes the first.

        Args:
            idempotency: ``"strict"`` refuses to start where the ledger could forget keys.
        """

        def declare(
            function: Callable[[EventMessage[SubscribedT]], Mapped[PayloadT, ParameterT]],
        ) -> Callable[[EventMessage[SubscribedT]], Mapped[PayloadT, ParameterT]]:
            binding = Binding(
                event_name=event.name,
                payload=event.payload,
                queue=to,
                service_name=self.name,
                service_version=self.version,
                idempotency=idempotency,
                function=function,
                lifecycle=lifecycle or Lifecycle(),
            )
            where = f"Binding {binding.name!r}"
            choices.one_of(where, "idempotency", idempotency, IdempotencyMode)
            expected = EventMessage[event.payload]  # type: ignore[name-defined]
            handler.check(where, function, (expected,), Any, least=1)
            if inspect.iscoroutinefunction(function):
                raise InvalidHandler(f"{where}: the mapping must be a plain function, not async.")
            self._declare(self._bindings, "binding", binding.name, binding)
            return function

        return declare

    @overload
    def schedule(
        self,
        name: str,
        expression: ScheduleExpression,
        *,
        emits: Event[None],
        **options: Unpack[ScheduleOptions],
    ) -> Schedule: ...
    @overload
    def schedule(
        self,
        name: str,
        expression: ScheduleExpression,
        *,
        enqueues: Queue[PayloadT, ParameterT, Any],
        payload: PayloadT,
        parameter: ParameterT | None = None,
        **options: Unpack[ScheduleOptions],
    ) -> Schedule: ...
    @overload
    def schedule(
        self,
        name: str,
        expression: ScheduleExpression,
        *,
        invokes: Command[PayloadT, ParameterT, Any],
        payload: PayloadT,
        parameter: ParameterT | None = None,
        **options: Unpack[ScheduleOptions],
    ) -> Schedule: ...
    def schedule(
        self,
        name: str,
        expression: ScheduleExpression,
        *,
        emits: Event[None] | None = None,
        enqueues: Queue[Any, Any, Any] | None = None,
        invokes: Command[Any, Any, Any] | None = None,
        payload: Any = None,
        parameter: Any = None,
        **options: Unpack[ScheduleOptions],
    ) -> Schedule:
        """Declare a schedule that emits an event, enqueues a job or invokes a command; return it.

        Args:
            enqueues: the queue that each occurrence puts the same job on; ``payload`` and
                ``parameter`` are that job's.
            invokes: a command of this service, asked by each occurrence with the same ``payload``
                and ``parameter``. Nobody waits for its answer; it is tried once.
            options: see :class:`ScheduleOptions`.

        Raises:
            InvalidSchedule: it can not be computed, or names no target, or two.
            UnsupportedTarget: the command is another service's.
            UnsupportedPayload: the target's contract does not take this payload and parameter; an
                event's has to do without.
        """
        where = f"Schedule {name!r}"
        _check_options(where, options, ScheduleOptions)
        targets = [target for target in (emits, enqueues, invokes) if target is not None]
        if len(targets) != 1:
            raise InvalidSchedule(
                f"Schedule {name!r}: give it emits=…, enqueues=… or invokes=…, one of them."
            )
        if invokes is not None and invokes is not self._commands.get(invokes.name):
            raise UnsupportedTarget(
                f"Schedule {name!r} invokes command {invokes.name!r} of service "
                f"{invokes.service_name!r}; a schedule invokes a command of its own service "
                f"({self.name!r}). Declare the schedule there."
            )
        if emits is not None:
            _check_empty(where, emits, payload, parameter)
        queue = invokes.queue if invokes else enqueues
        schedule = Schedule(
            name=names.identifier("Schedule", name),
            expression=expression,
            target_kind="event" if emits else "command" if invokes else "queue",
            target_name=targets[0].name,
            service_name=self.name,
            service_version=self.version,
            description=options.get("description", ""),
            concurrency=options.get("concurrency", "allow"),
            missed_runs=options.get("missed_runs", "skip"),
            max_catch_up=options.get("max_catch_up"),
            jitter_window=options.get("jitter_window"),
            group=names.identifier("Schedule group", options.get("group", "default")),
            enabled=options.get("enabled", True),
            job=_fixed_job(name, queue, payload, parameter) if queue else None,
            **governed(where, options, self.owner),
        )
        return self._declare(self._schedules, "schedule", name, schedule)

    def resource(self, name: str) -> Callable[[ResourceT], ResourceT]:
        """Declare a resource; the decorated factory opens it once per worker process.

        It returns the resource, or yields it once and closes it afterwards. Handlers find it as
        ``job.resources.<name>``.

        Raises:
            ContractError: the name is no identifier, or the factory is ``async``.
        """

        def declare(factory: ResourceT) -> ResourceT:
            if not name.isidentifier():
                raise ContractError(f"Resource {name!r}: expected a Python identifier.")
            check_factory(name, factory)
            self._declare(self._resources, "resource", name, Resource(name=name, factory=factory))
            return factory

        return declare

    def _result_events(
        self, queue_name: str, owner: str, output: Any, policy: ResultEvents | None
    ) -> QueueResults[Any]:
        events: dict[ResultStatus, Event[Any]] = {
            status: Event(
                name=event_name,
                payload=result_type({"success": output, "progress": Any}.get(status)),
                description=f"Result of {queue_name}: {status}",
                service_name=self.name,
                service_version=self.version,
                owner=owner,
            )
            for status, event_name in (policy.names() if policy else {}).items()
            if event_name
        }
        for event in events.values():
            self._require_free(self._events, "event", event.name)
        return QueueResults(queue_name=queue_name, policy=policy, events=events)

    def _declare_worker(self, worker: Worker) -> None:
        self._declare(self._workers, "worker of queue", worker.queue_name, worker)

    def _declare(
        self, table: dict[str, ContractT], kind: str, name: str, contract: ContractT
    ) -> ContractT:
        self._require_free(table, kind, name)
        table[name] = contract
        return contract

    def _require_free(self, table: Mapping[str, Any], kind: str, name: str) -> None:
        if name in table:
            raise DuplicateName(
                f"Service {self.name!r} declares {kind} {name!r} twice; rename or remove one."
            )


def _check_options(where: str, given: Mapping[str, Any], known: type) -> None:
    if unknown := given.keys() - known.__annotations__.keys():
        raise TypeError(f"{where}: unknown option {', '.join(sorted(unknown))}")


def _check_types(where: str, payload: Any, parameter: Any, output: Any) -> None:
    for field, kind in (("payload", payload), ("parameter", parameter), ("output", output)):
        types.check(where, field, kind)


def _lifecycle_of(
    queue: str, lifecycle: Lifecycle | None, profile: LongRunning | None
) -> Lifecycle:
    try:
        return profile.lifecycle(lifecycle) if profile else lifecycle or Lifecycle()
    except InvalidLifecycle as error:
        raise InvalidLifecycle(f"Queue {queue!r}: {error.message}") from error


def _check_empty(where: str, event: Event[Any], payload: Any, parameter: Any) -> None:
    """Check that nothing is lost where an occurrence becomes an event, which carries nothing."""
    event.require_empty(where)
    if payload is not None or parameter is not None:
        raise UnsupportedPayload(
            f"{where}: it was given a payload or parameter, and an event of a schedule carries "
            f"none. Leave it out, or enqueue a job, which has one: enqueues=…, payload=…."
        )


def _fixed_job(
    schedule: str, queue: Queue[Any, Any, Any], payload: Any, parameter: Any
) -> FixedJob:
    return FixedJob(
        payload=_fixed(schedule, "payload", queue.payload_adapter, payload),
        parameter=_fixed(schedule, "parameter", queue.parameter_adapter, parameter),
        max_attempts=queue.lifecycle.max_attempts,
        priority=queue.priority,
    )


def _fixed(schedule: str, kind: str, adapter: TypeAdapter[Any], value: Any) -> Any:
    try:
        fixed = adapter.dump_python(adapter.validate_python(value), mode="json", by_alias=True)
    except ValidationError as error:
        raise UnsupportedPayload(
            f"Schedule {schedule!r}: {kind} does not fit its queue: {explain(error)}."
        ) from error
    if masked(adapter, fixed) != fixed:
        raise UnsupportedPayload(
            f"Schedule {schedule!r}: its {kind} holds what is marked sensitive, and would stand in "
            f"the schedule manifest. Give it a name under which the handler finds that."
        )
    return fixed
