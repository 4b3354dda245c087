// Which of the two is seen: the gallery, or a case.
"use strict";
SV.openCase = async (name) => {
  const root = document.getElementById("case");
  SV.close();
  SV.shared = new SV.Shared();
  const view = new SV.View(name, SV.shared);
  SV.shared.views.push(view);
  SV.stage = SV.element("div", { className: "stage" }, view.root);
  const side = SV.element("div", { className: "side" });
  SV.beside = SV.element("div", { className: "beside" });
  root.replaceChildren(SV.toolbar.make(), SV.stage, side);
  SV.toolbar.title.textContent = name;
  SV.toolbar.back.hidden = SV.start.first !== null && !SV.gallery.rows;
  document.title = `${name} - synthct`;
  SV.arrange();
  const told = () => {
    side.replaceChildren(SV.panel(view), SV.beside);
    familyButtons(view);
    for (const [button] of SV.toolbar.states) if (button.textContent === "Vessels") button.hidden = !view.told.volumes.includes("trees");
  };
  try {
    await view.load(told);
  } catch (error) {
    side.prepend(SV.element("p", { className: "sentence wrong", textContent: String(error.message || error) }));
    return;
  }
  if (SV.shared.views[0] !== view) return;
  firstWindow(view);
  SV.mark("ready");
  await view.box("organs");
  try {
    await view.solid.build();
  } catch (error) {
    view.solid.note.textContent = `No 3D here: ${error.message || error}`;
  }
  SV.mark("solid");
};

// A case is opened at its first finding, in the window that shows it: dark ones in that of the lung.
function firstWindow(view) {
  const first = view.told.sentences.find((s) => s.section === "findings" && (s.masks || []).length && view.find(s.masks[0]));
  if (first) {
    const [what, id] = view.find(first.masks[0]);
    const { volume, boxes } = view.masks[what];
    const box = boxes.get(id);
    const hu = [];
    const around = [0, 1, 2].map((axis) => [Math.max(0, box.low[axis] - 2), Math.min(view.ct.n[axis] - 1, box.high[axis] + 2)]);
    const step = around.map(([low, high]) => Math.max(1, Math.floor((high - low) / 24)));
    for (let k = around[2][0]; k <= around[2][1]; k += step[2])
      for (let j = around[1][0]; j <= around[1][1]; j += step[1])
        for (let i = around[0][0]; i <= around[0][1]; i += step[0]) if (volume.at(i, j, k) !== id) hu.push(view.ct.at(i, j, k));
    hu.sort((one, other) => one - other);
    if (hu.length && hu[hu.length >> 1] < -400) SV.window(1);
    view.shared.go(volume.world(SV.middle(volume, id, box)));
  }
}

function familyButtons(view) {
  const others = view.told.family.filter((one) => one.name !== view.name);
  SV.toolbar.family.replaceChildren();
  for (const one of others) {
    const text = one.how === "first" ? "Beside: first" : `Beside: ${one.how}`;
    const button = SV.element("button", { type: "button", textContent: text, title: `${one.name} (T)` });
    button.addEventListener("click", () => SV.compare(one.name));
    SV.toolbar.family.append(button);
    SV.toolbar.states.push([button, () => SV.shared.views[1]?.name === one.name]);
  }
}

// Another case of the family beside the first, or away again.
SV.compare = async (name) => {
  const { shared } = SV;
  const was = shared.views[1]?.name;
  if (shared.views[1]) {
    shared.views[1].root.remove();
    shared.views.pop();
  }
  SV.beside.replaceChildren();
  if (was === name || name === null) {
    shared.layout = "grid";
    shared.views[0].title.textContent = "";
    return SV.arrange();
  }
  const first = shared.views[0];
  const other = new SV.View(name, shared);
  shared.views.push(other);
  SV.stage.append(other.root);
  shared.layout = "axial";
  const how = (one) => first.told.family.find((kin) => kin.name === one)?.how || "";
  for (const view of shared.views) view.title.textContent = `${view.name}  ·  ${how(view.name)}`;
  SV.arrange();
  await other.load(() => SV.beside.replaceChildren(SV.element("h1", { textContent: `Beside: ${how(name)}` }), SV.panel(other)));
  other.goTo(first.world);
  shared.redraw(true);
  SV.mark("beside");
};

SV.compareNext = () => {
  const first = SV.shared.views[0];
  const names = first.told.family.map((one) => one.name).filter((name) => name !== first.name);
  const at = names.indexOf(SV.shared.views[1]?.name) + 1;
  if (names.length) SV.compare(names[at] ?? null);
};

// Which cells are seen: all four, or one of every case.
SV.arrange = () => {
  const { shared } = SV;
  SV.stage.dataset.panes = shared.views.length;
  for (const view of shared.views) {
    view.grid.dataset.layout = shared.layout;
    for (const cell of view.cells) cell.hidden = shared.layout !== "grid" && cell.dataset.plane !== shared.layout;
  }
  shared.redraw();
  requestAnimationFrame(() => shared.views.forEach((view) => view.solid.move()));
};

SV.neighbour = (by) => {
  const names = SV.gallery.kept.map((row) => row.case);
  const at = names.indexOf(SV.shared.views[0].name) + by;
  if (names[at] !== undefined) location.hash = `#case=${encodeURIComponent(names[at])}`;
};

SV.close = () => {
  for (const view of SV.shared?.views || []) {
    view.solid.gone = true;
    view.solid.nv?.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
  if (SV.shared) SV.shared.views = [];
};

// The name after #case=; what is no encoded name is taken as it stands, and found nowhere.
SV.asked = () => {
  if (!location.hash.startsWith("#case=")) return SV.start.first;
  const name = location.hash.slice(6);
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
};

SV.route = async () => {
  const asked = SV.asked();
  document.getElementById("gallery").hidden = asked !== null;
  document.getElementById("case").hidden = asked === null;
  if (asked === null) {
    SV.close();
    await SV.openGallery();
  } else await SV.openCase(asked);
};

window.addEventListener("hashchange", () => SV.route());
SV.route();
