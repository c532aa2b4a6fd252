"""Trouble made on purpose, so that the demo shows what becomes of it. A real service has no such
module; its trouble comes by itself.
"""

from __future__ import annotations

import time

#: Its first attempt meets a gateway that is out of order; the second one succeeds.
UNLUCKY_TENANT = "brisk-harbor"
#: Takes three times as long as its lease, so that the lease has to be renewed.
SLOW_TENANT = "amber-anchor"
#: One of its records can not be read (``make_data.py`` sees to that).
CORRUPT_TENANT = "coral-meadow"

_SECONDS_PER_DAY = 0.28


class GatewayTimeout(Exception):
    """The tax gateway did not answer: transient, another attempt may succeed."""


def ask_tax_gateway(tenant: str, attempt: int) -> None:
    """Pretend to ask for the tenant's tax status: SIMULATED, fails one tenant's first attempt."""
    if tenant == UNLUCKY_TENANT and attempt == 1:
        raise GatewayTimeout("The (simulated) tax gateway did not answer")


def take_long(tenant: str) -> None:
    """Pretend that a day's records are many: SIMULATED, about 9 s for one tenant's month."""
    if tenant == SLOW_TENANT:
        time.sleep(_SECONDS_PER_DAY)
