"""``purista.definitions.json``: ours is read by PURISTA, and PURISTA's by us."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from examples.billing.services import services as billing
from purista_celery import Service, Settings, compile_app, exports
from purista_celery.errors import InvalidDefinitions, UnknownReference
from tests.support.node import TOOLS, Node
from tests.unit.exports import shapes

FIXTURES = Path(__file__).parents[2] / "fixtures" / "purista"

PAYLOAD: dict[str, Any] = {
    "month": "2026-01",
    "attempt": 1,
    "kind": "monthly",
    "address": {"street": "Main", "zip": "12345"},
    "lines": [{"item-no": "A", "count": 2}],
    "note": None,
    "labels": {"paid": True},
    "point": [1, "b"],
    "either": "x",
}


def written_by_purista() -> Any:
    """Return the definitions that PURISTA's own exporter wrote (tests/tools/purista_writes.mjs)."""
    return json.loads((FIXTURES / "purista.definitions.json").read_text("utf-8"))


def test_the_fixture_is_what_purista_writes(node: Node, tmp_path: Path) -> None:
    """It is made anew by the pinned release and compared."""
    node.run("purista_writes.mjs", tmp_path)
    for file in FIXTURES.glob("*.json"):
        assert (tmp_path / file.name).read_text("utf-8") == file.read_text("utf-8"), file.name
    assert len(list(FIXTURES.glob("*.json"))) == 3


def test_puristas_exporters_read_ours(node: Node, services: list[Service], tmp_path: Path) -> None:
    """Its manifest of our definitions is our manifest; it sees all our queues and schemas."""
    file = tmp_path / "purista.definitions.json"
    file.write_text(json.dumps(exports.definitions(services)))
    read = node.json("purista_reads.mjs", file)
    assert read["unknownSchemas"] == 0
    ours = exports.schedule_manifest(services)["schedules"]
    theirs = read["manifest"]["schedules"]
    # This release of PURISTA does not know groups of schedules.
    assert theirs == [{k: v for k, v in s.items() if k != "schedulerGroup"} for s in ours]
    crons = [entry["name"] for entry in ours if entry["expression"]["kind"] == "cron"]
    named = [job["metadata"]["annotations"] for job in read["cronJobs"]]
    assert [found["purista.dev/schedule-name"] for found in named] == crons
    channels = exports.asyncapi(services)["channels"]
    for key, channel in read["asyncapi"]["channels"].items():
        assert key in channels
        assert channel["x-purista"] == channels[key]["x-purista"]
    queues = {name for service in services for name in service.queues}
    assert {f"queue.{name}" for name in queues} <= read["asyncapi"]["channels"].keys()


TYPES = """
import type {{
  EventToQueueBindingDefinition, QueueLifecycleConfig, QueueLongRunningExecutionProfile,
  QueueResultPolicy, ScheduleDefinition, ScheduleManifest, DefinitionQueueBridgeConfig,
  CommandDefinitionMetadataBase, DefinitionEventBridgeConfig, HttpExposedServiceMeta,
}} from '@purista/core'

// A generic parameter keeps literals and lets further fields be, as reading JSON does.
const manifest = <T extends ScheduleManifest>(given: T) => given
const queue = <T extends {{
  queueName: string; description: string; tags: string[]; deprecated: boolean
  lifecycle: QueueLifecycleConfig; queueBridgeConfig: DefinitionQueueBridgeConfig
  executionProfile?: QueueLongRunningExecutionProfile; resultPolicy?: QueueResultPolicy
  schedules: ScheduleDefinition[]; deadLetter?: {{ queueName?: string }}
}}>(given: T) => given
const command = <T extends {{
  commandName: string; commandDescription: string; eventBridgeConfig: DefinitionEventBridgeConfig
  metadata: CommandDefinitionMetadataBase | HttpExposedServiceMeta
}}>(given: T) => given
const schedule = <T extends ScheduleDefinition>(given: T) => given
const binding = <T extends EventToQueueBindingDefinition>(given: T) => given

manifest({manifest})
{calls}
"""


def test_ours_is_of_puristas_types(node: Node) -> None:
    """The TypeScript compiler accepts manifest, queues, schedules and bindings as PURISTA's."""
    typed = _typed([*billing, *shapes.services()])
    right, wrong = (TOOLS / "node_modules" / name for name in ("ours.mts", "wrong.mts"))
    right.write_text(typed)
    wrong.write_text(typed.replace('"missedRunPolicy": "runOnce"', '"missedRunPolicy": 5'))
    complaints = node.types_of(right, wrong)
    assert "ScheduleMissedRunPolicy" in complaints  # it has looked
    assert "ours.mts" not in complaints, complaints


def _typed(services: list[Service]) -> str:
    calls = [
        f"{function}({json.dumps(value)})"
        for versions in exports.definitions(services)["services"].values()
        for service in versions.values()
        for function, values in (
            ("queue", service["queues"].values()),
            ("command", service["commands"].values()),
            ("schedule", service["schedules"].values()),
            ("binding", service["eventToQueueBindings"]),
        )
        for value in values
    ]
    manifest = json.dumps(exports.schedule_manifest(services))
    return TYPES.format(manifest=manifest, calls="\n".join(calls))


def test_what_purista_wrote_becomes_contracts() -> None:
    """Queues with lifecycle, profile, results and types; events of every place that names one."""
    billing, books = Service.all_from_definitions(written_by_purista())
    assert (billing.name, billing.version) == ("billing", "1")
    queue = billing.queues["billing.monthlyClosing"]
    assert queue.profile is not None
    assert (queue.profile.strict, queue.lifecycle.max_lease_extensions) == (True, 71)
    assert (queue.tags, queue.dead_letter) == (("money",), "billing.monthlyClosing.dead")
    assert queue.results.policy is not None
    assert queue.results.policy.delivery == "required"
    reminder = billing.queues["billing.reminder"]
    assert (reminder.deprecated, reminder.lifecycle.max_attempts) == (True, 5)
    assert reminder.lifecycle.heartbeat_interval < reminder.lifecycle.visibility_timeout
    assert set(billing.events) == {
        "billing.monthlyClosing.completed",
        "billing.monthlyClosing.failed",
        "billing.invoiceWritten",  # a worker's emitList
        "billing.monthlyCycleDue",  # a schedule
        "billing.priceSet",  # a command
    }
    # What nobody in the document emits is declared where it is heard.
    assert set(books.events) == {"bank.rateChanged"}
    # The other team fires its schedules, and serves its subscriptions.
    assert not billing.schedules
    assert not books.subscriptions


def test_channels_are_puristas_own() -> None:
    """Ids, addresses and x-purista of its AsyncAPI document, for what we read of its contracts."""
    theirs = json.loads((FIXTURES / "asyncapi.json").read_text("utf-8"))
    ours = exports.asyncapi(Service.all_from_definitions(written_by_purista()))
    known = {k: c for k, c in theirs["channels"].items() if c["x-purista"]["kind"] != "command"}
    assert len(known) == 4  # commands are asked where they are answered, and not read
    for key, channel in known.items():
        assert ours["channels"][key]["address"] == channel["address"]
        assert ours["channels"][key]["x-purista"] == channel["x-purista"]
    assert (
        ours["components"]["schemas"]["PuristaHeaders"]
        == (theirs["components"]["schemas"]["PuristaHeaders"])
    )


def test_foreign_contracts_compile() -> None:
    """And a handler of ours can serve them."""
    services = Service.all_from_definitions(written_by_purista())
    queue = services[0].queues["billing.monthlyClosing"]
    queue.worker()(lambda job: None)
    url = "redis://127.0.0.1:1/0"
    app = compile_app(services, Settings(broker_url=url, ledger_url=url))
    assert [served.name for served in app.purista_runtime.served] == [queue.name]


def test_a_payload_is_validated_by_the_schema_and_has_its_shape() -> None:
    """Attributes for names, dictionaries for what has none; absent stays absent."""
    adapter = (
        Service.from_definitions(written_by_purista(), "billing")
        .queues["billing.monthlyClosing"]
        .payload_adapter
    )
    value = adapter.validate_python(PAYLOAD)
    assert (value.month, value.address.street, value.lines[0].item_no) == ("2026-01", "Main", "A")
    assert value.mail is None
    assert adapter.dump_python(value, mode="json", by_alias=True) == PAYLOAD
    assert adapter.validate_python(value) is value
    for wrong in (
        {**PAYLOAD, "kind": "daily"},
        {**PAYLOAD, "attempt": 1.5},
        {**PAYLOAD, "address": {"street": "Main"}},
        {**PAYLOAD, "lines": [{"item-no": 5, "count": 2}]},
        {**PAYLOAD, "point": [1, "b", 3]},
        {key: part for key, part in PAYLOAD.items() if key != "month"},
        [],
    ):
        with pytest.raises(ValidationError):
            adapter.validate_python(wrong)


def test_an_event_is_validated_by_the_schema_that_purista_exported() -> None:
    """A command's output is JSON Schema in the definitions, with all its constraints."""
    event = Service.from_definitions(written_by_purista(), "billing").events["billing.priceSet"]
    assert event.adapter.validate_python({"price": 5, "currency": "EUR"}).currency == "EUR"
    for wrong in ({"price": -1, "currency": "EUR"}, {"price": 5, "currency": "EURO"}):
        with pytest.raises(ValidationError):
            event.adapter.validate_python(wrong)


def test_definitions_come_back_as_they_were_written() -> None:
    """All queues and events of every shape; only the depth of a recursive one is not shown."""
    written = exports.definitions(shapes.services())
    read = exports.definitions(Service.all_from_definitions(json.loads(json.dumps(written))))
    for kind in ("queues", "events"):
        before = written["services"]["shop"]["2.1"][kind]
        after = read["services"]["shop"]["2.1"][kind]
        recursive = {name for name in before if "recursive" in name}
        assert before.keys() == after.keys()
        for name in before.keys() - recursive:
            known = {**before[name], "description": after[name]["description"]}
            if name in _results(before):
                # A result event's schema is made of its queue's output again.
                known["payloadSchema"] = after[name]["payloadSchema"]
            assert after[name] == known, name


def _results(found: dict[str, Any]) -> set[str]:
    return {name for name in found if name.rpartition(".")[2] in ("done", "failed", "progress")}


def test_an_event_has_one_service_whoever_else_emits_it() -> None:
    """Else the services that were read could not be compiled together."""
    emits = {"workers": {"queueName": "q", "emitList": {"x": {"type": "integer"}}}}
    hears = {
        "hear": {"eventName": "x", "metadata": {"expose": {"inputPayload": {"type": "string"}}}}
    }
    document = {
        "services": {
            "a": {"1": {"subscriptions": hears}},
            "b": {"1": {"queueWorkers": emits}},
            "c": {"1": {"queueWorkers": emits}},
        }
    }
    services = {s.name: s for s in Service.all_from_definitions(document)}
    assert [name for name, service in services.items() if service.events] == ["b"]
    assert services["b"].events["x"].adapter.validate_python(5) == 5
    url = "redis://127.0.0.1:1/0"
    compile_app([*services.values()], Settings(broker_url=url, ledger_url=url))
    given = Service.all_from_definitions(exports.definitions(shapes.services()))
    compile_app(given, Settings(broker_url=url, ledger_url=url))


def test_one_service_of_several_is_chosen_by_name() -> None:
    """And what there is to choose from is said."""
    document = written_by_purista()
    assert Service.from_definitions(document, "books", version="2").name == "books"
    with pytest.raises(UnknownReference, match=r"billing 1, books 2"):
        Service.from_definitions(document)
    with pytest.raises(UnknownReference, match="'books 3'"):
        Service.from_definitions(document, "books", version="3")


@pytest.mark.parametrize(
    "document", [None, [], {}, {"services": 5}, {"services": {"a": {"1": []}}}]
)
def test_what_is_no_definitions_document_is_refused(document: Any) -> None:
    """With a code and what was expected."""
    with pytest.raises(InvalidDefinitions, match=r"\[PURISTA_DEFINITIONS_INVALID\] Definitions"):
        Service.all_from_definitions(document)


def test_a_path_is_read(tmp_path: Path) -> None:
    """And what is no JSON file is refused with its path."""
    file = FIXTURES / "purista.definitions.json"
    names = [service.name for service in Service.all_from_definitions(file)]
    assert names == [service.name for service in Service.all_from_definitions(str(file))]
    assert names == ["billing", "books"]
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    for path in (broken, tmp_path / "missing.json"):
        with pytest.raises(InvalidDefinitions, match=path.name):
            Service.from_definitions(path)


def test_a_schema_that_is_none_is_refused_by_its_contract() -> None:
    """Not when the first job comes."""
    for schema in ({"type": "objct"}, {"$ref": "#/$defs/Nowhere"}, "text"):
        document = {"services": {"a": {"1": {"queues": {"q": {"payloadSchema": schema}}}}}}
        with pytest.raises(InvalidDefinitions, match="Queue 'q': payloadSchema"):
            Service.all_from_definitions(document)
