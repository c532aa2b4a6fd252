"""A resource is what its factory says, or it is refused: never a coroutine in its place."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from purista_celery import Service
from purista_celery.contracts.resource import Resource
from purista_celery.errors import UnsupportedContract
from purista_celery.runtime.resources import Resources


async def connect() -> object:
    return object()


async def lend() -> Any:
    yield object()


def generate() -> Any:
    yield "opened"


@pytest.mark.parametrize("factory", [connect, lend, functools.partial(connect)])
def test_an_async_factory_is_refused_when_it_is_declared(factory: Any) -> None:
    """Its body would never run, and handlers would get a coroutine."""
    with pytest.raises(UnsupportedContract, match="plain function"):
        Service("shop").resource("db")(factory)


def hidden(factory: Any) -> Any:
    """Return a factory of which nobody sees what it is."""

    def call() -> Any:
        return factory()

    return call


@pytest.mark.parametrize("inner", [connect, lend, generate])
def test_a_factory_that_hides_that_it_is_async_is_refused_when_it_is_used(inner: Any) -> None:
    """The job fails with an error that says what is wrong."""
    resources = Resources("shop", {"db": Resource(name="db", factory=hidden(inner))})
    with pytest.raises(UnsupportedContract, match="'db'"):
        _ = resources.db


def test_a_generator_function_is_opened_and_closed() -> None:
    """As before."""
    resources = Resources("shop", {"db": Resource(name="db", factory=generate)})
    assert resources.db == "opened"
    resources.close()
