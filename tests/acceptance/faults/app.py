"""What the tests' workers run: the spine's services and more, with points to end them at.

The environment can shorten heartbeats and set the process' clock wrong.
"""

import os
from datetime import UTC, datetime, timedelta

import time_machine

from purista_celery import Settings, compile_app
from tests.acceptance.faults import points
from tests.acceptance.faults.services import limited, newcomer, shop
from tests.acceptance.spine.services import listener, service

if skew := float(os.environ.get("CLOCK_SKEW", "0")):
    # Before the pool is forked, so that it is the children's clock too.
    time_machine.travel(datetime.now(UTC) + timedelta(seconds=skew), tick=True).start()

deployed = [service, listener, limited, shop]
if "NEWCOMER" in os.environ:
    deployed.append(newcomer)
app = compile_app(deployed, Settings())
app.conf.broker_connection_timeout = 2
if heartbeat := os.environ.get("HEARTBEAT"):
    app.conf.broker_heartbeat = int(heartbeat)
    if app.conf.broker_url.startswith("redis"):
        app.conf.broker_transport_options["health_check_interval"] = int(heartbeat)
points.install(app)
