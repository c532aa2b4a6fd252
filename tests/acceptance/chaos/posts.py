"""Posts: what faults befall, and how each fault is done to it and undone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import psutil

from tests.acceptance.chaos.faults import LINES, Kind
from tests.support.line import Line
from tests.support.processes import Worker

#: Seconds that a warm shutdown may take: jobs of a few seconds, and a ledger that may be away.
LONGEST_SHUTDOWN = 120


class Post(Protocol):
    """Something that faults befall."""

    def begin(self, kind: Kind) -> bool:
        """Make it happen; False if there is nothing that it can happen to."""
        ...

    def mend(self, kind: Kind) -> bool:
        """Undo it; False if that takes longer, and is to be asked again."""
        ...


class Server(Protocol):
    """A server that keeps its files."""

    def start(self) -> object: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...


@dataclass
class ServerPost:
    """A server, or what stands for one."""

    server: Server

    def begin(self, kind: Kind) -> bool:
        if kind is Kind.KILL_SERVER:
            self.server.kill()
        else:
            self.server.stop()
        return True

    def mend(self, kind: Kind) -> bool:
        self.server.start()
        return True


@dataclass
class LinePost:
    """Lines to broker and ledger; the producers' post is no more than that."""

    broker: Line
    ledger: Line

    def begin(self, kind: Kind) -> bool:
        line = self.broker if kind in (Kind.CUT_BROKER, Kind.HANG_BROKER) else self.ledger
        if kind in (Kind.CUT_BROKER, Kind.CUT_LEDGER):
            line.cut()
        else:
            line.hang()
        return True

    def mend(self, kind: Kind) -> bool:
        self.broker.mend()
        self.ledger.mend()
        return True


@dataclass
class ProcessPost(LinePost):
    """A place for one process, over lines of its own: a worker's or a beat's."""

    launch: Callable[[], Worker]
    process: Worker = field(init=False)
    #: Pool processes whose main process was killed; they must not live on.
    orphans: list[psutil.Process] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    _ending_since: float = 0.0

    def __post_init__(self) -> None:
        self.process = self.launch()

    def begin(self, kind: Kind) -> bool:
        if kind in LINES:
            return super().begin(kind)
        self.look()
        if kind is Kind.KILL:
            self.process.kill()
        elif kind is Kind.TERMINATE:
            self._ending_since = time.monotonic()
            os.kill(self.process.pid, signal.SIGTERM)
        elif kind is Kind.FREEZE:
            self.process.signal_all(signal.SIGSTOP)
        elif kind is Kind.KILL_CHILD:
            return self._kill_child()
        elif kind is Kind.KILL_MAIN:
            self.orphans += [psutil.Process(pid) for pid in self.process.children()]
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.process.wait(20)
        return True

    def mend(self, kind: Kind) -> bool:
        if kind in LINES:
            return super().mend(kind)
        if kind is Kind.FREEZE:
            self.process.signal_all(signal.SIGCONT)
        elif kind is Kind.TERMINATE:
            return self._mend_terminated()
        elif kind in (Kind.KILL, Kind.KILL_MAIN):
            self.process = self.launch()
        return True

    def look(self) -> None:
        """Note a process that ended by itself, and put another in its place."""
        if self.process.process.poll() is not None:
            self._note("ended by itself")
            self.process = self.launch()

    def _kill_child(self) -> bool:
        # Celery ends a worker that loses a pool process before its first turn: a pool that can not
        # start is for its supervisor to see (celery.worker.loops).
        children = self.process.children() if " received" in self.process.text else []
        for pid in children[:1]:
            os.kill(pid, signal.SIGKILL)
        return bool(children)

    def _mend_terminated(self) -> bool:
        code = self.process.process.poll()
        if code is None and time.monotonic() - self._ending_since < LONGEST_SHUTDOWN:
            return False
        # A process that has not logged anything yet does not handle its signals yet.
        unborn = code == -signal.SIGTERM and "INFO/MainProcess" not in self.process.text
        if code != 0 and not unborn:
            self._note("did not end well on SIGTERM")
        self.process.kill()
        self.process = self.launch()
        return True

    def _note(self, what: str) -> None:
        code, last = self.process.process.poll(), self.process.text[-1500:]
        self.crashes.append(f"{self.process.log.name}: {what}, status {code}: {last}")


def living_orphans(posts: Mapping[str, Post]) -> list[str]:
    """Return what pool processes live on without their main process, and end them."""
    found = []
    for post in posts.values():
        for orphan in post.orphans if isinstance(post, ProcessPost) else ():
            if orphan.is_running() and orphan.status() != psutil.STATUS_ZOMBIE:
                found.append(f"orphan {orphan.pid}: {' '.join(orphan.cmdline())}")
                orphan.kill()
    return found
