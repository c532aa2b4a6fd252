"""Fences: a name for one delivery of one message, made where the message arrives.

The worker's main process and its pool child both know it, the ledger grants claims by it, and it
says which worker holds a job. A redelivery gets another fence, so that a worker which was frozen
past its lease holds nothing when it wakes.
"""

from __future__ import annotations

import itertools
import os
import socket
import uuid
from collections import OrderedDict

#: Deliveries of which a worker remembers that they are over.
_REMEMBERED = 20_000

#: The message header that carries the fence from the main process to the child.
HEADER = "purista_fence"


class FenceMint:
    """Makes the fences of one worker: ``<worker id>/<number>``.

    A process that was forked from one that has compiled the app is another worker.
    """

    def __init__(self) -> None:
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def next(self) -> str:
        """Return a fence that no other delivery has."""
        return f"{self.worker_id}/{next(self._numbers)}"

    def end(self, fence: str) -> None:
        """Note that a delivery is over here: whatever it held, nobody runs it any more."""
        self._over[fence] = None
        while len(self._over) > _REMEMBERED:
            self._over.popitem(last=False)

    def is_over(self, fence: str) -> bool:
        """Tell whether a delivery of this worker is known to be over."""
        return fence in self._over

    def _begin(self) -> None:
        #: Names the worker whose main process this is.
        self.worker_id = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._numbers = itertools.count(1)
        self._over: OrderedDict[str, None] = OrderedDict()


def worker_of(fence: str) -> str:
    """Return the id of the worker whose fence this is."""
    return fence.rpartition("/")[0]
