"""Where two Redis URLs lead."""

from __future__ import annotations

import pytest
import redis

from purista_celery.redis_client import same_server


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("redis://h", "redis://h:6379/0", True),
        ("redis://u:p@h:7/3", "redis://u:p@h:7/3", True),
        ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock?db=1", True),
        ("redis://h:7", "redis://h:8", False),
        ("redis://h", "redis://i", False),
        ("redis://h/0", "redis://h/1", False),
        ("redis://u:p@h", "redis://v:p@h", False),
        ("redis://u:p@h", "redis://u:q@h", False),
        ("unix:///run/redis.sock", "unix:///run/other.sock", False),
        ("unix:///run/redis.sock", "redis://h", False),
    ],
)
def test_two_urls_lead_to_one_place_or_not(one: str, other: str, *, same: bool) -> None:
    """One server by the same name, one database of it, one user: a script sees both's keys."""
    pools = [redis.ConnectionPool.from_url(url) for url in (one, other)]
    assert same_server(*pools) is same
