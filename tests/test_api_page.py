"""The demo page as a part of the service."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from model.artifact import Artifact
from model.classifier import ThemeClassifier
from model.errors import InputError
from serve.api.limits import Limits
from serve.api.page import QueuedClassifier, build_page
from serve.api.service import Service
from serve.demo.files import private_folder
from tests.api_tools import BASE, PLAIN, THEMED, HeldClassifier, RealServer, assert_error, service_on
from tests.test_demo_browser import FLAGS

CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def service(tiny: ThemeClassifier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service_on(tiny, tmp_path_factory.mktemp("page")) as service:
        yield service


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[TestClient]:
    from serve.api.app import create_app

    app: object = create_app(service, build_page(service))
    with TestClient(app, base_url=BASE) as client:  # type: ignore[arg-type]
        yield client


def test_page_and_api_share_a_port(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "themewatch" in page.text
    assert page.headers["x-frame-options"] == "SAMEORIGIN"
    assert client.get("/config").json()["title"] == "themewatch"
    assert client.get("/v1/model").json()["name"] == "tiny"
    assert_error(client.get("/v1/config"), 404)


def press(client: TestClient, element: str, data: list[object], session: str = "") -> str:
    """What the page's own script does when something happens to an element; gives the events it gets."""
    config = client.get("/config").json()
    place = next(c["id"] for c in config["components"] if c["props"].get("elem_id") == element)
    chosen = next(d for d in config["dependencies"] if place in [target[0] for target in d["targets"]])["id"]
    session = session or f"s{chosen}"
    sent = {"data": data, "fn_index": chosen, "session_hash": session, "event_data": None}
    assert client.post("/gradio_api/queue/join", json=sent).status_code == 200
    told = ""
    with client.stream("GET", f"/gradio_api/queue/data?session_hash={session}") as answer:
        for line in answer.iter_lines():
            told += line
            if "process_completed" in line:
                break
    return told


def test_reading_a_text_goes_through_the_queue(client: TestClient, service: Service) -> None:
    before = service.metrics.text()
    told = press(client, "read", [THEMED])
    assert "data-decision='match'" in told
    assert before != service.metrics.text()


def test_wrong_calls_of_the_page_print_no_text(
    client: TestClient, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A choice that the page does not offer: Gradio tells its sender, and nobody else."""
    told = press(client, "by-decision", [None, "unspeakable", "unspeakable", "unspeakable", "unspeakable"])
    assert '"success":false' in told
    assert "unspeakable" not in "".join(capfd.readouterr()) + caplog.text


@pytest.mark.parametrize("path", ["https://evil.example/x.txt", "/etc/passwd"])
def test_the_page_reads_only_what_was_uploaded(client: TestClient, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetched(*_: object, **__: object) -> None:
        raise AssertionError("the page asked another server")

    monkeypatch.setattr("gradio.processing_utils.save_url_to_cache", fetched)
    monkeypatch.setattr("gradio.processing_utils.async_save_url_to_cache", fetched, raising=False)
    for meta in ({"meta": {"_type": "gradio.FileData"}}, {}):
        told = press(client, "file", [{"path": path, "url": path, **meta}])
        assert '"success":false' in told
        assert "root:" not in told


@pytest.mark.parametrize(
    "path",
    [
        "/nothing", "/monitoring", "/login", "/gradio_api/proxy=https://evil.example/", "/gradio_api/file=/etc/passwd",
        "/gradio_api/file/etc/passwd", "/gradio_api/upload_progress?upload_id=1", "/gradio_api/run-history/records",
        "/gradio_api/file=https://evil.example/", "/gradio_api/file=HTTP://evil.example/",
        "/static/../../../etc/passwd", "/static/%2e%2e/%2e%2e/etc/passwd", "/assets/..%2f..%2fetc/passwd",
    ],
)  # fmt: skip
def test_closed_parts_of_the_page(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (403, 404), answer.text[:200]
    assert "root:" not in answer.text


def test_uploads_are_kept_apart_and_limited(client: TestClient) -> None:
    answer = client.post("/gradio_api/upload", files={"files": ("../../x.txt", THEMED.encode())})
    assert answer.status_code == 200, answer.text[:200]
    (path,) = answer.json()
    assert private_folder() in Path(path).resolve().parents
    told = press(client, "file", [{"path": path, "meta": {"_type": "gradio.FileData"}}])
    assert "data-decision='match'" in told
    assert not Path(path).exists()  # read, and gone
    large = b"x" * (33 * 2**20)
    assert_error(client.post("/gradio_api/upload", files={"files": ("x.csv", large)}), 413)


def test_corrections_go_to_the_services_store(client: TestClient, service: Service) -> None:
    form: list[object] = [None, False, [], "a note", False, "", "", "", ""]
    before, counted = service.store.count(), service.metrics.text()
    assert "First read an article" in press(client, "save", form, "nothing-read")
    press(client, "read", [f"{THEMED} once more"], "mine")
    assert "Saved." in press(client, "save", form, "mine")
    assert "in place of" in press(client, "save", form, "mine")
    assert service.store.count() == before + 1
    assert counted != service.metrics.text()


def test_no_other_site_may_read_the_page(client: TestClient) -> None:
    for origin in ("https://evil.example", "http://localhost:3000"):
        headers = client.get("/config", headers={"origin": origin}).headers
        assert not [name for name in headers if name.startswith("access-control")]
    assert_error(client.get("/", headers={"host": "evil.example"}), 421)


def test_errors_of_the_page_are_words(service: Service, tiny: ThemeClassifier, tmp_path: Path) -> None:
    queued = QueuedClassifier(service)
    assert "crypto_laundering" in queued.predict([THEMED])[0].themes
    with pytest.raises(InputError, match="empty"):
        queued.predict([" "])
    with pytest.raises(InputError, match="over the limit"):
        queued.predict(["x" * 500_001])
    held = HeldClassifier(tiny)
    with service_on(held, tmp_path, Limits(queue=64, wait=1)) as slow, pytest.raises(InputError, match="too long now"):
        QueuedClassifier(slow).predict([PLAIN])
    with pytest.raises(InputError, match="wait already"):
        QueuedClassifier(slow).predict([PLAIN])


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (Debian: apt-get install chromium)")
def test_log_in_paste_and_read(tiny_artifact: Artifact, tmp_path: Path) -> None:
    """In a real browser: the page works under its content policy, behind the login, and asks nobody else."""
    from playwright.sync_api import expect, sync_playwright

    login = {"THEMEWATCH_DEMO_LOGIN": f"ana:{hashlib.sha256(b'word').hexdigest()}"}
    store = f"sqlite:///{tmp_path / 'feedback.sqlite3'}"
    with RealServer(tiny_artifact.folder, store, **login) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = browser.new_context(http_credentials={"username": "ana", "password": "word"})
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(server.url)
        page.locator("#article textarea").fill(THEMED)
        page.locator("#read").click()
        row = page.locator("#answer [data-theme=crypto_laundering]")
        expect(row).to_have_attribute("data-decision", "match", timeout=30_000)
        assert [url for url in asked if not url.startswith((server.url, "data:", "blob:"))] == []
        assert server.stop() < 30  # with the page still open
        browser.close()
    assert "laundered" not in "".join(server.log)
