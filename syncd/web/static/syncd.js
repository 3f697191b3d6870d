"use strict";
// Reloads the page regularly while it may change, and replaces the parts that have changed.
// Without this script the pages show the same, but the reader must reload them.
(() => {
  const parts = () => [...document.querySelectorAll("[data-live]")];

  function focusIn(part) {
    const focused = document.activeElement;
    if (!part.contains(focused)) return null;
    return [...part.querySelectorAll("a, button, summary, [tabindex]")].indexOf(focused);
  }

  function replace(part, fresh) {
    if (part.isEqualNode(fresh)) return;
    const opened = [...part.querySelectorAll("details[open]")].map((each) => each.id);
    const focused = focusIn(part);
    const scrolled = [...part.querySelectorAll(".scroll")].map((each) => each.scrollLeft);
    part.replaceWith(fresh);
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    fresh.querySelectorAll(".scroll").forEach((each, number) => { each.scrollLeft = scrolled[number] ?? 0; });
    if (focused !== null) fresh.querySelectorAll("a, button, summary, [tabindex]")[focused]?.focus();
  }

  async function look() {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.redirected) {
      location.replace(answer.url);
      return;
    }
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of parts()) {
      const fresh = page.getElementById(part.id);
      if (fresh) replace(part, document.adoptNode(fresh));
    }
    document.title = page.title;
  }

  function later() {
    const soonest = Math.min(...parts().map((part) => Number(part.dataset.live)));
    if (!Number.isFinite(soonest)) return;
    setTimeout(async () => {
      // A hidden page is not refreshed; if the daemon is restarting, the next attempt follows as usual.
      if (!document.hidden) await look().catch(() => {});
      later();
    }, soonest * 1000);
  }

  later();
})();
