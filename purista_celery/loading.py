"""Services by name: ``package.module:attribute``, as settings and commands take them."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Iterator

from purista_celery.contracts.service import Service
from purista_celery.errors import ConfigurationError


def load_services(names: str, source: str = "PURISTA_SERVICES") -> list[Service]:
    """Return the services that ``package.module:attribute, …`` names.

    Args:
        source: how errors call where the names come from.

    Raises:
        ConfigurationError: it names none, or something else.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted:
        raise ConfigurationError(
            f"{source} is not set. Name the services to serve, for example "
            f"{source}=examples.billing.services:services"
        )
    return [service for name in wanted for service in _load(name, source)]


def _load(name: str, source: str) -> Iterator[Service]:
    module_name, colon, attribute = name.partition(":")
    if not colon:
        raise ConfigurationError(f"{source}: {name!r} is no package.module:attribute.")
    if os.getcwd() not in sys.path:
        # As Celery does for ``-A``: services are found from where the command is typed.
        sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        raise ConfigurationError(f"{source}: {name!r} can not be loaded: {error}") from error
    services = [found] if isinstance(found, Service) or not isinstance(found, Iterable) else found
    for service in services:
        if not isinstance(service, Service):
            raise ConfigurationError(
                f"{source}: {name!r} holds a {type(service).__name__}, expected Services."
            )
        yield service
