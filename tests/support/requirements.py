"""What a test needs and a machine may lack: skipped loudly there, or a failure where it is due."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def lacking(name: str, reason: str) -> NoReturn:
    """Skip the test, or fail it where ``PURISTA_REQUIRE`` (comma-separated) has ``name``."""
    required = os.environ.get("PURISTA_REQUIRE", "").split(",")
    if name in [word.strip() for word in required]:
        pytest.fail(reason)
    pytest.skip(reason)
