"""How commands fail and where they write, whichever program they are part of."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


class Group(click.Group):
    """Shows our errors as one line: they say what to do, and a traceback would hide it."""

    def invoke(self, ctx: click.Context) -> Any:
        from purista_celery.errors import PuristaError

        # The error that ends the command says it, too.
        logging.getLogger("purista_celery.outages").disabled = True
        try:
            return super().invoke(ctx)
        except PuristaError as error:
            raise click.ClickException(str(error)) from error


def out_option(command: CommandT) -> CommandT:
    """Add ``--out`` to a command."""
    return click.option(
        "--out", type=click.Path(path_type=Path), help="File to write; else standard output."
    )(command)


def write(text: str, out: Path | None) -> None:
    """Write ``text`` to a file, whose folder is made if need be, or to standard output."""
    if out is None:
        sys.stdout.write(text)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, "utf-8")
