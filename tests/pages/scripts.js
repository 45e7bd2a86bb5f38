(() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const shown = (one) => one.checkVisibility({ visibilityProperty: true });
  const name = (one) => `<${one.tagName.toLowerCase()}> ${(one.id || one.textContent).trim().slice(0, 60)}`;
  const scrolls = (one) =>
    [["overflowX", one.scrollWidth - one.clientWidth], ["overflowY", one.scrollHeight - one.clientHeight]]
      .some(([side, beyond]) => beyond > 1 && /auto|scroll/.test(getComputedStyle(one)[side]));
  const focusable = () =>
    all("a[href], summary, button, input, select, [tabindex]").filter((one) => one.tabIndex >= 0 && shown(one));
  const reached = new Set();
  const unseen = new Set();

  window.looks = {
    focusable,

    follow: () => {
      document.activeElement?.blur();
      document.addEventListener("focusin", ({ target }) => {
        reached.add(target);
        const style = getComputedStyle(target);
        const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
        if (!outlined && style.boxShadow === "none") unseen.add(target);
      });
    },

    // What leads somewhere, opens or scrolls must be reached by the keyboard, and be seen then.
    unreached: () => {
      const wanted = all("a[href], summary, button, input, select").filter(shown);
      // A list that scrolls is reached by the links in it.
      const scrollers = all("body *").filter((one) => shown(one) && scrolls(one));
      const within = (one) => [...reached].some((other) => one.contains(other));
      return [
        ...wanted.filter((one) => !reached.has(one)).map((one) => `keyboard: Tab does not reach ${name(one)}`),
        ...scrollers.filter((one) => !within(one)).map((one) => `keyboard: Tab does not reach what scrolls, ${name(one)}`),
        ...[...unseen].map((one) => `keyboard: the focus is not seen on ${name(one)}`),
      ];
    },

    openDetails: () => {
      for (const one of all("details")) one.open = true;
      return [];
    },

    brokenImages: async () => {
      const problems = [];
      for (const one of all("img")) {
        one.loading = "eager";
        await one.decode().catch(() => problems.push(`image not loaded: ${one.alt || one.src.slice(0, 60)}`));
        if (one.complete && !one.naturalWidth) problems.push(`image without size: ${one.alt}`);
      }
      return problems;
    },

    overflow: () => {
      const root = document.documentElement;
      const problems = [];
      if (root.scrollWidth > root.clientWidth) {
        const widest = all("body *").find((one) => one.getBoundingClientRect().right > root.clientWidth + 1);
        problems.push(`overflow: ${root.scrollWidth} of ${root.clientWidth} px, ${widest ? name(widest) : ""}`);
      }
      for (const one of [root, document.body]) {
        const style = getComputedStyle(one).overflowX;
        if (/hidden|clip/.test(style)) problems.push(`overflow: ${name(one)} hides what is wider`);
      }
      return problems;
    },

    // Drawn, and with letters that can be read.
    figures: () => {
      const problems = [];
      for (const one of all("svg").filter(shown)) {
        const { width, height } = one.getBoundingClientRect();
        const drawn = [...one.querySelectorAll("path, rect, circle, line, polyline, use")]
          .filter((part) => !part.closest("defs, clipPath"));
        const scale = one.getScreenCTM().a;
        const small = [...one.querySelectorAll("text")]
          .filter((text) => parseFloat(getComputedStyle(text).fontSize) * scale < 8);
        if (width < 60 || height < 40 || !drawn.length) problems.push(`figure not drawn: ${name(one)}`);
        if (small.length) problems.push(`figure with letters too small: ${name(one)}, ${small[0].textContent}`);
      }
      return problems;
    },
  };
})();
