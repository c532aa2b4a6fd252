"""What follows from what a server says of itself."""

from __future__ import annotations

from typing import Any

import pytest

from purista_celery.exports.facts import RedisFacts


@pytest.mark.parametrize(
    ("said", "lost", "survives"),
    [
        ({"append_fsync": "always"}, "nothing", True),
        ({"append_fsync": "everysec"}, "up to a second", False),
        ({"append_fsync": "no"}, "up to 30 seconds", False),
        ({}, "unknown", False),
        (
            {"append_fsync": "always", "fsyncs_in_rewrites": False},
            "up to 30 seconds, in rewrites",
            False,
        ),
        ({"append_only": False, "snapshots": True}, "everything since a snapshot", False),
        ({"append_only": False, "snapshots": False}, "everything", False),
        # A replica counts where no write is accepted without it.
        (
            {"append_fsync": "everysec", "replicas": 1, "min_replicas": 1},
            "what no replica had yet",
            True,
        ),
        ({"append_fsync": "everysec", "replicas": 1, "min_replicas": 0}, "up to a second", False),
        ({"append_fsync": "everysec", "replicas": 1}, "up to a second", False),
        ({"append_fsync": "everysec", "min_replicas": 1}, "up to a second", False),
    ],
)
def test_what_a_power_loss_costs(
    said: dict[str, Any],
    lost: str,
    survives: bool,  # noqa: FBT001
) -> None:
    """By when the append-only file is written to the disk, and by who has it besides."""
    facts = RedisFacts(**{"version": (6, 2), "append_only": True, **said})
    assert (facts.lost_at_power_loss, facts.survives_power_loss) == (lost, survives)
