"""Settings of one process, from ``PURISTA_*`` environment variables or from code."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError
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


Span = Annotated[timedelta, BeforeValidator(_seconds)]


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
    #: The longest that a beat sleeps between two looks at its schedules.
    scheduler_interval: Span = Field(default=timedelta(seconds=1), gt=timedelta(0))
    #: For how long the lock of a beat that has died keeps the others out. Fail-over takes this and
    #: one interval; at least three intervals, or an ordinary delay would lose the lock.
    scheduler_lock: Span = Field(default=timedelta(seconds=10), ge=timedelta(seconds=1))
    #: Home of the embedded Redis.
    embedded_directory: Path = Path(".purista")
    #: Refuse to start where the live broker or ledger can not keep what the contracts ask for.
    strict: bool = False
    #: How long the record of a completed or cancelled job is kept.
    result_ttl: Span = timedelta(days=1)
    #: The largest payload, parameter, output or event that is accepted, in bytes of its JSON. Large
    #: things belong in a store of their own, and their address in the payload.
    max_payload: int = Field(default=LARGEST_PAYLOAD, ge=1024)
    #: A worker that is silent for longer is taken for dead, and its jobs move on.
    liveness_ttl: Span = Field(default=timedelta(seconds=15), ge=timedelta(seconds=2))
    #: How long anybody waits for an answer of a broker that is there and says nothing; publishing
    #: is tried a few times. The ledger has its own patience.
    broker_timeout: Span = Field(default=timedelta(seconds=10), gt=timedelta(0))
    #: How often a custodian looks for due, expired and lost jobs.
    custodian_interval: Span = Field(default=timedelta(seconds=1), gt=timedelta(0))
    #: A ready job whose message was not seen for longer than this is offered again.
    lost_grace: Span = timedelta(seconds=10)
    #: How long a message for a queue that no worker here knows is offered again (a deploy in
    #: progress) before it becomes a dead letter.
    unknown_task_grace: Span = timedelta(minutes=5)
    #: How long after a cancel request the process of a deaf handler is ended.
    cancel_grace: Span = timedelta(seconds=30)

    @classmethod
    def from_environment(cls) -> Settings:
        """Read ``PURISTA_*``.

        Raises:
            ConfigurationError: a variable can not be read; the message does not show its value.
        """
        try:
            return cls()
        except ValidationError as error:
            wrong = "; ".join(
                f"PURISTA_{'_'.join(map(str, item['loc'])).upper()}: {item['msg']}"
                for item in error.errors(include_input=False, include_url=False)
            )
            raise ConfigurationError(f"{wrong}. Correct the environment.") from None
