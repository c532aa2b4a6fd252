"""A home for an embedded Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.embedded.users import Home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A fresh directory; everything started in it is gone after the test."""
    home = Home(tmp_path / ".purista")
    yield home
    home.dispose()
