"""Does a function fit the contract that it is to serve? Told when it is declared, not at 3 a.m."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Awaitable, Callable, Coroutine
from types import NoneType, UnionType
from typing import Any

from purista_celery.contracts.types import name_of
from purista_celery.errors import InvalidHandler

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def check(
    contract: str, function: Callable[..., Any], accepts: tuple[Any, ...], returns: Any, least: int
) -> int:
    """Check ``function`` against ``contract`` and return how many arguments it takes.

    Args:
        contract: how messages name the contract.
        accepts: the types of the positional arguments it may take.
        returns: the type that it must return, or ``Any``.
        least: how many of ``accepts`` it must take.

    Raises:
        InvalidHandler: wrong number of arguments, or an annotation that says another type.
    """
    if not callable(function):
        raise InvalidHandler(f"{contract}: expected a function, got {function!r}.")
    where = f"{contract}: handler {name_of(function)!r}"
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise InvalidHandler(f"{where} is a generator, whose body would not run; return instead.")
    parameters = _parameters(where, function)
    taken = [p for p in parameters if p.kind in _POSITIONAL]
    required = [p for p in taken if p.default is p.empty]
    others = [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if others or not least <= len(taken) or len(required) > len(accepts):
        expected = ", ".join(name_of(kind) for kind in accepts)
        raise InvalidHandler(f"{where} must take ({expected}), {least} of them at least.")
    hints = _hints(function)
    for parameter, expected_type in zip(taken, accepts, strict=False):
        found = hints.get(parameter.name, Any)
        if not _fits(expected_type, found):
            raise InvalidHandler(
                f"{where}: argument {parameter.name!r} is {_show(found)}, but the contract gives "
                f"{_show(expected_type)}. Change the annotation or the contract."
            )
    result = _unawaited(hints.get("return", Any))
    if not _fits(result, returns):
        raise InvalidHandler(
            f"{where} returns {_show(result)}, but the contract says {_show(returns)}."
        )
    return min(len(taken), len(accepts))


def _parameters(where: str, function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except ValueError as error:
        raise InvalidHandler(
            f"{where} has no signature to check; wrap it in a function."
        ) from error


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError):
        # Names imported for type checkers only: then mypy and pyright are the judges.
        return {}


def _unawaited(kind: Any) -> Any:
    if typing.get_origin(kind) in (Awaitable, Coroutine):
        return typing.get_args(kind)[-1]
    return kind


def _fits(given: Any, expected: Any) -> bool:
    """Tell whether a value of type ``given`` may stand where ``expected`` is wanted."""
    given, expected = _bare(given), _bare(expected)
    if Any in (given, expected) or object in (given, expected) or given == expected:
        return True
    if isinstance(given, typing.TypeVar) or isinstance(expected, typing.TypeVar):
        return True
    if _is_union(given):
        return all(_fits(member, expected) for member in typing.get_args(given))
    if _is_union(expected):
        return any(_fits(given, member) for member in typing.get_args(expected))
    (given_origin, given_args), (origin, args) = _parts(given), _parts(expected)
    if given_origin is not None and given_origin is origin:
        return all(_fits(a, b) for a, b in zip(given_args, args, strict=False))
    # A bare ``Job`` stands for any job.
    return _is_subclass(given_origin or given, origin or expected)


def _bare(kind: Any) -> Any:
    if typing.get_origin(kind) is typing.Annotated:
        return typing.get_args(kind)[0]
    return NoneType if kind is None else kind


def _is_union(kind: Any) -> bool:
    return typing.get_origin(kind) in (typing.Union, UnionType)


def _parts(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return a generic's origin and arguments; pydantic's generics are classes of their own."""
    generic = getattr(kind, "__pydantic_generic_metadata__", None)
    if generic and generic["origin"] is not None:
        return generic["origin"], generic["args"]
    return typing.get_origin(kind), typing.get_args(kind)


def _is_subclass(given: Any, expected: Any) -> bool:
    if not isinstance(given, type) or not isinstance(expected, type):
        # Literals, new types and the like: mypy and pyright are the judges.
        return True
    if given is int and expected is float:
        return True
    try:
        return issubclass(given, expected)
    except TypeError:
        # A TypedDict or a protocol, which can not be asked.
        return True


def _show(kind: Any) -> str:
    return "None" if kind in (None, NoneType) else str(kind).replace("typing.", "")
