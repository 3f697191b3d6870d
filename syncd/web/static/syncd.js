"use strict";
// Asks for the page again and again while something on it may change, and puts in what has changed.
// Without this script the pages say the same; then it is for the reader to load them again.
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
      // While nobody looks, nothing is asked for; a daemon that is being restarted is asked again.
      if (!document.hidden) await look().catch(() => {});
      later();
    }, soonest * 1000);
  }

  later();
})();
