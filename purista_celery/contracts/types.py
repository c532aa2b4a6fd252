"""Validators of the types that contracts name, built once per type."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError

from purista_celery.errors import ContractError


@cache
def adapter_of(kind: Any) -> TypeAdapter[Any]:
    """Return pydantic's validator of ``kind``; None stands for "no value"."""
    return TypeAdapter(kind)


def check(contract: str, field: str, kind: Any) -> None:
    """Check that pydantic can validate ``kind``; a forward reference is looked up later.

    Raises:
        ContractError: it can not.
    """
    try:
        adapter_of(kind)
    except (PydanticUserError, TypeError) as error:
        raise ContractError(
            f"{contract}: {field} {name_of(kind)!r} is no type that pydantic can validate. Name a "
            f"model, a dataclass or a type of the standard library."
        ) from error


def name_of(kind: Any) -> str:
    """Return how an error message names ``kind``."""
    return getattr(kind, "__name__", None) or str(kind)
