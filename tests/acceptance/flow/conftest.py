"""The flow's services, compiled for the test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.flow.services import service
from tests.acceptance.spine.conftest import Spine, compiled, forget
from tests.support.processes import Stage


@pytest.fixture
def flow(stage: Stage) -> Iterator[Spine]:
    made = compiled(stage, [service], "tests.acceptance.flow.app")
    yield made
    stage.close()
    forget(made)
