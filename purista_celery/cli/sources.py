"""Which services a command is about: those of the Celery app, or those that it names itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from purista_celery.contracts.service import Service
    from purista_celery.settings import Settings

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def services_option(command: CommandT) -> CommandT:
    """Add ``--services`` to a command, which then needs no app."""
    return click.option(
        "--services",
        "named",
        metavar="MODULE:ATTRIBUTE",
        help="Services to write about; else those of the app, or PURISTA_SERVICES without one.",
    )(command)


def services_of(context: click.Context, named: str | None) -> list[Service]:
    """Return the services that a command is about; nothing is compiled or connected for it."""
    from purista_celery.loading import load_services

    if named is not None:
        return load_services(named, "--services")
    app = _app(context)
    if app is None:
        return load_services(settings_of(context).services)
    return list(compiled(context).purista_runtime.services)


def settings_of(context: click.Context) -> Settings:
    """Return the settings of the Celery app, or of the environment without one."""
    from purista_celery.settings import Settings

    runtime = getattr(_app(context), "purista_runtime", None)
    return Settings.from_environment() if runtime is None else runtime.settings


def compiled(context: click.Context) -> Any:
    """Return the Celery app, if ``compile_app`` has made it."""
    app = _app(context)
    if not hasattr(app, "purista_runtime"):
        raise click.UsageError("This app was not made by compile_app; use -A with one that was.")
    return app


def _app(context: click.Context) -> Any:
    # Celery's own context object has it; ``python -m purista_celery`` has none.
    return getattr(context.obj, "app", None)
