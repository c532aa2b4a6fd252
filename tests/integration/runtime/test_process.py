"""A pool process does not outlive its worker's main process."""

from __future__ import annotations

import os
import subprocess
import sys


def test_a_pool_process_whose_main_process_is_gone_already_does_not_begin() -> None:
    """The kernel tells only of deaths that come after it was asked to."""
    code = (
        "from purista_celery.runtime import process;"
        "process._Main.pid = {main}; process.die_with_parent(); print('begun')"
    )

    def begin(main: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code.format(main=main)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert begin(os.getpid()).stdout == "begun\n"
    orphan = begin(os.getppid())
    assert (orphan.returncode, orphan.stdout) == (1, "")
