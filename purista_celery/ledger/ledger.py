"""The ledger: remembers every job, and moves it from state to state, one Lua script a transition.

It knows nothing of brokers, handlers or models: what it keeps of a job is its message's JSON.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
from redis.commands.core import Script

from purista_celery.contracts.receipt import Receipt
from purista_celery.ledger.connection import apart, available
from purista_celery.ledger.keys import QueueKeys
from purista_celery.ledger.records import (
    UNLIMITED,
    Abandoned,
    Claim,
    Expired,
    Holding,
    Limits,
    Offer,
    OutgoingEvent,
    RawMessage,
    Renewed,
    Settled,
    Verdict,
)
from purista_celery.ledger.scripts import Scripts
from purista_celery.ledger.spans import milliseconds
from purista_celery.ledger.workers import Workers
from purista_celery.messages.job import JobMessage

Event = OutgoingEvent

#: Calls that go in one round trip.
_AT_ONCE = 1000
#: A message may be lost behind a backlog that never ends: after so many graces its job is offered
#: again although others' messages wait.
LOST_BEHIND_A_BACKLOG = 60


class Ledger:
    """Transitions of jobs. Every method is idempotent, and safe to share between threads.

    All of them raise :class:`~purista_celery.errors.LedgerUnavailable` when Redis does not answer.
    Times are Redis' own, so that clocks of workers may differ.
    """

    def __init__(self, client: redis.Redis, namespace: str, result_ttl: timedelta) -> None:
        self.client = client
        self.namespace = namespace
        self._result_ttl = result_ttl
        self._ttl = milliseconds(result_ttl)
        self._scripts = Scripts(client)
        self.workers = Workers(client, namespace, self._scripts)
        self._keys: dict[str, QueueKeys] = {}

    def apart(self, patience: timedelta) -> Ledger:
        """Return the same ledger on connections of its own, for a duty that nothing may hold up.

        Args:
            patience: how long one command waits for its answer.
        """
        return Ledger(apart(self.client, patience), self.namespace, self._result_ttl)

    def keys(self, queue: str) -> QueueKeys:
        """Return the names of a queue's keys."""
        if queue not in self._keys:
            self._keys[queue] = QueueKeys(self.namespace, queue)
        return self._keys[queue]

    def enqueue(self, job: JobMessage) -> Receipt:
        """Store ``job``, or return the receipt of the job that its idempotency key stands for."""
        keys, args = self._enqueue_call(job)
        return _receipt(job.queue_name, self._run(self._scripts.enqueue, keys, args))

    def enqueue_many(self, jobs: Sequence[JobMessage]) -> list[Receipt]:
        """As :meth:`enqueue` for each of ``jobs``, in few round trips."""
        answers = self._many(self._scripts.enqueue, [self._enqueue_call(job) for job in jobs])
        return [_receipt(job.queue_name, answer) for job, answer in zip(jobs, answers, strict=True)]

    def claim(
        self,
        queue: str,
        job_id: str,
        *,
        fence: str,
        worker: str,
        lease: timedelta,
        longest_hold: timedelta,
        limits: Limits = UNLIMITED,
        process: str = "",
    ) -> Claim:
        """Ask to hold a job; the attempt counts from here on.

        Args:
            fence: unique to this delivery of the job's message; whoever settles must show it.
            process: who asks. Only the same one is granted a claim that was granted before.
        """
        k = self.keys(queue)
        answer = self._run(
            self._scripts.claim,
            [k.job(job_id), k.ready, k.leased, k.paused, k.lines, k.pace],
            [
                job_id,
                fence,
                worker,
                milliseconds(lease),
                milliseconds(longest_hold),
                limits.parallel or 0,
                k.job_prefix,
                milliseconds(limits.interval or timedelta(0)),
                limits.per_interval,
                process,
            ],
        )
        return Claim(
            verdict=Verdict(answer[0]),
            attempt=int(answer[1]),
            max_attempts=int(answer[2]),
            window_start=int(answer[5]),
            last_checkpoint=json.loads(answer[4]) if answer[4] else None,
            fence=answer[6],
            redrives=int(answer[8]),
            failed_for=answer[9],
            failed_times=int(answer[10]),
        )

    def extend(self, queue: str, job_id: str, fence: str, lease: timedelta) -> tuple[str, bool]:
        """Renew a lease; return :class:`Renewed`'s verdict, and whether cancel was asked for."""
        [renewed] = self.extend_many([(queue, job_id, fence, lease)])
        return renewed.verdict, renewed.cancel_requested

    def extend_many(self, leases: Sequence[tuple[str, str, str, timedelta]]) -> list[Renewed]:
        """Renew leases, of ``(queue, job id, fence, lease)``, in few round trips."""
        calls = []
        for queue, job_id, fence, lease in leases:
            k = self.keys(queue)
            keys = [k.job(job_id), k.leased, k.ready]
            calls.append((keys, [job_id, fence, milliseconds(lease)]))
        return [
            Renewed(verdict, cancel == "1", int(attempt), int(redrives), int(start))
            for verdict, _, cancel, attempt, redrives, start in self._many(
                self._scripts.extend, calls
            )
        ]

    def recall(self, job: JobMessage, holding: Holding) -> bool:
        """Tell a ledger that has lost it that a job is held.

        Returns:
            False where the ledger knows better: somebody else has claimed or ended the job since.
        """
        k = self.keys(job.queue_name)
        key = k.idempotency(job.idempotency_key) if job.idempotency_key else k.job(job.id)
        answer = self._run(
            self._scripts.recall,
            [k.job(job.id), k.leased, k.ready, k.scheduled, key, k.lines],
            [
                job.id,
                holding.fence,
                holding.worker,
                milliseconds(holding.lease),
                milliseconds(holding.longest_hold),
                holding.attempt,
                holding.redrives,
                holding.window_start,
                job.to_json(),
                job.max_attempts,
                "1" if job.idempotency_key else "",
                "" if job.partition_key is None else k.line(job.partition_key),
            ],
        )
        return bool(answer[0] == "done")

    def complete(
        self,
        queue: str,
        job_id: str,
        fence: str,
        output: str,
        *,
        keep_key: timedelta,
        event: Event | None = None,
    ) -> bool:
        """Settle a job as completed, with its output (JSON) and result event, in one step.

        Returns:
            False when ``fence`` is no longer the holder's; nothing was changed then.
        """
        k = self.keys(queue)
        answer = self._run(
            self._scripts.complete,
            [k.job(job_id), k.leased, k.outbox, k.outbox_times, k.stats, k.ready, k.lines],
            [
                job_id,
                fence,
                output,
                self._ttl,
                milliseconds(keep_key),
                event.id if event else "",
                event.envelope if event else "",
                k.job_prefix,
            ],
        )
        return bool(answer[0] == "done")

    def retry(
        self,
        queue: str,
        job_id: str,
        fence: str,
        *,
        delay: timedelta,
        reason: str,
        error: str = "",
        abandoned: Abandoned | None = None,
    ) -> Settled:
        """Settle an attempt as failed, to be followed by another after ``delay``.

        Args:
            abandoned: who settles is not the holder, and this is why he may.

        Returns:
            ``CANCEL`` where somebody asked to cancel the job: cancel it, nothing was changed.
        """
        k = self.keys(queue)
        answer = self._run(
            self._scripts.retry,
            [k.job(job_id), k.leased, k.scheduled, k.ready, k.stats],
            [job_id, fence, milliseconds(delay), reason, error, *_guard(abandoned)],
        )
        return Settled(answer[0])

    def bury(
        self,
        queue: str,
        job_id: str,
        fence: str,
        *,
        reason: str,
        error: str = "",
        keep_key: timedelta,
        events: Iterable[Event] = (),
        abandoned: Abandoned | None = None,
        pause: str = "",
    ) -> bool:
        """Settle a job as a dead letter, with its result events, in one step.

        Args:
            abandoned: as for :meth:`retry`.
            pause: why to pause the queue with it, if it is to be paused.

        Returns:
            As :meth:`complete`.
        """
        k = self.keys(queue)
        pairs = [part for event in events for part in (event.id, event.envelope)]
        answer = self._run(
            self._scripts.bury,
            [
                *(k.job(job_id), k.leased, k.dead, k.outbox, k.outbox_times),
                *(k.stats, k.ready, k.paused, k.lines),
            ],
            [
                job_id,
                fence,
                reason,
                error,
                milliseconds(keep_key),
                *_guard(abandoned),
                pause,
                k.job_prefix,
                *pairs,
            ],
        )
        return bool(answer[0] == "done")

    def park(
        self,
        queue: str,
        message_id: str,
        message: RawMessage,
        *,
        reason: str,
        error: str,
    ) -> None:
        """Keep a message that is no job of ours as a dead letter of ``queue``, bytes and all."""
        k = self.keys(queue)
        source = {
            "headers": dict(message.headers),
            "queue": message.queue,
            "contentType": message.content_type,
            "contentEncoding": message.content_encoding,
            **({"cut": message.cut} if message.cut else {}),
        }
        raw = base64.b64encode(message.body).decode()
        try:
            text = json.dumps(source, default=repr)
        except (TypeError, ValueError, RecursionError) as problem:
            text = json.dumps({**source, "headers": {"unwritable": type(problem).__name__}})
        self._run(
            self._scripts.park,
            [k.job(message_id), k.dead, k.stats],
            [message_id, raw, text, reason, error],
        )

    def begin_unpark(self, queue: str, message_id: str) -> RawMessage | None:
        """Return a message that was parked, to be published again; None if there is none."""
        answer = self._unpark(queue, message_id, "begin")
        if answer[0] != "done":
            return None
        source = json.loads(answer[2])
        return RawMessage(
            body=base64.b64decode(answer[1]),
            headers=source["headers"],
            queue=source["queue"],
            content_type=source["contentType"],
            content_encoding=source["contentEncoding"],
            cut=source.get("cut", 0),
        )

    def end_unpark(self, queue: str, message_id: str) -> None:
        """Forget a message that the broker has again, unless it was parked anew since."""
        self._unpark(queue, message_id, "end")

    def _unpark(self, queue: str, message_id: str, step: str) -> Any:
        k = self.keys(queue)
        return self._run(self._scripts.unpark, [k.job(message_id), k.dead], [message_id, step])

    def first_seen(self, message_id: str, keep: timedelta) -> timedelta:
        """Return how long ago a message that nobody understands was seen first."""
        key = f"{{{self.namespace}}}:unknown:{message_id}"
        with available():
            now = self.workers.now_ms()
            self.client.set(key, now, nx=True, px=milliseconds(keep))
            return timedelta(milliseconds=now - int(self.client.get(key) or now))

    def release(self, queue: str, job_id: str, fence: str, reason: str) -> Settled:
        """Give a held job back, unfinished; the attempt does not count.

        Returns:
            As :meth:`retry`.
        """
        k = self.keys(queue)
        answer = self._run(
            self._scripts.release, [k.job(job_id), k.leased, k.ready], [job_id, fence, reason]
        )
        return Settled(answer[0])

    def postpone(
        self,
        queue: str,
        job_id: str,
        fence: str,
        *,
        first: timedelta,
        longest: timedelta,
        reason: str,
        error: str,
    ) -> tuple[Settled, timedelta]:
        """Give a held job back for later, because something else hindered it; it does not count.

        Args:
            first: the delay for the first time; it doubles with each other, up to ``longest``.

        Returns:
            As :meth:`retry`, and the delay.
        """
        k = self.keys(queue)
        answer = self._run(
            self._scripts.postpone,
            [k.job(job_id), k.leased, k.scheduled],
            [job_id, fence, milliseconds(first), milliseconds(longest), reason, error],
        )
        settled = Settled(answer[0])
        delay = float(answer[1]) if settled is Settled.DONE else 0.0
        return settled, timedelta(milliseconds=delay)

    def cancel(
        self,
        queue: str,
        job_id: str,
        *,
        reason: str,
        keep_key: timedelta,
        fence: str = "",
        event: Event | None = None,
    ) -> str:
        """Cancel a job; the holder shows its ``fence``, anybody else only asks.

        Returns:
            ``done``; ``requested`` (a worker holds it and is told); ``settled`` (too late);
            ``lost`` (no such job, or not the holder).
        """
        k = self.keys(queue)
        answer = self._run(
            self._scripts.cancel,
            [
                *(k.job(job_id), k.ready, k.scheduled, k.leased),
                *(k.outbox, k.outbox_times, k.stats, k.lines),
            ],
            [
                job_id,
                fence,
                reason,
                self._ttl,
                milliseconds(keep_key),
                event.id if event else "",
                event.envelope if event else "",
                k.job_prefix,
            ],
        )
        return str(answer[0])

    def report(
        self, queue: str, job_id: str, fence: str, field: str = "", value: Any = None
    ) -> tuple[bool, bool]:
        """Write down the holder's ``progress`` or ``checkpoint``, or only look.

        Returns:
            ``(whether the caller is the holder, whether cancel was asked for)``
        """
        answer = self._run(
            self._scripts.report,
            [self.keys(queue).job(job_id)],
            [fence, field, json.dumps(value)],
        )
        return answer[0] == "held", answer[0] == "held" and answer[1] == "1"

    def keep(
        self,
        queue: str,
        job_id: str,
        fence: str,
        parts: Mapping[int, str],
        checkpoint: Any = None,
    ) -> tuple[bool, bool]:
        """Keep parts of what a holder is about to hand over; an empty text forgets its part.

        Args:
            checkpoint: written in the same step, unless it is None.

        Returns:
            As :meth:`report`.
        """
        pairs = [text for part in parts.items() for text in map(str, part)]
        answer = self._run(
            self._scripts.keep,
            [self.keys(queue).job(job_id)],
            [fence, "" if checkpoint is None else json.dumps(checkpoint), *pairs],
        )
        return answer[0] == "held", answer[0] == "held" and answer[1] == "1"

    def kept(self, queue: str, job_id: str, part: int) -> str:
        """Return a part that :meth:`keep` has kept; empty where it is forgotten."""
        with available():
            text = self.client.hget(self.keys(queue).job(job_id), f"kept:{part}")
        return str(text or "")

    def take_due(self, queue: str, limit: int) -> list[Offer]:
        """Make jobs ready whose time has come; they are to be offered."""
        k = self.keys(queue)
        keys = [k.scheduled, k.ready, k.lines]
        return _offers(self._run(self._scripts.due, keys, [limit, k.job_prefix]))

    def take_lost(
        self,
        queue: str,
        grace: timedelta,
        most: int,
        limits: Limits = UNLIMITED,
        *,
        waiting: int = 0,
    ) -> list[Offer]:
        """Return ready jobs that nobody has seen for ``grace``; they are to be offered again.

        Args:
            limits: the queue's; no more are returned than may start now.
            waiting: messages that wait in the broker. No more jobs are returned than can have none.
        """
        return self._take_ready(queue, milliseconds(grace), most, limits, waiting)

    def take_urgent(self, queue: str, most: int, limits: Limits = UNLIMITED) -> list[Offer]:
        """Return ready jobs that have no message: refused for now, or never published."""
        return self._take_ready(queue, "urgent", most, limits)

    def call_turns(self, queue: str, quiet: timedelta, most: int) -> None:
        """Look at lines of ordered jobs in which nothing has happened for ``quiet``.

        The first job of each is offered if it waits: its predecessor's end may have got lost.
        """
        k = self.keys(queue)
        self._run(
            self._scripts.turns, [k.lines, k.ready], [milliseconds(quiet), most, k.job_prefix]
        )

    def unpublished(self, queue: str, job_ids: Sequence[str]) -> None:
        """Say that ready jobs have no message; a stager offers them as soon as it can."""
        if job_ids:
            with available():
                self.client.zadd(self.keys(queue).ready, dict.fromkeys(job_ids, 1), xx=True)

    def may_have_ended(self, message: JobMessage) -> bool:
        """Tell whether a job without a record may have ended so long ago that it is forgotten."""
        with available():
            return self.workers.now_ms() - message.created_at > self._ttl

    def _take_ready(
        self, queue: str, grace: int | str, most: int, limits: Limits, waiting: int = 0
    ) -> list[Offer]:
        k = self.keys(queue)
        keys = [k.ready, k.paused, k.leased, k.pace, k.looked]
        behind = grace * LOST_BEHIND_A_BACKLOG if isinstance(grace, int) else 0
        limited = [limits.parallel or 0, limits.per_interval]
        args = [grace, most, k.job_prefix, *limited, waiting, behind]
        return _offers(self._run(self._scripts.lost, keys, args))

    def expired(
        self, queue: str, dead_workers: Sequence[str], limit: int, *, renewed_since: int = 0
    ) -> list[Expired]:
        """Return held jobs whose lease has passed or whose worker is one of ``dead_workers``.

        Args:
            renewed_since: leave leases alone that were last renewed before (ms).
        """
        k = self.keys(queue)
        args = [limit, k.job_prefix, renewed_since, *dead_workers]
        flat = self._run(self._scripts.expired, [k.leased], args)
        return [
            Expired(
                job_id=flat[i],
                fence=flat[i + 1],
                worker=flat[i + 2],
                message=flat[i + 3],
                attempt=int(flat[i + 4] or 0),
                max_attempts=int(flat[i + 5] or 1),
                window_start=int(flat[i + 6] or 0),
                redrives=int(flat[i + 7] or 0),
                failed_for=flat[i + 8],
                failed_times=int(flat[i + 9] or 0),
            )
            for i in range(0, len(flat), 10)
        ]

    def take_outbox(self, queue: str, waiting: timedelta, limit: int) -> list[Event]:
        """Return result events that have waited for ``waiting``; they are to be published."""
        k = self.keys(queue)
        flat = self._run(
            self._scripts.outbox, [k.outbox, k.outbox_times], [milliseconds(waiting), limit]
        )
        return [Event(flat[i], flat[i + 1]) for i in range(0, len(flat), 2)]

    def clear_outbox(self, queue: str, event_ids: Sequence[str]) -> None:
        """Forget result events that the broker has."""
        if not event_ids:
            return
        k = self.keys(queue)
        with available():
            pipe = self.client.pipeline()
            pipe.hdel(k.outbox, *event_ids)
            pipe.zrem(k.outbox_times, *event_ids)
            pipe.execute()

    def redrive(self, queue: str, job_id: str, delay: timedelta) -> str | None:
        """Try a dead letter again from its first attempt.

        Returns:
            Its message, to be offered; None if it is no dead letter that can run.
        """
        k = self.keys(queue)
        answer = self._run(
            self._scripts.redrive,
            [k.job(job_id), k.dead, k.ready, k.scheduled, k.lines],
            [job_id, milliseconds(delay)],
        )
        return answer[1] if answer[0] == "done" else None

    def purge(self, queue: str, job_id: str) -> bool:
        """Delete a dead letter for good; False if it is none."""
        k = self.keys(queue)
        return bool(self._run(self._scripts.purge, [k.job(job_id), k.dead], [job_id]))

    def remove(self, queue: str, job_id: str, state: str, fence: str) -> bool:
        """Take a job off its queue, as another queue has it by now.

        Returns:
            False if it is no longer as it was read, by ``state`` and ``fence``.
        """
        k = self.keys(queue)
        keys = [k.job(job_id), k.ready, k.scheduled, k.leased, k.dead]
        return bool(self._run(self._scripts.remove, keys, [job_id, state, fence]))

    def pause(self, queue: str, reason: str) -> None:
        """Let no job of ``queue`` be claimed, anywhere, until :meth:`resume`."""
        with available():
            self.client.set(self.keys(queue).paused, reason)

    def resume(self, queue: str) -> None:
        """Let the jobs of ``queue`` be claimed again."""
        with available():
            self.client.delete(self.keys(queue).paused)

    def message(self, queue: str, job_id: str) -> str | None:
        """Return the message (JSON) with which a job was accepted."""
        with available():
            text = self.client.hget(self.keys(queue).job(job_id), "message")
        return None if text is None else str(text)

    def held_by(self, worker_id: str, queues: Sequence[str]) -> list[tuple[str, str, str]]:
        """Return what a worker holds on ``queues``, as (queue, job id, fence)."""
        found: list[tuple[str, str, str]] = []
        with available():
            pipe = self.client.pipeline(transaction=False)
            for queue in queues:
                pipe.smembers(self.keys(queue).held(worker_id))
            held = [(q, str(i)) for q, ids in zip(queues, pipe.execute(), strict=True) for i in ids]
            for queue, job_id in held:
                pipe.hmget(self.keys(queue).job(job_id), "state", "fence")
            for (queue, job_id), (state, fence) in zip(held, pipe.execute(), strict=True):
                if state == "leased":
                    found.append((queue, job_id, str(fence)))
        return found

    def held(self, queue: str, job_id: str) -> Claim | None:
        """Return the claim under which a job is held, or None if it is not."""
        fields = ("state", "fence", "attempt", "maxAttempts", "windowStart", "redrives")
        with available():
            state, fence, attempt, most, start, redrives, reason, times = self.client.hmget(
                self.keys(queue).job(job_id), (*fields, "failedFor", "failedTimes")
            )
        if state != "leased":
            return None
        return Claim(
            Verdict.HELD,
            int(attempt or 0),
            int(most or 1),
            int(start or 0),
            None,
            str(fence),
            int(redrives or 0),
            str(reason or ""),
            int(times or 0),
        )

    def _enqueue_call(self, job: JobMessage) -> tuple[list[str], list[Any]]:
        k = self.keys(job.queue_name)
        own = k.job(job.id)
        key = k.idempotency(job.idempotency_key) if job.idempotency_key else own
        args = [job.id, job.to_json(), job.max_attempts, job.scheduled_at or 0]
        used = "1" if job.idempotency_key else ""
        line = "" if job.partition_key is None else k.line(job.partition_key)
        return [own, k.ready, k.scheduled, key, k.lines], [*args, used, k.job_prefix, line]

    def _many(self, script: Script, calls: Sequence[tuple[list[str], list[Any]]]) -> list[Any]:
        answers: list[Any] = []
        with available():
            for start in range(0, len(calls), _AT_ONCE):
                pipe = self.client.pipeline(transaction=False)
                for keys, args in calls[start : start + _AT_ONCE]:
                    script(keys=keys, args=args, client=pipe)
                answers += pipe.execute()
        return answers

    def _run(self, script: Script, keys: list[str], args: list[Any]) -> Any:
        with available():
            return script(keys=keys, args=args)


def _guard(abandoned: Abandoned | None) -> tuple[str, str]:
    return ("", "") if abandoned is None else (str(abandoned.until), abandoned.worker)


def _receipt(queue: str, answer: Sequence[Any]) -> Receipt:
    outcome, job_id, due = answer
    at = datetime.fromtimestamp(int(float(due)) / 1000, UTC) if int(float(due)) else None
    return Receipt(job_id, queue, at, duplicate=outcome == "duplicate")


def _offers(flat: Sequence[str]) -> list[Offer]:
    return [Offer(flat[i], flat[i + 1], int(flat[i + 2] or 0)) for i in range(0, len(flat), 3)]
