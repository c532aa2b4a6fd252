"""The names of the ledger's keys. All keys of one queue share a Redis Cluster slot."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class QueueKeys:
    """Keys of one queue: ``{<namespace>:<queue>}:…``."""

    namespace: str
    queue: str

    @cached_property
    def root(self) -> str:
        """The common part, a hash tag."""
        return f"{{{self.namespace}:{self.queue}}}"

    @cached_property
    def job_prefix(self) -> str:
        """What a job's id is appended to."""
        return f"{self.root}:job:"

    @cached_property
    def ready(self) -> str:
        """Sorted set: offered jobs by the time of the offer (ms)."""
        return f"{self.root}:ready"

    @cached_property
    def scheduled(self) -> str:
        """Sorted set: delayed and retried jobs by due time (ms)."""
        return f"{self.root}:scheduled"

    @cached_property
    def leased(self) -> str:
        """Sorted set: held jobs by the end of their lease (ms)."""
        return f"{self.root}:leased"

    def held(self, worker_id: str) -> str:
        """Set: the jobs that one worker holds."""
        return f"{self.leased}:{worker_id}"

    @cached_property
    def looked(self) -> str:
        """String: there while jobs that may be lost behind a backlog have just been looked for."""
        return f"{self.root}:looked"

    @cached_property
    def dead(self) -> str:
        """Sorted set: dead letters by the time of their death (ms)."""
        return f"{self.root}:dead"

    @cached_property
    def outbox(self) -> str:
        """Hash: result events that the broker does not have yet, by event id."""
        return f"{self.root}:outbox"

    @cached_property
    def outbox_times(self) -> str:
        """Sorted set: event ids by the time since which they wait (ms)."""
        return f"{self.root}:outbox:times"

    @cached_property
    def paused(self) -> str:
        """String: why the queue is paused; absent when it is not."""
        return f"{self.root}:paused"

    @cached_property
    def pace(self) -> str:
        """String: jobs started within the present interval; expires with it."""
        return f"{self.root}:pace"

    @cached_property
    def lines(self) -> str:
        """Sorted set: the lines that jobs stand in, by when something last happened there (ms)."""
        return f"{self.root}:lines"

    def line(self, partition: str) -> str:
        """Sorted set: unfinished jobs of one partition, in the order in which they are to run."""
        return f"{self.root}:line:{partition}"

    @cached_property
    def stats(self) -> str:
        """Hash: counters since the beginning."""
        return f"{self.root}:stats"

    def job(self, job_id: str) -> str:
        """Hash: the record of one job."""
        return self.job_prefix + job_id

    def idempotency(self, key: str) -> str:
        """Hash: the job that an idempotency key stands for."""
        return f"{self.root}:idempotency:{key}"


def workers_key(namespace: str) -> str:
    """Sorted set: worker ids by the time until which they are taken for alive (ms)."""
    return f"{{{namespace}}}:workers"


def heard_key(namespace: str) -> str:
    """Hash: since when, and when last, any worker has been heard from (ms)."""
    return f"{{{namespace}}}:workers:heard"
