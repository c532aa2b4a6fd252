"""Settings follow from each other where they are not set, and contradictions are refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from purista_celery import Interval, Service, Settings, compile_app
from purista_celery.errors import ConfigurationError, UnsupportedPayload

SECOND = timedelta(seconds=1)
NOWHERE = "redis://127.0.0.1:1/0"
FIELDS = (
    *("liveness_ttl", "broker_timeout", "custodian_interval", "lost_grace", "scheduler_lock"),
    *("scheduler_interval", "result_ttl", "unknown_task_grace", "cancel_grace"),
)


def test_the_defaults_fit_each_other() -> None:
    """A worker waits for two thirds of its liveness at the most."""
    found = Settings()
    assert found.broker_timeout == found.ledger_timeout == 10 * SECOND
    assert (found.liveness_ttl, found.custodian_interval) == (15 * SECOND, SECOND)
    assert (found.scheduler_lock, found.scheduler_interval) == (10 * SECOND, SECOND)
    assert found.lost_grace == 10 * SECOND


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"liveness_ttl": 6}, {"broker_timeout": 4, "ledger_timeout": 4}),
        ({"liveness_ttl": 60}, {"broker_timeout": 10, "ledger_timeout": 10}),
        ({"broker_timeout": 2}, {"ledger_timeout": 10}),
        ({"custodian_interval": 12}, {"lost_grace": 12}),
        ({"scheduler_interval": 9}, {"scheduler_lock": 27}),
        ({"scheduler_lock": 1.5}, {"scheduler_interval": 0.5}),
    ],
    ids=str,
)
def test_what_is_not_set_follows_from_what_is(
    given: dict[str, float], expected: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From code and from the environment."""
    found = Settings(**{name: value * SECOND for name, value in given.items()})
    for name, value in given.items():
        monkeypatch.setenv(f"PURISTA_{name.upper()}", str(value))
    for each in (found, Settings.from_environment()):
        assert {name: getattr(each, name) / SECOND for name in expected} == expected


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"liveness_ttl": 5, "broker_timeout": 10},
            r"PURISTA_BROKER_TIMEOUT \(10 s\) is more than two thirds of PURISTA_LIVENESS_TTL "
            r"\(5 s\).*lower the first or raise the second",
        ),
        ({"broker_timeout": 11}, r"PURISTA_LIVENESS_TTL \(15 s\).*lower the first or raise"),
        (
            {"custodian_interval": 16},
            r"PURISTA_CUSTODIAN_INTERVAL \(16 s\) is longer than PURISTA_LIVENESS_TTL",
        ),
        (
            {"custodian_interval": 3, "lost_grace": 2},
            r"PURISTA_LOST_GRACE \(2 s\) is shorter than PURISTA_CUSTODIAN_INTERVAL \(3 s\)",
        ),
        (
            {"scheduler_lock": 5, "scheduler_interval": 2},
            r"PURISTA_SCHEDULER_LOCK \(5 s\) is less than three times PURISTA_SCHEDULER_INTERVAL",
        ),
        ({"lost_grace": 0.5}, "PURISTA_LOST_GRACE: .* Correct it"),
        ({"result_ttl": -1}, "PURISTA_RESULT_TTL: .* Correct it"),
        ({"cancel_grace": -1}, "PURISTA_CANCEL_GRACE: .* Correct it"),
    ],
    ids=str,
)
def test_a_contradiction_is_refused(
    given: dict[str, float], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names both, what they are, and what to do; in code as in the environment."""
    with pytest.raises(ConfigurationError, match=says) as caught:
        Settings(**{name: value * SECOND for name, value in given.items()})
    assert caught.value.code == "PURISTA_CONFIGURATION_INVALID"
    for name, value in given.items():
        monkeypatch.setenv(f"PURISTA_{name.upper()}", str(value))
    with pytest.raises(ConfigurationError, match=says):
        Settings.from_environment()


def test_all_contradictions_are_told_at_once() -> None:
    """So that nobody has to start four times."""
    with pytest.raises(ConfigurationError, match=r"BROKER_TIMEOUT.*SCHEDULER_LOCK"):
        Settings(
            broker_timeout=20 * SECOND, scheduler_lock=2 * SECOND, scheduler_interval=2 * SECOND
        )


SPANS = st.timedeltas() | st.sampled_from(
    [seconds * SECOND for seconds in (-1, 0, 0.2, 0.5, 1, 2, 3, 5, 10, 15, 30, 60)]
)


def made(given: dict[str, Any]) -> Settings | str:
    """Return the settings, or why there are none."""
    try:
        return Settings(broker_url=NOWHERE, **given)
    except ConfigurationError as error:
        return error.message


@hypothesis_settings(deadline=None)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, SPANS)))
def test_any_settings_compile_or_are_refused_with_the_remedy(given: dict[str, Any]) -> None:
    """And what compiles can be kept together."""
    found = made(given)
    if isinstance(found, str):
        assert "Correct it" in found or "the second" in found
        return
    assert {name: getattr(found, name) for name in given} == given
    assert found.broker_timeout + found.liveness_ttl / 5 < found.liveness_ttl
    assert found.ledger_timeout + found.liveness_ttl / 5 < found.liveness_ttl
    assert found.custodian_interval <= min(found.lost_grace, found.liveness_ttl)
    assert found.scheduler_lock >= 3 * found.scheduler_interval


@pytest.mark.parametrize("seconds", [2, 5, 100])
def test_an_app_waits_as_long_as_the_liveness_allows(seconds: int) -> None:
    """For its broker and for its ledger."""
    settings = Settings(broker_url=NOWHERE, liveness_ttl=seconds * SECOND)
    app = compile_app([Service("a")], settings)
    waits = min(10, seconds * 2 / 3)
    assert app.conf.broker_transport_options["socket_timeout"] == pytest.approx(waits)
    ledger = app.purista_runtime.ledger.client.connection_pool.connection_kwargs
    assert ledger["socket_timeout"] == pytest.approx(waits)
    app.close()


@pytest.mark.parametrize(
    "large", [{"payload": "ü" * 600}, {"payload": "", "parameter": "x" * 1100}]
)
def test_a_schedules_job_that_no_queue_would_take_is_refused(large: dict[str, str]) -> None:
    """When it is compiled, and not at each firing."""
    service = Service("a")
    queue = service.queue("q", payload=str, parameter=str)
    service.schedule("s", Interval(SECOND), enqueues=queue, **{"parameter": "", **large})
    with pytest.raises(UnsupportedPayload, match=r"'a/1/s'.* bytes, and 1024 .*MAX_PAYLOAD"):
        compile_app([service], Settings(broker_url=NOWHERE, max_payload=1024))
    compile_app([service], Settings(broker_url=NOWHERE, max_payload=2048)).close()
