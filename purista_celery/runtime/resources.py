"""Resources of a worker process: opened when a handler first asks, closed when the process ends."""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from purista_celery.contracts.resource import Resource, check_opened
from purista_celery.errors import UnknownReference

log = logging.getLogger(__name__)


class Resources:
    """The resources of one service in this process, as attributes.

    Opening waits until after the fork by waiting for the first use; a factory that fails makes that
    job fail, and the next job tries again.
    """

    def __init__(self, service: str, declared: Mapping[str, Resource]) -> None:
        self._service = service
        self._declared = declared
        self._open: dict[str, Any] = {}
        self._closing = ExitStack()
        self._lock = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        with self._lock:
            if name not in self._open:
                self._open[name] = self._enter(name)
            return self._open[name]

    def _enter(self, name: str) -> Any:
        if name not in self._declared:
            raise UnknownReference(
                f"Service {self._service!r} declares no resource {name!r}; it has "
                f"{', '.join(sorted(self._declared)) or 'none'}."
            )
        factory = self._declared[name].factory
        if inspect.isgeneratorfunction(factory):
            return self._closing.enter_context(contextmanager(factory)())
        return check_opened(name, factory())

    def close(self) -> None:
        """Close what is open, last opened first; an error is logged and stops no other."""
        with self._lock:
            closing, self._closing = self._closing, ExitStack()
            self._open.clear()
        try:
            closing.close()
        except Exception:
            log.exception("A resource of service %r did not close", self._service)
