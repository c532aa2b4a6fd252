"""The deployment examples beside the entry points are what the tools that read them accept."""

from __future__ import annotations

import configparser
import shlex
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from purista_celery.runtime.shutdown import DEFAULT_GRACE

ROOT = Path(__file__).resolve().parents[2]
GRACE = DEFAULT_GRACE.total_seconds()


def unit(path: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((ROOT / path).read_text("utf-8"))
    return parser


def manifest(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text("utf-8"))


@pytest.mark.parametrize("path", ["workers/deploy/kubernetes.yaml", "beat/deploy/kubernetes.yaml"])
def test_kubernetes_takes_the_deployments(path: str) -> None:
    """By the schema of its own API, strictly."""
    kubernetes_validate.validate(manifest(path), "1.31", strict=True)


def test_nobody_kills_a_worker_within_its_grace() -> None:
    """Each supervisor waits for longer than a warm shutdown gives jobs by default."""
    service = unit("workers/deploy/worker.service")["Service"]
    assert service["KillMode"] == "mixed"
    assert float(service["TimeoutStopSec"]) > GRACE
    pod = manifest("workers/deploy/kubernetes.yaml")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > GRACE
    compose = manifest("workers/deploy/compose.yaml")["services"]["worker"]
    assert float(compose["stop_grace_period"].removesuffix("s")) > GRACE


def test_every_example_runs_the_public_entry_points() -> None:
    """``-A purista_celery.worker`` and ``-A purista_celery.beat``, as README names them."""
    compose = manifest("workers/deploy/compose.yaml")["services"]
    pods = [
        manifest(f"{folder}/deploy/kubernetes.yaml")["spec"]["template"]["spec"]["containers"][0]
        for folder in ("workers", "beat")
    ]
    units = [
        shlex.split(unit(path)["Service"]["ExecStart"])
        for path in ("workers/deploy/worker.service", "beat/deploy/beat.service")
    ]
    commands = [
        *(compose[name]["command"] for name in ("worker", "beat", "flower")),
        *(pod["command"] for pod in pods),
        *([Path(first).name, *rest] for first, *rest in units),
    ]
    allowed = {
        ("purista_celery.worker", "worker"),
        ("purista_celery.worker", "flower"),
        ("purista_celery.beat", "beat"),
    }
    for command in commands:
        assert command[:2] == ["celery", "-A"]
        assert (command[2], command[3]) in allowed


def test_the_redis_of_the_example_forgets_nothing() -> None:
    """What workers ask for at their start."""
    command = manifest("workers/deploy/compose.yaml")["services"]["redis"]["command"]
    assert command[1:] == ["--appendonly", "yes", "--maxmemory-policy", "noeviction"]
