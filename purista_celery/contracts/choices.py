"""Words of which a contract takes one; a misspelt one would otherwise mean something else."""

from __future__ import annotations

from typing import Any, get_args

from purista_celery.errors import ContractError


def one_of(contract: str, field: str, value: str, choices: Any) -> None:
    """Check that ``value`` is one of the ``Literal`` ``choices``.

    Args:
        contract: how the message names the contract.

    Raises:
        ContractError: it is none of them.
    """
    allowed = get_args(choices)
    if value not in allowed:
        expected = ", ".join(repr(word) for word in allowed)
        raise ContractError(f"{contract}: {field} {value!r} is none of {expected}.")
