"""Text from outside, made fit for one line of a log or a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Return ``text`` with what can not be printed as escapes, such as ``\n`` and ``\x1b``.

    A line break would begin a line that looks like somebody else's, and a terminal obeys what
    follows an escape character. Ordinary text, in any script, stays as it is.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def printable_lines(text: str) -> str:
    """As :func:`printable`, for text of several lines: each but the first begins with a bar."""
    return "\n  | ".join(printable(line) for line in text.split("\n"))
