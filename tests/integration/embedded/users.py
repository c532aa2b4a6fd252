"""Real processes around one real server."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

USER = Path(__file__).with_name("user_process.py")
PATIENCE = 20


class User:
    """A process that uses the embedded Redis as it is told; see its file."""

    def __init__(self, directory: Path) -> None:
        for_child, self._child_commands = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", str(USER), str(directory), str(for_child)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[for_child],
            start_new_session=True,
        )
        os.close(for_child)

    def say(self, command: str) -> None:
        """Send a command without waiting for its answer."""
        self.process.stdin.write(f"{command}\n".encode())
        self.process.stdin.flush()

    def say_to_child(self, command: str) -> None:
        """Send a command to the forked child."""
        os.write(self._child_commands, f"{command}\n".encode())

    def answer(self) -> int:
        """Return the number that this process or its child answers next."""
        return self.child_answer()[1]

    def child_answer(self) -> tuple[int, int]:
        """Return who answers, and what."""
        assert select.select([self.process.stdout], [], [], PATIENCE)[0], "no answer"
        pid, value = self.process.stdout.readline().split()
        return int(pid), int(value)

    def ask(self, command: str) -> int:
        """Send a command and return its answer."""
        self.say(command)
        return self.answer()

    def leave(self, how: str = "exit") -> int:
        """Let the process end by itself and return its exit status."""
        self.say(how)
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """End the process with no chance to do anything about it."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def dispose(self) -> None:
        """Leave nothing behind."""
        os.close(self._child_commands)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        self.process.stdin.close()
        self.process.stdout.close()


class Home:
    """A directory with an embedded Redis, and its users."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.users: list[User] = []
        self.servers: set[int] = set()

    def user(self) -> User:
        """Start a process that may become a user."""
        self.users.append(User(self.directory))
        return self.users[-1]

    def join(self) -> tuple[User, int]:
        """Start a user of the server; return it and the server's process id."""
        user = self.user()
        server = user.ask("use")
        self.servers.add(server)
        return user, server

    def dispose(self) -> None:
        """End every process of this test."""
        for user in self.users:
            user.dispose()
        for server in self.servers:
            if alive(server):
                os.kill(server, signal.SIGKILL)


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that only waits to be reaped does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_gone(pid: int) -> None:
    """Wait until a process that is not our child has ended, though nobody may have reaped it."""
    deadline = time.monotonic() + PATIENCE
    while alive(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        select.select([], [], [], 0.01)
