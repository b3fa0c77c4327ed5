"""The API keeps to its own description, whatever is sent: fuzzed by schemathesis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from schemathesis.engine import Status, events, from_schema

from model.classifier import ThemeClassifier
from serve.api.app import create_app
from serve.api.front import OWN_NAMES
from tests.api_tools import service_on


@pytest.fixture
def schema(tiny: ThemeClassifier, tmp_path: Path) -> Iterator[Any]:
    with service_on(tiny, tmp_path) as service:
        app: Any = create_app(service, own_names=OWN_NAMES | {"testserver"})
        yield schemathesis.openapi.from_asgi("/openapi.json", app)


def broken(schema: Any, examples: int) -> tuple[int, list[str]]:
    """The number of requests sent, and whatever did not keep to the contract.

    The engine itself is run, not the pytest plugin: its fixtures do not work with pytest 9.2.
    """
    schema.config.generation.update(max_examples=examples)
    schema.config.seed = 7
    sent, found = 0, []
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            sent += len(event.recorder.interactions)
            for name, checks in event.recorder.checks.items():
                case = event.recorder.cases[name].value
                answer = event.recorder.interactions[name].response
                for check in checks:
                    if check.status is Status.FAILURE:
                        found.append(f"{event.recorder.label} {check.name}: {case.body!r:.300} {case.query!r:.100} "
                                     f"{case.headers!r:.100} -> {answer.status_code if answer else None} {answer.text[:200] if answer else ''}")
        elif isinstance(event, events.NonFatalError | events.FatalError):
            found.append(repr(event))
    return sent, found


def test_contract(schema: Any) -> None:
    sent, found = broken(schema, 15)
    print(sent)
    assert not found, "\n\n".join(found)


@pytest.mark.slow
def test_contract_at_length(schema: Any) -> None:
    _, found = broken(schema, 500)
    assert not found, "\n\n".join(found)
