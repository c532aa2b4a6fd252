"""What can go wrong, and where."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Kind(StrEnum):
    """What can go wrong."""

    #: SIGKILL of a process and all its children.
    KILL = "kill"
    #: SIGTERM, and a wait for its end in good order.
    TERMINATE = "terminate"
    #: SIGSTOP, and SIGCONT later.
    FREEZE = "freeze"
    #: SIGKILL of one pool process, as the kernel does when memory runs out.
    KILL_CHILD = "kill child"
    #: SIGTERM, SIGHUP, SIGINT or SIGQUIT to one pool process, from whoever mistook it.
    SIGNAL_CHILD = "signal child"
    #: SIGKILL of a worker's main process alone.
    KILL_MAIN = "kill main"
    #: SIGKILL of one of several workers that were forked from one app, and of its pool.
    KILL_FORK = "kill fork"

    #: Connections end, and new ones are refused.
    CUT_BROKER = "cut broker"
    CUT_LEDGER = "cut ledger"
    #: Connections stand and say nothing.
    HANG_BROKER = "hang broker"
    HANG_LEDGER = "hang ledger"
    #: All connections end at once, and whoever connects anew gets through.
    RESET_LINES = "reset lines"
    #: A server closes the connections of one living process, by their addresses.
    KILL_CONNECTIONS = "kill connections"

    #: A server stops in good order, or is killed; it starts again with its files.
    STOP_SERVER = "stop server"
    KILL_SERVER = "kill server"
    #: A server stands still, and goes on.
    FREEZE_SERVER = "freeze server"
    #: Redis lets its clients wait, all of them or those who write.
    PAUSE_CLIENTS = "pause clients"
    #: A server closes all connections of a kind.
    KILL_NORMAL = "kill normal"
    KILL_PUBSUB = "kill pubsub"
    CLOSE_CONNECTIONS = "close connections"

    #: Redis refuses: OOM, NOREPLICAS, READONLY, MISCONF of two kinds, BUSY, too many clients.
    OUT_OF_MEMORY = "out of memory"
    NO_REPLICAS = "no replicas"
    READ_ONLY = "read only"
    NO_SAVE = "no save"
    DISK_FULL = "disk full"
    BUSY = "busy"
    MAX_CLIENTS = "max clients"

    #: A replica that lagged becomes what clients connect to.
    STALE_REPLICA = "stale replica"
    #: Neighbours write what is no message of ours to where ours come from.
    GARBAGE = "garbage"
    #: A queue is deleted on the broker, with the messages that are in it.
    REMOVE_QUEUE = "remove queue"


CONNECTIONS = (Kind.RESET_LINES, Kind.KILL_CONNECTIONS)
CUTS = (Kind.CUT_BROKER, Kind.CUT_LEDGER, Kind.HANG_BROKER, Kind.HANG_LEDGER)
#: What befalls the lines of a process, beside what befalls the process.
LINES = (*CUTS, *CONNECTIONS)
STALLS = (Kind.FREEZE_SERVER, Kind.PAUSE_CLIENTS)
CLOSED = (Kind.KILL_NORMAL, Kind.KILL_PUBSUB, Kind.CLOSE_CONNECTIONS)
REFUSALS = (
    *(Kind.OUT_OF_MEMORY, Kind.NO_REPLICAS, Kind.READ_ONLY, Kind.NO_SAVE),
    *(Kind.DISK_FULL, Kind.BUSY, Kind.MAX_CLIENTS),
)
SIGNALS = (Kind.KILL_CHILD, Kind.SIGNAL_CHILD)
#: Over as soon as they have happened.
MOMENTARY = (
    *CONNECTIONS,
    *CLOSED,
    *SIGNALS,
    *(Kind.GARBAGE, Kind.REMOVE_QUEUE),
)

OF_A_PROCESS = (Kind.KILL, Kind.TERMINATE, Kind.FREEZE, *LINES)
OF_A_WORKER = (*OF_A_PROCESS, Kind.KILL_MAIN, *SIGNALS, *SIGNALS)
OF_THREADS = (*OF_A_PROCESS, Kind.KILL_MAIN)
OF_FORKS = (*OF_A_PROCESS, Kind.KILL_FORK, Kind.KILL_FORK, *SIGNALS)
OF_A_SERVER = (Kind.STOP_SERVER, Kind.KILL_SERVER)
OUTAGES = (*STALLS, *OF_A_SERVER)
OF_A_REDIS = (
    *OF_A_SERVER,
    *STALLS,
    *STALLS,
    *(Kind.KILL_NORMAL, Kind.KILL_NORMAL, Kind.KILL_PUBSUB, Kind.KILL_PUBSUB),
    *REFUSALS,
)
OF_A_RABBITMQ = (
    *OF_A_SERVER,
    *(Kind.FREEZE_SERVER, Kind.FREEZE_SERVER, Kind.CLOSE_CONNECTIONS, Kind.DISK_FULL),
)
#: Of a server that messages travel through.
OF_A_BROKER = (Kind.GARBAGE, Kind.GARBAGE, Kind.REMOVE_QUEUE)
OF_A_LEDGER = (Kind.STALE_REPLICA,)

#: Names of several kinds.
GROUPS: Mapping[str, tuple[Kind, ...]] = {
    "connections": (*CONNECTIONS, *CLOSED),
    "cuts": CUTS,
    "stalls": STALLS,
    "refusals": REFUSALS,
    "signals": SIGNALS,
    "servers": OF_A_SERVER,
}


def named(text: str) -> tuple[Kind, ...]:
    """Return the kinds of a comma-separated list of kinds and groups of them.

    Raises:
        ValueError: one is neither.
    """
    names = [word.strip() for word in text.split(",") if word.strip()]
    return tuple(kind for name in names for kind in GROUPS.get(name) or (Kind(name),))
