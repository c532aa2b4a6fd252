"""What live servers say of themselves, as values; whoever can ask them fills these in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: The oldest Redis whose commands the ledger's scripts use.
OLDEST_REDIS = (6, 2)
#: The first RabbitMQ that honours ``x-consumer-timeout`` on a queue.
_CONSUMER_TIMEOUT_SINCE = (3, 12)
#: The first RabbitMQ whose quorum queues know priorities (two of them).
_PRIORITIES_SINCE = (4, 0)

NOEVICTION = "noeviction"


@dataclass(frozen=True, kw_only=True, slots=True)
class RedisFacts:
    """What a Redis says of itself."""

    version: tuple[int, ...]
    eviction_policy: str = NOEVICTION
    #: Whether it writes an append-only file, without an error at present.
    append_only: bool
    #: Whether it saves snapshots; None where it does not tell.
    snapshots: bool | None = None
    #: ``master`` or ``slave``.
    role: str = "master"
    #: Replicas that are connected.
    replicas: int = 0
    #: Without so many replicas it takes no writes; None where it does not tell.
    min_replicas: int | None = None
    #: When it has its append-only file written to the disk: ``always`` (before it answers),
    #: ``everysec`` or ``no``; None where it does not tell.
    append_fsync: str | None = None
    #: Whether it goes on doing so while it rewrites that file.
    fsyncs_in_rewrites: bool = True
    #: Tells one run of one server from another.
    run_id: str = ""

    @property
    def durable(self) -> bool:
        """Whether it keeps what it has accepted: under pressure, and over a restart."""
        return self.eviction_policy == NOEVICTION and self.append_only

    @property
    def is_replicated(self) -> bool:
        """Whether it takes a write only while a replica takes it too."""
        return self.replicas > 0 and bool(self.min_replicas)

    @property
    def lost_at_power_loss(self) -> str:
        """What it may have accepted and not have any more when its machine has lost power.

        Redis documents ``everysec`` as "up to one second" and ``no`` as some thirty on Linux.
        """
        if self.is_replicated:
            return "what no replica had yet"
        if not self.append_only:
            return "everything" if self.snapshots is False else "everything since a snapshot"
        if self.append_fsync == "always":
            return "nothing" if self.fsyncs_in_rewrites else "up to 30 seconds, in rewrites"
        lost = {"everysec": "up to a second", "no": "up to 30 seconds"}
        return lost.get(self.append_fsync or "", "unknown")

    @property
    def survives_power_loss(self) -> bool:
        """Whether what it has accepted is on its disk, or elsewhere too."""
        return self.is_replicated or self.lost_at_power_loss == "nothing"

    @property
    def usable(self) -> bool:
        """Whether the ledger's scripts run on it."""
        return self.version >= OLDEST_REDIS and self.role == "master"


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokerFacts:
    """What the broker says of itself."""

    product: str
    version: tuple[int, ...]
    #: What it says as a Redis; None for another product.
    redis: RedisFacts | None = None
    #: Whether a publish returns only when the broker has confirmed the message.
    publisher_confirms: bool = False
    #: By the name of a queue: ``quorum``; ``absent`` where it is not declared yet, ``different``
    #: where it exists with other properties than ours; on Redis ``list``.
    queue_types: Mapping[str, str] = field(default_factory=dict)

    @property
    def durable(self) -> bool:
        """Whether an event that it has accepted survives its restart."""
        if self.redis is not None:
            return self.redis.durable
        return self.publisher_confirms and "different" not in self.queue_types.values()

    @property
    def has_priorities(self) -> bool:
        """Whether jobs overtake others within a queue."""
        return self.redis is not None or self.version >= _PRIORITIES_SINCE

    @property
    def honours_consumer_timeout(self) -> bool:
        """Whether a message may stay unacknowledged for as long as its contract says."""
        return self.redis is not None or self.version >= _CONSUMER_TIMEOUT_SINCE


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that a contract needs and that is not given."""

    contract: str
    need: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.contract} needs {self.need}. {self.remedy}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """All that was found out about the servers of one app."""

    #: None where it does not answer.
    ledger: RedisFacts | None
    broker: BrokerFacts | None
    #: What is missing for the contracts, as a strict start would say it.
    gaps: tuple[Gap, ...] = ()


def dotted(version: tuple[int, ...]) -> str:
    """Return a version as people write it."""
    return ".".join(map(str, version))
