"""A worker asks its servers what they can keep, and says or refuses what they can not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.spine.conftest import Spine
from tests.support.line import Line
from tests.support.servers import RedisServer
from tests.support.waiting import until


@pytest.fixture
def forgetful(redis_server: RedisServer) -> Iterator[None]:
    """A ledger that may evict keys."""
    with redis_server.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        yield
        client.config_set("maxmemory-policy", "noeviction")


def test_a_strict_contract_refuses_to_start_over_a_redis_that_evicts(
    redis_spine: Spine, forgetful: None
) -> None:
    """The log names the contract, the need and the remedy; the exit status is no success."""
    worker = redis_spine.worker("-c", "1", wait=False)

    assert worker.process.wait(30) != 0
    assert "PURISTA_CAPABILITY_MISSING" in worker.text
    assert "Binding 'eventToQueue:spine.happened:spine.work'" in worker.text
    assert "set it to noeviction" in worker.text


def test_a_durable_ledger_draws_no_warning(redis_spine: Spine) -> None:
    """The embedded Redis' configuration, and the tests', are without a gap."""
    worker = redis_spine.worker("-c", "1")
    assert "Capability missing" not in worker.text


@pytest.fixture
def cut_line(spine: Spine, request: pytest.FixtureRequest) -> Iterator[Line]:
    """A line to the broker or the ledger, cut before any worker starts."""
    url = getattr(spine.stage, f"{request.param}_url")
    line = Line.to(url)
    line.cut()
    spine.stage.extra[f"PURISTA_{request.param.upper()}_URL"] = line.through(url)
    yield line
    line.close()


@pytest.mark.parametrize("cut_line", ["broker", "ledger"], indirect=True)
def test_a_worker_that_starts_in_an_outage_waits_for_its_end(spine: Spine, cut_line: Line) -> None:
    """It is needed after it; one that is told to stop meanwhile stops."""
    waiting, stopping = (spine.worker("-c", "1", wait=False) for _ in range(2))
    for worker in (waiting, stopping):
        until(lambda w=worker: "waits for its ledger" in w.text, "it says so")  # type: ignore[misc]

    assert stopping.terminate() == 0
    cut_line.mend()

    waiting.ready()
    assert spine.client.wait(spine.enqueue().job_id, 20).status == "completed"
