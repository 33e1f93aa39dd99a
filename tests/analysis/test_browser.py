"""The page in a real browser: silent, legible in both colour schemes, at any width and on paper, sortable."""

import re
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from analysis.load import load
from analysis.page import views
from analysis.report import SECTIONS, write_report
from harness.condition import Outcome
from tests.folders import made_grid

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")]


@pytest.fixture(scope="module")
def page_path(tmp_path_factory):
    """The report of two models at four lengths, some of whose runs did not solve, diverged or are missing."""
    ends = [Outcome.STABLE, Outcome.RECOVERED, Outcome.UNSOLVED, Outcome.DIVERGED]
    results = made_grid(
        tmp_path_factory.mktemp("page"),
        lambda condition, seed: ends[(condition.length // 5 * seed) % 4],
        lengths=(5, 9, 10, 100),
        seeds=3,
    )
    next(Path(results.folders[0]).glob("trials/*.parquet")).unlink()
    return write_report(load(*results.folders))


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, page_path):
    """Open the page as a visitor with these settings; it must stay silent and ask for nothing."""
    opened, troubles = [], []

    def go(**settings):
        page = browser.new_page(**settings)
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: opened.append(request.url))
        page.goto(page_path.as_uri())
        return page

    yield go
    assert troubles == []
    assert set(opened) == {page_path.as_uri()}


@pytest.mark.parametrize("width", [360, 800, 1300])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_is_legible(open_page, width, scheme):
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for kind in ("h1", "p.faint", "td", "th", "a", "li", "pre", ".alarm"):
        seen = page.eval_on_selector(kind, COLOURS)
        assert contrast(seen["ink"], seen["paper"]) >= 4.5, f"{kind} in {seen}"
    dark = sum(rgb(page.eval_on_selector("body", COLOURS)["paper"])) < 3 * 128
    assert dark == (scheme == "dark")


def test_every_section_that_applies_is_there_and_can_be_reached(open_page, page_path):
    page = open_page()
    titles = [each["title"] for each in views(SECTIONS, load(page_path.parent))]
    assert titles[0] == SECTIONS[0].title
    assert page.locator("h2").all_text_contents() == titles
    for title in titles:
        page.locator("nav").get_by_text(title, exact=True).click()
        assert page.locator("h2", has_text=title).first.is_visible()
    assert page.locator("figure svg").count() >= 6


def test_every_sentence_leads_to_its_numbers(open_page):
    page = open_page()
    links = page.locator(".answers a")
    assert links.count() >= page.locator(".answers li").count() >= 3
    for link in links.all():
        target = page.locator(f"[id='{link.get_attribute('href')[1:]}']")
        assert target.count() == 1
        link.click()
        assert target.evaluate("e => e.getBoundingClientRect().top") < 720, "it is on the screen"


def test_figures_have_no_ground_of_their_own_and_no_words_that_overlap(open_page):
    page = open_page(viewport={"width": 1300, "height": 800}, color_scheme="dark")
    white = "figure svg :is(path, rect)[style*='fill: #ffffff'], figure svg :is(path, rect)[fill='#ffffff']"
    assert page.locator(white).count() == 0
    assert (
        page.eval_on_selector("figure", COLOURS)["paper"] == page.eval_on_selector("body", COLOURS)["paper"]
    )
    for figure in page.locator("figure").all():
        assert figure.evaluate(OVERLAPS) == []


def test_tables_sort_as_numbers_and_back(open_page):
    page = open_page()
    head = page.locator("th", has_text=re.compile("^length$")).first
    table = head.locator("xpath=ancestor::table")
    column = head.evaluate("head => head.cellIndex") + 1

    def cells():
        return [float(x) for x in table.locator(f"tbody td:nth-child({column})").all_text_contents()]

    unsorted = cells()
    head.click()
    assert cells() == sorted(unsorted)
    assert {5.0, 9.0, 10.0, 100.0} == set(unsorted), "as text 10 would come before 5"
    assert head.get_attribute("aria-sort") == "ascending"
    head.click()
    assert cells() == sorted(unsorted, reverse=True)


def test_on_paper_nothing_is_cut_off(open_page):
    page = open_page(viewport={"width": 1000, "height": 800})
    page.emulate_media(media="print")
    cut = page.eval_on_selector_all(
        ".wide", "boxes => boxes.filter(box => box.scrollHeight > box.clientHeight + 2).length"
    )
    assert cut == 0
    tops = page.eval_on_selector_all("h2", "heads => heads.map(head => head.getBoundingClientRect().top)")
    assert all(a < b for a, b in pairwise(tops))


OVERLAPS = """figure => {
  const boxes = [...figure.querySelectorAll("svg text")].filter(t => t.textContent.trim())
    .map(t => [t.textContent, t.getBoundingClientRect()]);
  const found = [];
  for (const [i, [a, p]] of boxes.entries()) for (const [b, q] of boxes.slice(i + 1))
    if (p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 2 && q.top < p.bottom - 2)
      found.push(a + " | " + b);
  return found;
}"""


COLOURS = """element => {
  let under = element;
  while (under && getComputedStyle(under).backgroundColor === "rgba(0, 0, 0, 0)") under = under.parentElement;
  const paper = getComputedStyle(under || document.body).backgroundColor;
  return {ink: getComputedStyle(element).color, paper};
}"""


def rgb(colour: str) -> list[int]:
    """The channels of a colour as the browser says it: rgb(1, 2, 3)."""
    return [int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours (WCAG 2.1): 1 to 21; text needs 4.5."""

    def luminance(colour: str) -> float:
        channels = [c / 255 for c in rgb(colour)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
