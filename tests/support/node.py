"""Tools of npm that judge our exports: installed once, from the lock file, into tests/tools."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.processes import ROOT
from tests.support.requirements import lacking

TOOLS = ROOT / "tests" / "tools"


@dataclass(frozen=True)
class Node:
    """Runs scripts of tests/tools."""

    program: str

    def run(self, script: str, *arguments: str | Path) -> str:
        """Run a script and return what it printed."""
        return self._run(self.program, script, *map(str, arguments))

    def json(self, script: str, *arguments: str | Path) -> Any:
        """Run a script and return the JSON that it printed."""
        return json.loads(self.run(script, *arguments))

    def types_of(self, *files: Path) -> str:
        """Type-check TypeScript files strictly, and return the compiler's complaints."""
        compiler = TOOLS / "node_modules" / "typescript" / "bin" / "tsc"
        options = ("--noEmit", "--strict", "--skipLibCheck", "--target", "es2022")
        modules = ("--module", "nodenext")
        done = self._done(self.program, str(compiler), *options, *modules, *map(str, files))
        return done.stdout + done.stderr

    def _run(self, *command: str) -> str:
        done = self._done(*command)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done.stdout

    def _done(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=TOOLS, check=False, capture_output=True, text=True, timeout=120
        )


def require_node() -> Node:
    """Return Node.js with the tools; skip loudly, or fail under ``PURISTA_REQUIRE=node``."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        lacking("node", "NO NODE.JS with npm: not tested against the official AsyncAPI and PURISTA")
    # One process of the suite installs, the other waits for it.
    with (TOOLS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _install(npm)
    return Node(node)


def _install(npm: str) -> None:
    wanted = hashlib.sha256((TOOLS / "package-lock.json").read_bytes()).hexdigest()
    stamp = TOOLS / "node_modules" / ".purista"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    done = subprocess.run(
        [npm, "ci"], cwd=TOOLS, check=False, capture_output=True, text=True, timeout=900
    )
    if done.returncode != 0:
        lacking("node", f"NPM COULD NOT INSTALL tests/tools: {done.stderr[-2000:]}")
    stamp.write_text(wanted)
