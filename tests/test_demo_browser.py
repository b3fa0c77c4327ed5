"""The demo in a real headless browser, as a reader uses it."""

from __future__ import annotations

import csv
import io
import shutil
import socket
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from model.classifier import ThemeClassifier
from serve.demo import build_demo, look
from serve.feedback.store import FeedbackStore

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
THEMED = "the mixer laundered coins and proceeds through a wallet broker."
PLAIN = "the city council said rain match school market."
ARABIC = (
    "أوقفت الشرطة رجلا في المدينة بعد بلاغ. وقالت المحكمة إن القضية مستمرة. the mixer laundered coins wallet broker."
)
PATIENCE = 60_000  # milliseconds: the machine may be busy
SCREENSHOTS = Path(__file__).parent / "screenshots"  # kept out of git
Open = Callable[..., Any]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (Debian: apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeedbackStore]:
    store = FeedbackStore.open(f"sqlite:///{tmp_path_factory.mktemp('store') / 'feedback.sqlite3'}")
    yield store
    store.close()


@pytest.fixture(scope="module")
def address(tiny: ThemeClassifier, store: FeedbackStore) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    page = build_demo(tiny, store.put)
    page.launch(server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, quiet=True, **look())
    yield f"http://127.0.0.1:{port}"
    page.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Open]:
    """Open the page in a browser of one's own; what it says of errors in its scripts fails the test."""
    contexts: list[Any] = []
    problems: list[str] = []

    def refuse(dialog: Any) -> None:
        problems.append("a script of the text ran")
        dialog.dismiss()

    def visit(**options: Any) -> Any:
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", refuse)
        page.goto(address)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert problems == []


def read(page: Any, text: str) -> None:
    """Paste and read."""
    from playwright.sync_api import expect

    page.locator("#article textarea").fill(text)
    page.locator("#read").click()
    expect(page.locator("#answer .tw-full").first).to_contain_text(text.split()[-1].strip(".")[:20], timeout=PATIENCE)


def tab(page: Any, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def test_paste_and_read(visit: Open) -> None:
    from playwright.sync_api import expect

    page = visit(locale="fr-FR")
    read(page, f"{PLAIN} {THEMED} {THEMED} {THEMED}")
    row = page.locator("#answer [data-theme=crypto_laundering]")
    expect(row).to_have_attribute("data-decision", "match")
    expect(row).to_contain_text("Blanchiment en cryptomonnaie")
    expect(page.locator("#answer .tw-quote").first).to_contain_text("laundered coins")
    expect(page.locator("#answer mark").first).not_to_be_visible()  # folded away
    page.locator("#answer summary").click()
    expect(page.locator("#answer mark").first).to_be_visible()
    page.locator("#article textarea").fill("  ")
    page.locator("#read").click()
    expect(page.locator("#answer [role=alert]")).to_contain_text("empty")


@pytest.mark.slow
def test_hostile_text_stays_text(visit: Open) -> None:
    from playwright.sync_api import expect

    page = visit()
    text = (
        "<img src=x onerror=alert(1)> {{constructor.constructor('alert(1)')()}} {{7*7}} ${alert(1)} ${7*7} "
        f"<script>alert(1)</script> `${{alert(1)}}` \u202e {THEMED}"
    )
    read(page, text)
    page.locator("#answer summary").click()
    shown = page.locator("#answer .tw-full").inner_text()
    assert "{{7*7}} ${alert(1)} ${7*7} <script>" in shown
    expect(page.locator("#answer img")).to_have_count(0)


@pytest.mark.slow
def test_read_a_file(visit: Open, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    page = visit()
    words = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    file = tmp_path / "report.docx"
    with zipfile.ZipFile(file, "w") as archive:
        xml = f"<w:document xmlns:w='{words}'><w:body><w:p><w:r><w:t>{THEMED}</w:t></w:r></w:p></w:body></w:document>"
        archive.writestr("word/document.xml", xml)
    page.locator("#file input[type=file]").set_input_files(file)
    expect(page.locator("#answer .tw-quote").first).to_contain_text("laundered coins", timeout=PATIENCE)
    assert page.locator("#article textarea").input_value() == THEMED
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.4 garbage")
    page.locator("#file input[type=file]").set_input_files(broken)
    expect(page.locator("#answer [role=alert]")).to_contain_text("broken.pdf: a damaged PDF", timeout=PATIENCE)


@pytest.mark.slow
def test_correct(visit: Open, store: FeedbackStore) -> None:
    from playwright.sync_api import expect

    page = visit()
    text = f"{THEMED} corrected"
    read(page, text)
    before = store.count()
    page.get_by_role("button", name="Wrong? Correct it").click()
    expect(page.locator("#corrected")).to_contain_text("laundered coins")
    page.locator("#save").click()
    expect(page.locator("#saved [role=alert]")).to_contain_text("Nothing to save")
    page.get_by_label("I know all its themes").check()
    expect(page.locator("#themes").get_by_label("Crypto laundering")).to_be_checked()  # what the model answered
    page.locator("#themes").get_by_label("Sextortion").check()
    for theme in ("Livestreamed abuse", "Trafficking recruitment"):
        page.locator("#themes").get_by_label(theme).uncheck()  # should the toy model see it too
    page.locator("#note textarea").fill("both, see the last paragraph")
    page.get_by_label("Keep the article's text").check()
    page.locator("#save").click()
    expect(page.locator("#saved [role=status]")).to_contain_text("Saved.")
    page.locator("#verdict-crypto_laundering").get_by_label("Right, it does").check()
    page.locator("#save").click()
    expect(page.locator("#saved [role=status]")).to_contain_text("in place of")
    assert store.count() == before + 1
    (row,) = [row for row in store.training_rows() if row["text"] == text]
    assert row["themes"] == ["crypto_laundering", "sextortion"]


@pytest.mark.slow
def test_batch_upload_and_download(visit: Open, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    page = visit()
    tab(page, "Batch")
    file = tmp_path / "intake.csv"
    rows = [f"{i},{THEMED if i % 3 == 0 else PLAIN} {i},2024-0{i % 4 + 1}-01" for i in range(12)]
    file.write_text("id,text,day\n" + "\n".join([*rows, "12,,2024-01-01"]) + "\n", "utf-8")
    page.locator("#table-file input[type=file]").set_input_files(file)
    expect(page.locator("#text-column input")).to_have_value("text", timeout=PATIENCE)
    page.locator("#score").click()
    expect(page.locator("#batch-told")).to_contain_text("12 articles scored", timeout=PATIENCE)
    expect(page.locator("#batch-told")).to_contain_text("the text is empty")
    expect(page.locator("#rows tbody tr")).to_have_count(12)
    choose(page, "#by-theme", "Crypto laundering")
    choose(page, "#by-decision", "Match")
    expect(page.locator("#rows tbody tr")).to_have_count(4)
    choose(page, "#plot-by", "Date: day")
    expect(page.locator("#plot tr").first).to_contain_text("2024-01-01")
    with page.expect_download() as waiting:
        page.locator("#download").click()
    assert waiting.value.suggested_filename == "intake-scored.csv"
    scored = list(csv.DictReader(io.StringIO(Path(waiting.value.path()).read_text("utf-8"))))
    assert [row["id"] for row in scored if row["tw_decision_crypto_laundering"] == "match"] == ["0", "3", "6", "9"]
    page.screenshot(path=shot("batch"), full_page=True)


def choose(page: Any, dropdown: str, option: str) -> None:
    page.locator(f"{dropdown} input").click()
    page.get_by_role("option", name=option, exact=True).click()


def shot(name: str) -> Path:
    SCREENSHOTS.mkdir(exist_ok=True)
    return SCREENSHOTS / f"{name}.png"


@pytest.mark.slow
def test_right_to_left(visit: Open) -> None:
    page = visit(locale="ar")
    read(page, ARABIC)
    page.locator("#answer summary").click()
    area = page.locator("#article textarea")
    assert area.evaluate("e => getComputedStyle(e).unicodeBidi") == "plaintext"
    full = page.locator("#answer .tw-full")
    assert full.evaluate("e => getComputedStyle(e).direction") == "rtl"
    edges = full.evaluate(
        """e => { const range = document.createRange(); range.setStart(e.firstChild.firstChild || e.firstChild, 0);
        range.setEnd(e.firstChild.firstChild || e.firstChild, 1);
        const box = e.getBoundingClientRect(); return box.right - range.getBoundingClientRect().right }"""
    )
    assert edges < 30  # the first letter stands at the right
    assert "الابتزاز" in page.locator("#answer").inner_text()
    page.screenshot(path=shot("arabic"), full_page=True)


@pytest.mark.slow
def test_on_a_phone(visit: Open) -> None:
    page = visit(viewport={"width": 375, "height": 740}, is_mobile=True, has_touch=True)
    read(page, f"{THEMED} {'x' * 300}")
    page.locator("#answer summary").click()
    for name in ("Read", "Correct", "Batch", "Model"):
        if page.get_by_role("tab", name=name, exact=True).is_visible():
            tab(page, name)
        else:  # Gradio folds tabs for which there is no room
            page.locator(".overflow-menu button").first.click()
            page.locator(".overflow-dropdown button", has_text=name).click()
        width = page.evaluate("document.scrollingElement.scrollWidth")
        assert width <= 375, name
        page.screenshot(path=shot(f"phone-{name.lower()}"), full_page=True)


@pytest.mark.slow
def test_in_the_dark(visit: Open) -> None:
    page = visit(color_scheme="dark")
    read(page, f"{PLAIN} {THEMED} {THEMED} {THEMED}")
    brightness = """e => { let n = e, c; do { c = getComputedStyle(n).backgroundColor; n = n.parentElement }
        while (n && /, 0\\)|transparent/.test(c)); return c.match(/[\\d.]+/g).slice(0, 3).map(Number) }"""
    back = page.locator("body").evaluate(brightness)
    assert sum(back) < 200, back
    for place in ("#answer p", "#answer .tw-quote", "#answer .tw-match .tw-word"):
        colour = page.locator(place).first.evaluate(
            "e => getComputedStyle(e).color.match(/[\\d.]+/g).slice(0, 3).map(Number)"
        )
        assert sum(colour) > 380, (place, colour)
    page.screenshot(path=shot("dark"), full_page=True)


def focused(page: Any) -> str:
    return str(page.evaluate("document.activeElement.innerText || document.activeElement.id || ''")).strip()


def press_until(page: Any, wanted: Callable[[], bool], key: str = "Tab") -> None:
    for _ in range(60):
        if wanted():
            return
        page.keyboard.press(key)
    raise AssertionError(f"not reached by {key}; stopped at {focused(page)!r}")


@pytest.mark.slow
def test_by_keyboard_alone(visit: Open) -> None:
    from playwright.sync_api import expect

    page = visit()
    expect(page.locator("#article textarea")).to_be_visible()
    press_until(page, lambda: bool(page.evaluate("document.activeElement.closest('#article') !== null")))
    page.keyboard.type(THEMED)
    press_until(page, lambda: focused(page) == "Read" and bool(page.evaluate("document.activeElement.id === 'read'")))
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    expect(page.locator("#answer .tw-quote").first).to_contain_text("laundered coins", timeout=PATIENCE)
    press_until(page, lambda: focused(page).startswith("Full text"))
    page.keyboard.press("Enter")
    expect(page.locator("#answer mark").first).to_be_visible()
    press_until(page, lambda: focused(page).startswith("Wrong?"))
    page.keyboard.press("Enter")
    expect(page.locator("#save")).to_be_visible()
    press_until(page, lambda: bool(page.evaluate("document.activeElement.closest('#verdict-sextortion') !== null")))
    page.keyboard.press("Space")  # Gradio makes every choice a stop of its own
    press_until(page, lambda: bool(page.evaluate("document.activeElement.id === 'save'")))
    page.keyboard.press("Enter")
    expect(page.locator("#saved [role=status]")).to_contain_text("Saved", timeout=PATIENCE)
    for name in ("Batch", "Model"):
        press_until(page, lambda name=name: focused(page) == name, "Shift+Tab")  # type: ignore[misc]
        page.keyboard.press("Enter")
        expect(page.get_by_role("tab", name=name, exact=True)).to_have_attribute("aria-selected", "true")


@pytest.mark.slow
def test_the_model_tab_and_what_it_is_not_good_at(visit: Open) -> None:
    from playwright.sync_api import expect

    page = visit(locale="de")
    page.get_by_role("button", name="what it is not good at").click()
    expect(page.locator("#about")).to_contain_text("measure on your own", timeout=PATIENCE)
    tab(page, "Model")
    expect(page.locator("#model")).to_contain_text("Held-out articles", timeout=PATIENCE)
    expect(page.locator("#model")).to_contain_text("Geldwäsche mit Kryptowährung")
    page.screenshot(path=shot("model"), full_page=True)


@pytest.mark.slow
def test_the_examples(visit: Open) -> None:
    from playwright.sync_api import expect

    page = visit()
    for name, code in (("العربية", "Arabic (ar)"), ("हिन्दी", "Hindi (hi)"), ("Deutsch", "German (de)")):
        page.get_by_role("button", name=name, exact=True).click()
        expect(page.locator("#answer")).to_contain_text(code, timeout=PATIENCE)
