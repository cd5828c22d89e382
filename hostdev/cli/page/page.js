const VIEWS = {
  __proto__: null,
  nodes: ["Nodes", nodesView, () => DATA.nodes.length],
  devices: ["Devices", devicesView, () => UNITS.length],
  held: ["In use", heldView, () => UNITS.filter((unit) => unit.state === 1).length],
  findings: ["Findings", findingsView, () => Object.keys(DATA.pages).length],
  ...(DATA.why ? { why: ["Why", whyView, () => DATA.why.items.length] } : {}),
};
const FILTERED = ["nodes", "devices", "held"];
const byId = (id) => document.getElementById(id);

function currentPlace() {
  return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
}

function viewOf(place) {
  return place.node != null || place.finding != null ? "" : VIEWS[place.view] ? place.view : "nodes";
}

function shownAt(place) {
  if (place.node != null) return nodeView(place.node);
  if (place.finding != null) return findingView(place.finding);
  return VIEWS[viewOf(place)][1](place);
}

function render() {
  const place = currentPlace();
  const view = viewOf(place);
  const shown = shownAt(place);
  document.title = `${shown.title} - Passgate fleet`;
  byId("main").replaceChildren(...shown.parts.filter(Boolean));
  byId("said").textContent = shown.said;
  byId("filters").hidden = !FILTERED.includes(view);
  byId("states").parentNode.hidden = view === "held";
  showFilters(place);
  byId("views").replaceChildren(...Object.entries(VIEWS).map(([name, [title, , count]]) => {
    const attributes = { href: hashOf({ view: name === "nodes" ? "" : name }), "aria-current": name === view ? "page" : false };
    return el("a", attributes, title, el("span", {}, ` ${count()}`));
  }));
}

function showFilters(place) {
  if (byId("query") !== document.activeElement) byId("query").value = place.q || "";
  byId("kind").value = place.kind || "";
  const names = (place.state || "").split(",");
  for (const box of byId("states").querySelectorAll("input")) box.checked = names.includes(box.value);
  byId("reset").hidden = !isFiltered(place);
}

function checkedStates() {
  return [...byId("states").querySelectorAll(":checked")].map((box) => box.value);
}

// A change of a filter is no step of its own for the browser's way back.
function changePlace(changes) {
  const place = { ...currentPlace(), all: "", ...changes };
  history.replaceState(null, "", hashOf(place));
  render();
}

function sortBy(name, again, down) {
  changePlace({ sort: name === "name" ? "" : name, down: again && !down ? "1" : "" });
  const button = [...document.querySelectorAll("th[aria-sort]:not([aria-sort=none]) button")][0];
  if (button) button.focus();
}

const THEMES = ["auto", "light", "dark"];

function stored(name, value) {
  try {
    if (value != null) localStorage.setItem(name, value);
    return localStorage.getItem(name);
  } catch {
    return value;
  }
}

function showTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  byId("theme").textContent = `Colours: ${theme}`;
  byId("theme").dataset.now = theme;
}

function rowLinks() {
  return [...document.querySelectorAll("[data-row]")];
}

// Arrows go from row to row, / to the search, Escape out of it.
function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "/" && !typing && !byId("filters").hidden) {
    event.preventDefault();
    byId("query").focus();
  } else if (event.key === "Escape" && event.target === byId("query")) {
    byId("query").value = "";
    changePlace({ q: "" });
    byId("main").focus();
  } else if (["ArrowDown", "ArrowUp", "Home", "End"].includes(event.key)) {
    const rows = rowLinks();
    const at = rows.indexOf(document.activeElement);
    if (at < 0 && !(event.key === "ArrowDown" && event.target === byId("query"))) return;
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
    event.preventDefault();
    if (rows[next]) rows[next].focus();
  }
}

function start() {
  byId("states").append(...STATES.map((state) =>
    el("label", {}, el("input", { type: "checkbox", value: state.name }), sign(state), ` ${state.word}`)));
  byId("kind").append(el("option", { value: "" }, "all"), ...KINDS.map((kind) => el("option", { value: kind }, kind)));
  byId("about").textContent = `Made ${DATA.made} by passgate ${DATA.passgate} from `
    + `${counted(DATA.nodes.length, "snapshot")} in ${DATA.from}. Ages are those of that moment.`;
  byId("query").addEventListener("input", () => changePlace({ q: byId("query").value.trim() }));
  byId("kind").addEventListener("change", () => changePlace({ kind: byId("kind").value }));
  byId("states").addEventListener("change", () => changePlace({ state: checkedStates().join(",") }));
  byId("reset").addEventListener("click", () => {
    byId("query").value = "";
    changePlace({ q: "", kind: "", state: "", on: "" });
    byId("query").focus();
  });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("theme").addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(byId("theme").dataset.now) + 1) % THEMES.length];
    stored("passgate-theme", next);
    showTheme(next);
  });
  showTheme(THEMES.includes(stored("passgate-theme")) ? stored("passgate-theme") : "auto");
  addEventListener("keydown", onKey);
  addEventListener("hashchange", () => { render(); scrollTo(0, 0); byId("main").focus({ preventScroll: true }); });
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
  render();
}

start();
