"""``purista export``: what the contracts say, as documents."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from purista_celery.cli.output import out_option, write
from purista_celery.cli.sources import compiled, services_of, services_option, settings_of

if TYPE_CHECKING:
    from purista_celery.contracts.schedule import Schedule
    from purista_celery.exports.contacts import Contact

CommandT = TypeVar("CommandT", bound=Callable[..., Any])
Form = Literal["json", "yaml"]

_only_group = click.option("--group", help="Only schedules of this group; beat fires the others.")


@click.group()
def export() -> None:
    """Write what the contracts say as documents."""


def document_options(command: CommandT) -> CommandT:
    """Add the options that every document of plain data has."""
    form = click.option(
        "--format", "form", type=click.Choice(["json", "yaml"]), default="json", show_default=True
    )
    return services_option(form(out_option(command)))


@export.command("asyncapi")
@click.option("--title", help="Of the document; else the names of the services.")
@click.option("--version", default="1", show_default=True, help="Of the documented contracts.")
@click.option(
    "--asyncapi-version", type=click.Choice(["3.0.0", "2.6.0"]), default="3.0.0", show_default=True
)
@click.option("--contact", nargs=3, metavar="NAME URL EMAIL", help="Whom to ask.")
@click.option("--license", "license_name", default="UNLICENSED", show_default=True)
@document_options
@click.pass_context
def asyncapi(
    context: click.Context,
    *,
    title: str | None,
    version: str,
    asyncapi_version: Literal["3.0.0", "2.6.0"],
    contact: tuple[str, str, str] | None,
    license_name: str,
    named: str | None,
    form: Form,
    out: Path | None,
) -> None:
    """Write events, queues, subscriptions, bindings and schedules as AsyncAPI."""
    from purista_celery import exports
    from purista_celery.exports.servers import server_of

    settings = settings_of(context)
    document = exports.asyncapi(
        services_of(context, named),
        title=title,
        version=version,
        asyncapi_version=asyncapi_version,
        servers=[server_of(settings.broker_url)],
        namespace=settings.namespace,
        contact=_contact(contact),
        license_name=license_name,
    )
    _write(document, form, out)


@export.command("cloudevents-schema")
@document_options
@click.pass_context
def cloudevents_schema(
    context: click.Context, named: str | None, form: Form, out: Path | None
) -> None:
    """Write the JSON Schema of events as CloudEvents."""
    from purista_celery import exports

    _write(exports.cloudevents_schema(services_of(context, named)), form, out)


@export.command("openapi")
@click.option("--title", help="Of the document; else the names of the services.")
@click.option("--version", default="1", show_default=True, help="Of the documented contracts.")
@click.option("--server", "servers", multiple=True, help="URL of the gateway; / by default.")
@click.option("--contact", nargs=3, metavar="NAME URL EMAIL", help="Whom to ask.")
@document_options
@click.pass_context
def openapi(
    context: click.Context,
    *,
    title: str | None,
    version: str,
    servers: tuple[str, ...],
    contact: tuple[str, str, str] | None,
    named: str | None,
    form: Form,
    out: Path | None,
) -> None:
    """Write the HTTP endpoints of commands and queues as OpenAPI 3.1."""
    from purista_celery import exports

    document = exports.openapi(
        services_of(context, named),
        title=title,
        version=version,
        servers=servers or ("/",),
        contact=_contact(contact),
    )
    _write(document, form, out)


@export.command("runtime-capabilities")
@click.option(
    "--mode",
    type=click.Choice(["definition-only", "runtime-inspect"]),
    default="definition-only",
    show_default=True,
    help="runtime-inspect asks the live broker and ledger of the app.",
)
@document_options
@click.pass_context
def runtime_capabilities(
    context: click.Context, *, mode: str, named: str | None, form: Form, out: Path | None
) -> None:
    """Write what broker and ledger can promise, and what the contracts need of them."""
    from purista_celery import exports

    facts = compiled(context).purista.inspect() if mode == "runtime-inspect" else None
    _write(exports.capabilities(services_of(context, named), facts=facts), form, out)


@export.command("definitions")
@document_options
@click.pass_context
def definitions(context: click.Context, named: str | None, form: Form, out: Path | None) -> None:
    """Write all contracts as PURISTA's purista.definitions.json."""
    from purista_celery import exports

    _write(exports.definitions(services_of(context, named)), form, out)


@export.command("json-schemas")
@document_options
@click.pass_context
def json_schemas(context: click.Context, named: str | None, form: Form, out: Path | None) -> None:
    """Write the JSON Schemas of all payloads."""
    from purista_celery import exports

    _write(exports.json_schemas(services_of(context, named)), form, out)


@export.command("schedule-manifest")
@click.option("--title", help="Names the application.")
@document_options
@click.pass_context
def schedule_manifest(
    context: click.Context, title: str | None, named: str | None, form: Form, out: Path | None
) -> None:
    """Write the schedule manifest that beat loads (PURISTA_SCHEDULE_MANIFEST)."""
    from purista_celery import exports

    _write(exports.schedule_manifest(services_of(context, named), title=title), form, out)


@export.command("kubernetes-cronjob")
@click.option("--image", required=True, help="The container image that can run 'purista fire'.")
@click.option("--secret", help="Secret whose keys become the container's environment.")
@click.option("--namespace", help="Kubernetes namespace.")
@_only_group
@document_options
@click.pass_context
def kubernetes_cronjob(
    context: click.Context,
    *,
    image: str,
    secret: str | None,
    namespace: str | None,
    group: str | None,
    named: str | None,
    form: Form,
    out: Path | None,
) -> None:
    """Write the schedules as Kubernetes CronJobs that fire them from outside."""
    from purista_celery import exports

    trigger = exports.Trigger(image=image, env_from_secret=secret, namespace=namespace)
    _write(exports.kubernetes_cronjobs(_schedules(context, named, group), trigger), form, out)


@export.command("crontab")
@click.option("--user", help="Fill the user column of a system crontab.")
@_only_group
@services_option
@out_option
@click.pass_context
def crontab_file(
    context: click.Context,
    user: str | None,
    group: str | None,
    named: str | None,
    out: Path | None,
) -> None:
    """Write the schedules as a crontab file that fires them from outside."""
    from purista_celery.exports.crontab import Command, crontab

    write(crontab(_schedules(context, named, group), Command(user=user)), out)


@export.command("airflow")
@_only_group
@services_option
@out_option
@click.pass_context
def airflow_file(
    context: click.Context, group: str | None, named: str | None, out: Path | None
) -> None:
    """Write the schedules as an Airflow DAG file that fires them from outside."""
    from purista_celery.exports.airflow import airflow_dags

    write(airflow_dags(_schedules(context, named, group)), out)


@export.command("temporal")
@click.option("--task-queue", required=True, help="Where the workflow that fires them runs.")
@_only_group
@document_options
@click.pass_context
def temporal_file(
    context: click.Context,
    *,
    task_queue: str,
    group: str | None,
    named: str | None,
    form: Form,
    out: Path | None,
) -> None:
    """Write the schedules as Temporal schedule descriptions."""
    from purista_celery.exports.temporal import temporal_schedules

    found = _schedules(context, named, group)
    _write(temporal_schedules(found, task_queue=task_queue), form, out)


@click.command("graph")
@click.option(
    "--format",
    "form",
    type=click.Choice(["mermaid", "dot", "svg", "json"]),
    default="mermaid",
    show_default=True,
)
@click.option("--strict", is_flag=True, help="Exit with status 1 where there are orphans.")
@services_option
@out_option
@click.pass_context
def graph(
    context: click.Context,
    form: Literal["mermaid", "dot", "svg", "json"],
    strict: bool,  # noqa: FBT001 - an option of the command line
    named: str | None,
    out: Path | None,
) -> None:
    """Draw who emits, hears, enqueues and runs what; orphans are told on standard error."""
    from dataclasses import asdict

    from purista_celery.exports.architecture import architecture
    from purista_celery.exports.document import as_json
    from purista_celery.exports.graph_svg import svg
    from purista_celery.exports.graph_text import dot, mermaid

    found = architecture(services_of(context, named))
    drawn = {"mermaid": mermaid, "dot": dot, "svg": svg, "json": lambda it: as_json(asdict(it))}
    write(drawn[form](found), out)
    for orphan in found.orphans:
        click.echo(orphan.message, err=True)
    if strict and found.orphans:
        context.exit(1)


def _schedules(context: click.Context, named: str | None, group: str | None) -> list[Schedule]:
    services = services_of(context, named)
    every = [schedule for service in services for schedule in service.schedules.values()]
    found = [schedule for schedule in every if group in (None, schedule.group)]
    if group is not None and not found:
        groups = ", ".join(sorted({schedule.group for schedule in every})) or "none"
        raise click.UsageError(f"No schedule is in group {group!r}; there are {groups}.")
    return found


def _contact(given: tuple[str, str, str] | None) -> Contact | None:
    from purista_celery.exports import Contact

    return Contact(name=given[0], url=given[1], email=given[2]) if given else None


def _write(document: Any, form: Form, out: Path | None) -> None:
    from purista_celery.exports.document import as_json, as_yaml

    write(as_yaml(document) if form == "yaml" else as_json(document), out)
