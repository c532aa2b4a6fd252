"""Commands: asked, answered, and told when there is no answer."""

from __future__ import annotations

from datetime import timedelta

import pytest

from purista_celery.errors import CommandFailed, CommandTimeout, InvalidPayload
from tests.acceptance.flow.services import Quote, Step, doubled, nobody, quote
from tests.acceptance.spine.conftest import Spine


def test_a_command_is_answered_with_its_output(flow: Spine) -> None:
    """Typed; and a handler that asks another command hands its trace and tenant on."""
    flow.worker("-c", "2")
    assert flow.client.invoke(quote, Step(n=21)) == Quote(total=21)
    trace_id = "0af7651916cd43dd8448eb211c80319c"

    asked = flow.client.invoke(doubled, Step(n=21), tenant_id="acme", trace_id=trace_id)

    assert asked == Quote(total=42)
    assert len(flow.traced("quote", trace_id, "acme")) == 1


def test_a_command_that_fails_is_told_and_not_tried_again(flow: Spine) -> None:
    """Whoever asks decides; nothing is left for somebody else to find."""
    flow.worker("-c", "1")
    with pytest.raises(CommandFailed, match="ValueError: no price") as failed:
        flow.client.invoke(quote, Step(mode="fail"))
    assert failed.value.code == "PURISTA_COMMAND_FAILED"
    assert len(flow.traced("quote")) == 1
    assert flow.client.metrics(quote.queue).dead_letter == 0
    with pytest.raises(InvalidPayload):
        flow.client.invoke(quote, None)


def test_a_command_that_nobody_answers_does_not_run_later(flow: Spine) -> None:
    """Its caller has gone by then."""
    with pytest.raises(CommandTimeout, match=r"was not answered within 0\.5 s"):
        flow.client.invoke(nobody, timeout=timedelta(seconds=0.5))
    with pytest.raises(CommandTimeout):
        flow.client.invoke(quote, Step(n=1), timeout=timedelta(0))
    flow.worker("-c", "1")
    assert flow.client.invoke(quote, Step(n=2)) == Quote(total=2)
    assert len(flow.traced("quote")) == 1
