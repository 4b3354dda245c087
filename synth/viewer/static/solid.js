// The masks in 3D, by niivue; its bundle is loaded once the slices are there.
"use strict";
const GLASSY = [["lung_", 0.14], ["autochthon", 0.12], ["gluteus", 0.12], ["iliopsoas", 0.15], ["heart", 0.4], ["liver", 0.4]];
const BONES = /^(vertebrae|rib|sternum|clavicula|scapula|humerus|femur|hip|sacrum|skull|mandible|costal)/;

SV.niivue = () => {
  if (window.niivue) return Promise.resolve(window.niivue);
  return new Promise((done, failed) => {
    const script = SV.element("script", { src: "static/niivue.umd.js" });
    script.onload = () => done(window.niivue);
    script.onerror = () => failed(new Error("niivue: not loaded"));
    document.head.append(script);
  });
};

SV.Solid = class {
  constructor(view) {
    this.view = view;
    this.canvas = SV.element("canvas", { className: "solid", tabIndex: -1 });
    this.canvas.setAttribute("aria-label", "3D");
    this.note = SV.element("div", { className: "solid-note" });
    this.box = SV.element("div", { className: "solid-box" }, this.canvas, this.note);
    this.meshes = [];
  }

  async build() {
    const { Niivue, NVMesh } = await SV.niivue();
    this.note.textContent = "Surfaces ..";
    const nv = new Niivue({
      backColor: [0.03, 0.035, 0.045, 1], dragAndDropEnabled: false, show3Dcrosshair: true, isOrientCube: true, loadingText: "",
      crosshairWidth: 0.6, crosshairColor: [0.43, 0.75, 1, 0.6], logLevel: "error", meshThicknessOn2D: 0,
    });
    // its own keys and drop targets would take ours
    await nv.attachToCanvas(this.canvas);
    nv.setSliceType(nv.sliceTypeRender);
    nv.opts.viewModeHotKey = nv.opts.clipPlaneHotKey = nv.opts.cycleClipPlaneHotKey = "";
    this.nv = nv;
    this.kind = NVMesh;
    [nv.scene.renderAzimuth, nv.scene.renderElevation] = [160, 12];
    await this.add(["lesions", "trees", "organs"]);
    this.note.textContent = "";
  }

  // Surfaces of the masks of some layers, the clear ones first: what is glassy is drawn over what lies within it.
  async add(layers) {
    for (const [what, id, label, box] of this._wanted(layers)) {
      const surface = SV.surface(this.view.masks[what].volume, id, box, NETS[what === "trees" ? "tree" : "organ"]);
      await new Promise((done) => setTimeout(done));
      if (!surface || this.gone) continue;
      const colour = [1, 3, 5].map((at) => parseInt(label.colour.slice(at, at + 2), 16));
      const mesh = new this.kind(surface.points, surface.triangles, label.name, [...colour, 255], 1, true, this.nv.gl);
      this.meshes.push({ mesh, what, id, opacity: opacity(what, label.name) });
      this.nv.meshes.push(mesh); // addMesh draws all of them again each time
    }
    if (this.gone) return;
    this.nv.updateGLVolume();
    this.update();
  }

  _wanted(layers) {
    const wanted = [];
    for (const what of layers) {
      const mask = this.view.masks[what];
      if (!mask) continue;
      for (const [id, box] of mask.boxes) if (mask.labels[id]) wanted.push([what, id, mask.labels[id], box]);
    }
    const order = ([what, , label]) => opacity(what, label.name);
    return wanted.sort((one, other) => order(other) - order(one));
  }

  // Which are seen, and how clearly; called when layers, single masks or the sentence in focus change.
  update() {
    if (!this.nv || this.gone) return;
    const { view } = this;
    for (const { mesh, what, id, opacity: usual } of this.meshes) {
      const focus = view.focused(what, id);
      mesh.visible = Boolean(view.shared.layers[what] && view.masks[what].shown[id]) || focus === true;
      mesh.opacity = focus === true ? Math.max(usual, 0.75) : focus === false ? usual * 0.35 : usual;
    }
    this.move();
  }

  move() {
    if (!this.nv || this.gone || !this.meshes.length || this.box.clientWidth < 2) return;
    this.nv.scene.crosshairPos = this.nv.mm2frac(this.view.world);
    this.nv.drawScene();
  }
};

function opacity(what, name) {
  if (what === "lesions") return 1;
  if (what === "trees") return 0.9;
  const found = GLASSY.find(([part]) => name.includes(part));
  return found ? found[1] : BONES.test(name) ? 0.5 : 0.6;
}
