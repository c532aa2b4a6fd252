"""What a handler says and raises, without the sensitive values of its job."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from typing import Any

from purista_celery.contracts.masking import Secrets


class MaskedError(Exception):
    """Stands for what a handler raised; its text is the traceback, sensitive values hidden."""


def masked_error(error: BaseException, secrets: Secrets) -> BaseException:
    """Return an error that can be logged and told to Celery's tools."""
    if not secrets.sensitive:
        return error
    return MaskedError(secrets.hidden_in("".join(traceback.format_exception(error))))


class JobLogger(logging.LoggerAdapter[logging.Logger]):
    """Adds the job's facts to each record: as attributes, and as text for plain formatters.

    Where the job holds sensitive values, they are hidden in the message and in the traceback.
    """

    def __init__(self, logger: logging.Logger, facts: Mapping[str, Any], secrets: Secrets) -> None:
        super().__init__(logger, dict(facts))
        self._secrets = secrets

    def log(self, level: int, msg: object, *args: Any, **kwargs: Any) -> None:
        """Log, with the arguments already in the message where something is to be hidden in it."""
        if self._secrets.sensitive and self.isEnabledFor(level):
            text = logging.LogRecord("", level, "", 0, msg, args, None).getMessage()
            msg, args = self._secrets.hidden_in(text), ()
            kwargs["exc_info"] = self._masked(kwargs.get("exc_info"))
            kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        super().log(level, msg, *args, **kwargs)

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the facts (called by :meth:`log`)."""
        facts = dict(self.extra or {})
        kwargs["extra"] = {**facts, **(kwargs.get("extra") or {})}
        text = " ".join(f"{k}={v}" for k, v in facts.items() if v is not None)
        return f"{msg} [{text}]", kwargs

    def _masked(self, exc_info: Any) -> BaseException | None:
        if isinstance(exc_info, tuple):
            exc_info = exc_info[1]
        elif exc_info and not isinstance(exc_info, BaseException):
            exc_info = sys.exc_info()[1]
        return masked_error(exc_info, self._secrets) if exc_info else None
