"""What a schema comparison says is proved by messages: an outside validator is the judge."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from purista_celery.exports.diff.accepts import Comparison
from tests.unit.exports.diff.strategies import Sender, closed, documents, pairs


def accepted(sender: Any, reader: Any) -> bool:
    """Tell whether the reader takes all; that it could take more is no reason not to."""
    return {each.kind for each in Comparison(sender, reader).mismatches()} <= {"absent"}


@given(documents)
@settings(max_examples=100, deadline=None)
def test_a_schema_takes_what_it_says_itself(schema: Any) -> None:
    """However it is written, and however often it refers to itself."""
    assert Comparison(schema, schema).mismatches() == []
    assert Comparison(schema, json.loads(json.dumps(schema))).mismatches() == []


@given(pairs(), st.integers(0, 2**32))
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_called_accepted_is_valid_for_the_reader(pair: tuple[Any, Any], seed: int) -> None:
    """Each message that a sender of the one schema may send, in both directions."""
    proved = 0
    for schema, reader in (pair, pair[::-1]):
        if accepted(schema, reader):
            sends = Draft202012Validator(
                {"allOf": [closed(schema), schema], "$defs": schema["$defs"]}
            )
            takes = Draft202012Validator(reader)
            sender = Sender(schema, seed)
            for message in (sender.message() for _ in range(20)):
                if sends.is_valid(message):
                    proved += 1
                    assert takes.is_valid(message), message
    event("proved by messages" if proved else "no message proves it")
