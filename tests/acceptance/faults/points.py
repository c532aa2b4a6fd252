"""Points between two steps of a job, at which a test ends the whole worker, as a lost machine does.

The product knows nothing of them: ``app.py`` wraps its parts from outside. A test arms a point with
a file; the first process that gets there takes the file, so that each point ends one worker once.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery import signals

from purista_celery.runtime.request import JobRequest

MAIN = os.getpid()


def arm(stage: Path, point: str) -> Path:
    """Let the next process that reaches ``point`` end; return the file that says it did."""
    (stage / f"armed-{point}").touch()
    return stage / f"reached-{point}"


def reached(point: str) -> None:
    """End this worker, main process first, if ``point`` is armed."""
    stage = Path(os.environ["STAGE"])
    try:
        (stage / f"armed-{point}").rename(stage / f"reached-{point}")
    except FileNotFoundError:
        return
    os.kill(MAIN, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def around(owner: Any, method: str, *, before: str = "", after: str = "") -> None:
    """Put points before and after ``owner.method``; one that returns nothing did nothing."""
    original: Callable[..., Any] = getattr(owner, method)

    def call(*args: Any, **kwargs: Any) -> Any:
        reached(before)
        answer = original(*args, **kwargs)
        if answer is None or answer:
            reached(after)
        return answer

    setattr(owner, method, call)


class PointedRequest(JobRequest):
    """The main process' view of a job, with points around its acknowledgement."""

    def acknowledge(self) -> None:
        reached("acknowledging")
        super().acknowledge()
        reached("acknowledged")


def install(app: Any) -> None:
    """Put points between all steps of a job and of an event."""
    runtime = app.purista_runtime
    signals.task_prerun.connect(lambda **_: reached("received"), weak=False)
    around(runtime.ledger, "enqueue", after="remembered")
    around(runtime.ledger, "claim", after="claimed")
    around(runtime.ledger, "complete", before="handled", after="settled")
    around(runtime.ledger, "clear_outbox", before="published", after="cleared")
    around(runtime.ledger, "take_due", after="due")
    around(runtime.producer, "enqueue", after="stored")
    around(runtime.producer, "offer", after="offered")
    for queue in runtime.served:
        app.tasks[queue.name].Request = "tests.acceptance.faults.points:PointedRequest"
