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
from serve.api.limits import Limits
from tests.api_tools import service_on


@pytest.fixture
def schema(tiny: ThemeClassifier, tmp_path: Path) -> Iterator[Any]:
    with service_on(tiny, tmp_path) as service:
        app: Any = create_app(service, own_names=OWN_NAMES | {"testserver"})
        yield schemathesis.openapi.from_asgi("/openapi.json", app)


def broken(schema: Any, examples: int) -> list[str]:
    """Whatever did not keep to the contract.

    The engine itself is run, not the pytest plugin: its fixtures do not work with pytest 9.2.
    """
    schema.config.generation.update(max_examples=examples)
    schema.config.seed = 11
    sent, found = 0, []
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            sent += len(event.recorder.interactions)
            found += failures(event.recorder)
        elif isinstance(event, events.NonFatalError | events.FatalError):
            found.append(repr(event))
    assert sent > 200, f"only {sent} requests were sent"
    return found


def failures(recorder: Any) -> list[str]:
    """What was sent, what came back, and which check it failed."""
    found = []
    for name, checks in recorder.checks.items():
        case, answer = recorder.cases[name].value, recorder.interactions[name].response
        if answer and answer.status_code == 413 and len(answer.request.body or b"") > Limits().body:
            continue  # a schema cannot say how long a body may be
        told = f"{answer.status_code} {answer.text[:200]}" if answer else "no answer"
        found += [
            f"{recorder.label} {check.name}: {case.query!r:.100} {case.headers!r:.100} {case.body!r:.400} -> {told}"
            for check in checks
            if check.status is Status.FAILURE
        ]
    return found


def test_contract(schema: Any) -> None:
    found = broken(schema, 8)
    assert not found, "\n\n".join(found)


@pytest.mark.slow
def test_contract_at_length(schema: Any) -> None:
    found = broken(schema, 500)
    assert not found, "\n\n".join(found)
