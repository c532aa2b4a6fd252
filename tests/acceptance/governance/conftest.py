"""The vault, compiled for the test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.governance.services import vault
from tests.acceptance.spine.conftest import Spine, compiled, forget
from tests.support.processes import Stage


@pytest.fixture
def told(stage: Stage) -> Iterator[Spine]:
    made = compiled(stage, [vault], "tests.acceptance.governance.app")
    yield made
    stage.close()
    forget(made)


@pytest.fixture
def redis_told(redis_stage: Stage) -> Iterator[Spine]:
    made = compiled(redis_stage, [vault], "tests.acceptance.governance.app")
    yield made
    redis_stage.close()
    forget(made)
