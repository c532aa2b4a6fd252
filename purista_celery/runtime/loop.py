"""One event loop per worker process, in a thread of its own, for ``async def`` handlers.

The loop outlives what handlers do to it: asyncio lets ``SystemExit`` and ``KeyboardInterrupt`` of
any task end it, and a handler may stop it. It goes on then, and clients that are bound to it with
it. Should it end all the same, each job that waits is told.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

log = logging.getLogger(__name__)

#: Seconds that a handler which is told to end has for it, where its process is ended.
LAST_WORDS = 5.0
#: Seconds between two looks at whether we are interrupted.
_LOOK_EVERY = 1.0


class LoopEnded(RuntimeError):
    """The event loop ended before the handler did."""


class HandlerLoop:
    """Runs coroutines from any thread; its loop is made on first use, and anew after a fork."""

    _loop: asyncio.AbstractEventLoop | None
    _errands: set[_Errand]

    def __init__(self) -> None:
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run ``coroutine`` to its end and return what it returns.

        If we are interrupted (by a time limit, or because the process ends), it is cancelled and
        waited for: its job must not be settled, and run elsewhere, while it still runs here.
        """
        errand = _Errand(coroutine)
        try:
            # From here on: it may begin, and we be interrupted, before we wait.
            self._give(errand)
            # A signal that comes just before a wait begins does not interrupt it (of CPython).
            while not errand.ended.wait(_LOOK_EVERY):
                pass
        except BaseException as interruption:  # noqa: BLE001 - raised again once it has ended
            errand.cancel()
            return errand.after(interruption)
        finally:
            self._errands.discard(errand)
        return errand.outcome()

    def _give(self, errand: _Errand) -> None:
        with self._lock:
            if self._loop is None or self._loop.is_closed():
                made = asyncio.new_event_loop()
                threading.Thread(
                    target=self._serve, args=[made], name="purista-handlers", daemon=True
                ).start()
                self._loop = made
            self._errands.add(errand)
            errand.loop = self._loop
            self._loop.call_soon_threadsafe(errand.begin)

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            while not loop.is_closed():
                _go_on(loop)
        except BaseException:
            log.exception("The event loop of the handlers ended")
        with self._lock:
            if self._loop is loop:
                self._loop = None
            waiting, self._errands = self._errands, set()
        with suppress(Exception):
            loop.close()
        for errand in waiting:
            errand.fail(LoopEnded("The event loop ended before the handler did."))

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._loop = None
        self._errands = set()


def _go_on(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    except (SystemExit, KeyboardInterrupt) as error:
        # Whoever awaits the task is told by asyncio; nobody may, and the others are not to blame.
        log.warning("A task of a handler raised %s; the event loop goes on.", type(error).__name__)
    else:
        log.warning("A handler stopped the event loop; it goes on.")


class _Errand:
    """One coroutine, on its way through the loop."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.ended = threading.Event()
        #: None until it is given to one.
        self.loop: asyncio.AbstractEventLoop | None = None
        self._coroutine = coroutine
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False
        self._value: Any = None
        self._error: BaseException | None = None

    def begin(self) -> None:
        """Begin, in the loop's thread, with the context of the thread that asked."""
        if self._cancelled:
            self._withdraw()
            return
        self._task = asyncio.ensure_future(self._run())

    def cancel(self) -> None:
        """Ask it to end, from another thread."""
        self._cancelled = True
        if self.loop is None:
            self._withdraw()
            return
        try:
            self.loop.call_soon_threadsafe(self._cancel)
        except RuntimeError as error:
            log.warning("A handler could not be cancelled: %s", error)  # The loop is closed.

    def _cancel(self) -> None:
        # It is not there if we were interrupted before the loop was asked to begin it.
        self._task.cancel() if self._task else self._withdraw()

    def _withdraw(self) -> None:
        self._coroutine.close()
        self.fail(asyncio.CancelledError())

    def fail(self, error: BaseException) -> None:
        """It ended, or will never end, without a word of its own."""
        if not self.ended.is_set():
            self._error = error
            self.ended.set()

    def outcome(self) -> Any:
        """Return what it returned, or raise what it raised."""
        if self._error is not None:
            raise self._error
        return self._value

    def after(self, interruption: BaseException) -> Any:
        """Wait for its end after an interruption, and return or raise what counts.

        A time limit is an error that a handler may answer to, as ``asyncio.CancelledError`` where
        a plain one sees ``SoftTimeLimitExceeded``: what it says then counts, and if it does not
        give in, the hard limit ends the process. An end of the process is not answered to.
        """
        if not isinstance(interruption, Exception):
            self.ended.wait(LAST_WORDS)
            raise interruption
        while not self.ended.wait(_LOOK_EVERY):
            pass
        if isinstance(self._error, asyncio.CancelledError):
            raise interruption
        return self.outcome()

    async def _run(self) -> None:
        try:
            self._value = await self._coroutine
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            self._error = error
        self.ended.set()
