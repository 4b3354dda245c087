// The cases of a cohort, by finding, size, side, split and checks.
"use strict";
const CHUNK = 120; // cards that are added at a time, as one scrolls

SV.gallery = { rows: null, kept: [] };

SV.openGallery = async () => {
  const root = document.getElementById("gallery");
  const { gallery } = SV;
  if (!gallery.rows) {
    const told = await SV.source.gallery();
    [gallery.rows, gallery.title] = [told.rows, told.title];
    root.replaceChildren(galleryBar(), (gallery.grid = SV.element("div", { className: "cards" })));
    gallery.more = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && addCards(), { rootMargin: "600px" });
    filterCards();
  }
  document.title = `${gallery.title} - synthct`;
  SV.mark("gallery");
};

function galleryBar() {
  const { rows, title } = SV.gallery;
  const values = (of) => [...new Set(rows.flatMap(of).filter((value) => value !== null && value !== undefined && value !== ""))].sort();
  const find = SV.element("input", { type: "search", placeholder: "Name or prompt  ( / )", id: "find" });
  find.setAttribute("aria-label", "Name or prompt");
  const choice = (name, any, options) => {
    const made = SV.element("select", { name }, SV.element("option", { value: "", textContent: any }));
    made.setAttribute("aria-label", any);
    for (const option of options) made.append(SV.element("option", { value: option[0] ?? option, textContent: option[1] ?? option }));
    made.addEventListener("change", filterCards);
    return made;
  };
  const plain = (list) => list.map((one) => [one, SV.plain(String(one))]);
  const size = (name, text) => {
    const made = SV.element("input", { type: "number", min: 0, name, placeholder: text, className: "mm" });
    made.setAttribute("aria-label", text);
    made.addEventListener("input", filterCards);
    return made;
  };
  find.addEventListener("input", filterCards);
  SV.gallery.find = find;
  SV.gallery.fields = [
    choice("kind", "Any finding", [["-", "no finding"], ...plain(values((r) => (r.findings || []).map((f) => f.kind)))]),
    choice("organ", "Any organ", plain(values((r) => (r.findings || []).map((f) => f.organ)))),
    choice("side", "Any side", plain(values((r) => (r.findings || []).map((f) => f.side)))),
    size("least", "from mm"), size("most", "to mm"),
    choice("split", "Any split", plain(values((r) => [r.split]))),
    choice("group", "Any group", plain(values((r) => [r.group]))),
    choice("checks", "Any checks", [["hold", "all checks hold"], ["fail", "a check fails"], ["near", "within 5% of a limit"], ["again", "drawn more than once"]]),
    choice("sort", "By name", [["large", "largest finding first"], ["small", "smallest finding first"], ["many", "most findings first"], ["near", "nearest to a limit first"]]),
  ].filter((field) => field.tagName !== "SELECT" || field.options.length > 1);
  SV.gallery.count = SV.element("output", { className: "count" });
  return SV.element("header", { className: "bar filters" }, SV.element("h1", { textContent: title }), find, ...SV.gallery.fields, SV.gallery.count);
}

const largest = (row) => Math.max(0, ...(row.findings || []).map((f) => f.mm || 0));
const ORDERS = {
  large: (a, b) => largest(b) - largest(a),
  small: (a, b) => (largest(a) || Infinity) - (largest(b) || Infinity),
  many: (a, b) => (b.findings || []).length - (a.findings || []).length,
  near: (a, b) => (a.room ?? Infinity) - (b.room ?? Infinity),
};

// One finding must have kind, organ, side and size together.
function keeps(row, want, words) {
  if (words && !`${row.case} ${row.prompt || ""}`.toLowerCase().includes(words)) return false;
  if (want.split && row.split !== want.split) return false;
  if (want.group && row.group !== want.group) return false;
  const failing = row.damaged !== undefined || (row.failed || []).length > 0;
  if (want.checks === "hold" && failing) return false;
  if (want.checks === "fail" && !failing) return false;
  if (want.checks === "near" && !(row.room !== null && row.room !== undefined && row.room < 0.05)) return false;
  if (want.checks === "again" && !(row.attempts > 1)) return false;
  if (want.kind === "-") return !(row.findings || []).length;
  if (!want.kind && !want.organ && !want.side && !want.least && !want.most) return true;
  return (row.findings || []).some((f) =>
    (!want.kind || f.kind === want.kind) && (!want.organ || f.organ === want.organ) && (!want.side || f.side === want.side) &&
    (!want.least || f.mm >= Number(want.least)) && (!want.most || f.mm <= Number(want.most)));
}

function filterCards() {
  const { gallery } = SV;
  const want = Object.fromEntries(gallery.fields.map((field) => [field.name, field.value]));
  const words = gallery.find.value.trim().toLowerCase();
  gallery.kept = gallery.rows.filter((row) => keeps(row, want, words));
  if (ORDERS[want.sort]) gallery.kept.sort(ORDERS[want.sort]);
  gallery.count.textContent = `${gallery.kept.length} of ${gallery.rows.length} cases`;
  gallery.grid.replaceChildren();
  addCards();
}

function addCards() {
  const { gallery } = SV;
  const from = gallery.grid.children.length;
  const added = gallery.kept.slice(from, from + CHUNK).map(card);
  gallery.grid.append(...added);
  gallery.more.disconnect();
  if (gallery.grid.children.length < gallery.kept.length) gallery.more.observe(gallery.grid.lastElementChild);
}

function card(row) {
  const link = SV.element("a", { className: "card", href: `#case=${encodeURIComponent(row.case)}` });
  const picture = SV.element("img", { loading: "lazy", width: 192, height: 192, alt: "", src: SV.source.thumbnail(row.case) });
  picture.addEventListener("error", () => picture.classList.add("missing"));
  const findings = SV.element("ul");
  for (const f of (row.findings || []).slice(0, 3)) findings.append(SV.element("li", { textContent: finding(f) }));
  const more = (row.findings || []).length - 3;
  if (more > 0) findings.append(SV.element("li", { textContent: `and ${more} more` }));
  if (!(row.findings || []).length) findings.append(SV.element("li", { className: "none", textContent: row.damaged || "no finding" }));
  const tags = SV.element("p", { className: "tags" });
  for (const text of [row.split, row.sibling_of ? "sibling" : null]) if (text) tags.append(SV.element("span", { textContent: text }));
  if ((row.failed || []).length) tags.append(SV.element("span", { className: "wrong", textContent: `fails: ${row.failed.map(SV.plain).join(", ")}` }));
  link.append(picture, SV.element("h2", { textContent: row.case }), findings, tags);
  return link;
}

function finding(f) {
  const [value, unit] = f.by_volume ? [f.ml, "mL"] : [f.mm, "mm"];
  const size = value ? `${value.toFixed(value < 10 ? 1 : 0)} ${unit}` : "";
  return [size, f.kind, f.side, f.organ].filter(Boolean).map((word) => SV.plain(String(word))).join(" ");
}

// Arrows move between cards, Enter opens (as on any link), / goes to the search.
SV.galleryKey = (key) => {
  const cards = [...SV.gallery.grid.children];
  if (key === "/") return SV.gallery.find.focus(), true;
  if (key === "?") return SV.help(), true;
  if (!cards.length) return false;
  const now = cards.indexOf(document.activeElement);
  const row = cards.filter((one) => one.offsetTop === cards[0].offsetTop).length;
  const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: row, ArrowUp: -row }[key];
  if (by === undefined) return false;
  cards[now < 0 ? 0 : Math.max(0, Math.min(cards.length - 1, now + by))].focus();
  return true;
};
