"""AsyncAPI documents: complete, valid to the official judges, and the same each time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Literal

import jsonschema_rs
import pytest

from examples.billing.services import services as billing
from purista_celery import Interval, ResultEvents, Service, Settings, compile_app, exports
from purista_celery.contracts import names
from purista_celery.errors import ConfigurationError, ExportError
from purista_celery.exports.servers import server_of
from tests.support.node import Node
from tests.support.processes import ROOT
from tests.unit.exports import shapes

Version = Literal["3.0.0", "2.6.0"]
VERSIONS: tuple[Version, ...] = ("3.0.0", "2.6.0")


def references(value: Any) -> Iterator[str]:
    """Yield every ``$ref`` of a document."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for part in value.values():
            yield from references(part)
    elif isinstance(value, list):
        for part in value:
            yield from references(part)


def resolved(document: Any, reference: str) -> Any:
    """Return what a local ``$ref`` points at."""
    assert reference.startswith("#/"), reference
    found = document
    for step in reference[2:].split("/"):
        found = found[step.replace("~1", "/").replace("~0", "~")]
    return found


SERVERS = [
    server_of("amqps://user:s3cret@rabbit.internal/orders%2Fv1"),
    server_of("redis://:s3cret@[2001:db8::1]:6380/3", "cache"),
    server_of("unix:///run/s3cret.sock", "socket"),
]


def broken() -> dict[str, Any]:
    """Return a document with a reference that dangles, and without a licence."""
    document = exports.asyncapi(billing)
    queue = "queue.billing.monthlyClosing"
    document["operations"][f"{queue}.send"]["channel"]["$ref"] = "#/channels/nowhere"
    del document["info"]["license"]
    return document


def governed() -> Service:
    """Return a service whose contracts have owners of their own, and places to read more."""
    service = Service("orders", owner="sales")
    links = {"runbook": "https://wiki.example/orders", "board": "https://board.example/orders"}
    paid: Any = int | None
    event = service.event("order.paid", payload=paid, owner="finance", links=links, tags=["money"])
    service.queue("orders.ship", payload=int, links=links, deprecated=True)
    service.command("find", payload=int, output=int, owner="search", links=links)
    service.schedule("daily", Interval(timedelta(days=1)), emits=event, links=links, tags=["night"])
    return service


@pytest.fixture(scope="module")
def report(node: Node, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What the official judges say of each document; they are asked once, for it takes seconds."""
    documents = {"broken": broken()}
    for version in VERSIONS:
        documents |= {
            f"billing-{version}": exports.asyncapi(billing, asyncapi_version=version),
            f"shapes-{version}": exports.asyncapi(shapes.services(), asyncapi_version=version),
            f"governed-{version}": exports.asyncapi([governed()], asyncapi_version=version),
            f"served-{version}": exports.asyncapi(
                billing, asyncapi_version=version, servers=SERVERS
            ),
        }
    folder = tmp_path_factory.mktemp("asyncapi")
    files = {name: folder / f"{name}.json" for name in documents}
    for name, document in documents.items():
        files[name].write_text(json.dumps(document))
    told = node.json("asyncapi.mjs", *files.values())
    return {name: told[str(file)] for name, file in files.items()}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["billing", "shapes", "governed", "served"])
def test_the_official_parser_and_spectral_have_nothing_to_say(
    report: dict[str, list[Any]], name: str, version: Version
) -> None:
    """No error, no warning. That a newer version exists is no defect."""
    told = report[f"{name}-{version}"]
    assert {problem["source"] for problem in told} == {"parser", "spectral"}  # both have looked
    assert {problem["code"] for problem in told} == {"asyncapi-latest-version"}, told


@pytest.mark.parametrize(
    "url", ["redis://:s3cret/x@host", "sqs://key:s3cret@aws", "s3cret", "redis://[s3cret"]
)
def test_a_url_that_can_not_be_read_is_not_shown(url: str) -> None:
    """It is refused with a code; whatever of it was a password stays unsaid."""
    with pytest.raises(ConfigurationError) as caught:
        server_of(url)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_the_judges_see_a_fault(report: dict[str, list[Any]]) -> None:
    """Else the test above would prove nothing."""
    told = report["broken"]
    assert "error" in {problem["severity"] for problem in told if problem["source"] == "parser"}
    assert "asyncapi-info-license" in {problem["code"] for problem in told}


def test_servers_hold_no_credentials() -> None:
    """RabbitMQ's virtual host is said, users, passwords and paths of sockets are not."""
    documents = {
        v: exports.asyncapi(billing, asyncapi_version=v, servers=SERVERS) for v in VERSIONS
    }
    assert "s3cret" not in json.dumps(documents)
    assert documents["3.0.0"]["servers"] == {
        "broker": {"host": "rabbit.internal:5671", "pathname": "/orders/v1", "protocol": "amqps"},
        "cache": {"host": "[2001:db8::1]:6380", "protocol": "redis"},
        "socket": {"description": "A unix socket", "host": "localhost", "protocol": "redis"},
    }
    assert documents["2.6.0"]["servers"]["broker"]["url"] == (
        "amqps://rabbit.internal:5671/orders%2Fv1"
    )
    bound = documents["3.0.0"]["channels"]["queue.billing.monthlyClosing"]["bindings"]
    assert bound["amqp"]["queue"]["vhost"] == "orders/v1"


@pytest.mark.parametrize("version", VERSIONS)
def test_no_reference_dangles(services: list[Service], version: Version) -> None:
    """PURISTA's own export leaves some, where only a binding names an event."""
    document = exports.asyncapi(services, asyncapi_version=version)
    found = set(references(document))
    assert found
    for reference in found:
        resolved(document, reference)


def test_every_contract_is_a_channel_or_an_operation(services: list[Service]) -> None:
    """Events of bindings, schedules and result policies too."""
    document = exports.asyncapi(services)
    channels, operations = document["channels"], document["operations"]
    addresses = {c["address"] for c in channels.values() if c["x-purista"]["kind"] == "event"}
    for service in services:
        prefix = f"{service.name}.{service.version}"
        for name in service.queues:
            assert f"queue.{name}" in channels
            assert {f"queue.{name}.send", f"queue.{name}.receive"} <= operations.keys()
        for name in service.commands:
            channel = f"{prefix}.command.{name}.request"
            assert channels[channel]["address"] == (
                f"purista/{service.name}/{service.version}/commands/{name}"
            )
            assert operations[f"{channel}.receive"]["action"] == "receive"
        assert set(service.events) <= addresses
        for subscription in service.subscriptions.values():
            operation = operations[f"{prefix}.subscription.{subscription.name}.receive"]
            assert (operation["action"], operation["x-purista"]) == (
                "receive",
                {
                    "serviceName": service.name,
                    "serviceVersion": service.version,
                    "subscriptionName": subscription.name,
                },
            )
        for schedule in service.schedules.values():
            operation = operations[f"{prefix}.schedule.{schedule.name}.send"]
            channel = resolved(document, operation["channel"]["$ref"])
            assert channel["address"].rpartition("/")[2] == schedule.target_name
            assert channel["x-purista"]["kind"] == schedule.target_kind
        for binding in service.bindings.values():
            key = re.sub(r"[^\w.-]", "_", f"binding.{binding.event_name}.{binding.queue.name}")
            operation = operations[key]
            assert resolved(document, operation["reply"]["channel"]["$ref"])["address"] == (
                binding.queue.name
            )
            assert resolved(document, operation["channel"]["$ref"])["address"] == (
                binding.event_name
            )
        for queue in service.queues.values():
            for status, event in queue.results.events.items():
                told = [
                    o["x-purista"]
                    for o in operations.values()
                    if o.get("x-purista", {}).get("kind") == "result-event"
                    and resolved(document, o["channel"]["$ref"])["address"] == event.name
                ]
                assert [(t["queueName"], t["status"]) for t in told] == [(queue.name, status)]


@pytest.mark.parametrize("version", VERSIONS)
def test_who_answers_for_a_contract_is_in_the_document(version: Version) -> None:
    """Its owner or its service's, and where to read more."""
    document = exports.asyncapi([governed()], asyncapi_version=version)
    messages = {
        message["title"]: (message["x-purista"].get("owner"), message["externalDocs"])
        for message in document["components"]["messages"].values()
        if "x-purista" in message
    }
    docs = {"description": "runbook", "url": "https://wiki.example/orders"}
    assert messages == {
        "order.paid event": ("finance", docs),
        "orders.ship queue job": ("sales", docs),
        "find command request": ("search", docs),
    }
    text = json.dumps(document)
    assert text.count("https://board.example/orders") >= 4
    assert '"night"' in text


def test_a_topic_pattern_is_an_address_with_parameters() -> None:
    """``#`` and ``*`` mean something else in an address; two patterns are two channels."""
    document = exports.asyncapi(shapes.services())
    patterns = {
        channel["x-purista"]["eventName"]: channel
        for channel in document["channels"].values()
        if names.is_pattern(channel["x-purista"].get("eventName", ""))
    }
    assert {name: found["address"] for name, found in patterns.items()} == {
        "shop.#": "shop.{words1}",
        "shop.*": "shop.{word1}",
    }
    assert set(patterns["shop.#"]["parameters"]) == {"words1"}


def test_every_message_has_an_example_that_fits_its_schema(services: list[Service]) -> None:
    """Its author's first, where there is one; judged here by another draft-7 validator's code."""
    document = exports.asyncapi(services)
    for name, message in document["components"]["messages"].items():
        schema = {**message["payload"], "components": document["components"]}
        (example,) = message["examples"]
        jsonschema_rs.Draft7Validator(schema, validate_formats=True).validate(example["payload"])
        assert "headers" in message, name


def test_an_authors_example_is_taken() -> None:
    """From the model's configuration."""
    messages = exports.asyncapi(shapes.services())["components"]["messages"]
    (example,) = messages["event.shop.given.message"]["examples"]
    assert example["payload"] == {"code": "A-1", "price": "9.90"}


def test_schemas_are_valid_in_the_dialect_of_asyncapi(services: list[Service]) -> None:
    """Which is draft 7: tuples and discriminators are said as it knows them."""
    document = exports.asyncapi(services)
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate(
            {"$schema": "http://json-schema.org/draft-07/schema#", **schema}
        )
    text = json.dumps(document)
    assert "prefixItems" not in text
    assert 'propertyName"' not in text


def test_what_the_schemas_accept_is_what_the_contracts_accept() -> None:
    """Where draft 7 says a thing in other words, it still refuses the same values."""
    document = exports.asyncapi(shapes.services())
    for name, wrong in {"tuple": [1, 2, {}], "taggedUnion": {"kind": "cow"}}.items():
        message = document["components"]["messages"][f"queue.shop.queue.{name}.job"]
        schema = {**message["payload"], "components": document["components"]}
        validator = jsonschema_rs.Draft7Validator(schema)
        assert validator.is_valid(message["examples"][0]["payload"])
        assert not validator.is_valid(wrong)


def test_bindings_name_what_is_declared_on_the_broker() -> None:
    """Exchange and queues of Kombu's topology, in the namespace that is given."""
    services = shapes.services()
    settings = Settings(
        broker_url="redis://127.0.0.1:1/0", ledger_url="redis://127.0.0.1:1/0", namespace="acme"
    )
    runtime = compile_app(services, settings).purista_runtime
    channels = exports.asyncapi(services, namespace="acme")["channels"]
    queue = channels["queue.same"]["bindings"]
    assert queue["amqp"]["queue"]["name"] == runtime.wiring.queues["same"].broker_name
    assert queue["redis"]["x-purista"]["key"] == f"acme:{queue['amqp']['queue']['name']}"
    command = channels["shop.2.1.command.price.request"]["bindings"]["amqp"]["queue"]
    assert command["name"] == runtime.wiring.queues["cmd.shop.2.1.price"].broker_name
    exchange = channels["event.same"]["bindings"]["amqp"]["exchange"]
    inbox = next(iter(runtime.inboxes.values()))
    assert (exchange["name"], exchange["type"]) == (inbox.exchange.name, inbox.exchange.type)


def test_the_same_contracts_give_the_same_bytes() -> None:
    """In another process, with other hashes, whatever the order of the services."""
    code = (
        "import json, sys; from purista_celery import exports; "
        "from tests.unit.exports.shapes import services; "
        "found = services()[:: int(sys.argv[1])]; "
        "versions = [exports.asyncapi(found, asyncapi_version=v) for v in ('3.0.0', '2.6.0')]; "
        "others = (exports.definitions, exports.json_schemas, exports.graph); "
        "manifest = exports.schedule_manifest(found); "
        "print(json.dumps([*versions, manifest, *(write(found) for write in others)]))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code, order],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed, order in (("1", "1"), ("2", "-1"))
    }
    assert len(printed) == 1


def test_names_that_differ_in_a_colon_are_two_channels() -> None:
    """Ids have no colon; the second gets an id of its own."""
    channels = exports.asyncapi(shapes.services())["channels"]
    assert channels["event.month_due"]["address"] == "month:due"
    (other,) = [key for key, found in channels.items() if found["address"] == "month_due"]
    assert re.fullmatch(r"event\.month_due-[0-9a-f]{8}", other)


def test_what_purista_would_call_the_same_is_told_apart() -> None:
    """Two services that bind one event to one queue, and two versions of a service."""
    shop = Service("shop")
    made = shop.event("made")
    queue = shop.queue("work", payload=int)
    services = [shop, Service("shop", version="2"), Service("other")]
    for service in services:
        service.bind(made, to=queue)(lambda event: None)
    document = exports.asyncapi(services)
    found = [key for key in document["operations"] if key.startswith("binding.")]
    assert found == ["binding.made.work", "binding.made.work-2", "binding.made.work-3"]
    assert [tag["name"] for tag in document["info"]["tags"]] == ["other", "shop"]


def test_a_service_without_anything_is_a_document() -> None:
    """With no channels."""
    assert exports.asyncapi([Service("idle")])["channels"] == {}


def test_another_version_is_refused() -> None:
    """With what is written."""
    with pytest.raises(ExportError, match=r"expected '3\.0\.0' or '2\.6\.0'"):
        exports.asyncapi([], asyncapi_version="1.0.0")  # type: ignore[arg-type]


def test_contact_and_licence_are_those_that_are_given() -> None:
    """Else the owner, at an address that is visibly none."""
    service = Service("billing", owner="Finance & Co")
    service.queue("q", payload=str, results=ResultEvents(success="q.done"))
    unknown = exports.asyncapi([service])["info"]
    assert unknown["contact"]["name"] == "Finance & Co"
    assert unknown["contact"]["email"].endswith(".invalid")
    contact = exports.Contact(name="Ada", url="https://ada.test/", email="ada@ada.test")
    known = exports.asyncapi([service], contact=contact, license_name="MIT")["info"]
    assert known["contact"] == {
        "name": "Ada",
        "url": "https://ada.test/",
        "email": "ada@ada.test",
    }
    assert known["license"] == {"name": "MIT"}
