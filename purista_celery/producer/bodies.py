"""What the body of a message of ours may hold, so that what others send is not opened beyond it."""

from __future__ import annotations

from purista_celery.transport.bounds import Bounds

#: Lists and objects within each other: more than JSON that we write, and less than what ends a
#: parser.
MOST_NESTED = 250


def body_bounds(max_payload: int) -> Bounds:
    """Return the bounds of any message.

    Args:
        max_payload: bytes of JSON of a payload, and as many again of a parameter.
    """
    return Bounds(
        # Escaped, a character outside ASCII is three times as long, and as text in JSON its escapes
        # are twice as long again; and a job has headers.
        size=12 * max_payload + 8 * 2**20,
        depth=MOST_NESTED,
        # Of three bytes, two count at the most: those of an empty list and its comma.
        parts=3 * max_payload // 2 + 50_000,
    )
