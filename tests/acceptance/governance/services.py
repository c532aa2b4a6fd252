"""A service that is told secrets; its handlers say them wherever a handler can."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, field_validator

from purista_celery import (
    EventMessage,
    Job,
    Lifecycle,
    ResultEvents,
    RetryStrategy,
    Sensitive,
    Service,
)
from tests.acceptance.spine.services import trace

PASSWORD = "correct-horse-battery-staple-and-a-tail-that-is-cut-off"
PERSON = "Ada O'Lovelace"
IBAN = "DE89370400440532013000"
TOKEN = "session-token-9f8e7d"
SECRETS = (PASSWORD, PASSWORD[:25], PASSWORD[-20:], PERSON, "Lovelace", IBAN, TOKEN)


class Login(BaseModel):
    person: Annotated[str, Sensitive]
    password: Annotated[str, Sensitive("secret")]
    mode: str = "ok"

    @field_validator("password")
    @classmethod
    def _is_strong(cls, value: str) -> str:
        if "weak" in value:
            raise ValueError(f"{value} is weak")
        return value


class Account(BaseModel):
    iban: Annotated[str, Sensitive("personal")]


class Session(BaseModel):
    token: Annotated[str, Sensitive("secret")]


class Number(BaseModel):
    value: int


known: dict[str, str] = {}
vault = Service("vault")
lifecycle = Lifecycle(
    visibility_timeout=timedelta(seconds=10),
    heartbeat_interval=timedelta(seconds=2),
    max_attempts=2,
    retry_strategy=RetryStrategy(initial_delay=timedelta(milliseconds=100), jitter_factor=0),
)
login = vault.queue(
    "vault.login",
    payload=Login,
    parameter=Account,
    output=Session,
    lifecycle=lifecycle,
    results=ResultEvents(failure="vault.login.failed"),
)
attempted = vault.event("vault.attempted", payload=Login)


@login.worker()
def log_in(job: Job[Login, Account]) -> Session:
    told, account = job.payload, job.parameter
    trace("login", job.id, hash_of(told.password), hash_of(account.iban))
    job.logger.warning("%s logs in with %r", told.person, told.password)
    job.checkpoint({"for": account.iban})
    if told.mode == "slow":
        time.sleep(3)
    if told.mode == "fail":
        try:
            known[told.password]
        except KeyError as error:
            job.logger.exception("no such password")
            raise ValueError(f"{told.person!r} of {account.iban} is not welcome") from error
    if told.mode == "invalid":
        Number.model_validate({"value": told.password})
    if told.mode == "retry":
        job.retry(f"again for {told.person}")
    return Session(token=TOKEN)


@vault.subscribe(attempted, lifecycle=lifecycle)
def typed(event: EventMessage[Login], job: Job) -> None:
    raise ValueError(f"{event.payload.person} was here, {event.payload.password}")


@vault.subscribe("vault.*", name="pattern", lifecycle=lifecycle)
def untyped(event: EventMessage[dict[str, str]], job: Job) -> None:
    raise ValueError(f"heard {event.payload}")


def hash_of(text: str) -> str:
    """Return what tells that a handler got the real value, without saying it."""
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()[:16]
