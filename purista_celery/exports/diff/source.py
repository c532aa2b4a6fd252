"""Where an export of definitions is read from: a file, or a file of a git revision."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from purista_celery.errors import InvalidDefinitions

#: The name that PURISTA's own command gives to an export of definitions.
DEFAULT_FILE = "purista.definitions.json"


def load(source: str) -> Any:
    """Return the decoded JSON of ``PATH``, ``REV:PATH`` or ``git:REV``.

    ``git:REV`` is ``purista.definitions.json`` of that revision. As git has it, a path in a
    revision is from the repository's root, and from here if it begins with ``./``.

    Raises:
        InvalidDefinitions: there is no such file, or it is no JSON.
    """
    text = _text(source)
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidDefinitions(f"{source!r} is no JSON: {error}.") from error


def _text(source: str) -> str:
    path = Path(source)
    revision, colon, name = source.removeprefix("git:").partition(":")
    try:
        if path.is_file():
            return path.read_text("utf-8")
        if source.startswith("git:"):
            return _of_revision(source, revision, name or f"./{DEFAULT_FILE}")
        if colon and name:
            return _of_revision(source, revision, name)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidDefinitions(f"{source!r} can not be read: {error}.") from error
    raise InvalidDefinitions(
        f"{source!r}: no such file. Give a file, REV:PATH or git:REV ({DEFAULT_FILE} of a "
        f"git revision)."
    )


def _of_revision(source: str, revision: str, name: str) -> str:
    done = subprocess.run(  # noqa: S603 - no shell, and no argument can be an option
        ["git", "show", "--end-of-options", f"{revision}:{name}"],  # noqa: S607
        check=False,
        capture_output=True,
    )
    if done.returncode:
        reason = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise InvalidDefinitions(f"{source!r}: {reason[0] if reason else 'git show failed'}.")
    return done.stdout.decode("utf-8")
