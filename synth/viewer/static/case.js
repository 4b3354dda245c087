// A case: its slices, its report, its masks. Two of them stand side by side with one crosshair.
"use strict";

// What the panes have in common.
SV.Shared = class {
  constructor() {
    Object.assign(this, { width: 400, level: 40, zoom: 1, centre: null, layout: "grid" });
    Object.assign(this, { filled: false, smooth: true, cross: true, measuring: false });
    this.layers = { organs: true, trees: false, lesions: true };
    this.views = [];
  }

  // HU + 1024 -> grey, as the canvas takes it.
  table() {
    const key = `${this.width} ${this.level}`;
    if (this._key === key) return this._table;
    const table = new Uint32Array(65536 + 1024);
    const low = this.level - this.width / 2;
    for (let at = 0; at < table.length; at++) {
      const grey = Math.max(0, Math.min(255, Math.round(((at - 1024 - low) / this.width) * 255)));
      table[at] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
    }
    [this._key, this._table] = [key, table];
    return table;
  }

  set(values) {
    Object.assign(this, values);
    this.redraw(true);
  }

  // One drawing a frame, however much has changed.
  redraw(paints = false) {
    if (paints) for (const view of this.views) view.forget();
    if (this._waiting) return;
    this._waiting = true;
    requestAnimationFrame(() => {
      this._waiting = false;
      for (const view of this.views) view.draw();
      SV.toolbar.update();
    });
  }

  go(world) {
    for (const view of this.views) view.goTo(world);
    this.redraw();
  }

  zoomBy(factor) {
    const zoom = Math.max(1, Math.min(20, this.zoom * factor));
    this.set({ zoom, centre: zoom === 1 ? null : this.centre || this.views[0].world });
  }

  enlarge(name) {
    this.set({ layout: this.layout === name ? "grid" : name });
    SV.arrange();
  }
};

SV.View = class {
  constructor(name, shared) {
    [this.name, this.shared, this.masks, this.focus] = [name, shared, {}, null];
    this.planes = Object.keys(SV.PLANES).map((plane) => new SV.Plane(this, plane));
    this.solid = new SV.Solid(this);
    this.status = SV.element("div", { className: "status" });
    const cells = [...this.planes.map((plane) => plane.canvas), this.solid.box];
    const names = [...this.planes.map((plane) => plane.name), "solid"];
    this.cells = cells.map((cell, at) => {
      const made = SV.element("div", { className: "cell" }, cell);
      made.dataset.plane = names[at];
      return made;
    });
    this.title = SV.element("div", { className: "view-title" });
    this.grid = SV.element("div", { className: "grid" }, ...this.cells);
    this.root = SV.element("section", { className: "view" }, this.title, this.grid, this.status);
    new ResizeObserver(() => shared.redraw()).observe(this.grid);
  }

  // `told` is called when the report is there, before the first volume; slices are drawn before the masks are.
  async load(told = () => {}) {
    this.told = await SV.source.case(this.name);
    told();
    this.ct = new SV.Volume(await SV.source.volume(this.name, "ct"));
    this.goTo(this.ct.world(this.ct.n.map((n) => Math.floor(n / 2))));
    this.draw();
    SV.mark("planes");
    for (const what of ["lesions", "organs"]) await this._mask(what);
    this.shared.redraw(true);
    await this.box("lesions");
  }

  async box(what) {
    if (this.masks[what]) this.masks[what].boxes = await SV.boxes(this.masks[what].volume);
  }

  async trees() {
    await this._mask("trees");
    await this.box("trees");
  }

  async _mask(what) {
    if (!this.told.volumes.includes(what) || this.masks[what]) return;
    const volume = new SV.Volume(await SV.source.volume(this.name, what));
    const labels = this.told.labels[what];
    const most = Math.max(0, ...Object.keys(labels).map(Number));
    const shown = new Uint8Array(Math.max(65536, most + 1));
    for (const id of Object.keys(labels)) shown[id] = 1;
    this.masks[what] = { volume, labels, shown, boxes: new Map(), most };
    let base = 0; // of the layers' codes, one after the other
    for (const layer of ["organs", "trees", "lesions"])
      if (this.masks[layer]) [this.masks[layer].base, base] = [base, base + this.masks[layer].most + 1];
    this.codes = base;
    this.forget();
  }

  forget() {
    this._paints = null;
  }

  // null: no sentence is in focus; else whether this mask is one that the sentence speaks of.
  focused(what, id) {
    if (!this.focus || !this.masks[what].labels[id]) return null;
    return this.focus.has(this.masks[what].labels[id].name);
  }

  // Colours of the inside and of the edge of each mask, by its code, as the canvas takes them.
  paints() {
    if (this._paints) return this._paints;
    const [fills, edges] = [new Uint32Array(this.codes + 1), new Uint32Array(this.codes + 1)];
    const paint = (hex, alpha) =>
      ((Math.round(255 * alpha) << 24) | (parseInt(hex.slice(5), 16) << 16) | (parseInt(hex.slice(3, 5), 16) << 8) |
        parseInt(hex.slice(1, 3), 16)) >>> 0;
    for (const [what, mask] of Object.entries(this.masks))
      for (const [id, { colour }] of Object.entries(mask.labels)) {
        const code = mask.base + Number(id);
        const focus = this.focused(what, id);
        const strong = focus === true || (focus === null && what === "lesions");
        fills[code] = paint(colour, this.shared.filled ? (strong ? 0.5 : 0.3) : focus === true ? 0.16 : 0);
        edges[code] = paint(colour, strong ? 1 : focus === false ? 0.25 : 0.6);
      }
    return (this._paints = { fills, edges });
  }

  go(voxel) {
    this.shared.go(this.ct.world(voxel));
  }

  goTo(world) {
    if (!this.ct) return;
    this.place = this.ct.voxel(world);
    this.world = this.ct.world(this.place);
    this.hover(this.place);
    this.solid.move();
  }

  step(name, by) {
    const axis = SV.PLANES[name].through;
    const voxel = [...this.place];
    voxel[axis] = Math.max(0, Math.min(this.ct.n[axis] - 1, voxel[axis] + by));
    this.go(voxel);
  }

  hover(voxel) {
    const there = ["organs", "trees", "lesions"].flatMap((what) => {
      const mask = this.masks[what];
      const label = mask && mask.labels[mask.volume.at(...voxel)];
      return label ? [SV.plain(label.name)] : [];
    });
    const mm = this.ct.world(voxel).map((value) => value.toFixed(0));
    this.status.textContent = [`${mm.join(", ")} mm`, `${this.ct.at(...voxel)} HU`, ...there].join("   ·   ");
  }

  draw() {
    for (const plane of this.planes) plane.draw();
  }

  // Where a mask of a name lies: [layer, id], or null where the case has none.
  find(name) {
    for (const what of ["lesions", "organs", "trees"])
      for (const [id, label] of Object.entries(this.masks[what]?.labels || {}))
        if (label.name === name && this.masks[what].boxes.has(Number(id))) return [what, Number(id)];
    return null;
  }

  // Put masks in focus and go to the one of that number; false where the case has none of them.
  show(names, number = 0) {
    const found = names.map((name) => this.find(name)).filter(Boolean);
    this.focus = found.length ? new Set(names) : null;
    this.shared.redraw(true);
    this.solid.update();
    if (!found.length) return false;
    const [what, id] = found[number % found.length];
    const mask = this.masks[what];
    const world = mask.volume.world(SV.middle(mask.volume, id, mask.boxes.get(id)));
    if (this.shared.zoom > 1) this.shared.centre = world;
    this.shared.go(world);
    return true;
  }
};

// Names as words: lung_upper_lobe_right -> lung upper lobe right.
SV.plain = (name) => name.replaceAll("_", " ");

// How long it took, where tests and users can read it.
SV.mark = (what) => {
  if (!document.documentElement.dataset[what]) document.documentElement.dataset[what] = Math.round(performance.now());
};
