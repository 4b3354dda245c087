// The side of a case: report, masks, checks, what it was made from.
"use strict";
const SECTIONS = { technique: "Technique", findings: "Findings", normal: "Findings", comparison: "Comparison", impression: "Impression" };

SV.panel = (view) => {
  const { told } = view;
  const side = SV.element("aside", { className: "panel" });
  side.append(report(view), masks(view), checks(told), madeFrom(told));
  return side;
};

function report(view) {
  const box = SV.element("div", { className: "report" });
  let [section, system] = ["", ""];
  const wanted = ["technique", "findings", "normal", "comparison", "impression"];
  const listed = view.told.sentences.filter((s) => wanted.includes(s.section));
  const order = (s) => ["Technique", "Findings", "Comparison", "Impression"].indexOf(SECTIONS[s.section]);
  const systems = [...new Set(listed.map((s) => s.system))];
  listed.sort((one, other) => order(one) - order(other) || systems.indexOf(one.system) - systems.indexOf(other.system));
  for (const sentence of listed) {
    if (SECTIONS[sentence.section] !== section) {
      section = SECTIONS[sentence.section];
      box.append(SV.element("h2", { textContent: section }));
    }
    if (sentence.system && sentence.system !== system) {
      system = sentence.system;
      box.append(SV.element("h3", { textContent: system }));
    }
    box.append(spoken(view, sentence));
  }
  return box;
}

// A sentence; one that speaks of masks is a button that goes to them, to the next one each time.
function spoken(view, sentence) {
  const kind = ["findings", "impression"].includes(sentence.section) ? "finding" : "plain";
  const names = speaksOf(sentence);
  if (!names.length) return SV.element("p", { className: `sentence ${kind}`, textContent: sentence.text });
  const button = SV.element("button", { className: `sentence ${kind}`, textContent: sentence.text, type: "button" });
  button.title = names.map(SV.plain).join(", ");
  const own = Object.values(view.told.labels.lesions || {}).find((label) => names.includes(label.name));
  if (own) button.style.setProperty("--own", own.colour);
  let number = 0;
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-current") !== "true") number = 0;
    for (const other of document.querySelectorAll(".sentence[aria-current]")) other.removeAttribute("aria-current");
    for (const one of view.shared.views) if (one !== view) one.show(names, number);
    if (view.show(names, number)) button.setAttribute("aria-current", "true");
    number++;
  });
  return button;
}

// An impression names every finding; of these, the ones that its own words fit best.
function speaksOf(sentence) {
  const names = Array.isArray(sentence.masks) ? sentence.masks : [];
  if (sentence.section !== "impression") return names;
  const text = String(sentence.text).toLowerCase();
  const fit = (name) => name.split("_").filter((word) => word.length > 2 && text.includes(word)).length;
  const most = Math.max(...names.map(fit), 0);
  return names.filter((name) => fit(name) === most);
}

function masks(view) {
  const list = SV.element("div", { className: "masks" });
  const find = SV.element("input", { type: "search", placeholder: "Find a structure", className: "find" });
  find.setAttribute("aria-label", "Find a structure");
  const box = SV.element("details", {}, SV.element("summary", { textContent: "Structures" }), find, list);
  const figures = new Map(view.told.sentences.filter((s) => s.section === "measurements").map((s) => [s.id, s.facts]));
  for (const what of ["lesions", "organs", "trees"])
    for (const [id, label] of Object.entries(view.told.labels[what] || {}).filter(([i]) => i !== "0"))
      list.append(row(view, what, Number(id), label, figures.get(label.name)));
  find.addEventListener("input", () => {
    const words = find.value.toLowerCase();
    for (const one of list.children) one.hidden = !one.dataset.name.includes(words);
  });
  return box;
}

function row(view, what, id, label, facts) {
  const tick = SV.element("input", { type: "checkbox", checked: true });
  tick.setAttribute("aria-label", `show ${SV.plain(label.name)}`);
  tick.addEventListener("change", () => {
    for (const one of view.shared.views) {
      if (one.masks[what]) one.masks[what].shown[id] = tick.checked ? 1 : 0;
      one.solid.update();
    }
    view.shared.redraw();
  });
  const swatch = SV.element("span", { className: "swatch" });
  swatch.style.background = label.colour;
  const go = SV.element("button", { type: "button", className: "structure", textContent: SV.plain(label.name) });
  go.addEventListener("click", () => view.show([label.name]));
  const size = facts && facts.volume_ml !== undefined ? `${Number(facts.volume_ml).toFixed(facts.volume_ml < 10 ? 1 : 0)} mL` : "";
  const made = SV.element("div", { className: "row" }, tick, swatch, go, SV.element("span", { className: "size", textContent: size }));
  made.dataset.name = SV.plain(label.name).toLowerCase();
  return made;
}

function checks(told) {
  const wrong = told.checks.filter((check) => !check.ok).length;
  const title = wrong ? `Checks: ${wrong} of ${told.checks.length} fail` : `Checks: all ${told.checks.length} hold`;
  const table = SV.element("table", { className: "checks" });
  for (const check of told.checks) {
    const range = [check.low, check.high].map((value) => (value === null ? "" : String(value))).join(" to ");
    const line = SV.element("tr", { className: check.ok ? "" : "wrong" });
    line.append(
      SV.element("td", { textContent: SV.plain(check.name) }),
      SV.element("td", { textContent: String(Math.round(check.value * 1000) / 1000) }),
      SV.element("td", { textContent: range }),
    );
    table.append(line);
  }
  return SV.element("details", { open: wrong > 0 }, SV.element("summary", { textContent: title }), table);
}

function madeFrom(told) {
  const list = SV.element("dl");
  const doors = { generate: "drawn", insert: "findings put into a CT", adopt: "another generator's volume" };
  const said = { Prompt: told.prompt, Made: doors[told.door] ?? told.door, Seed: told.seed, Draws: told.attempts };
  for (const [name, value] of Object.entries(said))
    if (value !== null && value !== undefined)
      list.append(SV.element("dt", { textContent: name }), SV.element("dd", { textContent: String(value) }));
  list.append(SV.element("dt", { textContent: "Version" }), SV.element("dd", { textContent: `synthct ${told.version}` }));
  return SV.element("details", {}, SV.element("summary", { textContent: "Origin" }), list);
}
