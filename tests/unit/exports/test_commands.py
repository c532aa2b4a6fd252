"""``python -m purista_celery``: the export commands without an app."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from examples.billing.services import services as billing
from purista_celery import exports
from purista_celery.__main__ import main
from purista_celery.exports.servers import server_of
from tests.support.processes import ROOT

NAMED = ("--services", "examples.billing.services:services")


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PURISTA_")]:
        monkeypatch.delenv(name)


def run(*arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == status, result.output
    return result


def test_each_document_is_that_of_its_function() -> None:
    """JSON with two spaces and a newline at the end."""
    assert run("export", "asyncapi", *NAMED).stdout == (
        json.dumps(exports.asyncapi(billing), indent=2, ensure_ascii=False) + "\n"
    )
    for command, document in {
        "definitions": exports.definitions(billing),
        "json-schemas": exports.json_schemas(billing),
        "schedule-manifest": exports.schedule_manifest(billing),
    }.items():
        assert json.loads(run("export", command, *NAMED).stdout) == document


def test_yaml_is_the_same_document() -> None:
    """Read by another parser's rules it is the same data."""
    for command in ("asyncapi", "definitions", "json-schemas", "schedule-manifest"):
        written = run("export", command, *NAMED, "--format", "yaml").stdout
        assert yaml.safe_load(written) == json.loads(run("export", command, *NAMED).stdout)


def test_options_of_asyncapi_reach_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """And settings do: broker, without its password, and namespace."""
    monkeypatch.setenv("PURISTA_BROKER_URL", "amqp://user:s3cret@rabbit/team")
    monkeypatch.setenv("PURISTA_NAMESPACE", "acme")
    contact = ("Ada", "https://ada.test/", "ada@ada.test")
    printed = run(
        *("export", "asyncapi", *NAMED, "--title", "T", "--version", "7", "--license", "MIT"),
        *("--contact", *contact, "--asyncapi-version", "2.6.0"),
    ).stdout
    assert "s3cret" not in printed
    assert json.loads(printed) == exports.asyncapi(
        billing,
        title="T",
        version="7",
        asyncapi_version="2.6.0",
        servers=[server_of("amqp://rabbit/team")],
        namespace="acme",
        contact=exports.Contact(name=contact[0], url=contact[1], email=contact[2]),
        license_name="MIT",
    )


def test_a_file_is_written_with_its_folder(tmp_path: Path) -> None:
    """And nothing on standard output."""
    out = tmp_path / "new" / "asyncapi.json"
    assert run("export", "asyncapi", *NAMED, "--out", str(out)).stdout == ""
    assert json.loads(out.read_text("utf-8")) == exports.asyncapi(billing)


def test_services_come_from_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a worker; several names are one document."""
    names = "examples.billing.services:billing, examples.billing.services:books"
    monkeypatch.setenv("PURISTA_SERVICES", names)
    printed = json.loads(run("export", "definitions").stdout)
    assert printed["services"].keys() == {"billing", "books"}


def test_what_is_wrong_with_the_names_is_said_in_one_line() -> None:
    """A code, what came, and what to do."""
    assert "PURISTA_SERVICES is not set" in run("export", "asyncapi", status=1).stderr
    for named, expected in {
        "no.such.module:x": "can not be loaded",
        "examples.billing.services": "no package.module:attribute",
        "examples.billing.services:timedelta": "holds a type, expected Services",
        "examples.billing.months:ZONE": "holds a ZoneInfo, expected Services",
        "examples.billing.services:__name__": "holds a str, expected Services",
    }.items():
        result = run("export", "asyncapi", "--services", named, status=1)
        assert result.stderr.startswith("Error: [PURISTA_CONFIGURATION_INVALID] --services: ")
        assert expected in result.stderr


def test_the_graph_tells_its_orphans() -> None:
    """On standard error, and as a status where that is asked for."""
    named = ("--services", "examples.billing.services:billing")
    for form, start in {
        "mermaid": "flowchart LR",
        "dot": "digraph",
        "svg": "<svg ",
        "json": "{",
    }.items():
        drawn = run("graph", *named, "--format", form)
        assert drawn.stdout.startswith(start)
        assert "Nobody hears event 'billing.monthlyClosing.completed'" in drawn.stderr
    run("graph", *named, "--strict", status=1)
    assert run("graph", *NAMED, "--strict").stderr == ""


def test_no_celery_and_no_connection_is_needed() -> None:
    """The documents are made where Celery is not even imported."""
    code = (
        "import sys; sys.argv[1:] = ['export', 'asyncapi', '--services', "
        "'tests.unit.compiler.services:SERVICES']; "
        "from purista_celery.__main__ import main; "
        "main(standalone_mode=False); "
        "assert not {'celery', 'kombu', 'redis'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
    command = [sys.executable, "-m", "purista_celery", "export", "asyncapi", *NAMED]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert json.loads(printed) == exports.asyncapi(billing)


def test_schedules_for_other_clocks_are_exported_too() -> None:
    """Each in the form that its tool reads."""
    assert "0 2 1 * *" in run("export", "crontab", *NAMED).stdout
    assert "DAG" in run("export", "airflow", *NAMED).stdout
    assert json.loads(run("export", "temporal", *NAMED, "--task-queue", "ops").stdout)
    (job,) = yaml.safe_load(
        run("export", "kubernetes-cronjob", *NAMED, "--image", "i:1", "--format", "yaml").stdout
    )["items"]
    assert job["kind"] == "CronJob"
