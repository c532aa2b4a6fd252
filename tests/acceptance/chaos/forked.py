"""``python -m tests.acceptance.chaos.forked 2 -l INFO -c 1``: two workers, forked from one app."""

from __future__ import annotations

import sys

from tests.acceptance.chaos.app import app
from tests.acceptance.chaos.forks import Forks

if __name__ == "__main__":
    sys.exit(Forks(app, int(sys.argv[1]), sys.argv[2:]).watch())
