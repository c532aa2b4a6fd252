"""A case: one promise, by name, with the function that tries it on live servers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from purista_celery.errors import ConformanceFailed, PuristaError
from purista_celery.testing.bench import Bench

Suite = Literal["queue", "event", "scheduler", "delivery"]


@dataclass(frozen=True, slots=True)
class Case:
    """Call it with a bench; it returns when the promise was kept, and raises otherwise."""

    suite: Suite
    try_on: Callable[[Bench], None]

    @property
    def name(self) -> str:
        """A stable name, such as ``queue-a_delayed_job_is_not_early``."""
        return f"{self.suite}-{self.try_on.__name__}"

    @property
    def promise(self) -> str:
        """What is promised, in a sentence."""
        return (self.try_on.__doc__ or "").strip().partition("\n")[0]

    def __call__(self, bench: Bench) -> None:
        """Try it.

        Raises:
            ConformanceFailed: the promise was not kept.
        """
        bench.start()
        try:
            self.try_on(bench)
        except PuristaError as error:
            said = error.message if isinstance(error, ConformanceFailed) else str(error)
            raise ConformanceFailed(f"{self.name}: {self.promise} {said}") from error

    def __str__(self) -> str:
        return self.name
