"""What the ledger answers: frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal


class Verdict(StrEnum):
    """What became of a claim."""

    #: The caller holds the job now.
    GRANTED = "granted"
    #: The ledger has no record of the job; its message carries all that is needed to make one.
    UNKNOWN = "unknown"
    #: The job is completed, cancelled or dead.
    SETTLED = "settled"
    #: The job waits for its time; a stager will offer it.
    NOT_DUE = "not_due"
    #: A worker holds the job under a live lease.
    HELD = "held"
    #: The queue is paused; a stager offers the job after that.
    PAUSED = "paused"
    #: An earlier job of its partition is unfinished; it is offered when its turn comes.
    BEHIND = "behind"
    #: As many jobs of the queue run, or were started within its interval, as may be.
    LIMITED = "limited"
    #: All attempts are spent.
    EXHAUSTED = "exhausted"


class Settled(StrEnum):
    """What became of the end of an attempt after which the job was to go on."""

    #: It is written down.
    DONE = "done"
    #: The fence is no longer the holder's.
    LOST = "lost"
    #: Somebody has asked to cancel the job meanwhile; it is still held.
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer to a claim. Only a granted one makes its caller the holder."""

    verdict: Verdict
    #: Attempts so far, this one included.
    attempt: int
    max_attempts: int
    #: Milliseconds since the epoch; the retry window counts from here.
    window_start: int
    last_checkpoint: Any
    #: The fence of the holder, who is not the caller unless granted.
    fence: str
    #: How often the job was a dead letter and tried again.
    redrives: int = 0
    #: The reason of the failure before, and of how many in a row.
    failed_for: str = ""
    failed_times: int = 0


@dataclass(frozen=True, slots=True)
class Renewed:
    """The answer to the renewal of one lease."""

    #: ``held``; ``waiting`` (its message waits in a worker, unclaimed); ``unknown`` (no record);
    #: ``lost`` (settled, or somebody else's).
    verdict: str
    cancel_requested: bool
    attempt: int
    redrives: int
    window_start: int


@dataclass(frozen=True, slots=True)
class Holding:
    """A claim as its holder tells it to a ledger that has lost it."""

    fence: str
    worker: str
    attempt: int
    redrives: int
    window_start: int
    lease: timedelta
    longest_hold: timedelta


@dataclass(frozen=True, slots=True)
class Abandoned:
    """Why somebody else than the holder may settle: it was seen that the holder is gone."""

    #: The dead worker; empty where only the lease's end counts.
    worker: str
    #: Milliseconds since the epoch by the ledger's clock: what was seen is worth nothing after it.
    until: int


@dataclass(frozen=True, slots=True)
class Offer:
    """A job whose message is to be published (again)."""

    job_id: str
    message: str
    #: Attempts so far.
    attempt: int


@dataclass(frozen=True, slots=True)
class Expired:
    """A leased job without a living holder."""

    job_id: str
    fence: str
    worker: str
    message: str
    attempt: int
    max_attempts: int
    window_start: int
    redrives: int = 0
    failed_for: str = ""
    failed_times: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """How many jobs of a queue may run, over all workers."""

    #: At once; None is no limit.
    parallel: int | None = None
    #: No more than ``parallel`` (one, without it) are started within each interval of this length.
    interval: timedelta | None = None

    @property
    def per_interval(self) -> int:
        """Most starts within an interval; 0 is no limit."""
        return 0 if self.interval is None else self.parallel or 1


UNLIMITED = Limits()


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A message as the broker has it, to be kept or published as it is."""

    body: bytes
    headers: Mapping[str, Any]
    #: The broker queue that it came from.
    queue: str
    content_type: str | None = None
    content_encoding: str | None = None
    #: How many bytes the body had, where only its beginning is kept; 0 where it is whole.
    cut: int = 0


@dataclass(frozen=True, slots=True)
class OutgoingEvent:
    """A result event as it is kept until the broker has it."""

    id: str
    #: Empty where the outcome was written by a process that knows no contracts, such as beat: a
    #: relay, which does, makes the event from the job's record, or forgets it.
    envelope: str


#: PURISTA's job states, as clients see them.
Status = Literal["pending", "inFlight", "completed", "failed", "cancelled", "deadLetter"]

STATUS_OF_STATE: dict[str, Status] = {
    "scheduled": "pending",
    "ready": "pending",
    "leased": "inFlight",
    "completed": "completed",
    "cancelled": "cancelled",
    "dead": "deadLetter",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """What is known of a job."""

    job_id: str
    queue_name: str
    status: Status
    attempt: int
    max_attempts: int
    created_at: datetime
    updated_at: datetime
    #: When the job is or was due, if it was delayed or waits for a retry.
    scheduled_at: datetime | None = None
    leased_at: datetime | None = None
    lease_expires_at: datetime | None = None
    completed_at: datetime | None = None
    failed_at: datetime | None = None
    cancelled_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    progress: Any = None
    last_checkpoint: Any = None
    output: Any = None
    #: Short, stable name of why the last attempt failed or the job ended.
    reason: str | None = None
    #: The last attempt's error, for people.
    error: str | None = None
    payload: Any = None
    parameter: Any = None
    trace_id: str | None = None
    correlation_id: str | None = None
    tenant_id: str | None = None
    principal_id: str | None = None
    worker: str | None = None
    #: The bytes of a message that is no job, base64.
    raw: str | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.status not in ("pending", "inFlight")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueMetrics:
    """A queue in numbers; the counters count from the queue's beginning."""

    #: Jobs that are ready or scheduled.
    pending: int
    scheduled: int
    inflight: int
    dead_letter: int
    #: Failed attempts that were followed by another.
    retries: int
    completed: int
    cancelled: int
    #: Result events that the broker does not have yet.
    outbox: int
    #: Seconds since the oldest ready job was offered; None where none waits.
    oldest_age: float | None
    #: Why the queue is paused, if it is.
    paused: str | None


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """One held job (PURISTA's LeaseInspectionRecord)."""

    lease_id: str
    queue_name: str
    job_id: str
    worker: str
    leased_at: datetime
    lease_expires_at: datetime
