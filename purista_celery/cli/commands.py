"""``celery -A workers purista``: export contracts, look at jobs, operate queues.

Every ``celery`` command imports this module, so nothing of ours but the commands is
imported before one runs.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from purista_celery.cli.diff import diff
from purista_celery.cli.exports import export, graph
from purista_celery.cli.output import Group
from purista_celery.cli.sources import compiled

if TYPE_CHECKING:
    from purista_celery.client import Client
    from purista_celery.ledger.records import JobStatus
    from purista_celery.runtime.moving import Orphans


@click.group(cls=Group)
def purista() -> None:
    """Export contracts, look at jobs and operate queues of a compiled app."""


purista.add_command(export)
purista.add_command(graph)
purista.add_command(diff)


@purista.command()
@click.argument("job_id")
@click.option("--reveal", is_flag=True, help="Show what is marked sensitive; *** otherwise.")
@click.pass_context
def job(
    context: click.Context,
    job_id: str,
    reveal: bool,  # noqa: FBT001 - an option of the command line
) -> None:
    """Show what is known of a job."""
    _show(context, _client(context).job(job_id), reveal=reveal)


@purista.command()
@click.argument("job_id")
@click.pass_context
def cancel(context: click.Context, job_id: str) -> None:
    """Cancel a job."""
    _show(context, _client(context).cancel(job_id))


@purista.command()
@click.pass_context
def queues(context: click.Context) -> None:
    """Show all queues in numbers, and those that a deploy removed and nobody serves."""
    from purista_celery.messages.printable import printable

    client = _client(context)
    for name in sorted(_runtime(context).wiring.queues):
        m = client.metrics(name)
        state = f"paused: {printable(m.paused)}" if m.paused else ""
        click.echo(
            f"{name}: {m.pending} pending, {m.inflight} in flight, {m.completed} completed, "
            f"{m.retries} retries, {m.dead_letter} dead letters {state}".rstrip()
        )
    for orphan in client.orphans.list():
        click.echo(f"orphan {orphan}")


@purista.command("dead-letters")
@click.argument("queue")
@click.option("--redrive", is_flag=True, help="Try them again, from their first attempt.")
@click.option("--purge", is_flag=True, help="Delete them for good.")
@click.option("--limit", default=100, show_default=True, help="At most this many, oldest first.")
@click.pass_context
def dead_letters(
    context: click.Context,
    queue: str,
    redrive: bool,  # noqa: FBT001 - an option of the command line
    purge: bool,  # noqa: FBT001
    limit: int,
) -> None:
    """List the dead letters of QUEUE, with reasons; redrive or purge them."""
    from purista_celery.messages.printable import printable

    if redrive and purge:
        raise click.UsageError("Give --redrive or --purge, not both.")
    letters = _client(context).dead_letters(queue)
    if redrive:
        click.echo(f"{len(letters.redrive(limit=limit))} redriven")
    elif purge:
        click.echo(f"{letters.purge(limit=limit)} purged")
    else:
        for letter in letters.list(limit):
            line = f"{letter.job_id} {letter.reason} {letter.error or ''}".rstrip()
            click.echo(printable(line))


@purista.command()
@click.argument("queue", required=False)
@click.option("--move-to", metavar="TARGET", help="Move what waits there to this queue.")
@click.option("--dead-letters", is_flag=True, help="Move dead letters, too, to be tried again.")
@click.option("--purge", is_flag=True, help="Delete it with all that it holds.")
@click.option("--yes", is_flag=True, help="Purge without asking.")
@click.pass_context
def orphans(
    context: click.Context,
    queue: str | None,
    *,
    move_to: str | None,
    dead_letters: bool,
    purge: bool,
    yes: bool,
) -> None:
    """List queues that nobody serves and this app does not declare; move or purge QUEUE."""
    if bool(queue) != (purge or move_to is not None) or (purge and move_to is not None):
        raise click.UsageError("Give QUEUE with --move-to or --purge, or neither to list them.")
    found = _client(context).orphans
    if queue is None:
        for orphan in found.list():
            click.echo(str(orphan))
    elif move_to is not None:
        moved = found.move(queue, move_to, dead_letters=dead_letters)
        click.echo(f"{moved.jobs} jobs and {moved.events} events moved, {moved.left} left")
    else:
        _purge(found, queue, sure=yes)


@purista.command()
@click.argument("queue")
@click.option("--reason", default="paused_by_operator", show_default=True)
@click.pass_context
def pause(context: click.Context, queue: str, reason: str) -> None:
    """Let no worker start jobs of QUEUE."""
    _client(context).pause(queue, reason)


@purista.command()
@click.argument("queue")
@click.pass_context
def resume(context: click.Context, queue: str) -> None:
    """Let workers start jobs of QUEUE again."""
    _client(context).resume(queue)


@purista.command()
@click.argument("schedule")
@click.option("--at", help="The occurrence, ISO 8601 with an offset; the latest one by default.")
@click.pass_context
def fire(context: click.Context, schedule: str, at: str | None) -> None:
    """Fire SCHEDULE now; idempotent for the same occurrence."""
    try:
        instant = datetime.fromisoformat(at) if at else None
    except ValueError as error:
        raise click.BadParameter(f"{at!r} is no ISO 8601 instant", param_hint="--at") from error
    fired = _client(context).schedules.trigger(schedule, instant)
    click.echo(f"{fired.target} {fired.id}")


def _purge(found: Orphans, queue: str, *, sure: bool) -> None:
    for orphan in found.list():
        if orphan.name == queue:
            click.echo(str(orphan))
    if not sure:
        click.confirm("Delete it with all that it holds?", abort=True)
    held = found.purge(queue)
    click.echo(f"purged {held.name}: {held.waiting} jobs, dead letters and events are gone")


def _client(context: click.Context) -> Client:
    client: Client = compiled(context).purista
    return client


def _runtime(context: click.Context) -> Any:
    return compiled(context).purista_runtime


def _show(context: click.Context, status: JobStatus, *, reveal: bool = False) -> None:
    from dataclasses import asdict

    from purista_celery.producer import masking

    if not reveal:
        queue = _runtime(context).wiring.queues.get(status.queue_name)
        status = masking.status(queue, status)
    known = {k: v for k, v in asdict(status).items() if v is not None}
    click.echo(json.dumps(known, indent=2, default=str))
