"""The driver: makes faults happen at the posts of a world, and mends each when its time is over."""

from __future__ import annotations

import heapq
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.acceptance.chaos.faults import Fault, Kind
from tests.acceptance.chaos.posts import Post


@dataclass
class Driver:
    """Goes through a sequence of faults; several may be under way."""

    posts: Mapping[str, Post]
    #: Called with each fault that begins.
    tell: Callable[[str], None] = print
    done: Counter[Kind] = field(default_factory=Counter)
    _under_way: list[tuple[float, int, Fault]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def drive(self, faults: Iterator[Fault], seconds: float) -> None:
        """Let faults happen for so long, then mend what is still broken."""
        end = time.monotonic() + seconds
        for fault in faults:
            if time.monotonic() >= end:
                break
            if not any(fault.excludes(other) for _, _, other in self._under_way):
                self._begin(fault)
            self._mend_until(min(end, time.monotonic() + fault.pause))
        while self._under_way:
            self._mend_until(time.monotonic() + 0.2, hurry=True)

    def _begin(self, fault: Fault) -> None:
        if self.posts[fault.post].begin(fault.kind):
            self.tell(f"{time.strftime('%H:%M:%S')} {fault}")
            self.done[fault.kind] += 1
            self._later(fault, fault.lasting)

    def _later(self, fault: Fault, seconds: float) -> None:
        heapq.heappush(self._under_way, (time.monotonic() + seconds, next(self._numbers), fault))

    def _mend_until(self, moment: float, *, hurry: bool = False) -> None:
        while True:
            now = time.monotonic()
            while self._under_way and (hurry or self._under_way[0][0] <= now):
                _, _, fault = heapq.heappop(self._under_way)
                if not self.posts[fault.post].mend(fault.kind):
                    self._later(fault, 0.5)
                    break
            if now >= moment:
                return
            time.sleep(min(0.1, max(0.0, moment - now)))
