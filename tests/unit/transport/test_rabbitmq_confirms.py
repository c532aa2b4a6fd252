"""Which of RabbitMQ's confirms a publisher takes for its own."""

from __future__ import annotations

import pytest
from amqp import spec
from amqp.exceptions import MessageNacked

from purista_celery.transport.rabbitmq import _Confirm

ACK, NACK = spec.Basic.Ack, spec.Basic.Nack


@pytest.mark.parametrize(
    ("tag", "several", "confirmed"),
    [
        (3, False, True),
        (2, False, False),  # of a message before, whose publisher did not wait for it
        (2, True, False),
        (4, True, True),  # all up to there
        (4, False, False),
    ],
)
def test_a_confirm_is_of_one_message(tag: int, several: bool, confirmed: bool) -> None:  # noqa: FBT001
    """One that comes late for a message before says nothing about this one."""
    heard = _Confirm(3)
    heard(ACK, tag, several)
    assert heard.confirmed is confirmed


def test_a_refused_message_is_told() -> None:
    """And one before it is not ours."""
    heard = _Confirm(3)
    heard(NACK, 2, False)
    assert not heard.confirmed
    with pytest.raises(MessageNacked):
        heard(NACK, 3, False)
