"""Marking a field as personal or secret; exports say so, and what people look at hides it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from purista_celery.contracts import choices

SensitiveKind = Literal["personal", "secret"]

#: The JSON Schema keyword that a marked field has in all exports; its value is the kind.
KEYWORD = "x-purista-sensitive"


def _flagged(kind: SensitiveKind, core_schema: Any, handler: Callable[[Any], Any]) -> Any:
    return {**handler(core_schema), KEYWORD: kind}


class _SchemaHook:
    """Pydantic's hook, which it looks up on whatever annotates a type: an object, or the class."""

    def __get__(self, mark: Sensitive | None, owner: type[Sensitive]) -> Callable[..., Any]:
        return partial(_flagged, (mark or owner()).kind)


@dataclass(frozen=True)
class Sensitive:
    """Marks a field: ``password: Annotated[str, Sensitive("secret")]``.

    Its value travels and is stored as it is. It is masked where people look: in logs, in Flower, in
    listings of jobs and dead letters, in traces and in the texts of errors. ``Annotated[str,
    Sensitive]`` means ``Sensitive("personal")``.

    Raises:
        ContractError: the kind is neither ``personal`` nor ``secret``.
    """

    kind: SensitiveKind = "personal"

    def __post_init__(self) -> None:
        choices.one_of("Sensitive", "kind", self.kind, SensitiveKind)

    __get_pydantic_json_schema__ = _SchemaHook()
