"""The driver: makes faults happen at the posts of a world, and mends each when its time is over."""

from __future__ import annotations

import heapq
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.acceptance.chaos.faults import Fault
from tests.acceptance.chaos.history import Ordeal
from tests.acceptance.chaos.kinds import Kind
from tests.acceptance.chaos.posts import Post

#: Seconds for which a fault that is due waits for another to be over, or for what it can befall: a
#: process that was asked to end may be a while.
PATIENCE = 60


@dataclass
class Driver:
    """Goes through a sequence of faults; several may be under way."""

    posts: Mapping[str, Post]
    #: Called with each fault that begins.
    tell: Callable[[str], None] = print
    done: Counter[Kind] = field(default_factory=Counter)
    #: What was mended.
    ordeals: list[Ordeal] = field(default_factory=list)
    _under_way: list[tuple[float, int, Fault, float]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def drive(self, faults: Iterator[Fault], seconds: float) -> None:
        """Let faults happen for so long, then mend what is still broken.

        What is due comes all the same, when the time is over.
        """
        end = time.monotonic() + seconds
        for fault in faults:
            if time.monotonic() >= end and not fault.due:
                break
            patience = time.monotonic() + (PATIENCE if fault.due else 0)
            while not self._begin(fault) and time.monotonic() < patience:
                self._mend_until(time.monotonic() + 0.2)
            pause = time.monotonic() + fault.pause
            self._mend_until(pause if fault.due else min(end, pause))
        self.finish()

    def finish(self) -> None:
        """Mend what is still broken."""
        while self._under_way:
            self._mend_until(time.monotonic() + 0.2, hurry=True)

    def _begin(self, fault: Fault) -> bool:
        began = time.time()
        in_the_way = any(fault.excludes(other) for _, _, other, _ in self._under_way)
        if in_the_way or not self.posts[fault.post].begin(fault):
            return False
        self.tell(f"{time.strftime('%H:%M:%S')} {fault}")
        self.done[fault.kind] += 1
        self._later(fault, fault.lasting, began)
        return True

    def _later(self, fault: Fault, seconds: float, began: float) -> None:
        due = time.monotonic() + seconds
        heapq.heappush(self._under_way, (due, next(self._numbers), fault, began))

    def _mend_until(self, moment: float, *, hurry: bool = False) -> None:
        while True:
            now = time.monotonic()
            while self._under_way and (hurry or self._under_way[0][0] <= now):
                _, _, fault, began = heapq.heappop(self._under_way)
                if not self.posts[fault.post].mend(fault):
                    self._later(fault, 0.5, began)
                    break
                self.ordeals.append(Ordeal(fault.kind, fault.post, began, time.time()))
            if now >= moment:
                return
            time.sleep(min(0.1, max(0.0, moment - now)))
