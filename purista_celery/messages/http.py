"""What a gateway answers over HTTP, besides a command's own output."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from purista_celery.messages.envelope import Instant, Trace
from purista_celery.messages.wire import WireModel

#: Where a job is followed; a gateway serves them beside what contracts declare.
JOB_PATH = "/jobs/{jobId}"
CANCEL_PATH = f"{JOB_PATH}/cancel"
EVENTS_PATH = f"{JOB_PATH}/events"


class JobAccepted(WireModel):
    """A job was accepted: it ends as completed, as cancelled, or as a dead letter."""

    job_id: str
    run_id: str | None = Field(default=None, description="Of an agent's run, where it is one")
    status: Literal["queued"] = Field(default=..., description="What became of the request")
    queue_name: str
    queue: str | None = Field(
        default=None,
        # Not pydantic's own, which would warn each time that a message is written.
        json_schema_extra={"deprecated": True},
        description="As queueName, for older clients",
    )
    scheduled_at: int | None = Field(
        default=None, description="When a delayed job is due, in milliseconds since the Unix epoch"
    )
    status_url: str | None = Field(default=None, description="Where its status is")
    stream_url: str | None = Field(default=None, description="Where its events are")


class JobRecord(Trace):
    """What is known of a job: PURISTA's QueueJobStatusRecord."""

    job_id: str
    queue_name: str
    status: Literal["pending", "inFlight", "completed", "failed", "cancelled", "deadLetter"]
    attempt: int = Field(description="Attempts so far")
    created_at: Instant | None = None
    leased_at: Instant | None = None
    updated_at: Instant
    completed_at: Instant | None = None
    failed_at: Instant | None = None
    cancelled_at: Instant | None = None
    progress: Any = Field(default=None, description="What its handler reported last")
    result: Any = Field(default=None, description="What its handler returned")
    error: str | None = Field(default=None, description="Why its last attempt failed")
    run_id: str | None = None


class Problem(WireModel):
    """Why a request was refused or failed: RFC 9457."""

    type: str = Field(description="URI reference of the kind of problem", examples=["about:blank"])
    title: str = Field(description="The kind of problem in words")
    status: int = Field(description="The HTTP status", ge=400, le=599)
    detail: str | None = Field(default=None, description="What happened this time")
    instance: str | None = Field(default=None, description="The request's path")
    code: str | None = Field(default=None, description="Stable name of the error, PURISTA_…")
    trace_id: str | None = Field(default=None, description="W3C trace id of the request")
