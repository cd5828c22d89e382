const DATA = JSON.parse(document.getElementById("data").textContent);
// An address may name what every object inherits.
Object.setPrototypeOf(DATA.pages, null);
const UNIT = ["kind", "state", "primary", "title", "ids", "class", "driver", "numa", "unit", "others", "groups",
  "blockers", "holders"];
const VERDICTS = {
  __proto__: null,
  yes: { name: "ready", sign: "✓", word: "yes" },
  notNow: { name: "held", sign: "●", word: "not now" },
  unknown: { name: "unknown", sign: "?", word: "unknown" },
  never: { name: "blocked", sign: "✕", word: "never" },
};

for (const node of DATA.nodes) {
  node.units = node.units.map((values) => Object.fromEntries(UNIT.map((key, at) => [key, values[at]])));
  node.units.forEach((unit) => { unit.node = node; });
}
const NODES = new Map(DATA.nodes.map((node) => [node.name, node]));
const UNITS = DATA.nodes.flatMap((node) => node.units);
const KINDS = DATA.kinds.filter((_, at) => UNITS.some((unit) => unit.kind === at));

// What a search looks at, made when it is first needed.
function searchText(unit) {
  unit.words ||= [unit.node.name, unit.primary, unit.others.join(" "), unit.title, unit.ids, unit.class, unit.driver,
    DATA.kinds[unit.kind], unit.blockers.join(" "), unit.numa == null ? "" : `numa=${unit.numa}`].join(" ").toLowerCase();
  return unit.words;
}

function chosenStates(place) {
  const names = place.state ? place.state.split(",") : [];
  return new Set(STATES.flatMap((state, at) => (names.includes(state.name) ? [at] : [])));
}

function isFiltered(place) {
  return Boolean(place.q || place.state || place.kind || place.on);
}

// The units that fit all that is asked for.
function unitsAt(place) {
  const asked = (place.q || "").toLowerCase().split(/\s+/).filter(Boolean);
  const states = chosenStates(place);
  const kind = DATA.kinds.indexOf(place.kind);
  return UNITS.filter((unit) =>
    (kind < 0 || unit.kind === kind) && (!states.size || states.has(unit.state)) &&
    (!place.on || unit.node.name === place.on) && asked.every((word) => searchText(unit).includes(word)));
}

function countStates(units) {
  const counts = [0, 0, 0, 0];
  for (const unit of units) counts[unit.state] += 1;
  return counts;
}

// A row for each node that has a unit that fits; without a filter for every node.
function nodeRows(place) {
  const rows = new Map(isFiltered(place) ? [] : DATA.nodes.map((node) => [node, []]));
  for (const unit of unitsAt(place)) {
    if (!rows.has(unit.node)) rows.set(unit.node, []);
    rows.get(unit.node).push(unit);
  }
  return [...rows].map(([node, units]) => {
    const kinds = DATA.kinds.map(() => [0, 0, 0, 0]);
    for (const unit of units) kinds[unit.kind][unit.state] += 1;
    return { node, units, kinds };
  });
}

const byName = new Intl.Collator("en", { numeric: true }).compare;

function sortRows(rows, place, keys) {
  const key = keys[place.sort];
  const order = place.down === "1" ? -1 : 1;
  return rows.sort((a, b) => {
    if (!key) return order * byName(a.node.name, b.node.name);
    return order * (key(a) - key(b)) || byName(a.node.name, b.node.name);
  });
}

// Each code with the units that it blocks and the nodes that have it.
function codeRows() {
  const rows = new Map();
  const row = (code) => rows.get(code) || rows.set(code, { code, units: [], nodes: new Set() }).get(code);
  for (const unit of UNITS) {
    for (const code of unit.blockers) {
      row(code).units.push(unit);
      row(code).nodes.add(unit.node.name);
    }
  }
  for (const node of DATA.nodes) for (const finding of node.findings) row(finding.code).nodes.add(node.name);
  for (const finding of DATA.broken) row(finding.code).nodes.add(finding.subject);
  for (const item of DATA.why ? DATA.why.items : []) for (const finding of item.findings) row(finding.code).nodes.add(item.node);
  return [...rows.values()].sort((a, b) =>
    b.units.length - a.units.length || b.nodes.size - a.nodes.size || byName(a.code, b.code));
}
