"""The audit's page, driven in a real browser: every verdict by keys, nothing from outside, nothing lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flows.audited import drawn, rows_of, truth_of, write_labels
from flows.digits import HELD_OUT, Digits, ask, load
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from labelsvc import flows
from labelsvc.flows._audit import AuditOutcome
from labelsvc.records import Shown
from labelsvc.report.audit_page import PageFacts, PageRow, page

CHROMIUM = shutil.which("chromium")
pytestmark = [pytest.mark.seconds, pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")]

ALLOWED = ("file:", "data:", "blob:")
NASTY = (
    "</script><script>document.title = 'owned'</script>",
    '"><img src=x onerror="document.title=1">',
    "",
    "a, b\n\u2028",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start a browser."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Give a browser without a network or memories; an error of a script, or a request for more, fails the test."""
    found = browser.new_context(offline=True, viewport={"width": 1280, "height": 800})
    wrong: list[str] = []
    found.on("weberror", lambda error: wrong.append(str(error.error)))
    found.on("console", lambda message: wrong.append(message.text))
    found.on("request", lambda request: wrong.append(request.url[:99]))
    yield found
    found.close()
    assert [what for what in wrong if not what.startswith(ALLOWED)] == []


def opened(context: BrowserContext, path: Path | str | None) -> Page:
    """Open a page from the disk."""
    found = context.new_page()
    found.goto(Path(path or "").resolve().as_uri())
    return found


def press(shown: Page, *keys: str) -> None:
    """Press keys one after the other."""
    for key in keys:
        shown.keyboard.press(key)


def save(shown: Page, path: Path) -> dict[str, Any]:
    """Save the verdicts by key, and return them."""
    with shown.expect_download() as download:
        shown.keyboard.press("s")
    download.value.save_as(path)
    said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return said


def count(shown: Page) -> str:
    """Return what the page says of its progress."""
    return shown.inner_text("#count")


def write(path: Path, classes: Sequence[str], rows: Sequence[PageRow], *, shows_labels: bool = True) -> Path:
    """Write a page of any rows."""
    facts = PageFacts("0000-audit", 1, 1, "verdicts.json", classes, shows_labels)
    path.write_text("".join(page(facts, rows)), encoding="utf-8")
    return path


def picture(side: int = 8) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return a picture."""
    return np.arange(side * side, dtype=np.uint8).reshape(side, side, 1)


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Digits, AuditOutcome]:
    """Give a workspace with 300 right labels, and an audit of 48 of them."""
    digits = load(tmp_path_factory.mktemp("digits"))
    workspace = tmp_path_factory.mktemp("audit") / "workspace"
    flows.ingest(workspace, [digits.labeled, digits.unlabeled], config=HELD_OUT)
    write_labels(workspace, digits)
    return workspace, digits, drawn(workspace, 0.8, n=48)


def test_a_whole_audit_by_keys(
    audited: tuple[Path, Digits, AuditOutcome], context: BrowserContext, tmp_path: Path
) -> None:
    """Judged by keys, with a step back, blindly, unsure and of no class, saved, and taken: it is all in the store."""
    workspace, digits, outcome = audited
    rows, truth = rows_of(workspace, outcome), truth_of(digits)
    shown = opened(context, outcome.page)
    assert count(shown) == "0 of 53 judged"
    assert shown.inner_text("#question") == f"Is it {rows[0][2]}?"
    assert shown.inner_text("#id") == rows[0][0]
    assert shown.evaluate("document.querySelector('#picture img').naturalWidth") == 8

    wrong = str((int(rows[0][2]) + 1) % 10)
    press(shown, wrong)  # wrong, with the class that is right
    press(shown, "n", "Backspace")  # a step back
    expect(shown.locator("#said")).to_have_text("Back at row 2, which was: not any class.")
    press(shown, "n", "u")  # of no class, unsure
    press(shown, "w", "Enter")  # wrong, no class named
    press(shown, "b")  # blind: the class is picked, and neither label nor score are seen
    assert shown.inner_text("#question") == "Which class is it?"
    assert not shown.is_visible("#first")
    assert shown.inner_text("#score") == ""
    assert shown.locator("button.proposed").count() == 0
    press(shown, "Enter")
    assert count(shown) == "4 of 53 judged", "there is nothing to call right"
    for row in rows[4:20]:
        press(shown, truth[row[0]])
    press(shown, "b")
    for row in rows[20:30]:
        press(shown, row[2])  # the key of the proposed class says that it is right
    shown.reload()
    assert count(shown) == "30 of 53 judged", "verdicts outlive the page"
    press(shown, *["Enter"] * 23)
    expect(shown.locator("#done")).to_be_visible()
    assert f"--verdicts audit-{outcome.audit.audit_id[-8:]}.json --actor NAME" in shown.inner_text("#command")
    said = save(shown, tmp_path / "verdicts.json")

    assert (said["audit"], said["stage"]) == (outcome.audit.audit_id, 1)
    assert [(one["id"], one["occurrence"]) for one in said["verdicts"]] == [row[:2] for row in rows]
    kinds = [(one["verdict"], one["label"]) for one in said["verdicts"]]
    assert kinds[:4] == [("wrong", wrong), ("none", None), ("unsure", None), ("wrong", None)]
    assert kinds[4:20] == [("class", truth[row[0]]) for row in rows[4:20]]
    assert set(kinds[20:]) == {("right", None)}
    assert all(0 <= one["lead_time_s"] < 600 for one in said["verdicts"])

    taken = flows.take_verdicts(workspace, tmp_path / "verdicts.json", actor="ada")
    assert taken.promised == 0.8
    assert ask(workspace, "SELECT checked, wrong, valid FROM certificate") == [(48, 4, True)]
    said_of = dict(ask(workspace, "SELECT sample_id, decision FROM decision JOIN sample USING (sample_no)"))
    assert [said_of[row[0]] for row in rows[:4]] == ["relabel", "reject", "unsure", "reject"]
    assert list(said_of.values()).count("confirm") == 44


def test_anything_may_be_a_name(context: BrowserContext, tmp_path: Path) -> None:
    """Ids, classes and values with markup, quotes and line ends are shown as they are, and come back unchanged."""
    rows = [
        PageRow(Shown(place, name + str(place), place, 0.9, (place,)), values={name: name})
        for place, name in enumerate(NASTY)
    ]
    shown = opened(context, write(tmp_path / "page.html", NASTY, rows))
    assert shown.title() == "Audit of labels"
    assert shown.locator("#values dd").text_content() == NASTY[0]
    assert shown.locator("#classes button span").all_text_contents() == [*NASTY[:2], "(no name)", NASTY[3]]
    press(shown, "2", "Enter", "4", "1")
    said = save(shown, tmp_path / "verdicts.json")["verdicts"]
    assert [one["id"] for one in said] == [name + str(place) for place, name in enumerate(NASTY)]
    assert [one["label"] for one in said] == [NASTY[1], None, NASTY[3], NASTY[0]]


def test_many_classes_are_typed(context: BrowserContext, tmp_path: Path) -> None:
    """A class beyond the keys is found by some of its name: the very name first, then those that begin so."""
    classes = [f"kind {number}" for number in range(120)]
    rows = [PageRow(Shown(place, str(place), 5, 0.9, (place,)), picture(200)) for place in range(4)]
    shown = opened(context, write(tmp_path / "page.html", classes, rows))
    press(shown, "w")
    shown.keyboard.type("kind 11")
    assert shown.locator("#classes button:visible").count() == 11
    assert shown.locator("button.best").inner_text().endswith("kind 11")
    press(shown, "Enter", "/")
    shown.keyboard.type("nothing")
    press(shown, "Enter")
    expect(shown.locator("#said")).to_have_text("No class is called so.")
    press(shown, "Escape")
    assert count(shown) == "1 of 4 judged"
    shown.locator("#classes button", has_text="kind 119").click()
    press(shown, "Enter")  # the button that was clicked is not pressed again
    shown.click("#unsure")
    said = save(shown, tmp_path / "verdicts.json")["verdicts"]
    assert [(one["verdict"], one["label"]) for one in said] == [
        ("wrong", "kind 11"),
        ("wrong", "kind 119"),
        ("right", None),
        ("unsure", None),
    ]


def test_hidden_labels_cannot_be_shown(context: BrowserContext, tmp_path: Path) -> None:
    """A page without labels is blind for good: no key shows them, and a picked class is all that it can say."""
    rows = [PageRow(Shown(place, str(place), 1, 0.123, (place,)), picture()) for place in range(2)]
    path = write(tmp_path / "page.html", ("cat", "dog"), rows, shows_labels=False)
    assert "0.123" not in path.read_text(encoding="utf-8")
    shown = opened(context, path)
    press(shown, "b", "Enter", "2", "1")
    said = save(shown, tmp_path / "verdicts.json")["verdicts"]
    assert [(one["verdict"], one["label"]) for one in said] == [("class", "dog"), ("class", "cat")]


def test_a_judge_is_not_hurried(context: BrowserContext, tmp_path: Path) -> None:
    """A key that is held down judges once, keys with Ctrl are the browser's, and nothing is saved before its end."""
    rows = [PageRow(Shown(place, str(place), 1, 0.9, (place,)), picture()) for place in range(3)]
    shown = opened(context, write(tmp_path / "page.html", ("cat", "dog"), rows))
    shown.keyboard.down("Enter")
    shown.keyboard.down("Enter")
    shown.keyboard.up("Enter")
    press(shown, "Control+u", "s", "9")
    assert count(shown) == "1 of 3 judged"
    press(shown, "ArrowLeft", "ArrowLeft")
    assert count(shown) == "0 of 3 judged"
    assert shown.is_disabled("#undo")


def test_what_was_kept_and_is_not_ours_is_left(context: BrowserContext, tmp_path: Path) -> None:
    """Verdicts that a browser kept of another form, or of a longer page, are not taken for this page's."""
    rows = [PageRow(Shown(0, "a", 1, 0.9, (0,)), picture())]
    path = write(tmp_path / "page.html", ("cat", "dog"), rows)
    for kept in ("{", '{"answers": 3}', '{"answers": [{"verdict": "maybe"}]}', '{"answers": [{}, {}]}'):
        shown = opened(context, path)
        shown.evaluate("([name, text]) => localStorage.setItem(name, text)", ["labelsvc-audit:0000-audit:1", kept])
        shown.reload()
        assert count(shown) == "0 of 1 judged"
        shown.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read(browser: Browser, tmp_path: Path, scheme: Any) -> None:  # noqa: ANN401 - playwright's literal
    """In light and in dark, the contrast of text to what is behind it is at least 4.5 to 1."""
    rows = [PageRow(Shown(0, "a", 1, 0.9, (0,)), picture())]
    path = write(tmp_path / "page.html", ("cat", "dog"), rows)
    context = browser.new_context(color_scheme=scheme)
    shown = opened(context, path)
    for place in ("#question", "#score", "#right span", "#wrong span", "#count", "#id", "#none kbd", "#right kbd"):
        assert shown.evaluate(CONTRAST, place) >= 4.5, place
    context.close()


CONTRAST = """
(place) => {
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const numbers = (text) => text.match(/[0-9.]+/g).map(Number);
  let behind = document.querySelector(place);
  const front = numbers(getComputedStyle(behind).color).slice(0, 3);
  let back = numbers(getComputedStyle(behind).backgroundColor);
  while (back[3] === 0) { behind = behind.parentElement; back = numbers(getComputedStyle(behind).backgroundColor); }
  const [one, other] = [light(front), light(back.slice(0, 3))].sort((a, b) => b - a);
  return (one + 0.05) / (other + 0.05);
}
"""
