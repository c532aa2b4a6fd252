"""JSON Schema -> a type that pydantic validates, for contracts whose types are another language's.

The schema itself decides, through ``jsonschema-rs``: it reads patterns as ECMAScript does, in which
they were written, and can keep values out of its messages. The model gives the value its shape, so
that handlers write ``job.payload.month``; translating each keyword into a field's constraint would
lose some, and say others differently.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Annotated, Any, ClassVar

import jsonschema_rs
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    create_model,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema

from purista_celery.contracts.foreign.checked import Checked
from purista_celery.contracts.foreign.zod import is_zod, json_schema
from purista_celery.contracts.json_schema import JsonSchema, inlined, references, rewritten
from purista_celery.errors import InvalidDefinitions


class ForeignModel(BaseModel):
    """A JSON object whose JSON Schema another team declared."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())

    #: None for an object within another, which that one has checked.
    checked_by: ClassVar[Checked | None] = None
    shown: ClassVar[JsonSchema] = {}

    @model_validator(mode="before")
    @classmethod
    def _check(cls, value: Any) -> Any:
        if cls.checked_by is None or isinstance(value, cls):
            return value
        return cls.checked_by(value)

    @model_serializer(mode="wrap")
    def _as_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A property that was absent stays absent: null is another value.
        fields = type(self).model_fields
        absent = {
            key
            for name in fields.keys() - self.model_fields_set
            for key in (name, fields[name].alias)
        }
        return {key: value for key, value in handler(self).items() if key not in absent}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchema:
        """Show the schema as it was declared."""
        return deepcopy(cls.shown)


def type_of(contract: str, schema: Any, name: str) -> Any:
    """Return a type for ``schema``: a JSON Schema, or a zod validator written as JSON.

    Args:
        contract: how an error names the contract.
        schema: None stands for "anything", as it does in PURISTA.
        name: of the model, where the schema is an object's.

    Raises:
        InvalidDefinitions: it is no JSON Schema.
    """
    if schema is None:
        return Any
    found = json_schema(schema) if is_zod(schema) else schema
    if found == {"type": "null"}:
        return None
    try:
        shown = _shown(found)
        checked = Checked(found, shown)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise InvalidDefinitions(
            f"{contract} has no valid JSON Schema: {reason}. Export the definitions again."
        ) from error
    if not _is_object(shown):
        return Annotated[Any, checked]
    return _model(name, shown, checked)


def _shown(schema: Any) -> JsonSchema:
    if isinstance(schema, bool):
        return {} if schema else {"not": {}}
    if not isinstance(schema, Mapping):
        raise ValueError("expected an object")  # noqa: TRY004 - an error of the document
    whole = inlined({key: value for key, value in schema.items() if key != "$schema"})
    if not references(whole):
        return dict(whole)
    # A recursive one can not be shown within another document; its depth is left out there.
    kept = {key: value for key, value in whole.items() if key not in ("$defs", "definitions")}
    found: JsonSchema = rewritten(kept, lambda part: {} if "$ref" in part else part)
    return found


def _is_object(schema: Any) -> bool:
    return (
        isinstance(schema, Mapping)
        and schema.get("type") == "object"
        and bool(schema.get("properties"))
    )


def _model(name: str, shown: JsonSchema, checked: Checked | None) -> type[ForeignModel]:
    required = set(shown.get("required", ()))
    fields: dict[str, Any] = {}
    for wire_name, part in shown["properties"].items():
        kind = _kind(f"{name}_{wire_name}", part)
        default = ... if wire_name in required else _default(part)
        own_name = _own_name(wire_name, fields)
        alias = None if own_name == wire_name else wire_name
        fields[own_name] = (kind, Field(default=default, alias=alias))
    model = create_model(_class_name(name), __base__=ForeignModel, **fields)
    model.checked_by, model.shown = checked, {"title": _class_name(name), **shown}
    return model


def _kind(name: str, schema: Any) -> Any:
    """Return the shape of one property; what has none stays as JSON has it."""
    if _is_object(schema):
        return _model(name, schema, None)
    if _is_array_of_objects(schema):
        return list[_model(name, schema["items"], None)]  # type: ignore[misc]
    if not isinstance(schema, Mapping):
        return Any
    if len(schema.get("allOf", ())) == 1:
        return _kind(name, schema["allOf"][0])  # a reference that has been set apart
    members = schema.get("anyOf", ())
    others = [member for member in members if member != {"type": "null"}]
    if len(others) == 1 and len(members) == 2:
        return _kind(name, others[0]) | None
    return Any


def _is_array_of_objects(schema: Any) -> bool:
    return (
        isinstance(schema, Mapping)
        and schema.get("type") == "array"
        and _is_object(schema.get("items"))
    )


def _default(schema: Any) -> Any:
    return schema.get("default") if isinstance(schema, Mapping) else None


def _own_name(wire_name: str, taken: Mapping[str, Any]) -> str:
    name = re.sub(r"\W", "_", wire_name, flags=re.ASCII).strip("_") or "field"
    if name[0].isdigit() or keyword.iskeyword(name) or hasattr(ForeignModel, name):
        name = f"field_{name}"
    while name in taken:
        name += "_"
    return name


def _class_name(name: str) -> str:
    words = re.split(r"[^A-Za-z0-9]+", name)
    return "".join(word[:1].upper() + word[1:] for word in words if word)
