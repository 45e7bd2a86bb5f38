const every = 1000 * Number(document.documentElement.dataset.refresh);
const opened = (page) => [...page.querySelectorAll("details")].map((one) => one.open);
const focusable = "a[href], summary, [tabindex]";
const timer = setInterval(async () => {
  const answer = await fetch(location.href, { cache: "no-store" }).catch(() => null);
  if (!answer || !answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (!page.documentElement.dataset.refresh) clearInterval(timer);
  const shown = document.querySelector("main");
  const fresh = page.querySelector("main");
  const open = opened(shown);
  const focused = [...shown.querySelectorAll(focusable)].indexOf(document.activeElement);
  fresh.querySelectorAll("details").forEach((one, place) => (one.open = open[place] ?? one.open));
  shown.replaceWith(fresh);
  document.querySelector("nav")?.replaceWith(page.querySelector("nav") ?? "");
  if (focused >= 0) fresh.querySelectorAll(focusable)[focused]?.focus({ preventScroll: true });
}, every);
