// The bar above the slices, and the keyboard.
"use strict";
SV.KEYS = [
  ["↑ ↓", "next slice, of the plane that is large (else axial); with Shift ten"],
  ["← →", "finding before, next finding"],
  ["1 - 6", "window: " + SV.WINDOWS.map((w) => w.name.toLowerCase()).join(", ")],
  ["L O V", "findings, organs, airways and vessels on or off"],
  ["F", "masks filled or outlined"],
  ["A C S D", "axial, coronal, sagittal, 3D large or all four"],
  ["+ -", "zoom"],
  ["R", "as it was at first"],
  ["X", "crosshair on or off"],
  ["M", "measure: drag a line"],
  ["T", "twin or follow-up beside it, the next one each time"],
  ["[ ]", "case before, next case"],
  ["G", "back to the gallery"],
  ["?", "this list"],
];

SV.toolbar = {
  make() {
    const bar = SV.element("header", { className: "bar" });
    const button = (text, key, title, press, is) => {
      const made = SV.element("button", { type: "button", textContent: text, title: `${title} (${key})` });
      made.addEventListener("click", press);
      if (is) this.states.push([made, is]);
      return made;
    };
    this.states = [];
    this.title = SV.element("h1");
    const windows = SV.WINDOWS.map((w, at) =>
      button(w.name, at + 1, `width ${w.width}, level ${w.level}`, () => SV.window(at), () => SV.shared.width === w.width && SV.shared.level === w.level));
    const layer = (text, key, what) =>
      button(text, key, `${text} on or off`, () => SV.layer(what), () => SV.shared.layers[what]);
    this.back = button("Gallery", "G", "Back to the gallery", () => (location.hash = ""));
    this.family = SV.element("div", { className: "group family" });
    bar.append(
      this.back, this.title,
      SV.element("div", { className: "group" }, ...windows),
      SV.element("div", { className: "group" }, layer("Findings", "L", "lesions"), layer("Organs", "O", "organs"),
        layer("Vessels", "V", "trees"), button("Filled", "F", "Masks filled or outlined", () => SV.press("f"), () => SV.shared.filled)),
      SV.element("div", { className: "group" }, button("Measure", "M", "Drag a line", () => SV.press("m"), () => SV.shared.measuring)),
      this.family,
      button("?", "?", "Keys", () => SV.press("?")),
    );
    return bar;
  },
  update() {
    for (const [button, is] of this.states || []) button.setAttribute("aria-pressed", String(Boolean(is())));
  },
};

SV.window = (at) => SV.shared.set({ width: SV.WINDOWS[at].width, level: SV.WINDOWS[at].level });

SV.layer = async (what) => {
  SV.shared.layers[what] = !SV.shared.layers[what];
  if (what === "trees" && SV.shared.layers.trees)
    for (const view of SV.shared.views) {
      const had = view.masks.trees;
      await view.trees();
      if (!had && view.masks.trees && view.solid.nv) view.solid.add(["trees"]);
    }
  SV.shared.redraw(true);
  for (const view of SV.shared.views) view.solid.update();
};

const LARGE = { a: "axial", c: "coronal", s: "sagittal", d: "solid" };

// What a key does in a case; true where it does something.
SV.press = (key, shift = false) => {
  const { shared } = SV;
  const view = shared.views[0];
  if (!view || !view.ct) return false;
  const plane = SV.PLANES[shared.layout] ? shared.layout : "axial";
  const far = shift ? 10 : 1;
  const low = key.toLowerCase();
  if (key === "ArrowUp" || key === "ArrowDown") view.step(plane, key === "ArrowUp" ? far : -far);
  else if (key === "ArrowLeft" || key === "ArrowRight") SV.nextFinding(key === "ArrowRight" ? 1 : -1);
  else if (key >= "1" && key <= String(SV.WINDOWS.length)) SV.window(Number(key) - 1);
  else if (LARGE[low]) shared.enlarge(LARGE[low]);
  else if (low === "l" || low === "o" || low === "v") SV.layer({ l: "lesions", o: "organs", v: "trees" }[low]);
  else if (low === "f") shared.set({ filled: !shared.filled });
  else if (low === "x") shared.set({ cross: !shared.cross });
  else if (low === "m") shared.set({ measuring: !shared.measuring });
  else if (key === "+" || key === "=") shared.zoomBy(1.25);
  else if (key === "-") shared.zoomBy(0.8);
  else if (low === "r" || key === "Escape") SV.reset();
  else if (low === "t") SV.compareNext();
  else if (key === "[" || key === "]") SV.neighbour(key === "]" ? 1 : -1);
  else if (low === "g") location.hash = "";
  else if (key === "?") SV.help();
  else return false;
  return true;
};

SV.reset = () => {
  const { shared } = SV;
  for (const view of shared.views) {
    view.focus = null;
    for (const plane of view.planes) plane.ruler = null;
    view.solid.update();
  }
  for (const one of document.querySelectorAll(".sentence[aria-current]")) one.removeAttribute("aria-current");
  shared.set({ zoom: 1, centre: null, measuring: false, cross: true, layout: shared.views.length > 1 ? "axial" : "grid" });
  SV.arrange();
};

// The sentence of the next finding is pressed, so that panel and slices agree.
SV.nextFinding = (by) => {
  const all = [...document.querySelectorAll("button.sentence.finding")];
  if (!all.length) return;
  const now = all.findIndex((one) => one.getAttribute("aria-current") === "true");
  const next = all[(now + by + (now < 0 && by < 0 ? 1 : 0) + all.length) % all.length];
  next.click();
  next.scrollIntoView({ block: "nearest" });
};

SV.help = () => {
  const dialog = document.getElementById("help");
  if (dialog.open) return dialog.close();
  const table = SV.element("table");
  for (const [keys, what] of SV.KEYS)
    table.append(SV.element("tr", {}, SV.element("td", {}, SV.element("kbd", { textContent: keys })), SV.element("td", { textContent: what })));
  const mouse = "Mouse: left drag the crosshair, right drag the window, middle or Shift drag moves the picture, wheel slices, " +
    "Ctrl and wheel zoom, double click a large plane.";
  dialog.replaceChildren(SV.element("h2", { textContent: "Keys" }), table, SV.element("p", { textContent: mouse }));
  dialog.showModal();
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches?.("input, select, textarea");
  if (typing && event.key !== "Escape") return;
  if (typing) return event.target.blur();
  const dialog = document.getElementById("help");
  if (dialog.open) {
    if (event.key === "?" || event.key === "Escape") dialog.close();
    return event.preventDefault();
  }
  const used = document.getElementById("gallery").hidden ? SV.press(event.key, event.shiftKey) : SV.galleryKey(event.key);
  if (used) event.preventDefault();
});
