"""The scheduler and the app that ``celery beat`` is given."""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import celery
import click
import pytest

from purista_celery.contracts.schedule import Schedule
from purista_celery.errors import ConfigurationError, InvalidCron, UnsupportedServer
from purista_celery.exports.manifest import Manifest, Rejected, write_entry
from purista_celery.refusals import Refusal
from purista_celery.schedules.group import plan
from purista_celery.schedules.host import GroupHost
from purista_celery.schedules.scheduler import Scheduler
from purista_celery.settings import Settings
from tests.support.servers import free_port

Make = Callable[..., Schedule]


def app_of(manifest: Manifest | None, **conf: Any) -> celery.Celery:
    """Return an app as beat gets it, on a Redis that nobody runs."""
    app = celery.Celery("beat", set_as_current=False)
    app.conf.update(
        redbeat_redis_url=f"redis://:secret@127.0.0.1:{free_port()}/0",
        redbeat_redis_options={"retry": None},
        redbeat_lock_timeout=10,
        **conf,
    )
    if manifest is not None:
        app.conf.update(purista_beat_plan=plan("app", manifest))
    return app


def test_another_app_is_refused() -> None:
    """``--scheduler`` on an app without a plan says which app to start."""
    with pytest.raises(ConfigurationError, match=r"-A purista_celery\.beat beat"):
        Scheduler(app_of(None))


def test_a_lock_that_an_ordinary_delay_would_lose_is_refused() -> None:
    """The interval and the lock are set apart, and must fit each other."""
    with pytest.raises(ConfigurationError, match="redbeat_lock_timeout"):
        Scheduler(app_of(Manifest()), max_interval=5)


def test_it_says_what_it_hosts_without_connecting(schedule: Make) -> None:
    """Beat's banner asks a lazy scheduler; passwords are not shown."""
    manifest = Manifest((schedule(), schedule(name="bill", group="billing")))
    info = Scheduler(app_of(manifest), lazy=True).info
    assert "groups -> billing, default" in info
    assert "lock -> 10s" in info
    assert "secret" not in info


def test_what_is_not_fired_is_reported_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    """With the code that says why."""
    Scheduler(app_of(Manifest(rejected=(Rejected("clock/1/tick", InvalidCron("bad")),))))
    assert "clock/1/tick is not fired: [PURISTA_SCHEDULER_CRON_INVALID] bad" in caplog.text


def test_it_lives_on_without_its_store(schedule: Make, caplog: pytest.LogCaptureFixture) -> None:
    """It says so once, and tries again each interval."""
    caplog.set_level(logging.WARNING)
    scheduler = Scheduler(app_of(Manifest((schedule(),))))
    assert [scheduler.serve(), scheduler.serve()] == [1.0, 1.0]
    scheduler.close()
    assert caplog.text.count("is held up") == 1
    assert "the lock was not released" in caplog.text


def test_what_holds_up_one_group_is_no_sleep_of_another(schedule: Make) -> None:
    """A store that hangs holds up each group in turn, and the process is awake all the time."""
    manifest = Manifest((schedule(), schedule(name="bill", group="billing")))
    first, second = Scheduler(app_of(manifest))._hosts
    assert first._awake is second._awake
    assert first._time is second._time


@pytest.mark.parametrize(
    ("error", "ends"),
    [(Refusal("BUSY running a script"), ""), (UnsupportedServer("a sentinel"), "a sentinel")],
)
def test_a_store_that_refuses_holds_a_group_up_and_one_of_another_kind_ends_beat(
    schedule: Make, monkeypatch: pytest.MonkeyPatch, error: Exception, ends: str
) -> None:
    """The first is an outage; about the second somebody has to do something."""

    def tick(self: GroupHost) -> float:
        raise error

    monkeypatch.setattr(GroupHost, "tick", tick)
    scheduler = Scheduler(app_of(Manifest((schedule(),))))
    if ends:
        with pytest.raises(UnsupportedServer, match=ends):
            scheduler.serve()
    else:
        assert scheduler.serve() == scheduler.max_interval


def test_a_beat_that_can_not_go_on_ends_with_one_line(
    schedule: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Celery would log a traceback, and print another, which its own redirection logs by words."""

    def tick(self: GroupHost) -> float:
        raise UnsupportedServer("a sentinel")

    monkeypatch.setattr(GroupHost, "tick", tick)
    scheduler = Scheduler(app_of(Manifest((schedule(),))))
    log = logging.getLogger("celery.beat")
    with caplog.at_level("CRITICAL", log.name):
        with pytest.raises(click.ClickException) as ended:
            scheduler.tick()
        # As Celery does.
        log.critical("beat raised exception %r", ended.value, exc_info=ended.value)
    assert ended.value.exit_code == 1
    [said] = [record.getMessage() for record in caplog.records if record.name == log.name]
    assert said == "beat ends: [PURISTA_SERVER_UNSUPPORTED] a sentinel"


def test_what_holds_up_a_group_has_its_code(
    schedule: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever library raises it."""

    def tick(self: GroupHost) -> float:
        raise Refusal("BUSY running a script")

    monkeypatch.setattr(GroupHost, "tick", tick)
    with caplog.at_level("ERROR", "celery.beat"):
        Scheduler(app_of(Manifest((schedule(),)))).serve()
    assert "[PURISTA_LEDGER_UNAVAILABLE]" in caplog.text


def test_a_beat_without_schedules_idles() -> None:
    """An empty manifest is not an error."""
    assert Scheduler(app_of(Manifest())).serve() == 1.0


@pytest.fixture
def manifest_file(tmp_path: Path, schedule: Make) -> Path:
    """A manifest with one schedule."""
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"version": "1", "schedules": [write_entry(schedule())]}))
    return path


@pytest.fixture
def beat_module(manifest_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The entry module, imported with settings of the test's own."""
    monkeypatch.setenv("PURISTA_SCHEDULE_MANIFEST", str(manifest_file))
    monkeypatch.setenv("PURISTA_BROKER_URL", "redis://127.0.0.1:1/0")
    return importlib.import_module("purista_celery.beat")


def test_the_app_needs_no_scheduler_option(beat_module: ModuleType, manifest_file: Path) -> None:
    """The scheduler, its store and its plan come with the app, which keeps no results."""
    settings = Settings(
        broker_url="redis://127.0.0.1:1/0", schedule_manifest=manifest_file, namespace="app"
    )
    app = beat_module.beat_app(settings)
    assert app.conf.beat_scheduler == "purista_celery.schedules.scheduler:Scheduler"
    assert app.conf.redbeat_redis_url == "redis://127.0.0.1:1/0"
    assert app.conf.result_expires is None
    (group,) = app.conf.purista_beat_plan.groups
    assert group.keys.prefix == "{app:schedules:default}:"


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file"), ("{", "no schedule manifest"), ("[]", "no schedule manifest")],
)
def test_a_manifest_that_can_not_be_read_ends_beat(
    beat_module: ModuleType, tmp_path: Path, content: str | None, message: str
) -> None:
    """The error names the file, what is wrong, and how to write it."""
    path = tmp_path / "other.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=rf"{message}.*export schedule-manifest"):
        beat_module.load_manifest(path)


def test_a_group_that_could_not_be_a_key_is_refused(
    beat_module: ModuleType, manifest_file: Path
) -> None:
    """Before anything is connected."""
    settings = Settings(
        broker_url="redis://127.0.0.1:1/0", schedule_manifest=manifest_file, scheduler_group="a}b"
    )
    with pytest.raises(ConfigurationError, match="PURISTA_SCHEDULER_GROUP"):
        beat_module.beat_app(settings)
