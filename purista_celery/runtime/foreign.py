"""Log records that quote what came from outside: an error's text, a header, a name."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from typing import Any

from purista_celery.messages.printable import printable, printable_lines


class ForeignText(logging.Filter):
    """Lets no quoted text begin a line of its own or speak to a terminal.

    Added to each logger of ours that quotes such text; a message's own words stay as they are.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Neutralise the record's arguments and its traceback; never drops a record."""
        if isinstance(record.args, tuple):
            record.args = tuple(_neutral(argument) for argument in record.args)
        elif isinstance(record.args, Mapping):
            record.args = {name: _neutral(value) for name, value in record.args.items()}
        if record.exc_info and record.exc_info[1] is not None:
            # Formatters take a text that is there already, and other tools still find exc_info.
            text = "".join(traceback.format_exception(record.exc_info[1]))
            record.exc_text = printable_lines(text.rstrip("\n"))
        return True


def _neutral(argument: Any) -> Any:
    if argument is None or isinstance(argument, int | float):
        return argument
    try:
        return printable(str(argument))
    except Exception:  # noqa: BLE001 - what can not be printed must not end a worker
        return f"({type(argument).__name__} that can not be printed)"
