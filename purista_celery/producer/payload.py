"""What leaves a process as a payload: validated, and the same when it is read again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, from_json

from purista_celery.contracts.masking import is_sensitive
from purista_celery.contracts.types import name_of
from purista_celery.errors import InvalidPayload, PayloadTooLarge
from purista_celery.messages.wire import explain, quotable


def dumped(adapter: TypeAdapter[Any], value: Any, what: str, most: int) -> Any:
    """Return ``value`` as JSON-able data, validated on its way out.

    Args:
        what: how the message names it.
        most: the largest that is accepted, in bytes of JSON.

    Raises:
        InvalidPayload: it does not fit the contract.
        PayloadTooLarge: it is larger than ``most``.
    """
    try:
        valid = adapter.validate_python(value)
        text = adapter.dump_json(valid, by_alias=True, warnings="error")
        # What can not be read again would be a dead letter at the other end.
        read = adapter.validate_json(text)
        lost = b"null" in text and _not_finite(adapter, valid) > _not_finite(adapter, read)
        data = from_json(text)
    except ValidationError as error:
        sensitive = is_sensitive(adapter)
        raise InvalidPayload(
            f"{what} does not fit its contract: {explain(error, sensitive=sensitive)} "
            f"(got {name_of(type(value))})."
        ) from (None if sensitive else quotable(error))
    except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
        raise InvalidPayload(
            f"{what} can not be written as JSON: {type(error).__name__} "
            f"(got {name_of(type(value))})."
        ) from (None if is_sensitive(adapter) else error)
    if lost:
        raise InvalidPayload(
            f"{what} holds a number that JSON can not say: expected finite ones, got NaN or an "
            f"infinity. Leave it out, or send it as a text."
        )
    if len(text) > most:
        raise PayloadTooLarge(
            f"{what} has {len(text)} bytes, and {most} are allowed. Store it elsewhere and hand "
            f"over its address, or raise PURISTA_MAX_PAYLOAD."
        )
    return data


def _not_finite(adapter: TypeAdapter[Any], value: Any) -> int:
    """Count the numbers that are NaN or infinite; pydantic writes ``null`` in their place."""
    return _count(adapter.dump_python(value, warnings=False))


def _count(data: Any) -> int:
    if isinstance(data, float):
        return not math.isfinite(data)
    if isinstance(data, str | bytes) or not isinstance(data, Iterable):
        return 0
    values = data.values() if isinstance(data, Mapping) else ()
    return sum(map(_count, data)) + sum(map(_count, values))
