"use strict";

// Everything that is shown goes through here as text: names of strangers never become markup.
function el(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.flat(2).filter((child) => child != null && child !== ""));
  return made;
}

const STATES = [
  { name: "ready", sign: "✓", word: "ready" },
  { name: "held", sign: "●", word: "in use" },
  { name: "blocked", sign: "✕", word: "blocked" },
  { name: "unknown", sign: "?", word: "unknown" },
];

function sign(state) {
  return el("span", { class: `sign ${state.name}`, "aria-hidden": "true" }, state.sign);
}

function stateWord(state) {
  return el("span", { class: `chip ${state.name}` }, sign(state), state.word);
}

function countChip(state, count) {
  return el("span", { class: `chip ${state.name}`, title: `${count} ${state.word}` },
    sign(state), String(count), el("span", { class: "unseen" }, ` ${state.word}`));
}

function countChips(counts) {
  return STATES.map((state, at) => (counts[at] ? countChip(state, counts[at]) : null));
}

function counted(count, word, words = `${word}s`) {
  return `${count} ${count === 1 ? word : words}`;
}

// A place in the page: what is empty stands for what is usual.
function hashOf(place) {
  const kept = Object.entries(place).filter(([, value]) => value);
  return `#${new URLSearchParams(kept)}`;
}

function nodeLink(name, attributes) {
  return el("a", { href: hashOf({ node: name }), class: "name", ...attributes }, name);
}

function codeLink(code, attributes) {
  return el("a", { href: hashOf({ finding: code }), class: "mono", ...attributes }, code);
}

function codeLinks(codes) {
  return codes.flatMap((code, at) => [at ? ", " : "", DATA.pages[code] ? codeLink(code) : code]);
}

function tiles(items) {
  return el("ul", { class: "tiles" },
    items.map(([count, word, state]) => el("li", {}, el("b", {}, state ? sign(state) : "", String(count)), word)));
}

// Columns: {title, sort, cell(row) -> children, head, kind}. The first is the row's heading.
function table(label, columns, rows, { place, look = "stack", empty = "Nothing fits." } = {}) {
  const heads = columns.map((column) => {
    if (!place || !column.sort) return el("th", { scope: "col", class: column.kind }, column.title);
    const sorted = (place.sort || "name") === column.sort;
    const down = place.down === "1";
    return el("th", { scope: "col", "aria-sort": sorted ? (down ? "descending" : "ascending") : "none" },
      el("button", { type: "button", onclick: () => sortBy(column.sort, sorted, down) }, column.title));
  });
  const cell = (column, row) => {
    const shown = [column.cell(row)].flat(2).filter((child) => child != null && child !== "");
    return el("td", { class: column.kind, "data-title": column.title }, shown.length ? el("div", {}, shown) : null);
  };
  const body = rows.map((row) => el("tr", {}, columns.map((column, at) =>
    at ? cell(column, row) : el("th", { scope: "row" }, column.cell(row)))));
  return el("div", { class: "scroll", role: "region", "aria-label": label, tabindex: "0" },
    rows.length
      ? el("table", { class: look }, el("thead", {}, el("tr", {}, heads)), el("tbody", {}, body))
      : el("p", { class: "empty" }, empty));
}

// The Markdown of findings' pages: headings, paragraphs, lists, code.
function markdownElements(text) {
  const made = [];
  for (const [at, part] of text.split(/^```.*$/m).entries()) {
    if (at % 2) made.push(el("pre", { tabindex: "0" }, part.replace(/^\n|\n$/g, "")));
    else made.push(...part.split(/\n{2,}/).map(markdownBlock).filter(Boolean));
  }
  return made;
}

function markdownBlock(text) {
  const trimmed = text.trim();
  if (!trimmed || trimmed.startsWith("# ")) return null;
  if (trimmed.startsWith("## ")) return el("h2", {}, trimmed.slice(3));
  if (/^[-*] /.test(trimmed)) {
    return el("ul", {}, trimmed.slice(2).split(/\n[-*] /).map((item) => el("li", {}, inlineElements(item))));
  }
  return el("p", {}, inlineElements(trimmed));
}

function inlineElements(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((part) => {
    if (part.startsWith("`") && part.length > 1) return el("code", {}, part.slice(1, -1));
    return part.startsWith("**") && part.length > 3 ? el("strong", {}, part.slice(2, -2)) : part;
  });
}
