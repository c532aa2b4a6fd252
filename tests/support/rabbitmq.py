"""A RabbitMQ node of a test's own, that can be stopped, killed and started with its files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from amqp import Connection
from amqp.exceptions import AMQPError

from tests.support.line import Line
from tests.support.servers import free_port, require_rabbitmq
from tests.support.waiting import until

#: Debian's package and RabbitMQ's own archives; the wrapper in PATH would change to another user.
_BINARIES = ("/usr/lib/rabbitmq/bin/rabbitmq-server", shutil.which("rabbitmq-server") or "")


def rabbitmq_binary() -> str | None:
    """Return the server's start script, if RabbitMQ is installed here."""
    return next((path for path in _BINARIES if path and Path(path).exists()), None)


def require_rabbitmq_server() -> None:
    """Skip loudly, or fail under ``PURISTA_REQUIRE=rabbitmq``, where no node can be started."""
    if rabbitmq_binary() is not None:
        return
    reason = "NO rabbitmq-server to start: not tested"
    if "rabbitmq" in os.environ.get("PURISTA_REQUIRE", ""):
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass
class RabbitServer:
    """One node on loopback: own ports, own files, and an own port mapper beside it.

    Args:
        settings: lines of ``rabbitmq.conf``.
        rabbit: Erlang terms of the application ``rabbit`` that the file has no key for.
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    rabbit: Mapping[str, str] = field(default_factory=dict)
    directory: Path = field(
        default_factory=lambda: Path(tempfile.mkdtemp(prefix="purista-rabbitmq-"))
    )
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    _mapper: subprocess.Popen[bytes] | None = None
    _mapper_port: int = field(default_factory=free_port)
    _peer_port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    @property
    def name(self) -> str:
        return f"test{self.port}@localhost"

    @property
    def version(self) -> tuple[int, ...]:
        """The version that the running node says it has."""
        with Connection(f"127.0.0.1:{self.port}") as connection:
            text = str(connection.server_properties["version"])
        return tuple(int(part) for part in text.split("."))

    @property
    def _environment(self) -> dict[str, str]:
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith("RABBITMQ")},
            # Erlang's cookie lives there.
            "HOME": str(self.directory),
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._peer_port),
            "RABBITMQ_MNESIA_BASE": str(self.directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.directory / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.directory / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.directory / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": str(self.directory / "environment"),
            # One scheduler, which does not spin: a test's node shares the machine.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._mapper_port),
        }

    def start(self, *, wait: bool = True) -> RabbitServer:
        binary = rabbitmq_binary()
        assert binary is not None, "RabbitMQ is not installed"
        self._configure()
        if self._mapper is None:
            self._mapper = subprocess.Popen(
                ["epmd", "-port", str(self._mapper_port), "-address", "127.0.0.1"],
                env=self._environment,
            )
        with (self.directory / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [binary], env=self._environment, stdout=output, stderr=subprocess.STDOUT
            )
        if wait:
            until(self.answers, f"RabbitMQ answers; {self.directory}", timeout=120)
        return self

    def stop(self) -> None:
        """Stop the node in good order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the node, as a lost machine would."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let the node stand still, as a machine that is starved; its connections stay."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the node go on where it stood."""
        self._signal(signal.SIGCONT)

    def close_connections(self, ports: Sequence[int] | None = None) -> None:
        """Close the connections that come from ``ports``, or all of them, as an operator does."""
        # One that ends meanwhile is none to close.
        among = "true" if ports is None else f"lists:member(Port, {[*ports]})"
        self.control(
            "eval",
            '[catch rabbit_networking:close_connection(Pid, "chaos") || [{pid, Pid}, {peer_port, '
            "Port}] <- rabbit_networking:connection_info_all([pid, peer_port]), "
            f"{among}], ok.",
        )

    def control(self, *arguments: str) -> str:
        """Run ``rabbitmqctl`` on this node and return what it prints."""
        program = Path(rabbitmq_binary() or "").with_name("rabbitmqctl")
        return subprocess.run(
            [program, "--quiet", "--node", self.name, *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout

    def close(self) -> None:
        self.kill()
        if self._mapper is not None:
            self._mapper.kill()
            self._mapper.wait(10)
        shutil.rmtree(self.directory, ignore_errors=True)

    def answers(self) -> bool:
        """Tell whether the node takes a connection; it speaks AMQP a while before that."""
        address = f"127.0.0.1:{self.port}"
        try:
            with Connection(address, connect_timeout=2, read_timeout=2, write_timeout=2):
                return True
        except (OSError, AMQPError):
            return False

    def _configure(self) -> None:
        lines = "".join(f"{key} = {value}\n" for key, value in self.settings.items())
        terms = ", ".join(f"{{{key}, {value}}}" for key, value in self.rabbit.items())
        (self.directory / "rabbitmq.conf").write_text(lines)
        (self.directory / "advanced.config").write_text(f"[{{rabbit, [{terms}]}}].\n")
        (self.directory / "environment").write_text("")
        (self.directory / "plugins").write_text("[].")

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        for member in psutil.Process(self.process.pid).children(recursive=True):
            if member.name().startswith("beam"):
                member.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        # The start script waits for the virtual machine, which has helpers of its own.
        script = psutil.Process(self.process.pid)
        family = script.children(recursive=True)
        for member in family:
            if number is signal.SIGKILL or member.name().startswith("beam"):
                member.send_signal(number)
        _, alive = psutil.wait_procs(family, timeout=30)
        for member in alive:
            member.kill()
        self.process.wait(20)
        self.process = None


class SharedRabbit:
    """A RabbitMQ that is not ours to stop: in its place, all lines to it are cut."""

    def __init__(self, url: str, lines: list[Line]) -> None:
        self.url = url
        self._lines = lines

    def start(self) -> None:
        for line in self._lines:
            line.mend()

    def stop(self) -> None:
        for line in self._lines:
            line.cut()

    kill = stop

    def close(self) -> None:
        self.start()


def own_or_shared(lines: list[Line]) -> RabbitServer | SharedRabbit:
    """Return a node that can be restarted; say so loudly where there is none.

    Args:
        lines: those to the broker, made or yet to be made.
    """
    if rabbitmq_binary() is not None:
        return RabbitServer().start()
    url = require_rabbitmq()
    print(f"NO rabbitmq-server HERE: {url} is not restarted, its lines are cut", file=sys.stderr)
    return SharedRabbit(url, lines)
