"""Which names a contract may carry: safe as routing key, queue name and Redis key alike."""

from __future__ import annotations

import re
from collections.abc import Callable

from purista_celery.errors import InvalidName

#: Longest name accepted. AMQP 0-9-1 allows 255 bytes for queue names and routing keys, and the
#: topology adds a prefix.
MAX_LENGTH = 180

#: Queue names that begin so are the compiler's own: the job queues of subscriptions and bindings,
#: and those of commands.
RESERVED_PREFIXES = ("sub.", "cmd.")

_WORD = r"[A-Za-z0-9_\-:]+"
_NAME = re.compile(rf"{_WORD}(\.{_WORD})*")
_PATTERN = re.compile(rf"({_WORD}|\*|#)(\.({_WORD}|\*|#))*")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*")


def dotted(kind: str, name: str) -> str:
    """Return ``name`` if it is words of ``A-Z a-z 0-9 _ - :`` joined by dots.

    Raises:
        InvalidName: it is empty, too long, or holds another character, such as a wildcard.
    """
    return _checked(kind, name, _NAME.fullmatch, "words of A-Z a-z 0-9 _ - : joined by dots")


def pattern(kind: str, name: str) -> str:
    """Return ``name`` if it is a dotted name in which a word may be ``*`` or ``#``."""
    return _checked(kind, name, _PATTERN.fullmatch, "a dotted name; a word may be * or #")


def identifier(kind: str, name: str) -> str:
    """Return ``name`` if it is one word that starts with a letter."""
    return _checked(kind, name, _IDENTIFIER.fullmatch, "one word that starts with a letter")


def is_pattern(name: str) -> bool:
    """Tell whether ``name`` holds a topic wildcard."""
    return "*" in name or "#" in name


def matches(pattern: str, name: str) -> bool:
    """Tell whether a topic pattern takes in ``name``: ``*`` is one word, ``#`` any number."""
    return _match(pattern.split("."), name.split("."))


def _match(wanted: list[str], words: list[str]) -> bool:
    if not wanted:
        return not words
    if wanted[0] == "#":
        return any(_match(wanted[1:], words[skipped:]) for skipped in range(len(words) + 1))
    return bool(words) and wanted[0] in ("*", words[0]) and _match(wanted[1:], words[1:])


def _checked(
    kind: str, name: str, fits: Callable[[str], re.Match[str] | None], expected: str
) -> str:
    if not isinstance(name, str) or not fits(name):
        raise InvalidName(f"{kind} name {name!r}: expected {expected}. Rename it.")
    if len(name) > MAX_LENGTH:
        raise InvalidName(
            f"{kind} name {name[:40]!r}… has {len(name)} characters; at most {MAX_LENGTH} fit."
        )
    return name
