"""What travels and what is kept: the types that the contracts name."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

from examples.billing.usage import Record


class Value(BaseModel):
    """A value that is checked when it is made, and does not change."""

    model_config = ConfigDict(frozen=True)


class CloseCycle(Value):
    """What to close."""

    #: ``YYYY-MM``, a calendar month in Berlin.
    month: str = Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")


class TenantScope(Value):
    """For whom."""

    tenant: str = Field(min_length=1)


class ClosedCycle(Value):
    """A tenant's month, invoiced. Amounts are euros with two decimals."""

    tenant: str
    month: str
    invoice: int
    subtotal: Decimal
    discount: Decimal
    total: Decimal


class Progress(Value):
    """How far a closing has come: what a checkpoint holds."""

    #: The last day that is counted, ``YYYY-MM-DD``.
    through: str = ""
    quantities: dict[str, Decimal] = Field(default_factory=dict)

    def plus(self, day: str, records: Sequence[Record]) -> Progress:
        """Return the progress with one more day counted."""
        quantities = dict(self.quantities)
        for record in records:
            so_far = quantities.get(record.product, Decimal(0))
            quantities[record.product] = so_far + record.quantity
        return Progress(through=day, quantities=quantities)
