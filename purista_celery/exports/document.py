"""How every exported document is written: the same declarations give the same bytes."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any


def puristas_version() -> str:
    """Return this package's version, which documents name as the one that wrote them."""
    return version("purista-celery")


def ordered(value: Any) -> Any:
    """Return ``value`` with the keys of its objects sorted at every level, as PURISTA does."""
    if isinstance(value, dict):
        return {key: ordered(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [ordered(item) for item in value]
    return value


def given(**fields: Any) -> dict[str, Any]:
    """Return the fields that have a value; a document leaves out the others."""
    return {key: value for key, value in fields.items() if value is not None}


def as_json(document: Any) -> str:
    """Return the text of a document: indented by 2, with a newline at its end."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def as_yaml(document: Any) -> str:
    """Return a document as YAML 1.1 without aliases, keys in the document's order."""
    import yaml

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the library's signature
            return True

    return yaml.dump(document, Dumper=Plain, sort_keys=False, allow_unicode=True, width=100)
