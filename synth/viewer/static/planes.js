// Axial, coronal and sagittal slices on canvases: grey values in a window, masks over them at the screen's resolution.
"use strict";
SV.WINDOWS = [
  { name: "Soft tissue", level: 40, width: 400 },
  { name: "Lung", level: -600, width: 1500 },
  { name: "Bone", level: 300, width: 1500 },
  { name: "Mediastinum", level: 50, width: 350 },
  { name: "Liver", level: 60, width: 160 },
  { name: "Brain", level: 40, width: 80 },
];

// Axes are right, anterior, superior. Radiological convention: the patient's right is on the left of the picture, anterior
// is up in axial and on the left in sagittal slices. `letters`: left, right, top, bottom.
SV.PLANES = {
  axial: { across: 0, down: 1, through: 2, letters: "RLAP" },
  coronal: { across: 0, down: 2, through: 1, letters: "RLSI" },
  sagittal: { across: 1, down: 2, through: 0, letters: "APSI" },
};

const LOWEST = -1024;
const LAYERS = ["organs", "trees", "lesions"]; // the later over the earlier

// One slice of a view. `view`: volumes, colours; `shared`: what the panes have in common (place, window, layers, zoom).
SV.Plane = class {
  constructor(view, name) {
    this.view = view;
    this.name = name;
    this.axes = SV.PLANES[name];
    this.canvas = SV.element("canvas", { className: "plane", tabIndex: -1 });
    this.canvas.setAttribute("aria-label", `${name} slice`);
    this.small = new OffscreenCanvas(1, 1);
    this.over = new OffscreenCanvas(1, 1);
    this.ruler = null;
    SV.listen(this);
  }

  // Pixels of a voxel along both axes, and where voxel (0, 0) of the picture's corner lies, in device pixels.
  placing() {
    const { ct, shared } = this.view;
    const [width, height] = [this.canvas.width, this.canvas.height];
    const [a, d] = [this.axes.across, this.axes.down];
    const size = [ct.n[a] * ct.mm[a], ct.n[d] * ct.mm[d]];
    const scale = Math.min(width / size[0], height / size[1]) * shared.zoom;
    const centre = shared.centre ? ct.voxel(shared.centre) : ct.n.map((n) => (n - 1) / 2);
    // the picture runs against both axes: right to left, front (or top) to back
    const middle = [(ct.n[a] - 0.5 - centre[a]) * ct.mm[a] * scale, (ct.n[d] - 0.5 - centre[d]) * ct.mm[d] * scale];
    const fits = !shared.centre;
    return {
      pixel: [ct.mm[a] * scale, ct.mm[d] * scale],
      left: fits ? (width - size[0] * scale) / 2 : width / 2 - middle[0],
      top: fits ? (height - size[1] * scale) / 2 : height / 2 - middle[1],
      scale,
    };
  }

  // The voxel under a point in device pixels.
  under(x, y) {
    const { ct, place } = this.view;
    const { pixel, left, top } = this.placing();
    const voxel = [...place];
    const [a, d] = [this.axes.across, this.axes.down];
    voxel[a] = Math.max(0, Math.min(ct.n[a] - 1, ct.n[a] - 1 - Math.floor((x - left) / pixel[0])));
    voxel[d] = Math.max(0, Math.min(ct.n[d] - 1, ct.n[d] - 1 - Math.floor((y - top) / pixel[1])));
    return voxel;
  }

  draw() {
    const { canvas, view } = this;
    const ratio = window.devicePixelRatio || 1;
    const box = canvas.getBoundingClientRect();
    if (!view.ct || box.width < 2 || box.height < 2) return;
    const [width, height] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d");
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    const placing = this.placing();
    this._grey(context, placing);
    this._masks(context, placing);
    this._cross(context, placing);
    this._words(context, placing, ratio);
  }

  _grey(context, { pixel, left, top }) {
    const { ct, place, shared } = this.view;
    const { across, down, through } = this.axes;
    const [columns, rows] = [ct.n[across], ct.n[down]];
    if (this.small.width !== columns || this.small.height !== rows) this.small = new OffscreenCanvas(columns, rows);
    const brush = this.small.getContext("2d");
    const image = brush.createImageData(columns, rows);
    const pixels = new Uint32Array(image.data.buffer);
    const table = shared.table();
    const step = ct.stride[across];
    for (let row = 0; row < rows; row++) {
      let at = ct.offset + place[through] * ct.stride[through] + (rows - 1 - row) * ct.stride[down] + (columns - 1) * step;
      const end = (row + 1) * columns;
      for (let to = row * columns; to < end; to++, at -= step) pixels[to] = table[ct.data[at] - LOWEST];
    }
    brush.putImageData(image, 0, 0);
    context.imageSmoothingEnabled = shared.smooth;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.small, left, top, columns * pixel[0], rows * pixel[1]);
  }

  // The mask under every pixel of the screen; a pixel whose left or upper neighbour has another one is an edge.
  _masks(context, { pixel, left, top }) {
    const { ct, shared, place } = this.view;
    const layers = LAYERS.filter((what) => shared.layers[what] && this.view.masks[what]);
    if (!layers.length) return;
    const { across, down, through } = this.axes;
    const from = [Math.max(0, Math.floor(left)), Math.max(0, Math.floor(top))];
    const to = [
      Math.min(this.canvas.width, Math.ceil(left + ct.n[across] * pixel[0])),
      Math.min(this.canvas.height, Math.ceil(top + ct.n[down] * pixel[1])),
    ];
    const [width, height] = [to[0] - from[0], to[1] - from[1]];
    if (width < 2 || height < 2) return;
    const codes = new Uint32Array(width * height);
    layers.forEach((what) => {
      const mask = this.view.masks[what];
      const { data, stride, offset } = mask.volume;
      const shown = mask.shown;
      const columns = new Int32Array(width);
      for (let x = 0; x < width; x++) {
        const voxel = ct.n[across] - 1 - Math.floor((x + from[0] + 0.5 - left) / pixel[0]);
        columns[x] = Math.max(0, Math.min(ct.n[across] - 1, voxel)) * stride[across];
      }
      for (let y = 0; y < height; y++) {
        const row = Math.max(0, Math.min(ct.n[down] - 1, ct.n[down] - 1 - Math.floor((y + from[1] + 0.5 - top) / pixel[1])));
        const base = offset + place[through] * stride[through] + row * stride[down];
        for (let x = 0, at = y * width; x < width; x++, at++) {
          const id = data[base + columns[x]];
          if (id !== 0 && shown[id]) codes[at] = mask.base + id;
        }
      }
    });
    if (this.over.width !== width || this.over.height !== height) this.over = new OffscreenCanvas(width, height);
    const brush = this.over.getContext("2d");
    const image = brush.createImageData(width, height);
    this._coloured(codes, width, height, new Uint32Array(image.data.buffer));
    brush.putImageData(image, 0, 0);
    context.drawImage(this.over, from[0], from[1]);
  }

  _coloured(codes, width, height, pixels) {
    const { view } = this;
    const { fills, edges } = view.paints();
    const thick = (window.devicePixelRatio || 1) > 1.5 ? 2 : 1;
    for (let y = 0, at = 0; y < height; y++)
      for (let x = 0; x < width; x++, at++) {
        const code = codes[at];
        const beside = x >= thick ? codes[at - thick] : code;
        const above = y >= thick ? codes[at - thick * width] : code;
        if (code === beside && code === above) pixels[at] = code === 0 ? 0 : fills[code];
        else {
          // an edge has the colour of the mask that matters more: lesions over trees over organs
          const most = Math.max(code, beside, above);
          pixels[at] = edges[most];
        }
      }
  }

  _cross(context, { pixel, left, top }) {
    const { ct, place, shared } = this.view;
    if (!shared.cross) return;
    const ratio = window.devicePixelRatio || 1;
    const x = left + (ct.n[this.axes.across] - 0.5 - place[this.axes.across]) * pixel[0];
    const y = top + (ct.n[this.axes.down] - 0.5 - place[this.axes.down]) * pixel[1];
    const gap = 14 * ratio;
    context.strokeStyle = "rgba(110, 190, 255, .55)";
    context.lineWidth = ratio;
    context.beginPath();
    for (const [x0, y0, x1, y1] of [
      [0, y, x - gap, y], [x + gap, y, this.canvas.width, y], [x, 0, x, y - gap], [x, y + gap, x, this.canvas.height],
    ]) {
      context.moveTo(x0, y0);
      context.lineTo(x1, y1);
    }
    context.stroke();
    if (this.ruler) this._ruler(context, ratio, { pixel, left, top });
  }

  // A ruler is kept in voxels, so that it stays where it was drawn; its length is in mm in the plane.
  _ruler(context, ratio, { pixel, left, top }) {
    const { ct } = this.view;
    const [a, d] = [this.axes.across, this.axes.down];
    if (this.ruler[0][this.axes.through] !== this.view.place[this.axes.through]) return;
    const points = this.ruler.map((v) => [left + (ct.n[a] - 0.5 - v[a]) * pixel[0], top + (ct.n[d] - 0.5 - v[d]) * pixel[1]]);
    const mm = Math.hypot((this.ruler[0][a] - this.ruler[1][a]) * ct.mm[a], (this.ruler[0][d] - this.ruler[1][d]) * ct.mm[d]);
    context.strokeStyle = context.fillStyle = "#ffd60a";
    context.lineWidth = 1.5 * ratio;
    context.beginPath();
    context.moveTo(...points[0]);
    context.lineTo(...points[1]);
    context.stroke();
    context.font = `${13 * ratio}px system-ui, sans-serif`;
    context.textAlign = "left";
    context.fillText(`${mm.toFixed(1)} mm`, points[1][0] + 6 * ratio, points[1][1]);
  }

  _words(context, { scale }, ratio) {
    const { ct, place, shared } = this.view;
    const { through, letters } = this.axes;
    const [width, height] = [this.canvas.width, this.canvas.height];
    const pad = 9 * ratio;
    const write = (text, x, y, align, base, colour = "#c9d1d9") => {
      context.textAlign = align;
      context.textBaseline = base;
      context.lineWidth = 3 * ratio;
      context.strokeStyle = "rgba(0, 0, 0, .8)";
      context.strokeText(text, x, y);
      context.fillStyle = colour;
      context.fillText(text, x, y);
    };
    context.font = `600 ${13 * ratio}px system-ui, sans-serif`;
    write(letters[0], pad, height / 2, "left", "middle", "#ffd60a");
    write(letters[1], width - pad, height / 2, "right", "middle", "#ffd60a");
    write(letters[2], width / 2, pad, "center", "top", "#ffd60a");
    write(letters[3], width / 2, height - pad, "center", "bottom", "#ffd60a");
    context.font = `${12 * ratio}px system-ui, sans-serif`;
    const title = this.name[0].toUpperCase() + this.name.slice(1);
    write(`${title}  ${place[through] + 1} / ${ct.n[through]}`, pad, pad, "left", "top");
    write(`W ${Math.round(shared.width)}  L ${Math.round(shared.level)}`, width - pad, pad, "right", "top");
    write(`${this.view.world[through].toFixed(1)} mm`, width - pad, height - pad, "right", "bottom");
    const bar = [200, 100, 50, 20, 10, 5].find((mm) => mm * scale < width / 3) || 2;
    context.strokeStyle = "#c9d1d9";
    context.lineWidth = 2 * ratio;
    context.beginPath();
    context.moveTo(pad, height - pad);
    context.lineTo(pad + bar * scale, height - pad);
    context.stroke();
    write(`${bar} mm`, pad, height - pad - 4 * ratio, "left", "bottom");
  }
};

// Mouse: left drag moves the crosshair (with the ruler on: measures), right drag sets the window, middle or shift drag pans,
// the wheel turns slices, with Ctrl it zooms, a double click makes the plane large.
SV.listen = (plane) => {
  const { canvas, view } = plane;
  const point = (event) => {
    const ratio = window.devicePixelRatio || 1;
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
  };
  let held = null;
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("pointerdown", (event) => {
    if (!view.ct) return;
    canvas.setPointerCapture(event.pointerId);
    const { shared } = view;
    const what = event.button === 2 ? "window" : event.button === 1 || event.shiftKey ? "pan" : shared.measuring ? "ruler" : "cross";
    const at = plane.under(...point(event));
    held = { what, from: point(event), level: shared.level, width: shared.width, centre: shared.centre || view.world, at };
    if (what === "ruler") plane.ruler = [at, at];
    if (what === "cross") view.go(at);
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!held) return view.ct && view.hover(plane.under(...point(event)));
    const { shared } = view;
    const now = point(event);
    const [x, y] = [now[0] - held.from[0], now[1] - held.from[1]];
    if (held.what === "cross") view.go(plane.under(...now));
    if (held.what === "window") shared.set({ width: Math.max(1, held.width + 2 * x), level: held.level - y });
    if (held.what === "ruler") {
      plane.ruler = [held.at, plane.under(...now)];
      plane.draw();
    }
    if (held.what === "pan") {
      const { scale } = plane.placing();
      const centre = [...held.centre];
      centre[plane.axes.across] += x / scale;
      centre[plane.axes.down] += y / scale;
      shared.set({ centre });
    }
  });
  canvas.addEventListener("pointerup", () => (held = null));
  canvas.addEventListener("dblclick", () => view.shared.enlarge(plane.name));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (!view.ct) return;
    if (event.ctrlKey) return view.shared.zoomBy(event.deltaY < 0 ? 1.15 : 1 / 1.15);
    view.step(plane.name, event.deltaY > 0 ? -1 : 1);
  }, { passive: false });
};
