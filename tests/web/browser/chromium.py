"""A real browser, without a window, and what to ask it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selenium.webdriver import Chrome, ChromeOptions, ChromeService

DESKTOP = (1280, 900)
PHONE = (390, 844)

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
)


@contextmanager
def chromium(profile: Path) -> Iterator[Chrome]:
    """Chromium with a profile of its own; what it asks the network for is on record."""
    options = ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    driver = Chrome(options=options, service=ChromeService("/usr/bin/chromedriver"))
    try:
        yield driver
    finally:
        driver.quit()


def origins_asked(driver: Chrome) -> set[str]:
    """Where the browser's pages have sent requests since this was last asked."""
    asked = set()
    for entry in driver.get_log("performance"):  # type: ignore[no-untyped-call]
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            url = urlsplit(message["params"]["request"]["url"])
            asked.add(f"{url.scheme}://{url.netloc}")
    return asked


def look_like(driver: Chrome, size: tuple[int, int], *, dark: bool = False) -> None:
    """Be a screen of this size, light or dark."""
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def switch_scripts(driver: Chrome, *, on: bool) -> None:
    """Let pages run their scripts or not."""
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not on})


def unnamed(driver: Chrome) -> list[str]:
    """The roles of what can be reached with the keyboard and has no name for those who do not see it."""
    tree: dict[str, Any] = driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})
    return [
        node["role"]["value"]
        for node in tree["nodes"]
        if not node.get("ignored")
        and any(each["name"] == "focusable" and each["value"].get("value") for each in node.get("properties", []))
        and not node.get("name", {}).get("value")
        and node["role"]["value"] not in {"main", "RootWebArea"}
    ]


#: Text and what it stands on, as the browser has worked it out, where their contrast is below WCAG's 4.5 (3 if large).
FAINT = """
const parse = (color) => {
  const [r, g, b, a = 1] = color.match(/[\\d.]+/g).map(Number);
  return {rgb: [r, g, b], a};
};
const light = ([r, g, b]) => {
  const [R, G, B] = [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * R + 0.7152 * G + 0.0722 * B;
};
const ground = (element) => {
  for (let each = element; each; each = each.parentElement) {
    const {rgb, a} = parse(getComputedStyle(each).backgroundColor);
    if (a === 1) return rgb;
  }
  return [255, 255, 255];
};
const faint = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !element.getClientRects().length || element.closest("svg, progress, meter")) {
    continue;
  }
  const style = getComputedStyle(element);
  const [a, b] = [light(parse(style.color).rgb), light(ground(element))];
  const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const isLarge = parseFloat(style.fontSize) >= 24;
  if (contrast < (isLarge ? 3 : 4.5)) faint.push(`${walker.currentNode.data.trim()}: ${contrast.toFixed(2)}`);
}
return faint;
"""
