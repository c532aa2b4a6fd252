"""The OpenAPI document: valid, complete, the same each time, and a client can be made of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from examples.billing.services import services as billing
from purista_celery import Http, Service, exports
from tests.support.node import TOOLS, Node
from tests.support.processes import ROOT
from tests.unit.exports import shapes
from tests.unit.exports.openapi import shop

METHODS = ("get", "put", "post", "delete")


@pytest.fixture
def document() -> dict[str, Any]:
    return exports.openapi(shop.services())


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the operations by their ids."""
    return {
        item[method]["operationId"]: item[method]
        for item in document["paths"].values()
        for method in METHODS
        if method in item
    }


def every_shape() -> list[Service]:
    """Return an endpoint that takes and returns it, for each type of payload that there is."""
    service = Service("shapes")
    for name, payload in shapes.PAYLOADS.items():
        service.command(name, payload=payload, output=payload, http=Http(path=f"/{name}"))
    return [service]


@pytest.mark.parametrize("services", [shop.services(), billing, every_shape(), []])
def test_it_is_valid_openapi(services: list[Service]) -> None:
    """Of version 3.1, whatever is declared: everything, no endpoint, no service."""
    made = exports.openapi(services, title=None if services else "Nothing yet")
    assert made["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(made).validate()


def test_strict_linters_find_nothing(node: Node, document: dict[str, Any], tmp_path: Path) -> None:
    """Redocly's strictest rules and all of Spectral's; they do in a document with a fault."""
    faulty = json.loads(json.dumps(document))
    del faulty["paths"]["/prices"]["post"]["operationId"]
    made = {
        "shop": document,
        "billing": exports.openapi(billing),
        "shapes": exports.openapi(every_shape()),
        "faulty": faulty,
    }
    for name, each in made.items():
        (tmp_path / name).write_text(json.dumps(each))

    report = node.json("openapi.mjs", *(tmp_path / name for name in made))

    assert report.pop(str(tmp_path / "faulty"))
    assert report == {str(tmp_path / name): [] for name in ("shop", "billing", "shapes")}


def test_a_typescript_client_compiles(node: Node, document: dict[str, Any]) -> None:
    """Under strict rules, with the types that openapi-typescript makes; misuse does not compile."""
    folder = TOOLS / "node_modules" / f".client-{os.getpid()}"
    folder.mkdir()
    try:
        (folder / "openapi.json").write_text(json.dumps(document))
        node.run("openapi_types.mjs", folder / "openapi.json", folder / "schema.ts")
        (folder / "shapes.json").write_text(json.dumps(exports.openapi(every_shape())))
        node.run("openapi_types.mjs", folder / "shapes.json", folder / "shapes.ts")
        client = Path(__file__).parent / "client.ts"
        for name, text in (
            ("client.ts", client.read_text()),
            ("wrong.ts", client.read_text().replace("deadLetter", "deadLettre")),
        ):
            (folder / name).write_text(text)
        (folder / "package.json").write_text('{"type": "module"}')
        assert node.types_of(folder / "client.ts", folder / "shapes.ts") == ""
        assert "deadLettre" in node.types_of(folder / "wrong.ts")
    finally:
        shutil.rmtree(folder)


def test_it_is_the_same_to_the_byte() -> None:
    """In another process with other hashes, and whatever the order of the services."""
    script = (
        "import json; from purista_celery import exports; from tests.unit.exports.openapi import "
        "shop; print(json.dumps(exports.openapi(shop.services()[::-1]), ensure_ascii=False))"
    )
    made = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert made == {json.dumps(exports.openapi(shop.services()), ensure_ascii=False) + "\n"}


def test_what_has_an_endpoint_is_there_and_nothing_else(document: dict[str, Any]) -> None:
    """Beside it the three endpoints of a job; a contract without ``Http`` is no operation."""
    assert {
        (path, m) for path, item in document["paths"].items() for m in METHODS if m in item
    } == {
        ("/jobs/{jobId}", "get"),
        ("/jobs/{jobId}/cancel", "post"),
        ("/jobs/{jobId}/events", "get"),
        ("/prices", "post"),
        ("/reports", "post"),
        ("/shops/{shop_id}/orders", "get"),
        ("/shops/{shop_id}/orders/{orderId}", "delete"),
        ("/shops/{shop_id}/orders/{orderId}", "put"),
    }


def test_path_query_and_body_come_from_parameter_and_payload(document: dict[str, Any]) -> None:
    """Placeholders are fields of the parameter, its others the query; the payload is the body."""
    found = operations(document)
    search = found["shop.2.1.command.search"]
    named = {each["name"]: each for each in search["parameters"] if "name" in each}
    assert {name: each["in"] for name, each in named.items()} == {
        "shop_id": "path",
        "most": "query",
        "since": "query",
        "sizes": "query",
        "words": "query",
    }
    assert {name for name, each in named.items() if each["required"]} == {"shop_id", "words"}
    assert named["most"]["schema"] == {
        "default": 10,
        "maximum": 100,
        "minimum": 1,
        "type": "integer",
    }
    assert named["most"]["deprecated"] is True
    assert named["sizes"]["schema"]["items"]["enum"] == ["small", "large"]
    assert "requestBody" not in search
    headers = [each["$ref"].rpartition("/")[2] for each in search["parameters"] if "$ref" in each]
    assert headers == ["TraceId", "TraceParent"]
    assert {p["name"] for p in document["components"]["parameters"].values()} == {
        "x-trace-id",
        "traceparent",
    }

    orders = found["shop.2.1.queue.shop.orders"]["requestBody"]
    assert orders["required"] is True
    assert found["desk.1.command.price"]["requestBody"]["required"] is False


def test_a_job_answers_with_202_and_a_command_with_its_output(document: dict[str, Any]) -> None:
    """204 where there is none; problems as JSON and as text."""
    found = operations(document)
    accepted = found["desk.1.command.report"]["responses"]
    assert accepted.keys() == {"202", "400", "401", "413", "503"}
    body = accepted["202"]["content"]["application/json"]
    assert body["example"]["queueName"] == "cmd.desk.1.report"
    schema = document["components"]["schemas"]["JobAccepted"]
    assert schema["required"] == ["jobId", "status", "queueName"]
    assert list(schema["properties"]) == sorted(
        ["jobId", "runId", "status", "queueName", "queue", "scheduledAt", "statusUrl", "streamUrl"]
    )
    assert schema["properties"]["queue"]["deprecated"] is True
    assert found["desk.1.command.forget"]["responses"].keys() == {
        *("204", "400", "401", "500", "503", "504")
    }
    assert "200" in found["shop.2.1.command.search"]["responses"]
    for response in document["components"]["responses"].values():
        assert response["content"].keys() == {"application/problem+json", "text/markdown"}
    stream = found["jobs.events"]["responses"]["200"]["content"]
    assert stream.keys() == {"text/event-stream"}


def test_every_operation_says_what_puristas_tools_read(document: dict[str, Any]) -> None:
    """With the names and values of PURISTA's own exporter (addPathToOpenApi.ts)."""
    found = operations(document)
    assert _extensions(found["shop.2.1.queue.shop.orders"]) == {
        "service-name": "shop",
        "service-version": "2.1",
        "command-name": "shop.orders",
        "endpoint-security": "protected-with-security-scheme",
        "tenant-aware": False,
        "principal-aware": False,
        "event-bridge": True,
        "queue-bridge": True,
        "runtime-mode": "async-job",
    }
    assert _extensions(found["desk.1.command.price"]) == {
        "service-name": "desk",
        "service-version": "1",
        "command-name": "price",
        "endpoint-security": "protected-with-security-scheme",
        "tenant-aware": False,
        "principal-aware": True,
        "event-bridge": True,
        "runtime-mode": "sync",
    }
    assert _extensions(found["desk.1.command.forget"])["tenant-aware"] is True
    assert _extensions(found["jobs.events"])["runtime-mode"] == "stream"


def _extensions(operation: dict[str, Any]) -> dict[str, Any]:
    prefix = "x-purista-"
    return {k.removeprefix(prefix): v for k, v in operation.items() if k.startswith(prefix)}


def test_who_may_call_is_as_declared(document: dict[str, Any]) -> None:
    """Public needs nothing; the rest one of the schemes, or the application's own middleware."""
    found = operations(document)
    assert {name: operation["security"] for name, operation in found.items()} == {
        "desk.1.command.forget": [],
        "desk.1.command.price": [{"bearer": []}],
        "desk.1.command.report": [{"bearer": []}],
        "jobs.cancel": [{"bearer": []}],
        "jobs.events": [{"bearer": []}],
        "jobs.get": [{"bearer": []}],
        "shop.2.1.command.search": [],
        "shop.2.1.queue.shop.orders": [{"bearer": []}],
    }
    assert "401" not in found["shop.2.1.command.search"]["responses"]

    key = {"type": "apiKey", "in": "header", "name": "x-key"}
    told = exports.openapi(shop.services(), security_schemes={"key": key, "bearer": key})
    assert operations(told)["jobs.get"]["security"] == [{"bearer": []}, {"key": []}]
    bare = exports.openapi(shop.services(), security_schemes={})
    assert "securitySchemes" not in bare["components"]
    price = operations(bare)["desk.1.command.price"]
    assert price["x-purista-endpoint-security"] == "protected-application-middleware"


def test_examples_fit_their_schemas(document: dict[str, Any]) -> None:
    """Every body has one; so do the headers."""
    checked = 0
    for content in _contents(document):
        for media_type, media in content.items():
            whole = {**media["schema"], "components": document["components"]}
            validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
            validator.validate(media["example"])
            checked += media_type.endswith("json")
    assert checked > 15


def _contents(part: Any) -> list[dict[str, Any]]:
    if isinstance(part, list):
        return [content for each in part for content in _contents(each)]
    if not isinstance(part, dict):
        return []
    own = [part["content"]] if isinstance(part.get("content"), dict) else []
    return own + [content for each in part.values() for content in _contents(each)]


def test_what_is_sensitive_is_flagged(document: dict[str, Any]) -> None:
    """In the schemas of bodies, with the kind."""
    schemas = document["components"]["schemas"]
    assert schemas["Card"]["properties"]["number"]["x-purista-sensitive"] == "secret"
    assert schemas["Order-Input"]["properties"]["buyer"]["x-purista-sensitive"] == "personal"
