"""A resource: a pool or client that is opened once per worker process and closed with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """A declared resource.

    ``factory`` is called after the fork, without arguments. It returns the resource, or it is a
    generator function that yields it once and closes it afterwards.
    """

    name: str
    factory: Callable[[], Any]
