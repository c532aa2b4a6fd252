"""A promise that was broken."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken."""

    kind: str
    #: What it happened to: a job's, an event's, a queue's or a process' name.
    of: str
    text: str
