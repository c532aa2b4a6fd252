"""Whose schedules a group holds, and which deployment of them counts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from purista_celery.errors import BeatConflict
from purista_celery.schedules.deployment import Deployment
from purista_celery.schedules.entry import definition_of

KEY = "clock/1/tick"


def test_another_application_is_refused(world: Any, every: Any) -> None:
    """At its first look, whether or not the first one's beat is alive; nothing is touched."""
    mine = world.beat(every(), title="clocks", services=("clock",))
    world.run(mine, seconds=5)
    for _ in range(2):
        other = world.beat(every(name="other"), title="weather", services=("sky",))
        with pytest.raises(BeatConflict, match=r"weather.*PURISTA_NAMESPACE"):
            other.tick()
        world.client.delete(world.keys.lock)
    assert world.client.smembers(world.keys.statics) == {KEY}
    world.run(mine, seconds=10)
    assert world.fired == [10]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (("a", ["x"]), ("a", ["y"]), True),  # Titled alike, whatever they hold.
        (("a", ["x"]), ("b", ["x"]), False),
        ((None, ["x", "y"]), (None, ["y", "z"]), True),  # A service came, another went.
        ((None, ["x"]), (None, ["y"]), False),
        (("a", ["x"]), (None, ["x"]), True),  # It was given a title.
        (("a", ["x"]), (None, ["y"]), False),
        ((None, ["x"]), (None, []), True),  # Its last schedule was removed.
    ],
)
def test_which_manifests_are_one_applications(
    first: tuple[str | None, list[str]],
    second: tuple[str | None, list[str]],
    same: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Title for title, else by a service in common."""
    one, two = (Deployment.of(title, services, [], []) for title, services in (first, second))
    assert one.is_same_application(two) is two.is_same_application(one) is same


def test_a_stale_beat_fires_what_was_deployed_after_it(world: Any, every: Any) -> None:
    """It was started before the new manifest came, and takes over when the new beat dies."""
    stale = world.beat(every(), every(name="gone"), services=("clock",))
    world.run(stale, seconds=1)
    stale.release()
    new = world.beat(every(5), services=("clock",))
    world.run(new, seconds=5)
    assert world.fired == [5]
    world.client.delete(world.keys.lock)
    world.run(stale, seconds=10)
    assert stale.leadership.term
    assert world.fired == [5, 10, 15]
    assert world.client.smembers(world.keys.statics) == {KEY}


def test_a_beat_that_is_started_later_is_a_later_deployment(world: Any, every: Any) -> None:
    """Also of an earlier manifest: that is a roll-back."""
    for schedules in ([every()], [every(), every(name="new")], [every()]):
        world.sleep(5)
        beat = world.beat(*schedules, services=("clock",))
        world.run(beat, seconds=1)
    assert world.client.smembers(world.keys.statics) == {KEY}


def test_a_beat_that_leads_again_reads_the_store_once(world: Any, every: Any) -> None:
    """A lock that is lost and won changes no entry of the same deployment."""
    beat = world.beat(every(), services=("clock",))
    world.run(beat, seconds=1)
    beat.release()
    world.client.hset(world.keys.entry(KEY), "definition", "changed")
    world.now += timedelta(seconds=1)
    beat.tick()
    assert world.client.hget(world.keys.entry(KEY), "definition") == "changed"


def test_the_digest_is_that_of_the_entries(every: Any) -> None:
    """Their order does not matter; anything in them does."""
    one, two = every(), every(name="two")
    digests = {
        Deployment.of(None, (), map(definition_of, schedules), rejected).digest
        for schedules, rejected in [
            ([one, two], []),
            ([two, one], []),
            ([one], []),
            ([one], ["x"]),
            ([one, every(name="two", description="new")], []),
        ]
    }
    assert len(digests) == 4
