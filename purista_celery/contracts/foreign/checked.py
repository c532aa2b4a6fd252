"""A JSON Schema as a validator that pydantic calls.

``jsonschema-rs`` reads patterns as ECMAScript does, in which they were written, and can keep values
out of its messages.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import jsonschema_rs
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema, to_jsonable_python

from purista_celery.contracts.json_schema import JsonSchema

_MASK = "the value"


class Checked:
    """Validates a value by a JSON Schema."""

    def __init__(self, schema: JsonSchema, shown: JsonSchema) -> None:
        # Formats are annotations from draft 2019-09 on, and zod reads some of them more widely.
        self._validator = jsonschema_rs.validator_for(schema, mask=_MASK)
        #: What documents show of it.
        self.shown = shown

    def __call__(self, value: Any) -> Any:
        """Return ``value`` as JSON has it.

        Raises:
            ValueError: it does not fit; the message does not show it.
        """
        found = to_jsonable_python(value, by_alias=True)
        problems = [
            f"{'/'.join(map(str, error.instance_path)) or '(all)'}: {error.message}"
            for error in self._validator.iter_errors(found)
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return found

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Validate by this, and by nothing else."""
        return core_schema.no_info_plain_validator_function(self)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchema:
        """Show the schema as it was declared."""
        return deepcopy(self.shown)  # pydantic adds to it
