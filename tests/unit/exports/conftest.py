"""What these tests share: Node.js with the judges, and contracts of every shape."""

from __future__ import annotations

import pytest

from examples.billing.services import services as billing
from purista_celery import Service
from tests.support.node import Node, require_node
from tests.unit.exports.shapes import services as shapes


@pytest.fixture(scope="session")
def node() -> Node:
    return require_node()


@pytest.fixture(params=["billing", "shapes"])
def services(request: pytest.FixtureRequest) -> list[Service]:
    """The example's contracts, and contracts of every shape."""
    return list(billing) if request.param == "billing" else shapes()
