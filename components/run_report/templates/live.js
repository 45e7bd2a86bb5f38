const every = 1000 * Number(document.documentElement.dataset.refresh);
const focusable = "a[href], summary, [tabindex]";
function show(page) {
  const link = document.activeElement?.closest("nav a")?.getAttribute("href");
  let focused = link ? page.querySelector(`nav a[href="${link}"]`) : null;
  for (const fresh of page.querySelectorAll("section")) {
    const shown = document.getElementById(fresh.id);
    if (!shown) continue;
    const open = [...shown.querySelectorAll("details")].map((one) => one.open);
    fresh.querySelectorAll("details").forEach((one, place) => (one.open = open[place] ?? one.open));
    const place = [...shown.querySelectorAll(focusable)].indexOf(document.activeElement);
    focused = fresh.querySelectorAll(focusable)[place] ?? focused;
  }
  document.title = page.title;
  document.querySelector(".layout").replaceWith(page.querySelector(".layout"));
  focused?.focus({ preventScroll: true });
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
