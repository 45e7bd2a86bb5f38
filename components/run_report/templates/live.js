const every = 1000 * Number(document.documentElement.dataset.refresh);
const focusable = "a[href], summary, [tabindex]";
function show(page) {
  const shown = document.querySelector("main");
  const fresh = page.querySelector("main");
  const open = [...shown.querySelectorAll("details")].map((one) => one.open);
  const focused = [...shown.querySelectorAll(focusable)].indexOf(document.activeElement);
  fresh.querySelectorAll("details").forEach((one, place) => (one.open = open[place] ?? one.open));
  shown.replaceWith(fresh);
  document.querySelector("nav")?.replaceWith(page.querySelector("nav") ?? "");
  if (focused >= 0) fresh.querySelectorAll(focusable)[focused]?.focus({ preventScroll: true });
}
async function look() {
  const answer = await fetch(location.href, { cache: "no-store" }).catch(() => null);
  let again = true;
  if (answer?.ok) {
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    show(page);
    again = "refresh" in page.documentElement.dataset;
  }
  if (again) setTimeout(look, every);
}
setTimeout(look, every);
