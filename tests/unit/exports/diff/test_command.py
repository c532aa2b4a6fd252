"""``purista diff`` from a terminal: sources, formats and exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from purista_celery.cli.commands import purista
from purista_celery.cli.diff import diff
from tests.support.processes import ROOT
from tests.unit.exports.diff.examples import CHANGES, SERVICE, export

COMPATIBLE, RISKY, BREAKING = "lease-lengthened", "lease-shortened", "runtime-shortened"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an export, and one for each of a few changes to it."""
    (tmp_path / "old.json").write_text(json.dumps(export(SERVICE)))
    for rule in (COMPATIBLE, RISKY, BREAKING):
        (tmp_path / f"{rule}.json").write_text(json.dumps(export(CHANGES[rule])))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(diff, arguments)


@pytest.mark.parametrize(
    ("rule", "fail_on", "status"),
    [
        (COMPATIBLE, "risky", 0),
        (RISKY, "breaking", 0),
        (RISKY, "risky", 1),
        (BREAKING, "breaking", 1),
        (BREAKING, "risky", 1),
        (BREAKING, "never", 0),
    ],
)
def test_the_exit_status_is_for_ci(folder: Path, rule: str, fail_on: str, status: int) -> None:
    """1 from the verdict on that was asked for."""
    assert run("old.json", f"{rule}.json", "--fail-on", fail_on).exit_code == status


def test_text_says_what_changed_for_whom(folder: Path) -> None:
    """Worst first, counted at the end."""
    result = run("old.json", f"{BREAKING}.json")
    assert "books/1 queue close executionProfile.maxRuntimeMs: a job is ended sooner" in (
        result.output
    )
    assert "21600000 → 3600000" in result.output
    assert "producers compatible, consumers breaking [runtime-shortened]" in result.output
    assert result.output.endswith("1 breaking, 0 risky, 0 compatible\n")
    assert run("old.json", "old.json").output == "No changes.\n"


def test_json_has_a_verdict_for_each_side_and_change(folder: Path) -> None:
    """For tools."""
    report: dict[str, Any] = json.loads(run("old.json", f"{RISKY}.json", "--format", "json").output)
    sides = [report[each] for each in ("verdict", "producers", "consumers")]
    assert sides == ["risky", "compatible", "risky"]
    [change] = report["changes"]
    assert (change["rule"], change["contract"]) == (RISKY, "books/1 queue close")


def test_annotations_are_github_workflow_commands(folder: Path) -> None:
    """One line each, whatever is in them."""
    changed = export(SERVICE)
    changed["services"]["books"]["1"]["queues"]["close"]["resultPolicy"] = {
        **SERVICE["queues"]["close"]["resultPolicy"],
        "successEventName": "100%\ndone",
    }
    (folder / "odd.json").write_text(json.dumps(changed))
    lines = run("old.json", "odd.json", "--format", "github").output.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("::error title=breaking%3A result-event-renamed::books/1 queue")
    assert "100%25\\ndone" in lines[0]
    assert run("old.json", f"{RISKY}.json", "--format", "github").output.startswith("::warning ")


def test_a_revision_of_git_is_a_source(folder: Path) -> None:
    """As ``REV:PATH``, and as ``git:REV`` for PURISTA's own file name."""

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)

    (folder / "old.json").rename(folder / "purista.definitions.json")
    git("init", "-q")
    git("add", "purista.definitions.json")
    git("commit", "-qm", "first")
    for source in ("HEAD:purista.definitions.json", "git:HEAD"):
        assert run(source, f"{BREAKING}.json").exit_code == 1
        assert run(source, "purista.definitions.json").output == "No changes.\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "no such file"),
        ("{", "is no JSON"),
        ("[]", "expected the document to be an object, got list"),
        ('{"services": {"a": {"1": 5}}}', "expected services.a.1 to be an object, got int"),
        ('{"services": {"a": {"1": {"queues": 5}}}}', "expected queues to be an object"),
    ],
)
def test_an_input_that_can_not_be_read_is_status_2(
    folder: Path, text: str | None, problem: str
) -> None:
    """So that CI does not take it for a breaking change."""
    if text is not None:
        (folder / "bad.json").write_text(text)
    result = run("old.json", "bad.json")
    assert result.exit_code == 2
    assert "[PURISTA_DEFINITIONS_INVALID]" in result.output
    assert problem in result.output


def test_an_unknown_revision_is_status_2(folder: Path) -> None:
    """With what git says of it; and no revision is taken for an option."""
    for source in ("git:nosuch", "nosuch:file.json", "--output=x:y"):
        result = run("--", source, "old.json")
        assert result.exit_code == 2, result.output


def test_a_schema_that_is_none_is_status_2(folder: Path) -> None:
    """Named by its contract."""
    broken = export(SERVICE)
    broken["services"]["books"]["1"]["queues"]["close"]["payloadSchema"] = {"type": 5}
    (folder / "bad.json").write_text(json.dumps(broken))
    result = run("old.json", "bad.json")
    assert result.exit_code == 2
    assert "books/1 queue close: payloadSchema is no JSON Schema" in result.output


def test_it_needs_no_app(folder: Path) -> None:
    """``python -m purista_celery diff`` and ``celery … purista diff`` are one command."""
    done = subprocess.run(
        [sys.executable, "-m", "purista_celery", "diff", "old.json", f"{BREAKING}.json"],
        env={"PYTHONPATH": str(ROOT)},
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert purista.commands["diff"] is diff
