"""From quantities to an invoice, in decimal arithmetic.

* Prices are tiered and graduated: each unit costs what its own tier says (``prices.csv``: a tier
  applies from its quantity up to the next one). 12,000 API calls are 10,000 at the first price and
  2,000 at the second.
* A month's quantities are added up before they are priced, so it does not matter in how many
  records they came.
* Each line is rounded to cents, half to even: over many lines, halves cancel out.
* From a subtotal of 1,000.00 EUR on there is a discount of 5 % of it, rounded in the same way.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path

PRICES = Path(__file__).with_name("prices.csv")
DISCOUNT_FROM = Decimal("1000.00")
DISCOUNT_RATE = Decimal("0.05")
CENT = Decimal("0.01")
_ENDLESS = Decimal("Infinity")


@dataclass(frozen=True, slots=True)
class Tier:
    """A span of quantities with one price per unit."""

    start: Decimal
    end: Decimal
    unit_price: Decimal

    def amount(self, quantity: Decimal) -> Decimal:
        """Return what the part of ``quantity`` within this tier costs."""
        within = min(quantity, self.end) - self.start
        return max(within, Decimal(0)) * self.unit_price


@dataclass(frozen=True, slots=True)
class Line:
    """One product on an invoice."""

    product: str
    quantity: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Invoice:
    """What a tenant owes for a month, in euros with two decimals."""

    lines: tuple[Line, ...]
    subtotal: Decimal
    discount: Decimal
    total: Decimal


def invoice(quantities: Mapping[str, Decimal]) -> Invoice:
    """Return the invoice for a month's quantities by product.

    Raises:
        KeyError: a product has no price.
    """
    lines = tuple(
        Line(product, quantity, rounded(amount(product, quantity)))
        for product, quantity in sorted(quantities.items())
    )
    subtotal = sum((line.amount for line in lines), Decimal("0.00"))
    discount = rounded(subtotal * DISCOUNT_RATE) if subtotal >= DISCOUNT_FROM else Decimal("0.00")
    return Invoice(lines, subtotal, discount, subtotal - discount)


def amount(product: str, quantity: Decimal) -> Decimal:
    """Return what ``quantity`` of ``product`` costs, not rounded."""
    return sum((tier.amount(quantity) for tier in price_list()[product]), Decimal(0))


def rounded(euros: Decimal) -> Decimal:
    """Return ``euros`` in whole cents, half to even."""
    return euros.quantize(CENT, ROUND_HALF_EVEN)


@cache
def price_list() -> Mapping[str, tuple[Tier, ...]]:
    """Return the tiers of each product, lowest first."""
    starts: dict[str, list[tuple[Decimal, Decimal]]] = {}
    with PRICES.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            tier = Decimal(row["from_quantity"]), Decimal(row["unit_price"])
            starts.setdefault(row["product"], []).append(tier)
    return {
        product: tuple(
            Tier(start, end, price)
            for (start, price), (end, _) in pairwise([*tiers, (_ENDLESS, Decimal(0))])
        )
        for product, tiers in starts.items()
    }
