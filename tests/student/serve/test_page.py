"""The page at /, in a real browser: a picture dropped is a label seen, and nothing comes from elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from training.bars import bars

from labelsvc.data.pictures import png

from .running import Running, serving

CHROMIUM = shutil.which("chromium")
pytestmark = [pytest.mark.seconds, pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")]
TOKEN = "a-token-of-the-tests-0123456789"  # noqa: S105 - of nothing
DROP = """([name, bytes]) => {
  const brought = new DataTransfer();
  brought.items.add(new File([new Uint8Array(bytes)], name, {type: "image/png"}));
  document.querySelector("#drop").dispatchEvent(new DragEvent("drop", {dataTransfer: brought, bubbles: true}));
}"""


@pytest.fixture(scope="module")
def shown() -> Iterator[Page]:
    """Open a browser; what it asks of others than its server, and every error of its own, fails the test."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text))
        page.on("request", lambda request: wrong.append(request.url) if "127.0.0.1" not in request.url else None)
        yield page
        browser.close()
    expected = ("Failed to load resource: the server responded with a status of 4", "blob:", "data:")
    assert [what for what in wrong if not what.startswith(expected)] == []


def drop(page: Page, name: str, data: bytes) -> None:
    """Drop a file on the page, as a person does."""
    page.evaluate(DROP, [name, list(data)])


def test_a_dropped_picture_gets_its_label(shown: Page, running: Running) -> None:
    """Label, confidence, a bar for each class, the picture itself, and where the threshold comes from."""
    shown.goto(f"http://{running.url}/")
    drop(shown, "left.png", png(bars(1)[0][0]))
    expect(shown.locator("#answers h2")).to_have_text("left")
    assert shown.locator("#answers dt").all_inner_texts()[0] == "left"
    assert shown.locator("#answers progress").count() == 3
    assert float(shown.locator("#answers progress").first.get_attribute("value") or 0) > 0.9
    expect(shown.locator("#model")).to_contain_text("a policy of the tests")
    assert shown.evaluate("document.querySelector('#answers img').naturalWidth") == 8


def test_an_unsure_answer_is_no_label(shown: Page, running: Running) -> None:
    """Where the policy takes no label, the page says so, with the best guess and what a label needs."""
    shown.goto(f"http://{running.url}/")
    drop(shown, "right.png", png(bars(3)[0][2]))
    expect(shown.locator("#answers h2")).to_have_text("No label")
    expect(shown.locator("#answers .said p").first).to_contain_text("a label needs 100.0%")


def test_files_are_chosen_and_bad_ones_told(shown: Page, running: Running, tmp_path: Path) -> None:
    """Several files get an answer each, in their order, and one that is no picture its reason."""
    (tmp_path / "left.png").write_bytes(png(bars(1)[0][0]))
    (tmp_path / "<img src=x onerror=alert(1)>.png").write_bytes(b"no picture")
    shown.goto(f"http://{running.url}/")
    shown.set_input_files("#files", sorted(tmp_path.iterdir(), reverse=True))
    expect(shown.locator("#answers h2")).to_have_text(["left", "No answer"])
    drop(shown, "bad.png", b"no picture")
    expect(shown.locator("#wrong")).to_contain_text("no picture can be read")


def test_the_page_asks_for_the_token(shown: Page, served: Path) -> None:
    """On a server with a token the page asks for it, says when it is wrong, and goes on with the same picture."""
    with serving(served, token=TOKEN) as running:
        shown.goto(f"http://{running.url}/")
        drop(shown, "left.png", png(bars(1)[0][0]))
        for word in ("wrong", TOKEN):
            shown.fill("#token", word)
            shown.press("#token", "Enter")
            if word == "wrong":
                expect(shown.locator("#wrong")).to_have_text("That is not its token.")
        expect(shown.locator("#answers h2")).to_have_text("left")
        expect(shown.locator("#asking")).to_be_hidden()
