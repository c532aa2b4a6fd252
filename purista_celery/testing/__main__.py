"""``python -m purista_celery.testing``: try live servers without pytest."""

from __future__ import annotations

import logging
import sys
import time

import click

from purista_celery.errors import ConformanceFailed, PuristaError
from purista_celery.settings import Settings
from purista_celery.testing.bench import Bench
from purista_celery.testing.case import Case
from purista_celery.testing.suites import all_cases


@click.command()
@click.option("--broker", help="The broker's URL; PURISTA_BROKER_URL by default.")
@click.option("--ledger", help="The ledger's URL; PURISTA_LEDGER_URL by default.")
@click.option("--only", default="", help="Only cases whose names hold this text, such as 'queue-'.")
@click.option("--patience", default=30.0, show_default=True, help="Seconds to wait for anything.")
@click.option("-v", "--verbose", is_flag=True, help="Show the worker's log too.")
def main(
    broker: str | None, ledger: str | None, only: str, patience: float, *, verbose: bool
) -> None:
    """Try whether a broker and a ledger keep what purista-celery promises.

    All that it makes there is in a namespace of its own and deleted at the end. The exit status is
    1 if a promise was broken.
    """
    logging.basicConfig(level=logging.INFO if verbose else logging.CRITICAL)
    cases = [case for case in all_cases() if only in case.name]
    if not cases:
        raise click.BadParameter(f"no case's name holds {only!r}", param_hint="--only")
    try:
        settings = Settings.from_environment()
        given = {"broker_url": broker, "ledger_url": ledger}
        settings = settings.model_copy(update={k: v for k, v in given.items() if v is not None})
        with Bench(settings, patience=patience) as bench:
            broken = sum([not _kept(case, bench) for case in cases])
    except PuristaError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{len(cases) - broken} of {len(cases)} promises kept")
    sys.exit(1 if broken else 0)


def _kept(case: Case, bench: Bench) -> bool:
    began = time.monotonic()
    try:
        case(bench)
    except ConformanceFailed as error:
        click.echo(f"BROKEN {error.message}")
        return False
    click.echo(f"kept   {case.name} ({time.monotonic() - began:.1f} s)")
    return True


if __name__ == "__main__":
    main()
