"""A running service takes over promoted models: nothing is dropped, nothing is misnamed, nothing bad gets in."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import shutil
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from starlette.testclient import TestClient
from typer.testing import CliRunner

from model.artifact import Artifact, seal
from model.classifier import ThemeClassifier
from model.errors import ConfigError, EngineError
from model.layout import LAYOUT
from model.registry import Registry
from model.text import Article
from serve.api.app import create_app
from serve.api.follow import Follower, warm_classifier
from serve.api.page import QueuedClassifier
from serve.api.scoring import ScoringQueue
from serve.api.service import Service
from tests.api_tools import BASE, PLAIN, THEMED, HeldClassifier, RealServer, assert_error, service_on
from tests.test_registry import resealed

POLL = 0.02  # seconds


def all_match(rule: dict[str, Any]) -> None:
    """Decisions that nobody can mistake for the first model's."""
    rule |= {"lower": 0.0, "threshold": 0.0, "upper": 0.0}


@pytest.fixture(scope="module")
def loud(tiny_artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The tiny model, but it finds every theme everywhere."""
    return resealed(tiny_artifact, tmp_path_factory.mktemp("loud") / "loud", all_match)


@pytest.fixture
def registry(tiny_artifact: Artifact, loud: Artifact, tmp_path: Path) -> Registry:
    """Both models; the quiet one is promoted."""
    registry = Registry(tmp_path / "registry")
    quiet = registry.add(tiny_artifact.folder)
    registry.point(quiet, "", "promote")
    registry.add(loud.folder)
    return registry


def name_in(registry: Registry, artifact: Artifact) -> str:
    return registry.path(artifact.digest[:12]).name


@contextmanager
def followed(registry: Registry, folder: Path, retry: float = 60) -> Iterator[Service]:
    """A service that follows a registry, as the command starts it."""
    name = registry.current()
    with service_on(warm_classifier(registry.path(name)), folder) as service:
        follower = Follower(registry, service, name, poll=POLL, retry=retry)
        try:
            yield service
        finally:
            follower.close()


def wait_for(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)


def serving(service: Service) -> str:
    return service.classifier.artifact.digest


def test_a_batch_in_work_is_finished_with_the_model_before(tiny: ThemeClassifier, loud: Artifact) -> None:
    held = HeldClassifier(tiny)
    queue = ScoringQueue(held, capacity=100, patience=60)
    first = queue.submit([(Article(PLAIN), "en")] * 3)
    wait_for(lambda: held.batches)
    waiting = [queue.submit([(Article(PLAIN), "en")]) for _ in range(5)]
    queue.classifier = ThemeClassifier.load(loud.folder)
    held.open.set()
    answers = [result for future in [first, *waiting] for result in future.result(30)]
    queue.close()
    in_work = held.batches[0]
    named = [answer.model["digest"] for answer in answers]
    assert len(held.batches) == 1
    assert sorted(named) == sorted(
        [tiny.artifact.digest[:12]] * len(in_work) + [loud.digest[:12]] * (8 - len(in_work))
    )  # fmt: skip
    for answer in answers:
        assert (len(answer.themes) == 4) == (answer.model["digest"] == loud.digest[:12])


def test_the_model_before_is_let_go(tiny_artifact: Artifact, loud: Artifact) -> None:
    """Also where no request comes after: it may be half of the memory."""
    before = ThemeClassifier.load(tiny_artifact.folder)
    queue = ScoringQueue(before, capacity=100, patience=60)
    assert queue.submit([(Article(PLAIN), "en")]).result(30)
    queue.classifier = ThemeClassifier.load(loud.folder)
    gone = weakref.ref(before)
    del before

    def collected() -> bool:
        gc.collect()
        return gone() is None

    wait_for(collected)
    queue.close()


def test_under_load_every_request_is_answered_by_the_model_it_names(
    registry: Registry, tiny_artifact: Artifact, loud: Artifact, tmp_path: Path
) -> None:
    quiet_name, loud_name = (name_in(registry, artifact) for artifact in (tiny_artifact, loud))
    answers: list[httpx.Response] = []
    ready: list[int] = []

    async def ask(client: httpx.AsyncClient, stop: asyncio.Event, size: int) -> None:
        body: dict[str, Any] = {"articles": [{"text": PLAIN}] * size}
        while not stop.is_set():
            answers.append(await client.post("/v1/classify", json=body))

    async def probe(client: httpx.AsyncClient, stop: asyncio.Event) -> None:
        while not stop.is_set():
            ready.append((await client.get("/readyz")).status_code)
            await asyncio.sleep(0.01)

    async def serves(client: httpx.AsyncClient, artifact: Artifact) -> None:
        until = time.monotonic() + 60
        while (await client.get("/v1/model")).json()["digest"] != artifact.digest:
            assert time.monotonic() < until
            await asyncio.sleep(0.01)
        enough = len(answers) + 15
        while len(answers) < enough:
            await asyncio.sleep(0.01)

    async def run(app: Any) -> None:
        stop = asyncio.Event()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE, timeout=60) as client:
            work = [asyncio.create_task(ask(client, stop, size)) for size in (1, 1, 2, 40)]
            work.append(asyncio.create_task(probe(client, stop)))
            await serves(client, tiny_artifact)
            registry.point(loud_name, quiet_name, "promote")
            await serves(client, loud)
            assert registry.rollback("worse than it looked") == quiet_name
            await serves(client, tiny_artifact)
            registry.point(loud_name, quiet_name, "promote")
            await serves(client, loud)
            stop.set()
            await asyncio.gather(*work)

    with followed(registry, tmp_path) as service:
        asyncio.run(run(create_app(service)))
        text = service.metrics.text().decode()
    assert {answer.status_code for answer in answers} == {200}
    assert set(ready) == {200}
    results = [result for answer in answers for result in answer.json()["results"]]
    known = {artifact.digest[:12]: artifact for artifact in (tiny_artifact, loud)}
    assert {result["model"]["digest"] for result in results} == set(known)
    for result in results:
        assert (len(result["themes"]) == 4) == (known[result["model"]["digest"]] is loud)
    assert 'themewatch_model_loads_total{outcome="taken"} 3.0' in text
    assert text.count("themewatch_model_info{") == 1
    assert f'digest="{loud.digest[:12]}"' in text


def test_a_damaged_model_leaves_the_old_one(
    registry: Registry, tiny_artifact: Artifact, loud: Artifact, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    quiet_name, loud_name = (name_in(registry, artifact) for artifact in (tiny_artifact, loud))
    head = registry.path(loud_name) / LAYOUT.head
    whole = head.read_bytes()
    head.chmod(0o644)
    with caplog.at_level(logging.INFO), followed(registry, tmp_path, retry=2) as service:
        app: Any = create_app(service)
        with TestClient(app, base_url=BASE) as client:
            head.write_bytes(whole[:-1])
            (registry.folder / "current").write_text(loud_name)
            wait_for(lambda: "cannot be loaded" in caplog.text)
            assert client.get("/readyz").status_code == 200
            assert client.get("/v1/model").json()["digest"] == tiny_artifact.digest
            answer = client.post("/v1/classify", json={"text": PLAIN})
            assert answer.json()["model"]["digest"] == tiny_artifact.digest[:12]
            assert 'themewatch_model_loads_total{outcome="refused"} 0.0' not in client.get("/metrics").text
            (registry.folder / "current").write_text(quiet_name)
            time.sleep(5 * POLL)
            (registry.folder / "current").write_text(loud_name)
            head.write_bytes(whole)
            wait_for(lambda: serving(service) == loud.digest)  # tried again without being asked
            assert len(client.post("/v1/classify", json={"text": PLAIN}).json()["themes"]) == 4
    told = [record.getMessage() for record in caplog.records if "cannot be loaded" in record.getMessage()]
    assert loud_name in told[0]
    assert f"{LAYOUT.head} is damaged" in told[0]


@pytest.mark.parametrize("pointer", ["", "\n", "other", "../../etc", "/etc", "..", ".", "a/b", "\0", "x" * 5_000])
def test_odd_pointers_change_nothing(registry: Registry, tiny_artifact: Artifact, tmp_path: Path, pointer: str) -> None:
    with followed(registry, tmp_path) as service:
        (registry.folder / "current").write_text(pointer)
        time.sleep(5 * POLL)
        assert serving(service) == tiny_artifact.digest
        assert service.scoring.submit([(Article(PLAIN), "en")]).result(30)


def test_a_registry_that_goes_away_is_told_once(
    registry: Registry, tiny_artifact: Artifact, loud: Artifact, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pointer = registry.folder / "current"
    with followed(registry, tmp_path) as service:
        pointer.write_bytes(b"\xff\xfe")
        wait_for(lambda: "pointer is damaged" in caplog.text)
        time.sleep(5 * POLL)
        assert caplog.text.count("pointer is damaged") == 1
        pointer.unlink()
        shutil.move(registry.folder, tmp_path / "away")  # its folder gone: the card is still told
        app: Any = create_app(service)
        with TestClient(app, base_url=BASE) as client:
            assert client.get("/v1/model").json()["digest"] == tiny_artifact.digest
        shutil.move(tmp_path / "away", registry.folder)
        pointer.write_text(name_in(registry, loud))
        wait_for(lambda: serving(service) == loud.digest)


def test_a_model_without_numbers_stays_out(tiny_artifact: Artifact, registry: Registry, tmp_path: Path) -> None:
    shutil.copytree(tiny_artifact.folder, tmp_path / "empty")
    head = load_file(tmp_path / "empty" / LAYOUT.head)
    save_file(head | {"bias": np.full_like(head["bias"], np.nan)}, tmp_path / "empty" / LAYOUT.head)
    empty = registry.add(sealed_again(tmp_path / "empty").folder)
    with followed(registry, tmp_path) as service:
        registry.point(empty, registry.current(), "promote")
        wait_for(lambda: b'themewatch_model_loads_total{outcome="refused"} 1.0' in service.metrics.text())
        with pytest.raises(EngineError, match="no number"):
            ThemeClassifier.load(registry.path(empty)).predict([PLAIN])
        assert serving(service) == tiny_artifact.digest


def sealed_again(folder: Path) -> Artifact:
    """An artifact whose files were changed."""
    manifest = json.loads((folder / LAYOUT.manifest).read_text("utf-8"))
    return seal(folder, {k: v for k, v in manifest.items() if k not in ("kind", "format", "written_by", "files")})


def renamed(artifact: Artifact, to: Path, old: str, new: str) -> Artifact:
    """A copy of a model with another key for one theme."""
    shutil.copytree(artifact.folder, to)
    for name in (LAYOUT.taxonomy, LAYOUT.decisions):
        (to / name).write_text((to / name).read_text("utf-8").replace(old, new), "utf-8")
    return sealed_again(to)


def test_themes_description_feedback_and_page_go_along(
    registry: Registry, tiny_artifact: Artifact, tmp_path: Path
) -> None:
    other = renamed(tiny_artifact, tmp_path / "other", "crypto_laundering", "asset_laundering")
    name = registry.add(other.folder)
    with followed(registry, tmp_path) as service:
        app: Any = create_app(service)
        page = QueuedClassifier(service)
        assert "crypto_laundering" in page.predict([THEMED])[0].scores
        body = {"article": {"text": PLAIN}, "themes": ["asset_laundering"]}
        with TestClient(app, base_url=BASE) as client:
            assert "asset_laundering" not in client.get("/openapi.json").text
            assert_error(client.post("/v1/feedback", json=body), 422, "unknown_theme")
            registry.point(name, registry.current(), "promote")
            wait_for(lambda: serving(service) == other.digest)
            assert "asset_laundering" in [t["key"] for t in client.get("/v1/themes").json()["themes"]]
            assert '"asset_laundering"' in client.get("/openapi.json").text
            assert '"crypto_laundering"' not in client.get("/openapi.json").text
            assert client.post("/v1/feedback", json=body).status_code == 201
        assert "asset_laundering" in page.predict([THEMED])[0].scores
        assert page.artifact.digest == other.digest


def test_a_server_follows_its_registry(
    registry: Registry, tiny_artifact: Artifact, loud: Artifact, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'feedback.sqlite3'}"
    with RealServer(None, store, "--no-demo", "--registry", str(registry.folder)) as server:
        ask: Callable[[], Any] = lambda: httpx.post(f"{server.url}/v1/classify", json={"text": PLAIN}).json()  # noqa: E731
        assert ask()["model"]["digest"] == tiny_artifact.digest[:12]
        registry.point(name_in(registry, loud), registry.current(), "promote")
        wait_for(lambda: ask()["model"]["digest"] == loud.digest[:12])
        assert len(ask()["themes"]) == 4
        registry.rollback()
        wait_for(lambda: ask()["model"]["digest"] == tiny_artifact.digest[:12])
        assert server.stop() < 20
    log = "".join(server.log)
    assert "promoted in" in log
    assert f"{name_in(registry, loud)} answers from now on" in log


def test_the_command_takes_one_source_of_models(registry: Registry, tmp_path: Path) -> None:
    from model.main import build_app

    def refusal(*options: str) -> str:
        done = CliRunner().invoke(build_app(), ["serve", "--port", "0", *options])
        assert isinstance(done.exception, ConfigError)
        return str(done.exception)

    assert "no such folder" in refusal("--registry", str(tmp_path / "none"))
    assert "not both" in refusal("--registry", str(registry.folder), "--model", str(tmp_path))
