"""Every error this package raises: one tree, a stable code each.

The code is part of the public contract: match on it, not on the text. The docstring of a class is
what its message means; the message itself names what was expected, what came, and what to do.
"""

from __future__ import annotations

from typing import ClassVar


class PuristaError(Exception):
    """Something in purista-celery failed; the root of all the errors below."""

    #: Stable, upper-case name of the kind of failure.
    code: ClassVar[str] = "PURISTA_ERROR"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        #: The text without the code.
        self.message = message

    def __str__(self) -> str:
        return f"[{self.code}] {self.message}"


class ContractError(PuristaError):
    """A declaration is wrong; raised when it is declared or compiled, never later."""

    code = "PURISTA_CONTRACT_INVALID"


class DuplicateName(ContractError):
    """Two contracts of one kind carry the same name."""

    code = "PURISTA_CONTRACT_DUPLICATE_NAME"


class InvalidName(ContractError):
    """A name holds characters that a broker would read as a pattern or a separator."""

    code = "PURISTA_CONTRACT_INVALID_NAME"


class UnknownReference(ContractError):
    """A contract points at an event or a queue that no given service declares."""

    code = "PURISTA_CONTRACT_UNKNOWN_REFERENCE"


class InvalidLifecycle(ContractError):
    """Lease, runtime, attempts or delays contradict each other."""

    code = "PURISTA_CONTRACT_INVALID_LIFECYCLE"


class InvalidHandler(ContractError):
    """A handler's signature does not fit the contract it serves."""

    code = "PURISTA_CONTRACT_INVALID_HANDLER"


class InvalidEndpoint(ContractError):
    """An HTTP endpoint does not fit its contract's types, or takes another one's place."""

    code = "PURISTA_CONTRACT_INVALID_ENDPOINT"


class UnsupportedContract(ContractError):
    """A declaration is valid, but this version can not keep what it says."""

    code = "PURISTA_CONTRACT_UNSUPPORTED"


class InvalidSchedule(ContractError):
    """A schedule can not be computed."""

    code = "PURISTA_SCHEDULER_INVALID"


class InvalidCron(InvalidSchedule):
    """A cron expression can not be read."""

    code = "PURISTA_SCHEDULER_CRON_INVALID"


class InvalidTimezone(InvalidSchedule):
    """A time zone is not in the IANA database."""

    code = "PURISTA_SCHEDULER_TIMEZONE_INVALID"


class InvalidInterval(InvalidSchedule):
    """An interval is not a positive span of time."""

    code = "PURISTA_SCHEDULER_INTERVAL_INVALID"


class InvalidOneShot(InvalidSchedule):
    """A one-shot schedule has no usable instant."""

    code = "PURISTA_SCHEDULER_ONESHOT_INVALID"


class UnsupportedPayload(InvalidSchedule):
    """A schedule's payload and what its target takes do not fit each other."""

    code = "PURISTA_SCHEDULER_PAYLOAD_UNSUPPORTED"


class UnsupportedExpression(InvalidSchedule):
    """Another scheduler can not fire a schedule at the instants that its expression names."""

    code = "PURISTA_SCHEDULER_PROVIDER_CAPABILITY_MISSING"


class UnsupportedTarget(InvalidSchedule):
    """A schedule targets what this scheduler can not reach."""

    code = "PURISTA_SCHEDULER_TARGET_UNSUPPORTED"


class UnsupportedConcurrency(InvalidSchedule):
    """A schedule's overlap policy asks about jobs that nobody here would know of."""

    code = "PURISTA_SCHEDULER_CONCURRENCY_UNSUPPORTED"


class ExportError(PuristaError):
    """The contracts can not be written in the form that was asked for."""

    code = "PURISTA_EXPORT_UNSUPPORTED"


class InvalidDefinitions(ContractError):
    """A definitions document can not be read into contracts."""

    code = "PURISTA_DEFINITIONS_INVALID"


class PublishFailed(PuristaError):
    """An occurrence was not taken by its target; it is tried again, and nothing is skipped."""

    code = "PURISTA_SCHEDULER_PUBLISH_FAILED"


class NotLeading(PuristaError):
    """This beat does not lead the group any more; what it did last was not accepted."""

    code = "PURISTA_SCHEDULER_NOT_LEADING"


class ClockDiffers(PuristaError):
    """This machine's clock and the ledger's disagree; a beat does not lead meanwhile."""

    code = "PURISTA_SCHEDULER_CLOCK_DIFFERS"


class EntryMoved(PuristaError):
    """Somebody else changed the schedule's progress since it was read."""

    code = "PURISTA_SCHEDULER_ENTRY_MOVED"


class ScheduleNotFound(PuristaError):
    """No schedule of that name is known here."""

    code = "PURISTA_SCHEDULE_NOT_FOUND"


class InvalidMessage(PuristaError):
    """Data that was to leave or has arrived does not fit its contract."""

    code = "PURISTA_MESSAGE_INVALID"


class InvalidPayload(InvalidMessage):
    """A payload, parameter or output does not fit its model."""

    code = "PURISTA_PAYLOAD_INVALID"


class PayloadTooLarge(InvalidPayload):
    """A payload, parameter, output or event is larger than ``PURISTA_MAX_PAYLOAD`` allows."""

    code = "PURISTA_PAYLOAD_TOO_LARGE"


class NotDeclared(PuristaError):
    """A handler used an event or a queue that its worker did not declare."""

    code = "PURISTA_NOT_DECLARED"


class UnknownQueue(PuristaError):
    """No queue of that name is known to this app."""

    code = "PURISTA_QUEUE_UNKNOWN"


class QueueInUse(PuristaError):
    """A queue that was to be moved or purged is declared here, or a live worker serves it."""

    code = "PURISTA_QUEUE_IN_USE"


class JobNotFound(PuristaError):
    """No job of that id is known: never accepted, or its record has expired."""

    code = "PURISTA_JOB_NOT_FOUND"


class JobUnfinished(PuristaError):
    """The job did not finish within the time that was waited."""

    code = "PURISTA_JOB_UNFINISHED"


class JobCancelled(PuristaError):
    """The job was cancelled while its handler ran."""

    code = "PURISTA_JOB_CANCELLED"


class CommandFailed(PuristaError):
    """A command's handler failed; what it did before that is not undone."""

    code = "PURISTA_COMMAND_FAILED"


class CommandTimeout(PuristaError):
    """A command was not answered in time; if it had not begun, it will not run any more."""

    code = "PURISTA_COMMAND_TIMEOUT"


class AttemptFailed(PuristaError):
    """An attempt at a job failed; another follows. What Celery's tools show as the reason."""

    code = "PURISTA_ATTEMPT_FAILED"


class DeadLettered(PuristaError):
    """A job failed for good and is a dead letter now. What Celery's tools show as the reason."""

    code = "PURISTA_DEAD_LETTERED"


class LeaseLost(PuristaError):
    """This worker no longer holds the job; what it does from here on is not accepted."""

    code = "PURISTA_LEASE_LOST"


class LedgerUnavailable(PuristaError):
    """The ledger (Redis) did not answer: what was asked of it is not known to be accepted.

    Ask again; a job with the same idempotency key is accepted once.
    """

    code = "PURISTA_LEDGER_UNAVAILABLE"


class BrokerUnavailable(PuristaError):
    """The broker could not be reached; the event was not accepted."""

    code = "PURISTA_BROKER_UNAVAILABLE"


class QueueMismatch(BrokerUnavailable):
    """A broker queue of ours exists with other properties than we declare."""

    code = "PURISTA_QUEUE_MISMATCH"


class QueueUnavailable(BrokerUnavailable):
    """The broker refuses one queue of ours: its node is down, or it belongs to somebody else."""

    code = "PURISTA_QUEUE_UNAVAILABLE"


class EventUnroutable(BrokerUnavailable):
    """Nobody would have received an event that must reach somebody; the event was not accepted."""

    code = "PURISTA_EVENT_UNROUTABLE"


class ConfigurationError(PuristaError):
    """A setting is missing or contradicts another."""

    code = "PURISTA_CONFIGURATION_INVALID"


class UnsupportedServer(ConfigurationError):
    """A URL leads to a server of a kind that this package does not work with."""

    code = "PURISTA_SERVER_UNSUPPORTED"


class PermissionDenied(ConfigurationError):
    """A server does not let its user do what is needed; somebody has to permit it."""

    code = "PURISTA_PERMISSION_DENIED"


class LedgerForbidden(PermissionDenied, LedgerUnavailable):
    """The ledger does not let its user do what was asked; it was not accepted.

    A worker that finds this while it runs waits as in an outage, and says so.
    """


class BrokerForbidden(PermissionDenied, BrokerUnavailable):
    """The broker does not let its user publish; the event was not accepted."""


class EmbeddedRedisError(ConfigurationError):
    """The embedded Redis server could not be started."""

    code = "PURISTA_EMBEDDED_REDIS_FAILED"


class CapabilityMissing(ConfigurationError):
    """A contract needs what the live broker or ledger does not give."""

    code = "PURISTA_CAPABILITY_MISSING"


class UnsupportedPool(ConfigurationError):
    """A worker was to run jobs in a kind of pool that can not keep what is promised."""

    code = "PURISTA_POOL_UNSUPPORTED"


class ConformanceFailed(PuristaError):
    """A live broker or ledger did not keep a promise that a conformance case tried."""

    code = "PURISTA_CONFORMANCE_FAILED"


class BeatConflict(ConfigurationError):
    """Another application already owns this scheduler group's prefix."""

    code = "PURISTA_SCHEDULER_GROUP_CONFLICT"
