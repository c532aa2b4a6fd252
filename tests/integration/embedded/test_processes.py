"""The embedded Redis among real processes that come, go, fork and are killed."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from tests.integration.embedded.users import PATIENCE, Home, alive, wait_gone


def test_state_survives_a_restart(home: Home) -> None:
    """The last user's exit ends the server; the next finds what was acknowledged."""
    first, server = home.join()
    assert first.ask("count") == 1
    assert first.leave() == 0
    assert not alive(server)

    second, new_server = home.join()
    assert new_server != server
    assert second.ask("count") == 2


def test_processes_that_start_at_once_share_one_server(home: Home) -> None:
    """Whoever comes first starts the server; the others find it."""
    users = [home.user() for _ in range(8)]
    for user in users:
        user.say("use")
    servers = {user.answer() for user in users}
    home.servers |= servers

    assert len(servers) == 1
    assert sorted(user.ask("count") for user in users) == list(range(1, 9))


def test_comings_and_goings_lose_nothing(home: Home) -> None:
    """However starts and last exits meet, each user's server knows all the others' data."""
    users = [home.user() for _ in range(12)]
    for user in users:
        user.say("use")
        user.say("count")
        user.say("exit")
    counts = []
    for user in users:
        home.servers.add(user.answer())
        counts.append(user.answer())
        assert user.process.wait(PATIENCE) == 0

    assert sorted(counts) == list(range(1, 13))
    assert not any(alive(server) for server in home.servers)


@pytest.mark.parametrize("how", ["exit", "_exit"])
def test_an_exit_leaves_the_server_to_the_others(home: Home, how: str) -> None:
    """Nobody's exit takes the server from another user, not even its starter's."""
    starter, server = home.join()
    other, same_server = home.join()
    assert same_server == server

    starter.leave(how)
    assert other.ask("count") == 1
    other.leave()
    assert not alive(server)


def test_a_killed_last_user_leaves_the_server_to_the_next(home: Home) -> None:
    """The next user adopts the server that runs, and ends it in its turn."""
    user, server = home.join()
    user.ask("count")
    user.kill()
    assert alive(server)

    heir, same_server = home.join()
    assert same_server == server
    assert heir.ask("count") == 2
    heir.leave()
    assert not alive(server)


def test_a_killed_server_is_no_obstacle(home: Home) -> None:
    """Its socket and pid file stay behind; the next user starts another on the same data."""
    user, server = home.join()
    user.ask("count")
    os.kill(server, signal.SIGKILL)
    wait_gone(server)
    assert (home.directory / "redis.sock").exists()
    assert (home.directory / "redis.pid").exists()

    # A user that asks again gets a new server, as any newcomer does.
    new_server = user.ask("use")
    home.servers.add(new_server)
    assert new_server != server
    assert user.ask("count") == 2


@pytest.mark.parametrize("how", ["exit", "_exit"])
def test_a_child_that_ends_first_leaves_the_server_to_its_parent(home: Home, how: str) -> None:
    """A forked child runs the exit handlers that it inherited; they must not end the server."""
    parent, server = home.join()
    parent.say("fork")
    parent.say_to_child("count")
    child, _ = parent.child_answer()
    parent.say_to_child(how)
    wait_gone(child)

    assert parent.ask("count") == 2
    parent.leave()
    assert not alive(server)


@pytest.mark.parametrize("how", ["exit", "_exit", "kill"])
def test_a_child_that_outlives_its_parent_keeps_the_server(home: Home, how: str) -> None:
    """However the parent ends, its child is a user; as the last one it ends the server."""
    parent, server = home.join()
    parent.say("fork")
    parent.say_to_child("count")
    child, _ = parent.child_answer()
    if how == "kill":
        parent.kill()
    else:
        parent.leave(how)

    parent.say_to_child("count")
    assert parent.child_answer() == (child, 2)
    parent.say_to_child("exit")
    wait_gone(child)
    assert not alive(server)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGQUIT])
def test_the_exit_of_a_prefork_worker_ends_the_server(home: Home, ending: int) -> None:
    """An ordinary Celery worker is the only user: when it is gone, so is the server."""
    user, server = home.join()
    worker = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "tests.integration.embedded.celery_app",
            "worker",
            "-c",
            "2",
            "-l",
            "INFO",
        ],
        env={**os.environ, "EMBEDDED_DIRECTORY": str(home.directory)},
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        with worker.stdout:
            assert any(b"ready." in line for line in worker.stdout)
            user.leave()
            assert alive(server)
            worker.send_signal(ending)
            worker.communicate(timeout=PATIENCE)
    finally:
        worker.kill()
        worker.wait(PATIENCE)
    assert not alive(server)


def test_ctrl_c_does_not_reach_the_server(home: Home) -> None:
    """The server lives in a session of its own: the terminal's signal goes to its users only."""
    user, server = home.join()
    other, _ = home.join()
    assert os.getsid(server) != os.getsid(user.process.pid)

    os.killpg(user.process.pid, signal.SIGINT)
    user.process.wait(PATIENCE)
    assert other.ask("count") == 1


def test_the_server_is_private_and_durable(home: Home) -> None:
    """Only the owner reaches it, over a unix socket; it appends each write and evicts nothing."""
    home.join()
    assert stat.S_IMODE(home.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((home.directory / "redis.sock").stat().st_mode) == 0o700
    assert stat.S_IMODE((home.directory / "appendonly.aof").stat().st_mode) == 0o600
    with redis.Redis(unix_socket_path=str(home.directory / "redis.sock")) as client:
        settings = client.config_get("*")
    expected = {
        "port": "0",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": "",
    }
    assert {name: settings[name] for name in expected} == expected
