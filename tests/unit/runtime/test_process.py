"""What a pool process knows of its worker, and what is known of a process that is to be ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from celery.worker import state

from purista_celery.runtime import freezing, process
from tests.support.waiting import until


def asked_in_child(within: float = 0.0) -> bool:
    """Return what a process that is forked now says."""
    child = os.fork()
    if child == 0:
        os._exit(process.is_stopping(within))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a worker's main process."""
    monkeypatch.setattr(process._Main, "pid", 0)
    monkeypatch.setattr(process._Main, "stopping", None)
    process.know_main_process()


@pytest.mark.usefixtures("worker")
def test_processes_know_that_their_worker_is_being_stopped_whenever_they_were_forked() -> None:
    """One that was forked before it, and one that a restart of the pool forks after it."""
    reader, writer = os.pipe()
    before = os.fork()
    if before == 0:
        os.read(reader, 1)
        os._exit(process.is_stopping())
    assert not asked_in_child()
    process.begin_stopping()
    os.write(writer, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(before, 0)[1]) == 1
    assert asked_in_child()


@pytest.mark.usefixtures("worker")
def test_a_stop_that_reaches_a_process_first_is_waited_for() -> None:
    """Who signals a whole process group does not know an order."""
    child = os.fork()
    if child == 0:
        os._exit(process.is_stopping(within=20))
    process.begin_stopping()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


@pytest.mark.usefixtures("worker")
def test_another_worker_of_the_same_parent_is_not_being_stopped() -> None:
    """Each worker has a mark of its own."""
    process.begin_stopping()
    child = os.fork()
    if child == 0:
        process.know_main_process()
        os._exit(process.is_stopping())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert process.is_stopping()


def test_without_a_worker_nothing_is_being_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """An eager call in a test, for instance."""
    monkeypatch.setattr(process._Main, "stopping", None)
    process.begin_stopping()
    assert not process.is_stopping()


@dataclass(eq=False)
class Request:
    """What is looked at of one of Celery's."""

    worker_pid: int | None
    id: str = "job-1"
    name: str = "orders"


@pytest.fixture
def request_() -> Iterator[Any]:
    """An active request, with a process that does something."""
    code = "while True: print('.', flush=True)"
    runs = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    made = Request(runs.pid)
    state.active_requests.add(made)
    yield made
    state.active_requests.discard(made)
    runs.kill()
    runs.wait(10)


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_process_stands_still_until_it_is_decided(request_: Any) -> None:
    """What is not killed goes on."""
    with freezing.frozen(request_) as found:
        assert found is not None
        assert state_of(request_.worker_pid) == "T"
    until(lambda: state_of(request_.worker_pid) != "T", "it goes on")


def test_a_killed_process_was_meant_for_its_own_job_alone(request_: Any) -> None:
    """Another that it had begun, for no looking is quick enough, is not to be blamed."""
    with freezing.frozen(request_) as found:
        assert found is not None
        found.kill()
    until(lambda: state_of(request_.worker_pid) == "Z", "it is dead")
    assert not freezing.was_meant_for_another(request_.worker_pid, "job-1")
    assert freezing.was_meant_for_another(request_.worker_pid, "job-2")


def test_a_process_that_is_at_another_job_already_goes_on(
    request_: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job ended while its process was being stopped: nobody kills what came after it."""

    def ends_meanwhile(pid: int) -> None:
        state.active_requests.discard(request_)
        assert pid == request_.worker_pid

    monkeypatch.setattr(freezing, "_await_stop", ends_meanwhile)
    with freezing.frozen(request_) as found:
        assert found is None
    until(lambda: state_of(request_.worker_pid) != "T", "it goes on")


def test_what_runs_in_a_thread_has_no_process_to_be_ended() -> None:
    """Nor has what does not run, or what is gone."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(30)
    for pid in (None, os.getpid(), gone.pid):
        made = Request(pid)
        state.active_requests.add(made)
        with freezing.frozen(made) as found:
            assert found is None
        state.active_requests.discard(made)
