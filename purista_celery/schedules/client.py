"""The face of schedules for applications: see how they fare, hold them up, fire them by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from purista_celery.contracts.schedule import Schedule
from purista_celery.errors import EntryMoved, InvalidMessage, ScheduleNotFound
from purista_celery.ledger.connection import available
from purista_celery.ledger.ledger import Ledger
from purista_celery.producer.events import EventPublisher
from purista_celery.producer.jobs import JobProducer
from purista_celery.producer.wiring import Wiring
from purista_celery.schedules.due import Between
from purista_celery.schedules.fire import occurrence_for
from purista_celery.schedules.keys import GroupKeys
from purista_celery.schedules.occurrences import endless, to_milliseconds
from purista_celery.schedules.operations import pause, resume
from purista_celery.schedules.outlet import Outlet
from purista_celery.schedules.status import ScheduleStatus, statuses, unseen

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: How often a resume is tried again that beat's own progress came before.
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Fired:
    """An occurrence that was fired by hand."""

    #: Of the event; or of the job, where the schedule's target is a queue or a command.
    id: str
    #: The event, the queue or the command.
    target: str
    scheduled_at: datetime


class ScheduleClient:
    """The schedules of the app's services. Each is named by its name or, in full, by its key.

    What changes a schedule is effective at once: beat publishes nothing of a paused schedule, and
    wakes up for one that is resumed.
    """

    def __init__(
        self, wiring: Wiring, ledger: Ledger, producer: JobProducer, publisher: EventPublisher
    ) -> None:
        self._schedules = wiring.schedules
        self._ledger = ledger
        self._outlet = Outlet(
            publisher=publisher,
            jobs=producer,
            ledger=ledger,
            queue_of=lambda schedule: wiring.queue(schedule.queue_name),
            instance_id=wiring.instance_id,
        )

    def list(self) -> Sequence[Schedule]:
        """Return the declared schedules, by name. Nothing is asked of any server."""
        return sorted(self._schedules.values(), key=lambda s: s.name)

    def list_status(self) -> Sequence[ScheduleStatus]:
        """Return how the declared schedules fare, by name.

        Raises:
            LedgerUnavailable: the store did not answer.
        """
        declared = {schedule.key: schedule for schedule in self._schedules.values()}
        groups = {schedule.group for schedule in declared.values()}
        now = self._now()
        with available():
            found = statuses(self._ledger.client, self._ledger.namespace, groups, now)
        seen = {status.key: status for status in found if status.key in declared}
        every = [seen.get(key) or unseen(schedule, now) for key, schedule in declared.items()]
        return sorted(every, key=lambda status: status.name)

    def pause(self, name: str, reason: str = "paused_by_operator") -> None:
        """Publish no occurrence of a schedule until :meth:`resume`; it survives restarts.

        Pausing what is paused changes nothing.

        Raises:
            ScheduleNotFound: no service of this app declares it, or no beat has seen it yet.
            LedgerUnavailable: the store did not answer.
        """
        schedule = self._find(name)
        now = self._now()
        with available():
            pause(self._ledger.client, self._keys(schedule), schedule.key, now, reason)

    def resume(self, name: str, *, between: Between = "skip") -> None:
        """Publish the occurrences of a schedule again.

        Args:
            between: what becomes of those that came due in the pause: ``skip`` them, publish the
                latest ``once``, or publish ``all``, oldest first.

        Raises:
            ScheduleNotFound, LedgerUnavailable: as :meth:`pause`.
            EntryMoved: beat changed the schedule again and again meanwhile.
        """
        schedule = self._find(name)
        for attempt in range(1, _TRIES + 1):
            now = self._now()
            try:
                with available():
                    resume(self._ledger.client, self._keys(schedule), schedule.key, now, between)
            except EntryMoved:
                if attempt == _TRIES:
                    raise
            else:
                return

    def trigger(self, name: str, at: datetime | None = None) -> Fired:
        """Fire a schedule by hand, paused or not; its cursor stays where it is.

        Args:
            at: the occurrence to fire; the latest one by default. The same occurrence has the same
                id, so that what has run already is not run again where the binding is strict; an
                instant of its own, such as the present, is an occurrence of its own.

        Raises:
            ScheduleNotFound: no service of this app declares it.
            InvalidMessage: ``at`` has no time zone.
            BrokerUnavailable, LedgerUnavailable: it was not accepted.
        """
        schedule = self._find(name)
        now = to_milliseconds(datetime.now(UTC))
        scheduled_at = occurrence_for(schedule, _aware("at", at), now)
        identity = self._outlet.send(schedule, scheduled_at, now, 1)
        return Fired(identity, schedule.target_name, scheduled_at)

    def preview(
        self, name: str, count: int = 10, after: datetime | None = None
    ) -> Sequence[datetime]:
        """Return the next ``count`` occurrences after an instant, the present by default, in UTC.

        Raises:
            ScheduleNotFound: no service of this app declares it.
            InvalidMessage: ``after`` has no time zone.
        """
        expression = self._find(name).expression
        return [*islice(endless(expression, _aware("after", after) or datetime.now(UTC)), count)]

    def _find(self, name: str) -> Schedule:
        found = [s for s in self._schedules.values() if name in (s.key, s.name)]
        if len(found) == 1:
            return found[0]
        if found:
            keys = ", ".join(sorted(s.key for s in found))
            raise ScheduleNotFound(f"Several schedules are named {name!r}: {keys}. Give the key.")
        raise ScheduleNotFound(f"No schedule {name!r} is declared by a service of this app.")

    def _now(self) -> datetime:
        """Return the ledger's time, by which beats judge what came due before or after."""
        return _EPOCH + timedelta(milliseconds=self._ledger.workers.now_ms())

    def _keys(self, schedule: Schedule) -> GroupKeys:
        return GroupKeys(self._ledger.namespace, schedule.group)


def _aware(what: str, instant: datetime | None) -> datetime | None:
    """Pass an instant whose UTC offset is known: which clock was meant must not be guessed."""
    if instant is not None and instant.tzinfo is None:
        raise InvalidMessage(f"{what} {instant.isoformat()} has no time zone; add one.")
    return instant
