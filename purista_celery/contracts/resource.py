"""A resource: a pool or client that is opened once per worker process and closed with it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from purista_celery.errors import UnsupportedContract


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """A declared resource.

    ``factory`` is called after the fork, without arguments. It returns the resource, or it is a
    generator function that yields it once and closes it afterwards.
    """

    name: str
    factory: Callable[[], Any]


def check_factory(name: str, factory: Any) -> None:
    """Refuse a factory whose body nobody would run: a handler would get a coroutine.

    Raises:
        UnsupportedContract: it is ``async``.
    """
    if inspect.iscoroutinefunction(factory) or inspect.isasyncgenfunction(factory):
        raise unsupported(name)


def check_opened(name: str, opened: Any) -> Any:
    """Return what a factory has returned, unless its body has not run.

    Raises:
        UnsupportedContract: it is a coroutine or a generator, of a factory that hides what it is.
    """
    if inspect.iscoroutine(opened) or inspect.isgenerator(opened):
        opened.close()
        raise unsupported(name)
    if inspect.isasyncgen(opened):
        raise unsupported(name)
    return opened


def unsupported(name: str) -> UnsupportedContract:
    """Return the error that says what to do instead."""
    return UnsupportedContract(
        f"Resource {name!r}: expected a plain function that returns the resource, or a generator "
        f"function that yields it, got an async factory or one that returns a generator. Make the "
        f"client without awaiting, and connect when a handler first uses it."
    )
