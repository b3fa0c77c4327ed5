"""The demo page, in a real headless browser where there is one."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator

import pytest

from model.classifier import ThemeClassifier
from model.text import Article
from serve.demo import build_demo, marked, render

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
THEMED = "the mixer laundered coins and proceeds through a wallet broker."


def test_everything_from_the_text_is_escaped(tiny: ThemeClassifier) -> None:
    text = f"<img src=x onerror=alert(1)> {THEMED} <script>alert(1)</script>"
    page = render(tiny, tiny.predict([Article(text)])[0], text)
    assert "<img" not in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_marks_stand_where_the_evidence_is(tiny: ThemeClassifier) -> None:
    result = tiny.predict([THEMED])[0]
    assert "<mark" in marked(result, THEMED)


@pytest.fixture(scope="module")
def address(tiny: ThemeClassifier) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    page = build_demo(tiny)
    page.launch(server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, quiet=True)
    yield f"http://127.0.0.1:{port}"
    page.close()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (Debian: apt-get install chromium)")
def test_paste_and_read(address: str) -> None:
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.goto(address)
        page.locator("#article textarea").fill(THEMED)
        page.locator("#read").click()
        row = page.locator("#answer [data-theme=crypto_laundering]")
        expect(row).to_have_attribute("data-decision", "match", timeout=30_000)
        expect(page.locator("#answer .tw-quote").first).to_contain_text("laundered coins")
        page.locator("#article textarea").fill("  ")
        page.locator("#read").click()
        expect(page.locator("#answer [role=alert]")).to_contain_text("empty", timeout=30_000)
        browser.close()
