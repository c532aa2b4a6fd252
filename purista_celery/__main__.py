"""``python -m purista_celery``: documents from declarations, without a Celery app or a broker.

``celery -A … purista`` has the same commands, and those that operate a running system.
"""

from __future__ import annotations

import click

from purista_celery.cli.diff import diff
from purista_celery.cli.exports import export, graph
from purista_celery.cli.output import Group


@click.group(cls=Group)
def main() -> None:
    """Write what contracts say; name them with --services or PURISTA_SERVICES."""


main.add_command(export)
main.add_command(graph)
main.add_command(diff)

if __name__ == "__main__":
    main(prog_name="python -m purista_celery")
