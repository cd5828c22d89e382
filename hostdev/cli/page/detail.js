function factList(rows) {
  return el("dl", {}, rows.filter(([, value]) => value).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

function nodeView(name) {
  const node = NODES.get(name);
  if (!node) return nothingView(`There is no node ${name} on this page.`);
  const why = DATA.why && DATA.why.items.find((item) => item.node === name);
  return {
    title: name, said: "",
    parts: [
      el("p", {}, el("a", { href: hashOf({}) }, "All nodes")),
      el("h1", {}, name),
      el("p", {}, countChips(countStates(node.units)),
        el("a", { href: hashOf({ view: "devices", on: name }) }, "Filter its devices")),
      factList([
        ["Kernel", node.kernel],
        ["Taken", takenText(node)],
        ["By", node.passgate && `passgate ${node.passgate}`],
        ["Boot", node.boot && el("code", {}, node.boot)],
      ]),
      why && el("section", {}, el("h2", {}, `${DATA.why.vm} here`),
        el("p", {}, stateWord(VERDICTS[why.verdict] || VERDICTS.unknown)), findingCards(why.findings, name)),
      el("h2", {}, "What can be given to a VM"),
      table(`Devices of ${name}`, unitCells(false), node.units, {
        look: "stack flow", empty: "It shows no device that a guest could have.",
      }),
      node.findings.length && el("section", {}, el("h2", {}, "Findings"), findingCards(node.findings, name)),
      node.unseen.length && el("section", {}, el("h2", {}, "Not seen"), unseenList(node)),
      el("h2", {}, "PCI tree"),
      treeOf(node),
      pictureOf(node),
    ],
  };
}

function takenText(node) {
  if (!node.taken) return "the snapshot does not say when";
  return node.age ? `${node.taken}, ${node.age} before this page` : node.taken;
}

function findingCards(findings, node) {
  return findings.map((finding) => findingCard(finding, node));
}

function unseenList(node) {
  return el("ul", { class: "card" }, node.unseen.map(([what, why]) => el("li", {}, `${what}: ${why}`)));
}

// As `passgate node draw` prints it.
function treeOf(node) {
  const line = ([label, below]) => el("li", {}, label.map(treePiece), below.length ? el("ul", {}, below.map(line)) : null);
  const shown = node.tree.length ? el("ul", {}, node.tree.map(line)) : "It shows no PCI function.";
  return el("div", { class: "tree card", role: "region", "aria-label": "PCI tree", tabindex: "0" }, shown);
}

function treePiece(part) {
  const [text, tone] = Array.isArray(part) ? part : [part, ""];
  return tone ? el("span", { class: tone }, text) : text;
}

// `passgate node draw -o svg`, kept small until it is looked at.
function pictureOf(node) {
  const place = el("div", { class: "picture", role: "region", "aria-label": "Picture of the PCI tree", tabindex: "0" });
  return el("details", { ontoggle: (event) => { if (event.target.open && !place.firstChild) unpackPicture(node, place); } },
    el("summary", {}, "Picture"), place);
}

async function unpackPicture(node, place) {
  try {
    const bytes = Uint8Array.from(atob(node.picture), (letter) => letter.charCodeAt(0));
    const text = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).text();
    place.replaceChildren(document.importNode(new DOMParser().parseFromString(text, "image/svg+xml").documentElement, true));
  } catch {
    place.replaceChildren(el("p", { class: "empty" }, "This browser cannot unpack the picture: ",
      el("code", {}, "passgate node draw -o svg"), " draws it."));
  }
}

function findingView(code) {
  const page = DATA.pages[code];
  if (!page) return nothingView(`There is no finding ${code} on this page: passgate explain ${code} may know it.`);
  const row = codeRows().find((one) => one.code === code);
  return {
    title: code, said: "",
    parts: [
      el("p", {}, el("a", { href: hashOf({ view: "findings" }) }, "All findings")),
      el("h1", { class: "mono" }, code),
      el("div", { class: "columns" },
        el("article", {}, markdownElements(page.page)),
        row ? el("aside", {}, el("h2", {}, "Here"),
          el("p", {}, `${counted(row.units.length, "device")} on ${counted(row.nodes.size, "node")}. `,
            row.units.length ? el("a", { href: hashOf({ view: "devices", q: code }) }, "Show them") : ""),
          nodeList([...row.nodes].sort(byName))) : null),
    ],
  };
}

function nodeList(names) {
  const items = names.slice(0, MOST).map((name) => el("li", {}, NODES.has(name) ? nodeLink(name) : name));
  const more = names.length > MOST ? el("li", {}, `and ${names.length - MOST} more`) : null;
  return el("ul", { class: "card" }, items, more);
}

function nothingView(what) {
  return {
    title: "Nothing", said: "",
    parts: [el("h1", {}, "Nothing here"), el("p", {}, what), el("p", {}, el("a", { href: hashOf({}) }, "All nodes"))],
  };
}
