"""Types that the contracts of these tests carry."""

from __future__ import annotations

from pydantic import BaseModel


class Order(BaseModel):
    number: int


class RushOrder(Order):
    courier: str = "any"


class Region(BaseModel):
    code: str


class Invoice(BaseModel):
    total: int


class Draft(Invoice):
    reviewer: str = ""
