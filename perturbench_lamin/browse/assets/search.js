// The search box: the index is a script, loaded when the box is first used, because a page opened from a folder may
// fetch nothing. Finds are written as text, never as markup.
(() => {
  "use strict";
  const MOST = 30;
  const root = document.body.dataset.root;
  const box = document.querySelector(".search");
  const input = document.getElementById("search");
  const list = document.getElementById("found");
  const count = document.getElementById("found-count");
  let loading = null;
  let chosen = -1;

  box.hidden = false;

  function index() {
    loading ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `${root}assets/search-index.js`;
      script.onload = () => resolve(window.siteIndex.map((entry) => [...entry, entry.join(" ").toLowerCase()]));
      script.onerror = reject;
      document.head.append(script);
    });
    return loading;
  }

  // All words must occur; a word in the name counts more than one in the rest, one at its start most.
  function score(entry, words) {
    const name = entry[0].toLowerCase();
    let total = 0;
    for (const word of words) {
      if (!entry[4].includes(word)) return 0;
      total += 1 + (name.includes(word) ? 4 : 0) + (name.startsWith(word) ? 4 : 0) + (name === word ? 8 : 0);
    }
    return total;
  }

  async function find() {
    const asked = input.value;
    const words = asked.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return close();
    const entries = await index();
    if (asked !== input.value) return;
    const found = entries.map((entry, place) => [score(entry, words), place, entry]).filter(([points]) => points > 0);
    found.sort((a, b) => b[0] - a[0] || a[1] - b[1]);
    show(found.map(([, , entry]) => entry));
  }

  function show(found) {
    list.replaceChildren(...found.slice(0, MOST).map(option));
    if (!found.length) {
      const none = document.createElement("li");
      none.className = "none";
      none.textContent = "Nothing found";
      list.append(none);
    }
    chosen = -1;
    choose(found.length ? 0 : -1);
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    count.textContent = found.length > MOST ? `${found.length} found, the first ${MOST} are listed` : `${found.length} found`;
  }

  function option(entry, place) {
    const item = document.createElement("li");
    item.id = `found-${place}`;
    item.setAttribute("role", "option");
    item.dataset.href = root + entry[2];
    const name = document.createElement("span");
    name.className = "name";
    name.textContent = entry[0];
    const kind = document.createElement("small");
    kind.textContent = entry[1];
    item.append(name, kind);
    return item;
  }

  function choose(place) {
    const options = list.querySelectorAll("[role=option]");
    options.forEach((item, number) => item.setAttribute("aria-selected", String(number === place)));
    chosen = place;
    if (place < 0) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", options[place].id);
    options[place].scrollIntoView({ block: "nearest" });
  }

  function close() {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    count.textContent = "";
  }

  function go(item) {
    if (item?.dataset.href) location.href = item.dataset.href;
  }

  input.addEventListener("focus", () => index().catch(() => {}));
  input.addEventListener("input", find);
  input.addEventListener("keydown", (event) => {
    const options = list.querySelectorAll("[role=option]");
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && options.length && !list.hidden) {
      event.preventDefault();
      choose((chosen + step + options.length) % options.length);
    } else if (event.key === "Enter" && !list.hidden) go(options[chosen]);
    else if (event.key === "Escape") close();
  });
  list.addEventListener("mousedown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => go(event.target.closest("li")));
  document.addEventListener("click", (event) => box.contains(event.target) || close());
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || /INPUT|TEXTAREA/.test(event.target.tagName)) return;
    event.preventDefault();
    input.focus();
  });
})();

// On paper nothing is folded away.
window.addEventListener("beforeprint", () => {
  for (const one of document.querySelectorAll("details:not([open])")) { one.open = true; one.dataset.folded = ""; }
});
window.addEventListener("afterprint", () => {
  for (const one of document.querySelectorAll("details[data-folded]")) { one.open = false; delete one.dataset.folded; }
});
