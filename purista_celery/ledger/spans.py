"""Spans of time as the ledger's scripts take them."""

from __future__ import annotations

from datetime import timedelta


def milliseconds(span: timedelta) -> int:
    """Return ``span`` in whole milliseconds."""
    return round(span / timedelta(milliseconds=1))
