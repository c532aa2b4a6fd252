"""How a message looks on the wire: camelCase JSON, validated on leaving and on arrival."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any, Self, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core.core_schema import ErrorType

from purista_celery.errors import InvalidMessage

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def _printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError("expected printable characters only")
    return name


#: Who, for whom, what belongs together: names that end up in log lines, keys and terminals.
Identifier = Annotated[str, StringConstraints(max_length=1024), AfterValidator(_printable)]
#: As :data:`Identifier`, where something is appended to it later on.
MessageId = Annotated[
    str, StringConstraints(min_length=1, max_length=512), AfterValidator(_printable)
]
#: Errors of one value that are listed at all, and those that are said.
_MOST_LISTED = 1000
_MOST_SAID = 20
#: Characters of the place of an error: names in it may be a sender's.
_LONGEST_PLACE = 200
#: The last millisecond of the year 9999, beyond which there is no ``datetime``.
LAST_INSTANT = 253_402_300_799_999


class WireModel(BaseModel):
    """A frozen message; unknown fields are dropped, so that newer senders can be read."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="ignore",
        ser_json_bytes="base64",
        val_json_bytes="base64",
    )

    def to_json(self) -> str:
        """Return the wire form; the message's own fields without a value are left out."""
        return self.model_dump_json(by_alias=True, exclude=self._absent())

    def to_wire(self) -> dict[str, Any]:
        """Return the wire form as JSON-able data."""
        return self.model_dump(mode="json", by_alias=True, exclude=self._absent())

    @classmethod
    def create(cls, **fields: Any) -> Self:
        """Return a new message.

        Raises:
            InvalidMessage: a field does not fit.
        """
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise InvalidMessage(
                f"{cls.__name__}: {explain(error)}. Correct what was given."
            ) from quotable(error)

    @classmethod
    def from_wire(cls, data: Any) -> Self:
        """Read the wire form, JSON text or decoded.

        Raises:
            InvalidMessage: it is not such a message.
        """
        try:
            if isinstance(data, str | bytes):
                return cls.model_validate_json(data)
            return cls.model_validate(data)
        except ValidationError as error:
            raise InvalidMessage(f"Not a {cls.__name__}: {explain(error)}") from quotable(error)

    def _absent(self) -> set[str]:
        # Not ``exclude_none``, which would drop the nulls within a typed payload too.
        return {name for name in type(self).model_fields if getattr(self, name) is None}


def digest(text: str) -> str:
    """Return a short name of a long text, the same in every process: 16 hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def check_json(*values: Any) -> None:
    """Check that decoded values are what JSON (RFC 8259) can say.

    Raises:
        InvalidMessage: a number is not finite, it is nested too deeply, or Kombu's JSON has made a
            date or a decimal of it.
    """
    try:
        json.dumps(values, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidMessage(f"Not JSON: {error}. Send finite numbers and plain values.") from error


def explain(error: ValidationError, *, sensitive: bool = False) -> str:
    """Say which fields are wrong and why, without their values: these may be secret.

    Args:
        sensitive: the type has sensitive fields, so that what its own validators say, which may
            repeat a value, is left out.
    """
    count = error.error_count()
    if count > _MOST_LISTED:
        # Each is made an object of when they are listed: a megabyte of wrong values is a gigabyte.
        return f"{count} values do not fit"
    found = error.errors(include_input=False, include_url=False)
    said = [f"{_place(item)}: {_problem(item, sensitive)}" for item in found[:_MOST_SAID]]
    return "; ".join([*said, *([f"and {count - _MOST_SAID} more"] if count > _MOST_SAID else [])])


def quotable(error: ValidationError) -> ValidationError | None:
    """Return ``error`` as a cause to be shown, or None where its text would be endless."""
    return error if error.error_count() <= _MOST_SAID else None


def _place(item: ErrorDetails) -> str:
    place = ".".join(str(part) for part in item["loc"]) or "(all)"
    return place if len(place) <= _LONGEST_PLACE else f"{place[:_LONGEST_PLACE]}…"


#: What pydantic itself says; the words of the others are a validator's.
_PYDANTICS_WORDS = frozenset(get_args(ErrorType)) - {"value_error", "assertion_error"}


def _problem(item: ErrorDetails, sensitive: bool) -> str:  # noqa: FBT001 - see explain
    if sensitive and item["type"] not in _PYDANTICS_WORDS:
        return f"it is refused ({item['type']})"
    if item["type"] == "union_tag_invalid":
        # The one built-in message that repeats the input.
        return f"Input tag should be one of {item.get('ctx', {}).get('expected_tags')}"
    return item["msg"]
