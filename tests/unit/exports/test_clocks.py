"""Schedules for other clocks: each artefact is read by the tool that it is for."""

from __future__ import annotations

import ast
import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from purista_celery.contracts.schedule import Cron, FixedJob, Interval, OneShot, Schedule
from purista_celery.errors import InvalidSchedule, UnsupportedExpression
from purista_celery.exports.airflow import airflow_dags
from purista_celery.exports.crontab import Command, crontab
from purista_celery.exports.dialect import interval_fields, numbered_weekdays
from purista_celery.exports.kubernetes import Trigger, kubernetes_cronjobs
from purista_celery.exports.temporal import temporal_schedules

START = datetime(2026, 1, 1, tzinfo=UTC)


def schedule(name: str = "monthlyCycle", **fields: Any) -> Schedule:
    return Schedule(
        **{
            "name": name,
            "expression": Cron("0 2 1 * *", timezone="Europe/Berlin"),
            "target_kind": "event",
            "target_name": "billing.due",
            "service_name": "billing",
            "service_version": "1",
            "description": "Closes 100 % of the month's accounts",
            **fields,
        }
    )


CRONS = [
    schedule(),
    schedule("weekend", expression=Cron("15 */6 * JAN-MAR SAT,SUN"), concurrency="forbid"),
    schedule("off", enabled=False, missed_runs="backfill", max_catch_up=3),
    schedule("jittered", jitter_window=timedelta(seconds=1.5), concurrency="replace"),
    schedule(
        "enqueues", target_kind="queue", target_name="work", job=FixedJob(payload={"text": '"""'})
    ),
]
MORE = [
    *CRONS,
    schedule("often", expression=Interval(timedelta(minutes=5))),
    schedule("halfDay", expression=Interval(timedelta(hours=12))),
]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("0 2 1 * *", "0 2 1 * *"),
        ("0 2 * JAN-MAR SAT,SUN", "0 2 * 1-3 6,0"),
        ("*/15 9-17 * JUL mon-fri", "*/15 9-17 * 7 1-5"),
        ("0 0 * * 7", "0 0 * * 0"),
        ("0 0 * * 5-7", "0 0 * * 0,5,6"),
        ("0 0 * * 1-7/2", "0 0 * * 0,1,3,5"),
    ],
)
def test_an_expression_keeps_its_instants_in_other_crons(given: str, expected: str) -> None:
    """Names and Sundays become numbers that every cron reads alike."""
    found = numbered_weekdays(schedule(), Cron(given), "a test")
    assert found == expected
    assert list(islice(CronSim(given, START), 50)) == list(islice(CronSim(found, START), 50))


@pytest.mark.parametrize(
    "text",
    [
        *("0 0 L * *", "0 0 * * MON#2", "0 0 * * 5L"),
        *("0 0 */2 * MON", "0 0 */2 * */3", "0 0 1 * */2", "0 0 *,5 * MON"),
    ],
)
def test_what_other_crons_read_differently_is_refused(text: str) -> None:
    """By name and with PURISTA's code; a schedule must not fire at other times elsewhere."""
    with pytest.raises(UnsupportedExpression, match=r"billing/1/monthlyCycle.*a test") as caught:
        numbered_weekdays(schedule(), Cron(text), "a test")
    assert caught.value.code == "PURISTA_SCHEDULER_PROVIDER_CAPABILITY_MISSING"


@pytest.mark.parametrize("minutes", [1, 2, 3, 5, 6, 10, 12, 15, 20, 30, 60, 120, 480, 720, 1440])
def test_an_interval_that_cron_can_say_keeps_its_instants(minutes: int) -> None:
    """Aligned to the epoch, both."""
    every = timedelta(minutes=minutes)
    run = CronSim(interval_fields(schedule(), every, "a test"), START)
    assert list(islice(run, 50)) == [START + n * every for n in range(1, 51)]


@pytest.mark.parametrize("seconds", [1, 90, 420, 5400, 25200, 172800])
def test_an_interval_that_cron_can_not_say_is_refused(seconds: int) -> None:
    """It would drift from the epoch, or skip."""
    with pytest.raises(UnsupportedExpression):
        interval_fields(schedule(), timedelta(seconds=seconds), "a test")


def test_kubernetes_accepts_the_cronjobs() -> None:
    """Each against the OpenAPI schema of the Kubernetes release, unknown fields refused."""
    kubernetes = pytest.importorskip("kubernetes_validate")
    trigger = Trigger(image="shop:1", env={"A": "b"}, env_from_secret="purista", namespace="jobs")
    for item in kubernetes_cronjobs(CRONS, trigger)["items"]:
        for version in ("1.27", kubernetes.latest_version()):
            kubernetes.validate(item, version, strict=True)
    broken = kubernetes_cronjobs([schedule()], trigger)["items"][0]
    broken["spec"]["concurrencyPolicy"] = 5
    with pytest.raises(kubernetes.ValidationError):
        kubernetes.validate(broken, "1.27", strict=True)


def test_a_cronjob_is_puristas() -> None:
    """Container, templates, annotations, policies and suspension as the handbook's export."""
    trigger = Trigger(image="shop:1", command=("fire", "{{targetKind}}/{{scheduleName}}", "{{x}}"))
    (item,) = kubernetes_cronjobs([schedule("offAtNight", enabled=False)], trigger)["items"]
    assert item["metadata"]["name"] == "billing-off-at-night"
    assert item["metadata"]["annotations"] == {
        "purista.dev/missed-run-policy": "skip",
        "purista.dev/schedule-description": "Closes 100 % of the month's accounts",
        "purista.dev/schedule-name": "offAtNight",
        "purista.dev/scheduler-group": "default",
        "purista.dev/target-kind": "event",
        "purista.dev/target-name": "billing.due",
        "purista.dev/target-service-name": "billing",
        "purista.dev/target-service-version": "1",
    }
    spec = item["spec"]
    assert (spec["schedule"], spec["timeZone"]) == ("0 2 1 * *", "Europe/Berlin")
    assert (spec["suspend"], spec["concurrencyPolicy"]) == (True, "Allow")
    pod = spec["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "OnFailure"
    (container,) = pod["containers"]
    assert container["name"] == "purista-trigger"
    assert container["command"] == ["fire", "event/offAtNight", "{{x}}"]


def test_names_of_cronjobs_are_short_and_distinct() -> None:
    """Two that would be the same, or too long, carry a hash."""
    schedules = [schedule("a-b"), schedule("a_b"), schedule("x" * 180)]
    items = kubernetes_cronjobs(schedules, Trigger(image="i"))["items"]
    names = [item["metadata"]["name"] for item in items]
    assert len(set(names)) == 3
    assert all(len(name) <= 52 for name in names)


@pytest.mark.parametrize("expression", [Interval(timedelta(minutes=5)), OneShot(START)])
def test_kubernetes_has_cron_expressions_only(expression: Any) -> None:
    """As PURISTA's export."""
    with pytest.raises(InvalidSchedule, match="a Kubernetes CronJob"):
        kubernetes_cronjobs([schedule(expression=expression)], Trigger(image="i"))


@pytest.mark.parametrize("user", [None, "celery"])
def test_a_crontab_parser_reads_the_file(user: str | None) -> None:
    """Every line is a valid job that fires its schedule; disabled ones are not there."""
    crontabs = pytest.importorskip("crontab")
    text = crontab(MORE, Command(user=user))
    table = crontabs.CronTab(tab=text, user=False if user else None)
    jobs = {job.command.split()[-1]: job for job in table if job.is_enabled()}
    assert all(job.is_valid() for job in table)
    assert set(jobs) == {s.key for s in MORE if s.enabled}
    assert str(jobs["billing/1/weekend"].slices) == "15 */6 * 1-3 0,6"
    assert str(jobs["billing/1/often"].slices) == "*/5 * * * *"


def test_a_crontab_names_each_zone_once() -> None:
    """Before the lines that it is for; a percent sign is none of cron's newlines."""
    lines = crontab(MORE).splitlines()
    assert [line for line in lines if "=" in line] == ["CRON_TZ=Europe/Berlin", "CRON_TZ=UTC"]
    assert (
        "# disabled: 0 2 1 * * celery -A purista_celery.worker purista fire billing/1/off" in lines
    )
    (percent,) = crontab([schedule()], Command(words=["fire", "%s"])).splitlines()[-1:]
    assert percent == r"0 2 1 * * fire \%s billing/1/monthlyCycle"


def test_a_crontab_has_no_single_instants() -> None:
    """A one-shot would run each year."""
    with pytest.raises(UnsupportedExpression, match="a line of a crontab"):
        crontab([schedule(expression=OneShot(START))])


def test_temporals_api_reads_the_schedules() -> None:
    """As CreateScheduleRequest, with no field unknown; and back, field for field."""
    api = pytest.importorskip("temporalio.api.workflowservice.v1")
    from google.protobuf.json_format import ParseDict

    every = [
        *MORE,
        schedule("odd", expression=Interval(timedelta(seconds=7.5))),
        schedule("once", expression=OneShot(datetime(2027, 2, 3, 4, 5, 6, tzinfo=UTC))),
    ]
    requests = {
        entry["scheduleId"]: ParseDict(entry, api.CreateScheduleRequest())
        for entry in temporal_schedules(every, task_queue="ops")
    }
    assert set(requests) == {f"purista/{s.key}" for s in every}
    monthly = requests["purista/billing/1/monthlyCycle"].schedule
    assert list(monthly.spec.cron_string) == ["0 2 1 * *"]
    assert monthly.spec.timezone_name == "Europe/Berlin"
    assert json.loads(monthly.action.start_workflow.input.payloads[0].data) == (
        "billing/1/monthlyCycle"
    )
    assert requests["purista/billing/1/off"].schedule.state.paused
    assert requests["purista/billing/1/jittered"].schedule.spec.jitter.ToTimedelta() == timedelta(
        seconds=1.5
    )
    odd = requests["purista/billing/1/odd"].schedule.spec.interval[0].interval
    assert odd.ToTimedelta() == timedelta(seconds=7.5)
    (once,) = requests["purista/billing/1/once"].schedule.spec.structured_calendar
    assert [once.year[0].start, once.month[0].start, once.day_of_month[0].start] == [2027, 2, 3]
    assert [once.hour[0].start, once.minute[0].start, once.second[0].start] == [4, 5, 6]


def test_the_dag_file_is_python_that_carries_the_schedules() -> None:
    """And no text of a schedule can end the literal that it stands in."""
    file = airflow_dags([*MORE, schedule("quoted", description='""" \\" { } {{ x }}')])
    tree = ast.parse(file)
    compile(tree, "dags.py", "exec")
    literals = [
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "loads"
        and isinstance(node.args[0], ast.Constant)
    ]
    entries = {entry["dagId"]: entry for entry in json.loads(str(literals[0]))}
    assert entries["purista.billing.1.quoted"]["description"] == '""" \\" { } {{ x }}'
    assert entries["purista.billing.1.monthlyCycle"]["timezone"] == "Europe/Berlin"
    assert entries["purista.billing.1.weekend"]["maxActiveRuns"] == 1
    assert entries["purista.billing.1.off"]["catchup"] is True
    assert "purista fire billing/1/off --at" in entries["purista.billing.1.off"]["command"]


def test_temporal_is_told_of_days_of_month_or_week_apart() -> None:
    """Its calendars match both at once, and cron's either; its list of them matches any."""
    (entry,) = temporal_schedules(
        [schedule(expression=Cron("0 2 1,15 * MON", timezone="Europe/Berlin"))], task_queue="ops"
    )
    assert entry["schedule"]["spec"]["cronString"] == ["0 2 1,15 * *", "0 2 * * 1"]
    either = {
        moment
        for text in entry["schedule"]["spec"]["cronString"]
        for moment in islice(CronSim(text, START), 40)
    }
    assert list(islice(CronSim("0 2 1,15 * MON", START), 30)) == sorted(either)[:30]


_READ_DAGS = """
import json, sys
from airflow.models import DagBag
try:
    bag = DagBag(sys.argv[1], include_examples=False)
except TypeError:
    bag = DagBag(sys.argv[1])
assert not bag.import_errors, bag.import_errors
print("DAGS" + json.dumps({name: [t.task_id for t in dag.tasks] for name, dag in bag.dags.items()}))
"""


def test_airflow_loads_the_dags(tmp_path: Path) -> None:
    """In an environment of Airflow's own: PURISTA_TEST_AIRFLOW is its Python."""
    python = os.environ.get("PURISTA_TEST_AIRFLOW")
    if not python:
        pytest.skip("PURISTA_TEST_AIRFLOW names no Python with Airflow")
    folder = tmp_path / "dags"
    folder.mkdir()
    once = schedule("once", expression=OneShot(datetime(2027, 1, 1, tzinfo=ZoneInfo("Asia/Tokyo"))))
    (folder / "purista.py").write_text(airflow_dags([*MORE, once]))
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    subprocess.run(
        [python, "-m", "airflow", "db", "migrate"], env=environment, check=True, capture_output=True
    )
    done = subprocess.run(
        [python, "-c", _READ_DAGS, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("DAGS")]
    found = json.loads(line.removeprefix("DAGS"))
    assert found == {f"purista.billing.1.{s.name}": ["fire"] for s in [*MORE, once]}
