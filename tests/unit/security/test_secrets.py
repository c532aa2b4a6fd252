"""No password leaves this process: not in errors, not in what a value looks like when printed."""

from __future__ import annotations

import traceback

import pytest

from purista_celery import Service, Settings, compile_app
from purista_celery.endpoints import resolve
from purista_celery.errors import ConfigurationError
from purista_celery.exports.manifest import schedule_manifest

SECRET = "hunter2"
REDIS = f"redis://user:{SECRET}@localhost:6379/0"


@pytest.mark.parametrize(
    ("broker", "ledger"),
    [
        (f"redis://:{SECRET}/more@localhost/0", None),
        (f"redis://:{SECRET}@localhost:port/0", None),
        (f"amqp://user:{SECRET}#more@localhost", None),
        (f"redis://:{SECRET}@[::1/0", None),
        (f"{SECRET}:x@localhost", None),
        (f"{SECRET}", None),
        (f"redis://localhost/0?password={SECRET}", None),
        (f"kafka://user:{SECRET}@localhost", None),
        ("redis://localhost/0", f"redis://:{SECRET}@localhost:port/0"),
        ("redis://localhost/0", f"{SECRET}:x@localhost"),
        ("redis://localhost/0", f"amqp://:{SECRET}@localhost"),
    ],
)
def test_a_url_that_can_not_be_used_is_not_quoted(broker: str, ledger: str | None) -> None:
    """Neither in the error nor in what led to it, which a traceback would print."""
    with pytest.raises(ConfigurationError) as raised:
        compile_app([Service("shop")], Settings(broker_url=broker, ledger_url=ledger))
    told = "".join(traceback.format_exception_only(raised.value)) + str(raised.value.__cause__)
    assert SECRET not in told
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_a_setting_of_the_environment_is_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that can not be read is named, without its value."""
    monkeypatch.setenv("PURISTA_RESULT_TTL", SECRET)
    monkeypatch.setenv("PURISTA_NAMESPACE", f"{SECRET}:*")
    with pytest.raises(ConfigurationError) as raised:
        Settings.from_environment()
    assert "PURISTA_RESULT_TTL" in str(raised.value)
    assert SECRET not in str(raised.value)


def test_no_value_shows_a_password() -> None:
    """Settings, endpoints, the compiled app, its runtime, ledger and client, and the exports."""
    settings = Settings(broker_url=REDIS, ledger_url=REDIS)
    app = compile_app([Service("shop")], settings)
    runtime = app.purista_runtime
    shown = [
        *(settings, resolve(settings), app, runtime, app.purista),
        *(runtime.ledger, runtime.ledger.client, runtime.producer, runtime.publisher),
        *(app.connection(), app.connection().as_uri(), app.conf.humanize(censored=True)),
        schedule_manifest(runtime.services),
    ]
    assert [type(each).__name__ for each in shown if SECRET in f"{each!r} {each}"] == []
