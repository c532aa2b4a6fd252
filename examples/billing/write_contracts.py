"""Writes what the example declares as documents: ``python -m examples.billing.write_contracts``.

They are checked in, so that a review of a change shows what it means to others.
"""

from __future__ import annotations

from pathlib import Path

from examples.billing.services import services
from purista_celery import exports
from purista_celery.exports.architecture import architecture
from purista_celery.exports.document import as_json, as_yaml
from purista_celery.exports.graph_svg import svg
from purista_celery.exports.graph_text import dot, mermaid

FOLDER = Path(__file__).parent / "contracts"
TITLE = "Billing"


def documents() -> dict[str, str]:
    """Return the text of each document by its file name."""
    drawn = architecture(services)
    trigger = exports.Trigger(image="registry.invalid/billing:1")
    return {
        "architecture.dot": dot(drawn),
        "architecture.mmd": mermaid(drawn),
        "architecture.svg": svg(drawn),
        "asyncapi-2.6.0.json": as_json(
            exports.asyncapi(services, title=TITLE, asyncapi_version="2.6.0")
        ),
        "asyncapi.json": as_json(exports.asyncapi(services, title=TITLE)),
        "json-schemas.json": as_json(exports.json_schemas(services)),
        "kubernetes-cronjobs.yaml": as_yaml(exports.kubernetes_cronjobs(services, trigger)),
        "openapi.json": as_json(exports.openapi(services, title=TITLE)),
        "purista-runtime-capabilities.json": as_json(exports.capabilities(services)),
        "purista.definitions.json": as_json(exports.definitions(services)),
        "schedule-manifest.json": as_json(exports.schedule_manifest(services, title=TITLE)),
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in documents().items():
        (FOLDER / name).write_text(text, "utf-8")
