"""The example's documents that are checked in."""

from __future__ import annotations

import yaml

from examples.billing.write_contracts import FOLDER, documents


def test_the_documents_are_those_of_the_contracts() -> None:
    """They are stale when a contract changes: run scripts/contracts, and review what that says."""
    stored = {file.name: file.read_text("utf-8") for file in FOLDER.iterdir()}
    stale = [name for name, text in documents().items() if stored.get(name) != text]
    assert not stale, f"stale: {stale}; run scripts/contracts"
    assert stored.keys() == documents().keys()


def test_yaml_says_the_same_as_the_data() -> None:
    """Whatever a text looks like: a number, a truth, a date."""
    name = "kubernetes-cronjobs.yaml"
    (job,) = yaml.safe_load(documents()[name])["items"]
    assert job["spec"]["schedule"] == "0 2 1 * *"
    assert job["metadata"]["annotations"]["purista.dev/target-service-version"] == "1"
