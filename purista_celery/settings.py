"""Settings of one process, from ``PURISTA_*`` environment variables or from code."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from purista_celery.errors import ConfigurationError

#: One MiB.
LARGEST_PAYLOAD = 2**20


def _seconds(value: Any) -> Any:
    """Let ``15`` and ``0.5`` of the environment be seconds; pydantic reads the other forms."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


SECOND = timedelta(seconds=1)
#: More than anybody means; what is longer could not be counted in milliseconds everywhere.
LONGEST = timedelta(days=36_525)

Span = Annotated[timedelta, BeforeValidator(_seconds), Field(ge=timedelta(0), le=LONGEST)]
#: One that is not zero.
Time = Annotated[Span, Field(gt=timedelta(0))]


class Settings(BaseSettings):
    """Where broker and ledger are, and how patient this process is.

    Spans of time take seconds or ISO 8601 (``PT5S``) in the environment.
    """

    model_config = SettingsConfigDict(env_prefix="PURISTA_", frozen=True, extra="ignore")

    #: ``package.module:attribute``, comma-separated: the services that ``-A workers`` serves. The
    #: attribute is a Service or a list of them.
    services: str = ""
    #: ``redis://``, ``rediss://``, ``unix:///path`` or ``amqp://``; the embedded Redis otherwise.
    broker_url: str | None = Field(default=None, repr=False)
    #: Redis 6.2+; the broker where that is a Redis, else the embedded Redis.
    ledger_url: str | None = Field(default=None, repr=False)
    #: First part of every key, queue and exchange name: applications with different namespaces
    #: share servers without seeing each other.
    namespace: str = Field(default="purista", pattern=r"^[A-Za-z0-9][A-Za-z0-9_\-]{0,59}$")
    #: How events travel: by our own topic exchange, or as PURISTA's TypeScript services publish and
    #: hear them (RabbitMQ only).
    event_bridge: Literal["topic", "purista-amqp"] = "topic"
    #: For that, PURISTA's ``exchangeName`` and ``namePrefix``; the namespace by default.
    amqp_exchange: str = Field(default="purista", pattern=r"^[A-Za-z0-9_.:\-]{1,127}$")
    amqp_prefix: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_\-]{0,59}$")
    #: What beat fires; written by ``celery -A workers purista export schedule-manifest``.
    schedule_manifest: Path | None = None
    #: Which group's schedules this beat fires; all of the manifest's otherwise.
    scheduler_group: str | None = None
    #: The longest that a beat sleeps between two looks at its schedules; a third of its lock at the
    #: most.
    scheduler_interval: Time = SECOND
    #: For how long the lock of a beat that has died keeps the others out. Fail-over takes this and
    #: one interval; at least three intervals, or an ordinary delay would lose the lock.
    scheduler_lock: Span = Field(default=10 * SECOND, ge=SECOND)
    #: Home of the embedded Redis.
    embedded_directory: Path = Path(".purista")
    #: Refuse to start where the live broker or ledger can not keep what the contracts ask for.
    strict: bool = False
    #: How long the record of a completed or cancelled job is kept.
    result_ttl: Span = Field(default=timedelta(days=1), ge=SECOND)
    #: The largest payload, parameter, output or event that is accepted, in bytes of its JSON. Large
    #: things belong in a store of their own, and their address in the payload.
    max_payload: int = Field(default=LARGEST_PAYLOAD, ge=1024)
    #: A worker that is silent for longer is taken for dead, and its jobs move on.
    liveness_ttl: Span = Field(default=15 * SECOND, ge=2 * SECOND)
    #: How long anybody waits for an answer of a broker that is there and says nothing; publishing
    #: is tried a few times. Two thirds of the liveness at the most, so that a worker which waits
    #: for its broker is not taken for dead. The ledger has its own patience.
    broker_timeout: Time = 10 * SECOND
    #: How often stager, rescuer and relay look for what is to be done; the liveness at the most.
    custodian_interval: Time = SECOND
    #: A ready job whose message was not seen for longer than this is offered again; no less than
    #: that interval.
    lost_grace: Span = Field(default=10 * SECOND, ge=SECOND)
    #: How long a message for a queue that no worker here knows is offered again (a deploy in
    #: progress) before it becomes a dead letter.
    unknown_task_grace: Span = 300 * SECOND
    #: How long after a cancel request the process of a deaf handler is ended.
    cancel_grace: Span = 30 * SECOND

    @classmethod
    def from_environment(cls) -> Settings:
        """Read ``PURISTA_*``.

        Raises:
            ConfigurationError: a variable can not be read, or contradicts another; the message
                does not show a value that can not be read.
        """
        return cls()

    @property
    def ledger_timeout(self) -> timedelta:
        """How long anybody waits for one answer of a ledger that is there and says nothing."""
        return min(10 * SECOND, _longest_wait(self.liveness_ttl))

    @model_validator(mode="wrap")
    @classmethod
    def _fit(cls, data: Any, handler: ModelWrapValidatorHandler[Settings]) -> Settings:
        """Let what is not set follow from what is, and refuse what contradicts itself."""
        try:
            found = handler(data)
            if not isinstance(data, dict):
                return found
            found = handler({**data, **_derived(found)})
        except ValidationError as error:
            wrong = "; ".join(
                f"{_variable('_'.join(map(str, item['loc'])))}: {item['msg']}"
                for item in error.errors(include_input=False, include_url=False)
            )
            raise ConfigurationError(
                f"{wrong}. Correct it in the environment, or what was given in code."
            ) from None
        if wrong := "; ".join(_contradictions(found)):
            raise ConfigurationError(f"{wrong}.")
        return found


def _longest_wait(liveness: timedelta) -> timedelta:
    """Return how long one wait may take of a worker that says every liveness / 5 that it lives."""
    return liveness * 2 / 3


def _derived(found: Settings) -> dict[str, timedelta]:
    """Return what is not set and would contradict what is."""
    follows = {
        "broker_timeout": min(found.broker_timeout, _longest_wait(found.liveness_ttl)),
        "custodian_interval": min(found.custodian_interval, found.lost_grace, found.liveness_ttl),
        "lost_grace": max(found.lost_grace, found.custodian_interval),
        "scheduler_interval": min(found.scheduler_interval, found.scheduler_lock // 3),
        "scheduler_lock": max(found.scheduler_lock, 3 * found.scheduler_interval),
    }
    return {name: span for name, span in follows.items() if name not in found.model_fields_set}


def _contradictions(found: Settings) -> Iterator[str]:
    """Say what can not be kept together, and what to do."""
    if found.broker_timeout > _longest_wait(found.liveness_ttl):
        yield (
            f"{_said(found, 'broker_timeout')} is more than two thirds of "
            f"{_said(found, 'liveness_ttl')}, so that a worker which waits for its broker would be "
            f"taken for dead: lower the first or raise the second"
        )
    if found.custodian_interval > found.liveness_ttl:
        yield (
            f"{_said(found, 'custodian_interval')} is longer than {_said(found, 'liveness_ttl')}, "
            f"so that a dead worker would not be noticed in time: lower the first or raise the "
            f"second"
        )
    if found.lost_grace < found.custodian_interval:
        yield (
            f"{_said(found, 'lost_grace')} is shorter than {_said(found, 'custodian_interval')}, "
            f"in which nobody looks: raise the first or lower the second"
        )
    if found.scheduler_lock < 3 * found.scheduler_interval:
        yield (
            f"{_said(found, 'scheduler_lock')} is less than three times "
            f"{_said(found, 'scheduler_interval')}, so that an ordinary delay would lose the lock: "
            f"raise the first or lower the second"
        )


def _said(found: Settings, name: str) -> str:
    return f"{_variable(name)} ({getattr(found, name).total_seconds():g} s)"


def _variable(name: str) -> str:
    return f"PURISTA_{name.upper()}"
