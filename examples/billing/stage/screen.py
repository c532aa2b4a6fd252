"""What the demo shows: bars, then tables; plain lines where there is no terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from rich.box import HEAVY_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from examples.billing.stage.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Bar:
    """How far one queue is."""

    done: int
    total: int
    note: str = ""


class Bars(Protocol):
    """Shows the newest state of all queues."""

    def __call__(self, bars: Mapping[str, Bar], /) -> None: ...


class Screen:
    """Standard output, for people."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        if not self._console.is_terminal:
            # The width of a file is whatever we need.
            self._console = Console(highlight=False, width=160)
        #: Ruled tables for people, columns of plain text for files.
        self._box = HEAVY_HEAD if self._console.is_terminal else None

    def say(self, text: str) -> None:
        """Write a line."""
        self._console.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def bars(self) -> Iterator[Bars]:
        """Show a bar for each queue while the block runs."""
        if self._console.is_terminal:
            with _progress(self._console) as progress:
                yield _LiveBars(progress)
        else:
            yield _Lines(self)

    def outcome(self, outcome: Outcome) -> None:
        """Show what became of each tenant, and the dead letters."""
        tenants = Table("tenant", "job", "end", title=outcome.month, box=self._box)
        for name in ("attempts", "invoice", "EUR"):
            tenants.add_column(name, justify="right")
        invoices = {cycle.tenant: cycle for cycle in outcome.invoices}
        for job in outcome.jobs:
            cycle = invoices.get(job.tenant)
            tenants.add_row(
                job.tenant,
                job.job_id,
                job.status,
                str(job.attempts),
                str(cycle.invoice) if cycle else "",
                f"{cycle.total:,}" if cycle else "",
            )
        self._console.print(tenants)
        letters = Table("tenant", "reason", title="Dead letters", box=self._box)
        for job in outcome.dead:
            letters.add_row(job.tenant, job.reason)
        self._console.print(letters)

    def faults(self, faults: Iterable[str]) -> None:
        """Say what is wrong."""
        for fault in faults:
            self.say(f"WRONG: {fault}")


class _LiveBars:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, bars: Mapping[str, Bar], /) -> None:
        for name, bar in bars.items():
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, total=None, note="")
            self._progress.update(
                self._tasks[name], completed=bar.done, total=bar.total or None, note=bar.note
            )


class _Lines:
    """A line for a queue whenever it has moved by a fourth."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._shown: dict[str, int] = {}

    def __call__(self, bars: Mapping[str, Bar], /) -> None:
        for name, bar in bars.items():
            quarter = 4 * bar.done // bar.total if bar.total else 0
            if quarter > self._shown.get(name, 0):
                self._shown[name] = quarter
                self._screen.say(f"{name}: {bar.done}/{bar.total} {bar.note}".rstrip())


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    )
