"""Keys, claims and deliveries as values."""

from __future__ import annotations

import json

import pytest

from purista_celery.transport.claim import Claim, QueueTerms
from purista_celery.transport.delivery import read
from purista_celery.transport.keys import Keys
from purista_celery.transport.scripts import CLAIM, EXTEND, PUBLISH, RESTORE

KEYS = Keys(
    prefix="p:", sep="|", steps=(0, 3), unacked_key="unacked", unacked_index_key="unacked_index"
)


def message(**fields: object) -> dict[str, object]:
    found = {
        "body": "WzFd",
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": "publisher's",
            "delivery_info": {"exchange": "", "routing_key": "q"},
        },
    }
    return {**fields, **found}


def test_keys_are_named_as_kombu_names_them():
    """Lists carry the prefix and, but for the first step, the priority step."""
    assert KEYS.lists("q") == ["p:q", "p:q|3"]
    assert KEYS.queue("q", 5) == "p:q|3"
    assert KEYS.wakes(["q"]) == ["p:q|wake"]
    assert (KEYS.unacked, KEYS.index) == ("p:unacked", "p:unacked_index")


def test_claim_names_its_keys_and_arguments():
    """What the script's head documents is what it gets."""
    terms = (QueueTerms("q", 5.0), QueueTerms("ä", None, expires=9))
    claim = Claim(token="t", limit=2, queues=terms, in_turn=True, acks=["x"])
    assert claim.keys(KEYS) == [
        *("p:unacked", "p:unacked_index"),
        *("p:q", "p:q|3", "p:q|wake"),
        *("p:ä", "p:ä|3", "p:ä|wake"),
    ]
    assert claim.arguments(KEYS) == [
        *(2, "t", 2, 2, 1, 1, "x"),
        *('"q"', 5.0, ""),
        *('"\\u00e4"', "", 9),
    ]
    assert claim.possible_tags() == ["t.1", "t.2"]


@pytest.mark.parametrize("decoded", [False, True])
def test_reply_becomes_deliveries(decoded):
    """Each delivery knows its queue and its fresh tag, also when the client decodes replies."""
    claim = Claim(token="t", limit=2, queues=[QueueTerms("q", 0.0)], in_turn=True)
    raw = json.dumps(message())
    reply = [1, "t.1", raw] if decoded else [1, b"t.1", raw.encode()]
    (delivery,) = claim.deliveries(reply)
    assert (delivery.queue, delivery.tag) == ("q", "t.1")
    assert delivery.payload["properties"]["delivery_tag"] == "t.1"


def test_first_delivery_is_not_marked():
    """Nothing tells of a redelivery that was none."""
    payload = read("q", "t", json.dumps(message()).encode()).payload
    assert payload["headers"] == {}
    assert "redelivered" not in payload["properties"]["delivery_info"]


def test_redelivery_is_marked():
    """The count that a restore left becomes headers and delivery_info."""
    payload = read("q", "t", json.dumps(message(deliveries=2)).encode()).payload
    assert payload["headers"] == {"redelivered": True, "x-delivery-count": 2}
    assert payload["properties"]["delivery_info"]["redelivered"] is True
    assert "deliveries" not in payload


@pytest.mark.parametrize("script", [CLAIM, EXTEND, PUBLISH, RESTORE])
def test_scripts_are_shipped_and_name_their_parameters(script):
    """Every script is package data, and its head names KEYS and ARGV."""
    head = script.source.partition("\n\n")[0] + script.source
    assert "KEYS[1]" in head
    assert "ARGV[1]" in head
    assert script.command(["k"], ["a"]) == ("EVALSHA", script.sha, 1, "k", "a")
    assert script.command(["k"], ["a"], in_full=True) == ("EVAL", script.source, 1, "k", "a")
