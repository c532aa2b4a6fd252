"""How the public names are typed. Checked by mypy and pyright in strict mode, never run.

Each ``type: ignore`` is a test: with unused ignores reported, it says that the line is an error.
"""

# pyright: reportMissingTypeStubs=false, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, assert_type

import celery
from pydantic import BaseModel

from purista_celery import (
    Client,
    Command,
    Cron,
    Enqueue,
    Event,
    EventMessage,
    Http,
    Interval,
    Job,
    JobCancelled,
    JobResult,
    JobStatus,
    LeaseLost,
    Lifecycle,
    LongRunning,
    OneShot,
    PuristaError,
    Queue,
    QueueMetrics,
    Receipt,
    ResultEvents,
    RetryStrategy,
    Schedule,
    Sensitive,
    Service,
    Settings,
    compile_app,
    exports,
)


class CloseCycle(BaseModel):
    month: str


class TenantScope(BaseModel):
    tenant: str


class ClosedCycle(BaseModel):
    invoices: int


class Other(BaseModel):
    x: int


# Declaring

billing = Service("billing", version="1", description="Closes months", owner="finance")

cycle_due = billing.event("billing.due", description="A month has ended")
assert_type(cycle_due, Event[None])
opened = billing.event("billing.opened", payload=CloseCycle, deprecated=True, tags=["a"])
assert_type(opened, Event[CloseCycle])
billing.event(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

closing = billing.queue(
    "billing.closing",
    payload=CloseCycle,
    parameter=TenantScope,
    output=ClosedCycle,
    profile=LongRunning(max_runtime=timedelta(hours=6)),
    results=ResultEvents(success="billing.closed", failure="billing.failed", delivery="required"),
)
assert_type(closing, Queue[CloseCycle, TenantScope, ClosedCycle])
plain = billing.queue("billing.plain", payload=CloseCycle)
assert_type(plain, Queue[CloseCycle, None, None])
scoped = billing.queue("billing.scoped", payload=CloseCycle, parameter=TenantScope)
assert_type(scoped, Queue[CloseCycle, TenantScope, None])
counting = billing.queue("billing.counting", payload=int, output=str)
assert_type(counting, Queue[int, None, str])

billing.queue("billing.without")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
billing.queue("a", payload=int, ordering="FIFO")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ResultEvents(success="a", delivery="require")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

assert_type(closing.results.success, Event[JobResult[ClosedCycle]])
assert_type(closing.results.failure, Event[JobResult[None]])
assert_type(closing.results.cancelled, Event[JobResult[None]])
assert_type(closing.results.dead_letter, Event[JobResult[None]])
assert_type(closing.lifecycle, Lifecycle)
assert_type(closing.lifecycle.retry_strategy, RetryStrategy)
assert_type(closing.profile, LongRunning | None)

ask = billing.command("ask", payload=CloseCycle, output=ClosedCycle, http=Http(path="/ask"))
assert_type(ask, Command[CloseCycle, None, ClosedCycle])
assert_type(billing.command("bare"), Command[None, None, None])
billing.schedule("asked", Interval(timedelta(1)), invokes=ask, payload=CloseCycle(month="2026-01"))
billing.schedule("mute", Interval(timedelta(1)), invokes=ask)  # type: ignore  # pyright: ignore[reportCallIssue]


@ask.handler()
async def answer(job: Job[CloseCycle, None]) -> ClosedCycle:
    return ClosedCycle(invoices=len(job.payload.month))


@ask.handler()  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def answer_wrongly(job: Job[Other, None]) -> ClosedCycle:
    return ClosedCycle(invoices=job.payload.x)


monthly = billing.schedule(
    "monthly",
    Cron("0 2 1 * *", timezone="Europe/Berlin"),
    emits=cycle_due,
    missed_runs="runOnce",
    concurrency="allow",
    jitter_window=timedelta(seconds=1),
)
assert_type(monthly, Schedule)
billing.schedule("often", Interval(timedelta(minutes=5)), emits=cycle_due)
billing.schedule("once", OneShot(datetime(2026, 1, 1, tzinfo=UTC)), emits=cycle_due)
# An event that carries a payload can not be emitted by a schedule, which has none.
billing.schedule("full", Interval(timedelta(1)), emits=opened)  # type: ignore  # pyright: ignore[reportArgumentType]
billing.schedule("missed", Interval(timedelta(1)), emits=cycle_due, missed_runs="run_once")  # type: ignore  # pyright: ignore[reportArgumentType]
# Contracts are frozen.
closing.name = "other"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


# Workers


@closing.worker(emits=[opened], enqueues=[plain, scoped], mode="sequential")
def close(job: Job[CloseCycle, TenantScope]) -> ClosedCycle:
    assert_type(job.payload, CloseCycle)
    assert_type(job.parameter, TenantScope)
    assert_type(job.attempt, int)
    assert_type(job.headers, Mapping[str, str])
    assert_type(job.tenant_id, str | None)
    assert_type(job.cancel_requested, bool)
    job.progress(1, 2, "half")
    job.checkpoint({"row": 1})
    job.extend_lease(timedelta(minutes=1))
    job.raise_if_cancelled()
    job.logger.info("closing")
    job.emit(opened, CloseCycle(month="1"))
    job.emit(cycle_due)
    job.emit(opened, Other(x=1))  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    assert_type(job.enqueue(plain, CloseCycle(month="1")), Receipt)
    job.enqueue(scoped, CloseCycle(month="1"), parameter=TenantScope(tenant="a"))
    job.enqueue(plain, Other(x=1))  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    job.enqueue(scoped, CloseCycle(month="1"), parameter=Other(x=1))  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    return ClosedCycle(invoices=1)


def ends(job: Job[CloseCycle, None], how: int) -> ClosedCycle:
    """What ends an attempt does not return, so that no further branch needs a value."""
    if how == 1:
        job.retry("busy", timedelta(seconds=1))
    if how == 2:
        job.fail("bad", fatal=True)
    job.dead_letter("worse")


@plain.worker()
async def close_later(job: Job[CloseCycle, None]) -> None:
    assert_type(job.parameter, None)


@counting.worker()
async def count(job: Job[int, None]) -> str:
    return str(job.payload)


@counting.worker()
def count_now(job: Job[int, None]) -> str:
    return str(job.payload)


@closing.worker()  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def wrong_output(job: Job[CloseCycle, TenantScope]) -> Other: ...  # type: ignore[empty-body]


@closing.worker()  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def no_output(job: Job[CloseCycle, TenantScope]) -> None: ...


@closing.worker()  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
async def wrong_later(job: Job[CloseCycle, TenantScope]) -> Other: ...  # type: ignore[empty-body]


@closing.worker()  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def wrong_payload(job: Job[Other, TenantScope]) -> ClosedCycle: ...  # type: ignore[empty-body]


@closing.worker()  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def wrong_parameter(job: Job[CloseCycle, None]) -> ClosedCycle: ...  # type: ignore[empty-body]


@closing.worker()  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def wrong_arguments(job: Job[CloseCycle, TenantScope], more: int) -> ClosedCycle: ...  # type: ignore[empty-body]


# Events

books = Service("books")


@books.subscribe(closing.results.success)
def record(event: EventMessage[JobResult[ClosedCycle]]) -> None:
    assert_type(event.payload, JobResult[ClosedCycle])
    assert_type(event.payload.payload, ClosedCycle)
    assert_type(event.payload.status == "success", bool)
    assert_type(event.timestamp, int)


@books.subscribe(closing.results.failure)
async def complain(event: EventMessage[JobResult[None]], job: Job[Any, Any]) -> None:
    assert_type(event.payload.payload, None)
    assert_type(event.payload.reason, str | None)


@books.subscribe("billing.#", name="audit")
def audit(event: EventMessage[Any]) -> None: ...


@books.subscribe(opened)
def hear(event: EventMessage[CloseCycle]) -> None:
    assert_type(event.payload.month, str)


@books.subscribe(opened)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def wrong_event(event: EventMessage[Other]) -> None: ...


@books.subscribe(opened)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def wrong_answer(event: EventMessage[CloseCycle]) -> int: ...  # type: ignore[empty-body]


@billing.bind(cycle_due, to=closing, idempotency="strict")
def many(event: EventMessage[None]) -> list[Enqueue[CloseCycle, TenantScope]]:
    job = Enqueue(CloseCycle(month="1"), TenantScope(tenant="a"), idempotency_key=event.id)
    assert_type(job, Enqueue[CloseCycle, TenantScope])
    return [job]


@billing.bind(opened, to=plain)
def one(event: EventMessage[CloseCycle]) -> Enqueue[CloseCycle, None] | None:
    return Enqueue(event.payload) if event.payload.month else None


@billing.bind(opened, to=closing)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def wrong_job(event: EventMessage[CloseCycle]) -> list[Enqueue[Other, TenantScope]]: ...  # type: ignore[empty-body]


@billing.bind(opened, to=plain)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
async def later(event: EventMessage[CloseCycle]) -> Enqueue[CloseCycle, None]: ...  # type: ignore[empty-body]


# Resources


@billing.resource("db")
def database() -> Iterator[str]:
    yield "open"


assert_type(database, Callable[[], Iterator[str]])


@billing.resource("bad")  # type: ignore[type-var]  # pyright: ignore[reportArgumentType, reportUntypedFunctionDecorator]
def bad(argument: int) -> str: ...  # type: ignore[empty-body]


# Applications

app = compile_app([billing, books], Settings(namespace="a", result_ttl=timedelta(days=1)))
plain_celery: celery.Celery = app
assert_type(app.purista, Client)
client = Client(app)

cycle, scope = CloseCycle(month="1"), TenantScope(tenant="a")
receipt = client.enqueue(closing, cycle, parameter=scope, idempotency_key="k", priority=9)
assert_type(receipt, Receipt)
assert_type(receipt.scheduled_at, datetime | None)
assert_type(client.enqueue(plain, cycle, delay=timedelta(seconds=1)), Receipt)
assert_type(client.enqueue(counting, 1), Receipt)
client.enqueue(closing, Other(x=1), parameter=scope)  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
client.enqueue(closing, cycle, parameter=cycle)  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
client.enqueue(plain, cycle, parameter=scope)  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
client.enqueue("billing.plain", cycle)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

assert_type(client.enqueue_many(closing, [Enqueue(cycle, scope)]), list[Receipt])
client.enqueue_many(closing, [Enqueue(Other(x=1), scope)])  # type: ignore[misc]  # pyright: ignore[reportArgumentType]

assert_type(client.emit(cycle_due), EventMessage[Any])
client.emit(opened, cycle, tenant_id="a")
client.emit(opened, Other(x=1))  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
client.emit(cycle_due, cycle)  # type: ignore[misc]  # pyright: ignore[reportArgumentType]

status = client.job(receipt.job_id)
assert_type(status, JobStatus)
assert_type(client.wait(receipt.job_id, timedelta(minutes=1)), JobStatus)
assert_type(client.wait(receipt.job_id, 1.5), JobStatus)
assert_type(client.cancel(receipt.job_id), JobStatus)
assert_type(client.metrics(closing), QueueMetrics)
assert_type(client.metrics("billing.closing").oldest_age, float | None)
assert_type(client.dead_letters(closing).list(), Sequence[JobStatus])
assert_type(client.dead_letters(closing).redrive("a", "b"), Sequence[str])
assert_type(client.dead_letters(closing).purge(limit=1), int)
client.pause(closing, "maintenance")
client.resume("billing.closing")
assert_type(client.schedules.list(), Sequence[Schedule])
if status.status == "done":  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]
    pass

try:
    client.job("a")
except (JobCancelled, LeaseLost) as error:
    assert_type(error.code, str)
except PuristaError as error:
    assert_type(error.message, str)


# --- governance -----------------------------------------------------------------------------------


class Login(BaseModel):
    person: Annotated[str, Sensitive]
    password: Annotated[str, Sensitive("secret")]


Sensitive("public")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
vault = Service("vault", owner="security", deprecated=True, tags=["eu"], links={"runbook": "…"})
vault.event("vault.opened", owner="doors", links={"runbook": "https://example.org/"})
vault.event("vault.closed", onwer="doors")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
vault.queue("vault.login", payload=Login, owner="doors")
vault.queue("vault.logout", payload=Login, links=["runbook"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def govern(client: Client, queue: Queue[Login, None, None]) -> None:
    """What operators see, and what documents say."""
    assert_type(Login(person="Ada", password="1").password, str)
    assert_type(client.dead_letters(queue).list(reveal=True), Sequence[JobStatus])
    assert_type(client.jobs(queue, reveal=True), list[JobStatus])
    assert_type(exports.openapi([vault], servers=["/api"]), dict[str, Any])
    assert_type(exports.capabilities([vault], facts=client.inspect()), dict[str, Any])
