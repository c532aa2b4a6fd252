"""The payload of a result event: PURISTA's ``QueueResultEventPayload``."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar, get_args

from pydantic import Field, model_validator

from purista_celery.messages.envelope import AnyEvent, Trace

OutputT = TypeVar("OutputT")
ResultStatus = Literal["success", "failed", "cancelled", "dead-lettered", "progress"]

#: Header that says why a job ended as it did.
REASON_HEADER = "x-purista-dead-letter-reason"


class JobResult(Trace, Generic[OutputT]):
    """How a job ended."""

    job_id: str
    queue_name: str
    status: ResultStatus
    attempt: int
    #: The handler's output, for ``success``; absent there, its type must accept None.
    payload: OutputT = Field(default=None)  # type: ignore[assignment]
    headers: dict[str, str] | None = None
    run_id: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _output_of_success(cls, data: Any) -> Any:
        """Let an output that is absent be read as None, by its type."""
        if isinstance(data, dict) and data.get("status") == "success":
            return {"payload": None, **data}
        return data

    @property
    def reason(self) -> str | None:
        """Why the job failed or was cancelled."""
        return (self.headers or {}).get(REASON_HEADER)


def result_type(output: Any) -> Any:
    """Return ``JobResult[output]``."""
    return JobResult[output]


def event_id(job_id: str, status: ResultStatus) -> str:
    """Return the deterministic id of a result event; a consumer drops repeats by it."""
    return f"{job_id}:{status}"


def job_id_of(result_event_id: str) -> str:
    """Return the id of the job that a result event is of."""
    return result_event_id.rpartition(":")[0]


def status_told_by(event: AnyEvent) -> ResultStatus | None:
    """Return what a result event tells of its job; None of any other event."""
    told: Any = event.payload
    if not isinstance(told, dict) or told.get("status") not in get_args(ResultStatus):
        return None
    job_id, status = str(told.get("jobId")), told["status"]
    # An application's own event may have such fields; the id says that it is one of ours.
    return status if f"{event.id}:".startswith(f"{event_id(job_id, status)}:") else None
