"""Documents from declarations alone: plain functions that return plain data, the same each time.

>>> from purista_celery import exports
>>> exports.asyncapi(services, title="Billing")

The functions are loaded when they are first used. No module here may be named as one of them is:
importing it would put the module in the function's place.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from purista_celery.exports.architecture import graph
    from purista_celery.exports.asyncapi_document import asyncapi
    from purista_celery.exports.capabilities_document import capabilities
    from purista_celery.exports.cloudevents_document import cloudevents_schema
    from purista_celery.exports.contacts import Contact
    from purista_celery.exports.definitions_document import definitions
    from purista_celery.exports.kubernetes import Trigger, kubernetes_cronjobs
    from purista_celery.exports.manifest import schedule_manifest
    from purista_celery.exports.openapi_document import openapi
    from purista_celery.exports.schemas import json_schemas
    from purista_celery.exports.servers import Server

_HOME = {
    "Contact": "contacts",
    "Server": "servers",
    "Trigger": "kubernetes",
    "asyncapi": "asyncapi_document",
    "capabilities": "capabilities_document",
    "cloudevents_schema": "cloudevents_document",
    "definitions": "definitions_document",
    "graph": "architecture",
    "json_schemas": "schemas",
    "kubernetes_cronjobs": "kubernetes",
    "openapi": "openapi_document",
    "schedule_manifest": "manifest",
}

__all__ = [
    "Contact",
    "Server",
    "Trigger",
    "asyncapi",
    "capabilities",
    "cloudevents_schema",
    "definitions",
    "graph",
    "json_schemas",
    "kubernetes_cronjobs",
    "openapi",
    "schedule_manifest",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
