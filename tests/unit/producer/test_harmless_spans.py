"""A tracer that fails costs a span, never a job."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import pytest

from purista_celery.producer import tracing


class Span(AbstractContextManager[Any]):
    """Raises where it is told to."""

    def __init__(self, *, at: str) -> None:
        self._at = at

    def __enter__(self) -> Any:
        if self._at == "begin":
            raise RuntimeError("no exporter")
        return self

    def __exit__(self, *_: object) -> None:
        if self._at == "end":
            raise RuntimeError("no exporter")


@pytest.mark.parametrize("at", ["make", "begin", "end"])
def test_a_block_runs_though_its_span_fails(at: str) -> None:
    """Once, to its end."""
    ran = []

    def make() -> Span:
        if at == "make":
            raise RuntimeError("no provider")
        return Span(at=at)

    with tracing._harmless(make):
        ran.append(at)
    assert ran == [at]


@pytest.mark.parametrize("at", ["make", "begin", "end", "nowhere"])
def test_the_error_of_a_block_is_its_own(at: str) -> None:
    """What its span raises does not stand in for it."""
    with pytest.raises(SystemExit), tracing._harmless(lambda: Span(at=at)):
        raise SystemExit(3)
