"""A billing month from the schedule to the books, in real processes: ``scripts/demo``.

Starts worker, beat and Flower as anybody would, fires October 2025, watches it end, checks it
against an audit of its own, fires it again, and stops everything that it started. The exit status
is 0 only if all of it is right.

``--report FILE`` writes the figures as JSON; amounts are texts with two decimals.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import FrameType

from celery import Celery
from kombu.exceptions import KombuError

from examples.billing import audit, months, usage
from examples.billing.database import Database
from examples.billing.make_data import MONTH
from examples.billing.services import billing, books, monthly_closing, notifications
from examples.billing.stage.outcome import Outcome, gather
from examples.billing.stage.place import ROOT, Place
from examples.billing.stage.processes import ProcessEnded, Processes
from examples.billing.stage.screen import Bar, Screen
from purista_celery import Client, PuristaError, Service

SCHEDULE = "monthlyBillingCycle"
#: The occurrence that closes October 2025, and a day on which somebody fires it by hand again.
DUE = datetime(2025, 11, 1, 2, tzinfo=months.ZONE)
AGAIN = datetime(2025, 11, 17, 9, 30, tzinfo=months.ZONE)

START_SECONDS = 60
RUN_SECONDS = 180


class Late(Exception):
    """Something did not happen in time."""


def main() -> int:
    """Run the demo and return its exit status."""
    options = _options()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    screen = Screen()
    place = Place(options.broker)
    try:
        with place.taken() as app, Processes(ROOT, place.environment(), place.logs) as processes:
            began = time.monotonic()
            flower = _start(processes, app, place, screen)
            outcome, faults = _play(app, place, processes, screen)
            report = outcome.report(time.monotonic() - began)
            screen.outcome(outcome)
            screen.faults(faults)
            screen.say(f"Invoiced {report.total} EUR; the audit says {report.expected_total} EUR.")
            if options.report:
                options.report.write_text(report.model_dump_json(indent=2) + "\n")
            if options.keep:
                place.keep = processes.keep = True
                screen.say(f"Everything keeps running, Flower at {flower}. To stop it:")
                screen.say(f"  kill {' '.join(map(str, processes.pids))}")
            return 1 if faults else 0
    except (Late, ProcessEnded, PuristaError, KombuError) as error:
        screen.faults([str(error)])
        return 1
    except KeyboardInterrupt:
        screen.say("Interrupted; everything is stopped.")
        return 128 + signal.SIGINT
    finally:
        screen.say(f"Logs and data: {os.path.relpath(place.directory)}")


def _start(processes: Processes, app: Celery, place: Place, screen: Screen) -> str:
    """Start worker, beat and Flower, wait until they answer, and return Flower's address."""
    node, port = f"{place.namespace}@localhost", _free_port()
    flower = f"http://127.0.0.1:{port}/"
    processes.celery("worker", "-A", "workers", "worker", "-c", "2", "-E", "-l", "INFO", "-n", node)
    processes.celery("beat", "-A", "beat", "beat", "-l", "INFO")
    processes.celery("flower", "-A", "workers", "flower", "--address=127.0.0.1", f"--port={port}")
    screen.say("Starting worker, beat and Flower …")
    _until(
        lambda: bool(app.control.ping(destination=[node], timeout=0.5)), processes, START_SECONDS
    )
    _until(lambda: _answers(flower), processes, START_SECONDS)
    screen.say(f"Flower listens at {flower}")
    return flower


def _play(
    app: Celery, place: Place, processes: Processes, screen: Screen
) -> tuple[Outcome, list[str]]:
    """Fire the month twice, and return what came of it and what is wrong with that."""
    client: Client = app.purista
    database = Database(place.database)
    tenants = usage.tenants(MONTH)
    start, end = (f"{instant:{usage.TIME_FORMAT}}" for instant in months.bounds(MONTH))
    expectation = audit.expected(start, end)
    try:
        screen.say(f"Firing {SCHEDULE} of {DUE:%d %B %Y, %H:%M %Z} for {len(tenants)} tenants")
        client.schedules.trigger(SCHEDULE, at=DUE)
        with screen.bars() as show:

            def ended() -> bool:
                bars = _bars(client, len(tenants))
                show(bars)
                return all(bar.done == bar.total > 0 for bar in bars.values())

            _until(ended, processes, RUN_SECONDS)
        first = gather(client, database, MONTH, tenants, expectation)

        screen.say(f"Firing the same month again: once more, and by hand on {AGAIN:%d %B}")
        client.schedules.trigger(SCHEDULE, at=DUE)
        client.schedules.trigger(SCHEDULE, at=AGAIN)
        _until(lambda: _handed_over(client) == 2, processes, RUN_SECONDS)
        _until(lambda: _at_rest(client), processes, RUN_SECONDS)
        second = gather(client, database, MONTH, tenants, expectation)
    finally:
        database.close()
    faults = list(second.faults())
    if second != first:
        faults.append("firing the same month again has changed something")
    return second, faults


def _bars(client: Client, tenants: int) -> dict[str, Bar]:
    """Return how far each queue is; all are full when all is over."""
    bars = {}
    closing = client.metrics(monthly_closing)
    expected = {
        monthly_closing.name: tenants,
        _queue_of(books): closing.completed,
        _queue_of(notifications): closing.dead_letter,
    }
    for name, total in expected.items():
        found = client.metrics(name)
        notes = {
            "running": found.inflight,
            "waiting": found.pending,
            "retries": found.retries,
            "dead": found.dead_letter,
        }
        note = ", ".join(f"{count} {what}" for what, count in notes.items() if count)
        bars[name] = Bar(found.completed + found.dead_letter, total, note)
    return bars


def _queue_of(service: Service) -> str:
    """Return the queue of a service's only subscription."""
    (subscription,) = service.subscriptions.values()
    return subscription.key


def _handed_over(client: Client) -> int:
    """Return how many occurrences have been turned into jobs."""
    (binding,) = billing.bindings.values()
    return client.metrics(binding.key).completed


def _at_rest(client: Client) -> bool:
    found = client.metrics(monthly_closing)
    return not (found.pending or found.inflight or found.outbox)


def _until(happened: Callable[[], bool], processes: Processes, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        processes.check()
        if time.monotonic() > deadline:
            raise Late(f"After {seconds:.0f} s it is not where it should be; see the logs.")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  our own address
            return bool(answer.status == 200)
    except urllib.error.URLError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _leave(number: int, frame: FrameType | None) -> None:
    """End as on an error: whoever ends the demo ends all of it."""
    del frame
    sys.exit(128 + number)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/demo", description=(__doc__ or "").split("\n\n", 1)[0]
    )
    parser.add_argument(
        "--broker",
        metavar="URL",
        help="run on this broker (redis://, rediss://, unix://, amqp://), not the embedded Redis",
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave everything running, and say how to stop it"
    )
    parser.add_argument(
        "--report", metavar="FILE", type=Path, help="write the figures as JSON to this file"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
