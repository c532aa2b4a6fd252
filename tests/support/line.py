"""A TCP line to a server that a test can cut, hang and mend."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

from tests.support.servers import free_port


class Line:
    """Forwards a port of its own to ``target``; a cut line refuses, a hung one says nothing."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        #: Called with what is about to reach the server.
        self.watch: Callable[[bytes], None] = lambda _: None
        self._target = target
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._flowing = threading.Event()
        self._flowing.set()
        self._cut = False
        self._server = socket.create_server(("127.0.0.1", self.port))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @classmethod
    def to(cls, url: str) -> Line:
        """Return a line to the server that ``url`` names."""
        port = urlsplit(url).port
        assert port is not None
        return cls(port)

    def through(self, url: str) -> str:
        """Return ``url`` with this line in place of its server."""
        parts = urlsplit(url)
        credentials, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{credentials}{at}127.0.0.1:{self.port}").geturl()

    @property
    def addresses(self) -> list[str]:
        """The ends of its connections as the server knows them."""
        with self._lock:
            ends = list(self._open)
        return [f"127.0.0.1:{port}" for port in map(_port, ends) if port not in (None, self.port)]

    def retarget(self, target: int) -> None:
        """Lead to another server from now on, and end what leads to the one before."""
        self._target = target
        self._end_all()

    def reset(self) -> None:
        """End all connections at once; whoever connects anew gets through."""
        self._end_all()

    def cut(self) -> None:
        """End all connections, and refuse new ones."""
        self._cut = True
        self._end_all()

    def hang(self) -> None:
        """Let nothing through, as a lost network does."""
        self._flowing.clear()

    @property
    def hung(self) -> bool:
        """Whether nothing gets through."""
        return not self._flowing.is_set()

    def forget(self) -> None:
        """Let nothing more through on today's connections, as a firewall that forgot them."""
        self._flowing.clear()
        self._flowing = threading.Event()
        self._flowing.set()

    def mend(self) -> None:
        """Let everything through again; what hung is ended, as after a long silence."""
        if not self._flowing.is_set():
            self._end_all()
        self._cut = False
        self._flowing.set()

    def close(self) -> None:
        self.cut()
        self._flowing.set()
        # Closed alone, it would listen on until the thread's accept() returns.
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(10)

    def _end_all(self) -> None:
        with self._lock:
            ended, self._open = self._open, set()
        for end in ended:
            _close(end)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            if self._cut:
                _close(near)
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._target), 5)
            except OSError:
                _close(near)
                continue
            far.settimeout(None)
            with self._lock:
                self._open |= {near, far}
            for source, sink, forth in ((near, far, True), (far, near, False)):
                pump = (source, sink, self._flowing, forth)
                threading.Thread(target=self._pump, args=pump, daemon=True).start()

    def _pump(
        self,
        source: socket.socket,
        sink: socket.socket,
        flowing: threading.Event,
        forth: bool,  # noqa: FBT001
    ) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if forth:
                    self.watch(data)
                flowing.wait()
                sink.sendall(data)
        _close(source)
        _close(sink)
        with self._lock:
            self._open -= {source, sink}


def _port(end: socket.socket) -> int | None:
    """Return the port that a socket has here; None if it was closed meanwhile."""
    with suppress(OSError):
        return int(end.getsockname()[1])
    return None


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
