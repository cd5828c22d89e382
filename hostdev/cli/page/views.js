const MOST = 200;

// Most pages have few rows; what is left out says so.
function firstRows(rows, place, word) {
  if (place.all === "1" || rows.length <= MOST) return [rows, null];
  const more = el("p", { class: "more" },
    `The first ${MOST} of ${counted(rows.length, word)}. `,
    el("a", { href: hashOf({ ...place, all: "1" }) }, "Show all"));
  return [rows.slice(0, MOST), more];
}

function lead(...words) {
  return el("p", { class: "faint" }, words);
}

function glanceTiles(rows) {
  const counts = countStates(rows.flatMap((row) => row.units));
  return tiles([
    [rows.length, rows.length === 1 ? "node" : "nodes"],
    ...STATES.map((state, at) => [counts[at], `${state.word}`, state]),
  ]);
}

function brokenList() {
  if (!DATA.broken.length) return null;
  return el("section", {}, el("h2", {}, "Not read"), DATA.broken.map((finding) => findingCard(finding)));
}

// The node that it is shown with need not be said again.
function sentence(finding, node) {
  const subject = finding.subject && finding.subject !== node ? `${finding.subject}: ` : "";
  return [subject, ...inlineElements(finding.message), " ", ...codeLinks([finding.code])];
}

function findingCard(finding, node) {
  return el("div", { class: "card" }, el("p", {}, severityWord(finding.severity), " ", sentence(finding, node)),
    finding.hint ? el("p", { class: "faint" }, inlineElements(finding.hint)) : null);
}

const SEVERITIES = { __proto__: null, error: ["blocked", "✕"], warning: ["unknown", "!"], info: ["held", "i"] };

function severityWord(severity) {
  const [name, mark] = SEVERITIES[severity] || ["faint", "·"];
  return el("span", { class: `chip ${name}` }, sign({ name, sign: mark }), severity);
}

function nodesView(place) {
  const keys = { __proto__: null, age: (row) => (row.node.seconds == null ? Infinity : row.node.seconds) };
  KINDS.forEach((kind) => { keys[kind] = (row) => -row.kinds[DATA.kinds.indexOf(kind)][0]; });
  const all = sortRows(nodeRows(place), place, keys);
  const [rows, more] = firstRows(all, place, "node");
  const columns = [
    { title: "Node", sort: "name", cell: (row) => nodeLink(row.node.name, { "data-row": "" }) },
    ...KINDS.map((kind) => ({
      title: kind, sort: kind, kind: "num", cell: (row) => countChips(row.kinds[DATA.kinds.indexOf(kind)]),
    })),
    { title: "Age", sort: "age", kind: "num", cell: (row) => row.node.age || el("span", { class: "unknown" }, "unknown") },
  ];
  return {
    title: "Nodes", said: counted(all.length, "node"),
    parts: [el("h1", {}, "The fleet at a glance"),
      lead("What can be given to VMs, by node and kind of device. Ready is free as well; unknown is never taken for ready."),
      glanceTiles(all),
      table("Nodes by kind of device", columns, rows, {
        place, look: "stack flow", empty: DATA.nodes.length ? "Nothing fits." : "No snapshot was read.",
      }),
      more, brokenList()],
  };
}

function reason(unit) {
  if (unit.holders.length) return `open: ${unit.holders.join(", ")}`;
  const isUnsaid = STATES[unit.state].name === "unknown" && !unit.blockers.length;
  return isUnsaid ? "whether something has it open is not told" : codeLinks(unit.blockers);
}

function deviceLink(unit) {
  return el("a", { href: hashOf({ node: unit.node.name }), "data-row": "" }, unit.primary);
}

function companions(unit) {
  if (!unit.others.length) return "";
  return el("span", { title: unit.others.join(", ") }, `${unit.others.length} of its ${unit.unit}`);
}

function unitCells(withNode) {
  return [
    { title: "Device", cell: (unit) => el("span", { class: "mono num" }, withNode ? deviceLink(unit) : unit.primary) },
    ...(withNode ? [{ title: "Node", cell: (unit) => nodeLink(unit.node.name) }] : []),
    {
      title: "Name",
      cell: (unit) => [unit.title, unit.title === unit.ids ? "" : el("span", { class: "faint num" }, ` ${unit.ids}`)],
    },
    { title: "Class", kind: "num spare", cell: (unit) => unit.class },
    { title: "Driver", cell: (unit) => unit.driver || el("span", { class: "faint" }, "none") },
    { title: "NUMA", kind: "num spare", cell: (unit) => (unit.numa == null ? "-" : String(unit.numa)) },
    { title: "With", kind: "spare", cell: companions },
    { title: "State", kind: "num", cell: (unit) => stateWord(STATES[unit.state]) },
    { title: "Because", cell: reason },
  ];
}

function devicesView(place) {
  const all = unitsAt(place);
  const [rows, more] = firstRows(all, place, "device");
  return {
    title: "Devices", said: counted(all.length, "device"),
    parts: [el("h1", {}, "Devices"),
      lead(`${counted(all.length, "device")}. Each is what one VM can be given as a whole: a function, its slot or `
        + "its IOMMU group."),
      table("Devices", unitCells(true), rows, { look: "stack flow" }), more],
  };
}

function heldView(place) {
  const all = unitsAt({ ...place, state: "held" });
  const [rows, more] = firstRows(all, place, "device");
  return {
    title: "In use", said: counted(all.length, "device"),
    parts: [el("h1", {}, "Who holds what"),
      lead("Devices on a vfio driver that something has open. A snapshot tells that, and not which VM: ",
        el("code", {}, "passgate node who DEVICE"), " on the node names it."),
      table("Devices in use", unitCells(true), rows, {
        look: "stack flow", empty: "No snapshot shows such a device that is open.",
      }),
      more],
  };
}

function findingsView() {
  const page = (row) => DATA.pages[row.code];
  const columns = [
    { title: "Finding", cell: (row) => (page(row) ? codeLink(row.code, { "data-row": "" }) : row.code) },
    { title: "Severity", kind: "num", cell: (row) => (page(row) ? severityWord(page(row).severity) : "") },
    { title: "Meaning", cell: (row) => (page(row) ? page(row).title : "") },
    { title: "Devices", kind: "num", cell: (row) => String(row.units.length) },
    { title: "Nodes", kind: "num", cell: (row) => String(row.nodes.size) },
  ];
  const rows = codeRows();
  return {
    title: "Findings", said: counted(rows.length, "finding"),
    parts: [el("h1", {}, "Findings"),
      lead("What keeps devices from VMs, and what is to be said of the snapshots."),
      table("Findings", columns, rows), brokenList()],
  };
}

function verdictLinks(place) {
  return ["", ...Object.keys(VERDICTS)].map((name, at) => [at ? ", " : "",
    el("a", {
      href: hashOf({ view: "why", verdict: name }), "aria-current": (place.verdict || "") === name ? "true" : false,
    }, name ? VERDICTS[name].word : "all")]);
}

function whyView(place) {
  const having = (name) => DATA.why.items.filter((item) => !name || item.verdict === name);
  const items = having(place.verdict);
  const counts = Object.entries(VERDICTS).map(([name, look]) => [having(name).length, look.word, look]);
  const columns = [
    { title: "Node", cell: (item) => (NODES.has(item.node) ? nodeLink(item.node, { "data-row": "" }) : item.node) },
    { title: "Verdict", kind: "num", cell: (item) => stateWord(VERDICTS[item.verdict] || VERDICTS.unknown) },
    {
      title: "Because",
      cell: (item) => item.findings.map((finding) => el("p", {}, sentence(finding, item.node), " ",
        finding.hint ? el("span", { class: "faint" }, inlineElements(finding.hint)) : "")),
    },
  ];
  return {
    title: `Why ${DATA.why.vm}`, said: counted(items.length, "node"),
    parts: [el("h1", {}, `Where ${DATA.why.vm} could run`),
      lead("Never: hardware, firmware, or what the scheduler is told. Not now: held, not bound, or tainted. "
        + "Unknown: not told by the snapshot or the files, or too old."),
      tiles(counts), el("p", {}, "Shown: ", verdictLinks(place)), table("Nodes and why", columns, items)],
  };
}
