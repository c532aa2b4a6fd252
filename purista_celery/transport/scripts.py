"""The Lua scripts: one transition a file, run by their SHA-1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, TypeAlias

from redis import Redis
from redis.exceptions import NoScriptError

Argument: TypeAlias = str | bytes | int | float


@dataclass(frozen=True)
class Script:
    """A Lua script, as text and as the SHA-1 that Redis knows it by."""

    source: str
    sha: str

    @classmethod
    def of(cls, source: str) -> Script:
        """Return the script with this text."""
        return cls(source=source, sha=sha1(source.encode(), usedforsecurity=False).hexdigest())

    @classmethod
    def load(cls, name: str) -> Script:
        """Return the script `lua/<name>.lua`."""
        return cls.of(
            files("purista_celery.transport")
            .joinpath("lua", f"{name}.lua")
            .read_text(encoding="utf-8")
        )

    def command(
        self, keys: Sequence[str], args: Sequence[Argument], *, in_full: bool = False
    ) -> tuple[Argument, ...]:
        """Return the command that runs it; `in_full` for a server that does not know it yet."""
        name, body = ("EVAL", self.source) if in_full else ("EVALSHA", self.sha)
        return (name, body, len(keys), *keys, *args)

    def run(self, client: Redis, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """Run it and return its reply; `client` must not prefix keys by itself."""
        try:
            return client.execute_command(*self.command(keys, args))
        except NoScriptError:
            return client.execute_command(*self.command(keys, args, in_full=True))


CLAIM = Script.load("claim")
RESTORE = Script.load("restore")
PUBLISH = Script.load("publish")
EXTEND = Script.load("extend")

_FAN_OUT = Script.load("fan_out").source


@dataclass(frozen=True, slots=True)
class Condition:
    """Decides whether a message is stored, in the very step that stores it.

    Args:
        source: a Lua script, run with ``keys`` and ``arguments`` as its ``KEYS`` and ``ARGV``. It
            returns an array of texts; the message is stored if ``done`` is the first of them.
    """

    source: str
    keys: Sequence[str]
    arguments: Sequence[Argument]


@lru_cache(maxsize=16)
def fan_out(condition: str | None = None) -> Script:
    """Return the script that stores an event, if ``condition``, the text of another, agrees."""
    if condition is None:
        return Script.of(f"local condition\n{_FAN_OUT}")
    return Script.of(f"local function condition(KEYS, ARGV)\n{condition}\nend\n{_FAN_OUT}")
