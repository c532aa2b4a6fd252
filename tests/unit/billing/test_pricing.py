"""The pricing rules of the billing example, at their edges."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.billing import audit, pricing

PRODUCTS = st.sampled_from(sorted(pricing.price_list()))
QUANTITIES = st.decimals(min_value=0, max_value=10_000_000, places=3)


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [
        ("0", "0"),
        ("1", "0.0020"),
        ("10000", "20.0000"),  # the first tier, filled
        ("10001", "20.0012"),  # one more costs the second price; the others keep theirs
        ("100000", "128.0000"),  # the second tier, filled
        ("100001", "128.0007"),
    ],
)
def test_each_unit_costs_what_its_own_tier_says(quantity: str, amount: str) -> None:
    """Tiers are graduated: crossing a boundary changes the price of what is beyond it only."""
    assert pricing.amount("api_calls", Decimal(quantity)) == Decimal(amount)


@given(PRODUCTS, QUANTITIES, QUANTITIES)
def test_using_more_never_costs_less(product: str, one: Decimal, other: Decimal) -> None:
    """No tier boundary makes a larger quantity cheaper."""
    less, more = sorted((one, other))
    assert pricing.amount(product, less) <= pricing.amount(product, more)


@given(PRODUCTS, st.data())
def test_a_step_over_a_boundary_costs_the_next_price(product: str, data: st.DataObject) -> None:
    """The thousandth before a boundary has the lower tier's price, the one after it the next's."""
    tiers = pricing.price_list()[product]
    index = data.draw(st.integers(0, len(tiers) - 2))
    boundary, step = tiers[index].end, Decimal("0.001")
    before = pricing.amount(product, boundary) - pricing.amount(product, boundary - step)
    after = pricing.amount(product, boundary + step) - pricing.amount(product, boundary)
    assert (before, after) == (tiers[index].unit_price * step, tiers[index + 1].unit_price * step)


@pytest.mark.parametrize(
    ("euros", "rounded"),
    [
        ("0.004", "0.00"),
        ("0.005", "0.00"),  # half: to the even cent below
        ("0.015", "0.02"),  # half: to the even cent above
        ("0.0150001", "0.02"),
        ("0.025", "0.02"),
        ("2.675", "2.68"),  # as a float it would be 2.67
    ],
)
def test_halves_go_to_the_even_cent(euros: str, rounded: str) -> None:
    """Cents are rounded half to even."""
    assert pricing.rounded(Decimal(euros)) == Decimal(rounded)


@given(st.decimals(min_value=0, max_value=10_000_000, places=9))
def test_rounding_is_that_of_exact_fractions(euros: Decimal) -> None:
    """Decimal's rounding, Python's ``round`` of a fraction and the audit's integers agree."""
    cents = round(Fraction(euros) * 100)
    assert pricing.rounded(euros) == Decimal(cents).scaleb(-2)
    assert audit._half_even(int(euros.scaleb(9)), 10_000_000) == cents


@pytest.mark.parametrize(
    ("calls", "discount"),
    [
        (1_345_700, "0.00"),  # a subtotal of 999.99
        (1_345_714, "50.00"),  # of 1,000.00
    ],
)
def test_the_discount_begins_at_a_thousand_euros(calls: int, discount: str) -> None:
    """5 % of a subtotal of 1,000.00 EUR or more."""
    invoice = pricing.invoice({"api_calls": Decimal(calls)})
    assert invoice.discount == Decimal(discount)
    assert invoice.total == invoice.subtotal - invoice.discount


@given(st.dictionaries(PRODUCTS, QUANTITIES))
def test_an_invoice_adds_up(quantities: dict[str, Decimal]) -> None:
    """Lines, subtotal, discount and total are whole cents and fit each other."""
    invoice = pricing.invoice(quantities)
    assert invoice.subtotal == sum(line.amount for line in invoice.lines)
    assert invoice.total == invoice.subtotal - invoice.discount
    assert all(
        amount.as_tuple().exponent == -2
        for amount in (invoice.subtotal, invoice.discount, invoice.total)
    )


def test_a_product_without_a_price_is_an_error() -> None:
    """Nothing is billed at zero because nobody set a price."""
    with pytest.raises(KeyError):
        pricing.invoice({"unheard_of": Decimal(1)})
