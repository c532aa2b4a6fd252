"""One event, many who hear it: each by its pattern, in its own time, and none by luck."""

from __future__ import annotations

from tests.acceptance.faults.conftest import Faulty
from tests.acceptance.faults.services import added, crowd, order, placed, shop_event, unheard
from tests.acceptance.spine.services import Work
from tests.support.line import Line
from tests.support.waiting import until

#: Who hears what; AMQP's rules, on both brokers: ``*`` is one word, ``#`` any number of them.
PATTERNS = {
    shop_event: ["any_words"],
    order: ["any_words", "in_the_middle", "one_word"],
    placed: ["any_words", "exactly", "in_the_middle"],
    added: ["any_words", "at_the_end"],
    unheard: [],
}
HEARERS = sorted({hearer for hearers in PATTERNS.values() for hearer in hearers})


def test_wildcards_mean_the_same_on_both_brokers(faults: Faulty) -> None:
    """Each subscription gets the events that its pattern fits, once, and no other."""
    faults.worker("-c", "2")
    for event in PATTERNS:
        faults.client.emit(event, Work())
    expected = sorted((h, event.name) for event, hearers in PATTERNS.items() for h in hearers)

    def heard() -> list[tuple[str, str]]:
        lines = (line for hearer in HEARERS for line in faults.traced(hearer))
        return sorted((line[2], line[3]) for line in lines)

    until(lambda: len(heard()) >= len(expected), lambda: f"{expected}, got {heard()}")
    assert heard() == expected


def test_a_subscription_added_later_hears_what_comes_after_its_first_worker(
    faults: Faulty,
) -> None:
    """A deployment adds one; what was emitted before is not for it. Who emits need not know it."""
    faults.worker("-c", "1")
    faults.client.emit(placed, Work(n=1))
    faults.await_trace("exactly", "1")

    deployed = faults.worker("-c", "1", NEWCOMER="1")
    faults.client.emit(placed, Work(n=2))

    faults.await_trace("late", "2")
    # It has a queue of its own: what comes while it is away waits for it.
    deployed.terminate()
    faults.client.emit(placed, Work(n=3))
    faults.await_trace("exactly", "3")
    faults.worker("-c", "1", NEWCOMER="1")
    faults.await_trace("late", "3")
    assert [line[3] for line in faults.traced("late")] == ["2", "3"]


def test_a_slow_subscription_does_not_hold_up_the_others(faults: Faulty) -> None:
    """Its backlog is its own: what others hear meanwhile is not queued behind it."""
    for n in range(40):
        faults.client.emit(crowd, Work(n=n, seconds=0.5))
    faults.worker("-c", "2")
    faults.await_trace("slow", count=2)

    for n in range(5):
        faults.client.emit(placed, Work(n=n))

    faults.await_trace("exactly", count=5)
    assert len(faults.traced("slow")) < 25


def stored(faults: Faulty) -> int:
    """Return for how many events the ledger has a job of the subscription ``exactly``."""
    metrics = faults.client.metrics("sub.shop.1.exactly")
    return metrics.pending + metrics.inflight + metrics.completed


def test_an_event_is_acknowledged_only_when_its_job_is_stored(
    faults: Faulty, ledger_line: Line
) -> None:
    """The ledger is away while events arrive, and the worker that holds them dies: all of them
    come to the next one, and each is one job.
    """
    url = ledger_line.through(faults.stage.ledger_url)
    first = faults.worker("-c", "1", PURISTA_LEDGER_URL=url)
    ledger_line.cut()
    for n in range(30):
        faults.client.emit(placed, Work(n=n))
    until(lambda: "The router waits for the ledger" in first.text, "events arrive", 60)
    assert stored(faults) == 0
    first.kill()

    faults.worker("-c", "2")

    faults.await_trace("exactly", count=30)
    assert {line[4] for line in faults.traced("exactly")} == {str(n) for n in range(30)}
    assert stored(faults) == len(faults.traced("exactly")) == 30


def test_the_router_keeps_up_while_the_pool_is_busy(faults: Faulty) -> None:
    """Events become jobs in the ledger although no process is free to run them."""
    faults.worker("-c", "1")
    busy = faults.enqueue("deaf", seconds=15).job_id
    faults.await_trace("start", busy)

    for n in range(60):
        faults.client.emit(placed, Work(n=n))
    until(lambda: stored(faults) == 60, "all events are stored")

    assert faults.client.job(busy).status == "inFlight"
    assert faults.traced("exactly") == []
