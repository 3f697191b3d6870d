"""How the pages look: on a desk, on a phone and in the dark, to the eye, to the keyboard and to who hears them read.

With SYNCD_SCREENSHOTS set to a folder, the pictures are kept there: two of them stand in the README.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from syncd.core.fields import Role
from syncd.core.records import Key
from syncd.onefile import ApiRequest
from syncd.operations.explain import Cell, Decided, Decision, Explanation, RecordExplanation, RowRead
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store
from syncd.web.app import make_app
from syncd.web.auth.credentials import Credentials
from syncd.web.pages import Allowance, PageContext, pages
from syncd.web.server import served
from tests.support.addresses import free_port

from .chromium import DESKTOP, FAINT, PHONE, chromium, look_like, unnamed
from .made_up import NOW, ORGANISATION, fill
from .reader import Reader

pytestmark = pytest.mark.browser

_TOKEN = "a token of the tests"
_WAITING, _DONE = 28, 27
_HIGHEST_PICTURE = 1000
_PAGES = {
    "overview": "/",
    "stopped-run": f"/runs/{_WAITING}",
    "run": f"/runs/{_DONE}",
    "runs": "/runs",
    "people": "/people?q=L10",
    "person": "/people/Learner/L1052",
    "explained": "/people/Learner/L1008?explain=yes",
    "held": "/held",
    "left-out": "/held?list=left-out",
    "documentation": "/docs",
    "documentation-feeds": "/docs/feeds",
    "documentation-getting-started": "/docs/getting-started",
    "documentation-monitoring": "/docs/monitoring",
    "documentation-onefile-api": "/docs/onefile-api",
    "documentation-reasons": "/docs/reasons#held-refused",
    "nothing-there": "/runs/999",
}
_SCREENS = {"desktop": (DESKTOP, False), "phone": (PHONE, False), "dark": (DESKTOP, True), "dark-phone": (PHONE, True)}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Somebody who has signed in to the pages of a made-up term."""
    folder = tmp_path_factory.mktemp("looks")
    store = Store(f"sqlite:///{folder / 'syncd.db'}", ValueCipher())
    store.upgrade()
    assert fill(store) == _WAITING
    site = PageContext(
        store, [ORGANISATION], lambda: NOW, ZoneInfo("Europe/London"), _explain, lambda: Allowance(37, 300)
    )
    app = make_app(store, [ORGANISATION], Credentials(_TOKEN), lambda: NOW, pages(site))
    port = free_port()
    with served(app, ("127.0.0.1", port)), chromium(folder / "profile") as driver:
        reader = Reader(driver, f"http://127.0.0.1:{port}")
        reader.open("/")
        reader.sign_in("Morgan", _TOKEN)
        reader.waits_for("Not in sync")
        yield reader
    store.close()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(os.environ.get("SYNCD_SCREENSHOTS") or tmp_path_factory.mktemp("pictures"))


@pytest.mark.parametrize("screen", _SCREENS)
@pytest.mark.parametrize("page", _PAGES)
def test_a_page_fits_its_screen_and_can_be_read(reader: Reader, pictures: Path, page: str, screen: str) -> None:
    driver = reader.driver
    size, dark = _SCREENS[screen]
    look_like(driver, size, dark=dark)
    reader.open(_PAGES[page])
    width, height = driver.execute_script("const e = document.documentElement; return [e.scrollWidth, e.scrollHeight]")
    assert width <= size[0]
    assert driver.execute_script(FAINT) == []
    look_like(driver, (size[0], min(height, _HIGHEST_PICTURE)), dark=dark)
    file = pictures / f"{page}-{screen}.png"
    assert driver.save_screenshot(str(file))


@pytest.mark.parametrize("page", _PAGES)
def test_page_has_named_controls_and_valid_outline_for_screen_readers(reader: Reader, page: str) -> None:
    driver = reader.driver
    look_like(driver, DESKTOP)
    reader.open(_PAGES[page])
    assert unnamed(driver) == []
    assert driver.execute_script(_OUTLINE) == {"lang": "en-GB", "mains": 1, "headings": 1, "skipped": [], "bare": []}


@pytest.mark.parametrize("page", ["overview", "stopped-run", "held"])
def test_everything_can_be_reached_with_the_keyboard_and_shows_that_it_is(reader: Reader, page: str) -> None:
    driver = reader.driver
    look_like(driver, DESKTOP)
    reader.open(_PAGES[page])
    wanted = driver.execute_script(_REACHABLE)
    reached = []
    for _ in range(wanted):
        ActionChains(driver).send_keys(Keys.TAB).perform()
        name, outline = driver.execute_script(_FOCUSED)
        assert outline >= 2, name
        reached.append(name)
    assert reached[0] == "Skip to the content"
    assert len(reached) == wanted


def test_a_picture_of_the_readme_is_small_enough_to_be_kept() -> None:
    kept = [*(Path(__file__).parent / "screenshots").glob("*.png")]
    assert {file.name for file in kept} == {"overview-desktop.png", "stopped-run-desktop.png"}
    assert all(file.stat().st_size < 150_000 for file in kept)


def _explain(organisation_id: int, misid: str) -> Explanation:
    cells = (
        Cell("MISID", "MISID", "the key", misid),
        Cell("forename", "FirstName", "text", "Anwen", difference="same"),
        Cell("surname", "LastName", "text", "Okonkwo-Whittle", is_sent=True, difference="differs"),
        Cell("class_code", "ClassroomID", "looked up as the classroom with the MISID 'CHEF2': ID 15381", 15381),
    )
    decided = Decided(
        Decision.UPDATE,
        "would be updated: LastName",
        "These values differ from those OneFile last accepted; equal values are not sent.",
    )
    calls = (ApiRequest("POST", "/User/400007", {"LastName": "Okonkwo-Whittle"}),)
    key = Key(organisation_id, Role.LEARNER, misid)
    record = RecordExplanation(key, (RowRead("learners", 8, cells),), None, (), None, None, decided, calls, ())
    return Explanation((record,))


#: The language, how many mains and first headings there are, headings that skip a level, and tables without headings.
_OUTLINE = """
const levels = [...document.querySelectorAll("h1, h2, h3, h4")].map((each) => Number(each.tagName[1]));
return {
  lang: document.documentElement.lang,
  mains: document.querySelectorAll("main").length,
  headings: levels.filter((level) => level === 1).length,
  skipped: levels.filter((level, position) => position && level > levels[position - 1] + 1),
  bare: [...document.querySelectorAll("table")].filter((table) => !table.querySelector("thead th[scope=col]")
    || [...table.querySelectorAll("tbody tr")].some((row) => !row.querySelector("th[scope=row]")))
    .map((table) => table.outerHTML),
};
"""

_REACHABLE = """
return [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, summary, [tabindex='0']")]
  .filter((each) => each.checkVisibility()).length;
"""

_FOCUSED = """
const focused = document.activeElement;
const style = getComputedStyle(focused);
return [focused.innerText, style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth)];
"""
