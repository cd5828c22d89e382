const MOST = 200;

// Most pages have few rows; what is left out says so.
function firstRows(rows, place, word) {
  if (place.all === "1" || rows.length <= MOST) return [rows, null];
  const more = el("p", { class: "more" },
    `The first ${MOST} of ${counted(rows.length, word)}. `,
    el("a", { href: hashOf({ ...place, all: "1" }) }, "Show all"));
  return [rows.slice(0, MOST), more];
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

const SEVERITIES = { error: ["blocked", "✕"], warning: ["unknown", "!"], info: ["held", "i"] };

function severityWord(severity) {
  const [name, mark] = SEVERITIES[severity] || ["faint", "·"];
  return el("span", { class: `chip ${name}` }, sign({ name, sign: mark }), severity);
}

function nodesView(place) {
  const keys = { age: (row) => (row.node.seconds == null ? Infinity : row.node.seconds) };
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
      el("p", { class: "faint" }, "What can be given to VMs, by node and kind of device. Ready is free as well; unknown is never taken for ready."),
      glanceTiles(all), table("Nodes by kind of device", columns, rows, { place, look: "stack flow", empty: DATA.nodes.length ? "Nothing fits." : "No snapshot was read." }), more, brokenList()],
  };
}

function reason(unit) {
  if (unit.holders.length) return `open: ${unit.holders.join(", ")}`;
  const isUnsaid = STATES[unit.state].name === "unknown" && !unit.blockers.length;
  return isUnsaid ? "whether something has it open is not told" : codeLinks(unit.blockers);
}

function unitCells(withNode) {
  return [
    { title: "Device", cell: (unit) => el("span", { class: "mono num" }, withNode ? el("a", { href: hashOf({ node: unit.node.name }), "data-row": "" }, unit.primary) : unit.primary) },
    ...(withNode ? [{ title: "Node", cell: (unit) => nodeLink(unit.node.name) }] : []),
    { title: "Name", cell: (unit) => [unit.title, unit.title === unit.ids ? "" : el("span", { class: "faint num" }, ` ${unit.ids}`)] },
    { title: "Class", kind: "num spare", cell: (unit) => unit.class },
    { title: "Driver", cell: (unit) => unit.driver || el("span", { class: "faint" }, "none") },
    { title: "NUMA", kind: "num spare", cell: (unit) => (unit.numa == null ? "-" : String(unit.numa)) },
    { title: "With", kind: "spare", cell: (unit) => (unit.others.length ? el("span", { title: unit.others.join(", ") }, `${unit.others.length} of its ${unit.unit}`) : "") },
    { title: "State", kind: "num", cell: (unit) => stateWord(STATES[unit.state]) },
    { title: "Because", cell: (unit) => reason(unit) },
  ];
}

function devicesView(place) {
  const all = unitsAt(place);
  const [rows, more] = firstRows(all, place, "device");
  return {
    title: "Devices", said: counted(all.length, "device"),
    parts: [el("h1", {}, "Devices"),
      el("p", { class: "faint" }, `${counted(all.length, "device")}. Each is what one VM can be given as a whole: a function, its slot or its IOMMU group.`),
      table("Devices", unitCells(true), rows, { look: "stack flow" }), more],
  };
}

function heldView(place) {
  const all = unitsAt({ ...place, state: "held" });
  const [rows, more] = firstRows(all, place, "device");
  return {
    title: "In use", said: counted(all.length, "device"),
    parts: [el("h1", {}, "Who holds what"),
      el("p", { class: "faint" }, "Devices on a vfio driver that something has open. A snapshot tells that, and not which VM: ", el("code", {}, "passgate node who DEVICE"), " on the node names it."),
      table("Devices in use", unitCells(true), rows, { look: "stack flow", empty: "No snapshot shows such a device that is open." }), more],
  };
}

function findingsView() {
  const columns = [
    { title: "Finding", cell: (row) => el("span", { class: "mono" }, DATA.pages[row.code] ? el("a", { href: hashOf({ finding: row.code }), "data-row": "" }, row.code) : row.code) },
    { title: "Severity", kind: "num", cell: (row) => (DATA.pages[row.code] ? severityWord(DATA.pages[row.code].severity) : "") },
    { title: "Meaning", cell: (row) => (DATA.pages[row.code] ? DATA.pages[row.code].title : "") },
    { title: "Devices", kind: "num", cell: (row) => String(row.units.length) },
    { title: "Nodes", kind: "num", cell: (row) => String(row.nodes.size) },
  ];
  const rows = codeRows();
  return {
    title: "Findings", said: counted(rows.length, "finding"),
    parts: [el("h1", {}, "Findings"), el("p", { class: "faint" }, "What keeps devices from VMs, and what is to be said of the snapshots."),
      table("Findings", columns, rows), brokenList()],
  };
}

function whyView(place) {
  const items = DATA.why.items.filter((item) => !place.verdict || item.verdict === place.verdict);
  const counts = Object.entries(VERDICTS).map(([name, look]) => [DATA.why.items.filter((item) => item.verdict === name).length, look.word, look]);
  const columns = [
    { title: "Node", cell: (item) => (NODES.has(item.node) ? nodeLink(item.node, { "data-row": "" }) : item.node) },
    { title: "Verdict", kind: "num", cell: (item) => stateWord(VERDICTS[item.verdict] || VERDICTS.unknown) },
    {
      title: "Because",
      cell: (item) => item.findings.map((finding) => el("p", {}, sentence(finding, item.node), " ",
        finding.hint ? el("span", { class: "faint" }, inlineElements(finding.hint)) : "")),
    },
  ];
  const verdicts = ["", ...Object.keys(VERDICTS)].map((name, at) => [at ? ", " : "", el("a", { href: hashOf({ view: "why", verdict: name }), "aria-current": (place.verdict || "") === name ? "true" : false }, name ? VERDICTS[name].word : "all")]);
  return {
    title: `Why ${DATA.why.vm}`, said: counted(items.length, "node"),
    parts: [el("h1", {}, `Where ${DATA.why.vm} could run`),
      el("p", { class: "faint" }, "Never: hardware, firmware, or what the scheduler is told. Not now: held, not bound, or tainted. Unknown: not told by the snapshot or the files, or too old."),
      tiles(counts), el("p", {}, "Shown: ", verdicts), table("Nodes and why", columns, items)],
  };
}
