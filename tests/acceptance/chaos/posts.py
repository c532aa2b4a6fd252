"""Posts: what faults befall, and how each fault is done to a process and its lines, and undone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import psutil

from tests.acceptance.chaos.faults import Fault
from tests.acceptance.chaos.forks import ENDED
from tests.acceptance.chaos.kinds import CUTS, LINES, Kind
from tests.support.line import Line
from tests.support.processes import Worker

#: Seconds that a warm shutdown may take: jobs of a few seconds, and a ledger that may be away.
LONGEST_SHUTDOWN = 120
#: What a pool process may get from whoever mistakes it for another.
STRAY = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
TO_BROKER = (Kind.CUT_BROKER, Kind.HANG_BROKER)
#: Closes connections at their server, given by their clients' addresses; False if it can not.
Closer = Callable[[list[str]], bool]


class Post(Protocol):
    """Something that faults befall."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What can go wrong there; what stands there twice is twice as likely."""
        ...

    def begin(self, fault: Fault) -> bool:
        """Make it happen; False if there is nothing that it can happen to."""
        ...

    def mend(self, fault: Fault) -> bool:
        """Undo it; False if that takes longer, and is to be asked again."""
        ...


@dataclass
class LinePost:
    """Lines to broker and ledger; the producers' post is no more than that."""

    broker: Line
    ledger: Line
    close_at_broker: Closer
    close_at_ledger: Closer
    kinds: tuple[Kind, ...] = LINES

    def begin(self, fault: Fault) -> bool:
        if fault.kind is Kind.RESET_LINES:
            self.broker.reset()
            self.ledger.reset()
        elif fault.kind is Kind.KILL_CONNECTIONS:
            return self._close(fault)
        else:
            line = self.broker if fault.kind in TO_BROKER else self.ledger
            if fault.kind in (Kind.CUT_BROKER, Kind.CUT_LEDGER):
                line.cut()
            else:
                line.hang()
        return True

    def mend(self, fault: Fault) -> bool:
        if fault.kind in CUTS:
            self.broker.mend()
            self.ledger.mend()
        return True

    def _close(self, fault: Fault) -> bool:
        line, close = fault.of(
            [(self.broker, self.close_at_broker), (self.ledger, self.close_at_ledger)]
        )
        addresses = line.addresses
        return bool(addresses) and close(addresses)


@dataclass
class ProcessPost(LinePost):
    """A place for one process, over lines of its own: a worker's or a beat's."""

    launch: Callable[[], Worker] = field(kw_only=True)
    process: Worker = field(init=False)
    #: Pool processes whose main process was killed; they must not live on.
    orphans: list[psutil.Process] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    _ending_since: float = 0.0
    _retired: bool = False

    def __post_init__(self) -> None:
        self.process = self.launch()

    def begin(self, fault: Fault) -> bool:
        if fault.kind in LINES:
            return super().begin(fault)
        self.look()
        if fault.kind is Kind.KILL:
            self.process.kill()
        elif fault.kind is Kind.TERMINATE:
            self._ending_since = time.monotonic()
            os.kill(self.process.pid, signal.SIGTERM)
        elif fault.kind is Kind.FREEZE:
            self.process.signal_all(signal.SIGSTOP)
        elif fault.kind is Kind.KILL_CHILD:
            return self._signal_child(fault, [signal.SIGKILL])
        elif fault.kind is Kind.SIGNAL_CHILD:
            return self._signal_child(fault, STRAY)
        elif fault.kind is Kind.KILL_MAIN:
            self.orphans += [psutil.Process(pid) for pid in self.process.children()]
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.process.wait(20)
        return True

    def mend(self, fault: Fault) -> bool:
        if fault.kind in LINES:
            return super().mend(fault)
        if fault.kind is Kind.FREEZE:
            self.process.signal_all(signal.SIGCONT)
        elif fault.kind is Kind.TERMINATE:
            return self._mend_terminated()
        elif fault.kind in (Kind.KILL, Kind.KILL_MAIN):
            self.process = self.launch()
        return True

    @property
    def pool(self) -> list[int]:
        """The pids of its pool processes, once they have had a turn.

        Celery ends a worker that loses a pool process before its first turn: a pool that can not
        start is for its supervisor to see (celery.worker.loops).
        """
        return self.process.children() if " received" in self.process.text else []

    def retire(self) -> None:
        """End its process, for good."""
        self._retired = True
        self.process.kill()

    def look(self) -> None:
        """Note a process that ended by itself, and put another in its place."""
        if not self._retired and self.process.process.poll() is not None:
            self._note("ended by itself")
            self.process = self.launch()

    def _signal_child(self, fault: Fault, signals: Sequence[signal.Signals]) -> bool:
        children = self.pool
        if not children:
            return False
        # One luck decides both, so that each signal meets each child.
        child, number = fault.of([(child, each) for child in children for each in signals])
        with suppress(ProcessLookupError):
            os.kill(child, number)
        return True

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


@dataclass
class ForkPost(ProcessPost):
    """A place for a process that forks workers from one compiled app."""

    _ended: int = 0

    @property
    def pool(self) -> list[int]:
        children = psutil.Process(self.process.pid).children()
        if self.process.text.count(" received") < len(children):
            return []
        return [child.pid for each in children for child in each.children()]

    def begin(self, fault: Fault) -> bool:
        if fault.kind is not Kind.KILL_FORK:
            return super().begin(fault)
        self.look()
        workers = psutil.Process(self.process.pid).children()
        if not workers:
            return False
        worker = fault.of(workers)
        for each in (worker, *worker.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                each.kill()
        return True

    def look(self) -> None:
        """Note a fork that ended by itself, too."""
        ended = self.process.text.count(ENDED)
        if ended > self._ended:
            self._note("a fork ended by itself")
        self._ended = ended
        super().look()


def living_orphans(posts: Mapping[str, Post]) -> list[str]:
    """Return what pool processes live on without their main process, and end them."""
    found = []
    for post in posts.values():
        for orphan in post.orphans if isinstance(post, ProcessPost) else ():
            if orphan.is_running() and orphan.status() != psutil.STATUS_ZOMBIE:
                found.append(f"orphan {orphan.pid}: {' '.join(orphan.cmdline())}")
                orphan.kill()
    return found
