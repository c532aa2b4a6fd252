"""``purista diff OLD NEW``: what changed between two exports of definitions, and for whom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from purista_celery.exports.diff.messages import Change

#: Exit status where a change is as bad as was asked about; 2 is an input that can't be read.
FOUND = 1


@click.command()
@click.argument("old")
@click.argument("new")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="text to read, JSON, or annotations for a GitHub workflow.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["breaking", "risky", "never"]),
    default="breaking",
    show_default=True,
    help="Exit with status 1 from this verdict on.",
)
def diff(old: str, new: str, form: str, fail_on: str) -> None:
    """Compare two exports of definitions, and judge each change for producers and consumers.

    OLD and NEW are files, REV:PATH, or git:REV for purista.definitions.json of a git revision.
    The rules are in docs/compatibility.md.
    """
    from purista_celery.errors import InvalidDefinitions
    from purista_celery.exports.diff import report
    from purista_celery.exports.diff.compare import compare
    from purista_celery.exports.diff.source import load
    from purista_celery.exports.diff.verdict import Verdict

    writers: dict[str, Callable[[Sequence[Change]], str]] = {
        "text": report.as_text,
        "json": report.as_json_text,
        "github": report.as_annotations,
    }
    try:
        changes = compare(load(old), load(new))
    except InvalidDefinitions as error:
        raise click.UsageError(str(error)) from error
    click.echo(writers[form](changes), nl=False)
    limits: dict[str, Any] = {"breaking": Verdict.BREAKING, "risky": Verdict.RISKY}
    if fail_on in limits and report.worst(changes) >= limits[fail_on]:
        raise SystemExit(FOUND)
