"use strict";
(() => {
  const root = document.documentElement;
  const all = (query, from = document) => [...from.querySelectorAll(query)];
  const one = (id) => document.getElementById(id);
  const words = JSON.parse(one("words").textContent);
  const rows = all(".area section > details");
  all(".tools, .filter").forEach((each) => { each.hidden = false; });

  // Language
  function speak(language) {
    root.lang = language;
    const said = words[language];
    for (const each of all("[data-t]")) each.textContent = said[each.dataset.t];
    for (const row of rows) {  // whose words are those of their classes, as 10,000 rows have no room for more
      row.firstElementChild.firstElementChild.textContent = said[row.classList[0]];
      row.querySelector("u").textContent = said[row.classList[1]];
    }
    for (const each of all("[data-t-label]")) {
      each.setAttribute("aria-label", said[each.dataset.tLabel]);
      if (each.placeholder) each.placeholder = said[each.dataset.tLabel];
    }
    const other = language === "en" ? "ru" : "en";
    one("language").lang = other;
    one("language").textContent = other === "en" ? "English" : "Русский";
  }
  one("language")?.addEventListener("click", () => { speak(one("language").lang); filter(); });

  // Dark or light
  one("theme")?.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  // An answer may be opened long after it was given.
  const until = Date.parse(document.body.dataset.until);
  if (Date.now() > until) all(".ran-out").forEach((each) => { each.hidden = false; });

  // Filter
  const scope = { entry: "", area: "" };  // set by a link of the matrix
  const texts = new Map();
  function textOf(row) {
    if (!texts.has(row)) {
      const promise = row.parentElement.firstElementChild.textContent;
      texts.set(row, `${promise} @ ${row.textContent}`.toLowerCase());
    }
    return texts.get(row);
  }
  function filter() {
    if (!one("text")) return;
    const kinds = all(".filter [aria-pressed=true]").map((each) => each.dataset.kind);
    const severity = one("severity").value;
    const sought = one("text").value.toLowerCase().split(/\s+/).filter(Boolean);
    const idle = !kinds.length && !severity && !sought.length && !scope.entry && !scope.area;
    let shown = 0;
    for (const row of rows) {
      const fits = (!kinds.length || kinds.some((kind) => row.classList.contains(kind)))
        && (!severity || row.classList.contains(severity))
        && (!scope.entry || row.dataset.e === scope.entry)
        && (!scope.area || row.closest(".area").id === scope.area)
        && sought.every((word) => textOf(row).includes(word));
      row.hidden = !fits;
      shown += fits;
    }
    for (const each of all(".area section")) each.hidden = !each.querySelector(":scope > details:not([hidden])");
    for (const each of all(".area")) {
      each.hidden = !each.querySelector("section:not([hidden])");
      if (!idle && !each.hidden) each.open = true;
    }
    const said = words[root.lang];
    one("shown").textContent = idle ? "" : shown ? `${shown} ${said.of} ${rows.length} ${said.shown}` : said.nothing_shown;
  }
  let soon;
  for (const each of all(".filter [data-kind]")) {
    each.addEventListener("click", () => {
      each.setAttribute("aria-pressed", String(each.getAttribute("aria-pressed") !== "true"));
      filter();
    });
  }
  one("severity")?.addEventListener("change", filter);
  one("text")?.addEventListener("input", () => { clearTimeout(soon); soon = setTimeout(() => { texts.clear(); filter(); }, 150); });

  // A link of the matrix leaves only what it counts in the list.
  function narrow(entry, area, said) {
    Object.assign(scope, { entry, area });
    one("scope").hidden = !said;
    one("scope").firstElementChild.textContent = said;
    filter();
  }
  for (const each of all("a[data-e]")) {
    each.addEventListener("click", (event) => {
      event.preventDefault();
      const name = each.closest("tr").querySelector("th").textContent;
      const area = each.dataset.a ? one(each.dataset.a).querySelector("h3").textContent : "";
      narrow(each.dataset.e, each.dataset.a ?? "", area ? `${name} · ${area}` : name);
      one("checks").scrollIntoView();
      one("checks").focus({ preventScroll: true });
    });
  }
  one("scope")?.addEventListener("click", () => { narrow("", "", ""); one("text").focus(); });

  // The slash goes to the filter, Escape takes all of it back.
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !one("text")) return;
    if (event.key === "/" && !event.target.matches("input, select")) {
      event.preventDefault();
      one("text").focus();
    } else if (event.key === "Escape" && event.target.closest?.(".filter, #checks")) {
      one("text").value = one("severity").value = "";
      for (const each of all(".filter [data-kind]")) each.setAttribute("aria-pressed", "false");
      narrow("", "", "");
    }
  });

  // A link to a check opens it, whatever is folded or filtered around it.
  function follow() {
    const sought = one(decodeURIComponent(location.hash.slice(1)));
    if (!sought) return;
    for (let each = sought; each; each = each.parentElement) {
      each.hidden = false;
      if (each.localName === "details") each.open = true;
    }
    const show = () => sought.scrollIntoView({ block: "start" });
    show();
    requestAnimationFrame(show);  // what was above it may only now have got its height
    sought.querySelector("summary, a")?.focus({ preventScroll: true });
  }
  addEventListener("hashchange", follow);
  addEventListener("click", (event) => {  // once more to where the address is already
    const link = event.target.closest?.("a[href^='#']");
    if (link && !link.dataset.e && link.hash === location.hash) follow();
  });
  if (location.hash) follow();

  // Paper shows what is not met in full, unless that would be a book, and the rest in a line each.
  addEventListener("beforeprint", () => {
    for (const each of all(".area")) each.open = true;
    for (const each of rows.filter((row) => !row.matches(".passed, .attested")).slice(0, 200)) each.open = true;
  });
})();
