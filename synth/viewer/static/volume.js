// Where a case comes from (this server, or the page itself), and NIfTI volumes in RAS order.
"use strict";
const SV = {};

SV.start = JSON.parse(document.getElementById("start").textContent);

SV.source = (() => {
  async function asked(path) {
    const answer = await fetch(path);
    if (!answer.ok) throw new Error((await answer.json()).error);
    return answer;
  }
  const at = encodeURIComponent;
  const server = {
    embedded: false,
    case: async (name) => (await asked(`api/case/${at(name)}`)).json(),
    gallery: async () => (await asked("api/gallery")).json(),
    volume: async (name, what) => (await asked(`volume/${at(name)}/${what}`)).arrayBuffer(),
    thumbnail: (name) => `thumbnail/${at(name)}`,
  };
  const page = {
    embedded: true,
    case: async () => SV.start.case,
    volume: async (name, what) => {
      const element = document.getElementById(`volume-${what}`);
      const text = atob(element.textContent);
      const bytes = new Uint8Array(text.length);
      for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      return new Response(stream).arrayBuffer();
    },
  };
  return SV.start.case ? page : server;
})();

// A volume of NIfTI-1 bytes. `n`: voxels along right, anterior, superior; `mm`: their spacing; voxel (i, j, k) of that
// order is data[offset + i * stride[0] + j * stride[1] + k * stride[2]], and lies at world(i, j, k) in RAS mm.
SV.Volume = class {
  constructor(buffer) {
    const view = new DataView(buffer);
    if (buffer.byteLength < 352 || view.getInt32(0, true) !== 348) throw new Error("no NIfTI-1 volume");
    const size = [1, 2, 3].map((axis) => view.getInt16(40 + 2 * axis, true));
    const kinds = { 2: Uint8Array, 4: Int16Array, 512: Uint16Array, 768: Uint32Array };
    const Kind = kinds[view.getInt16(70, true)];
    if (!Kind) throw new Error("voxels of an unknown type");
    const start = view.getFloat32(108, true);
    this.data = new Kind(buffer, start, size[0] * size[1] * size[2]);
    const affine = [0, 1, 2].map((row) => [0, 1, 2, 3].map((c) => view.getFloat32(280 + 16 * row + 4 * c, true)));
    this._turn(size, affine);
  }

  // Which voxel axis runs along each world axis, and which way. Oblique volumes keep their own planes.
  _turn(size, affine) {
    const free = [0, 1, 2];
    const steps = [1, size[0], size[0] * size[1]];
    [this.n, this.mm, this.stride, this.offset] = [[0, 0, 0], [0, 0, 0], [0, 0, 0], 0];
    const order = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    const fit = (axes) => axes.reduce((sum, axis, world) => sum + Math.abs(affine[world][axis]) / length(axis), 0);
    const length = (axis) => Math.hypot(affine[0][axis], affine[1][axis], affine[2][axis]);
    const axes = order.reduce((best, one) => (fit(one) > fit(best) ? one : best));
    this.columns = [];
    this.origin = affine.map((row) => row[3]);
    for (const world of free) {
      const axis = axes[world];
      const back = affine[world][axis] < 0;
      this.n[world] = size[axis];
      this.mm[world] = length(axis);
      this.stride[world] = back ? -steps[axis] : steps[axis];
      this.columns[world] = affine.map((row) => (back ? -row[axis] : row[axis]));
      if (back) {
        this.offset += steps[axis] * (size[axis] - 1);
        this.origin = this.origin.map((value, row) => value + affine[row][axis] * (size[axis] - 1));
      }
    }
  }

  at(i, j, k) {
    return this.data[this.offset + i * this.stride[0] + j * this.stride[1] + k * this.stride[2]];
  }

  world(voxel) {
    return this.origin.map((value, row) => value + voxel.reduce((sum, v, axis) => sum + v * this.columns[axis][row], 0));
  }

  // The voxel nearest to a place in mm; columns are orthogonal, so each index is a projection.
  voxel(world) {
    const from = world.map((value, row) => value - this.origin[row]);
    return this.columns.map((column, axis) => {
      const along = column.reduce((sum, value, row) => sum + value * from[row], 0) / this.mm[axis] ** 2;
      return Math.max(0, Math.min(this.n[axis] - 1, Math.round(along)));
    });
  }
};

// id -> {count, low, high, sum} of a label volume in RAS voxels; one pass, in slabs so that the page stays awake.
SV.boxes = async (volume) => {
  const found = new Map();
  const { data, n, stride, offset } = volume;
  for (let k = 0; k < n[2]; k++) {
    if (k % 24 === 23) await new Promise((done) => setTimeout(done));
    for (let j = 0; j < n[1]; j++) {
      let at = offset + j * stride[1] + k * stride[2];
      let [last, box] = [0, null];
      for (let i = 0; i < n[0]; i++, at += stride[0]) {
        const id = data[at];
        if (id === 0) continue;
        if (id !== last) {
          box = found.get(id);
          if (!box) found.set(id, (box = { count: 0, low: [i, j, k], high: [i, j, k], sum: [0, 0, 0] }));
          last = id;
        }
        box.count++;
        box.sum[0] += i;
        box.sum[1] += j;
        box.sum[2] += k;
        if (i < box.low[0]) box.low[0] = i;
        if (i > box.high[0]) box.high[0] = i;
        if (j < box.low[1]) box.low[1] = j;
        if (j > box.high[1]) box.high[1] = j;
        box.high[2] = k;
      }
    }
  }
  return found;
};

// The voxel of a mask to look at: on the axial slice where it is widest, the voxel of it nearest to its middle there.
SV.middle = (volume, id, box) => {
  let best = { count: -1 };
  for (let k = box.low[2]; k <= box.high[2]; k++) {
    let [count, x, y] = [0, 0, 0];
    for (let j = box.low[1]; j <= box.high[1]; j++)
      for (let i = box.low[0]; i <= box.high[0]; i++)
        if (volume.at(i, j, k) === id) [count, x, y] = [count + 1, x + i, y + j];
    if (count > best.count) best = { count, k, x: x / count, y: y / count };
  }
  let [nearest, least] = [[...box.low], Infinity];
  for (let j = box.low[1]; j <= box.high[1]; j++)
    for (let i = box.low[0]; i <= box.high[0]; i++) {
      const far = (i - best.x) ** 2 + (j - best.y) ** 2;
      if (far < least && volume.at(i, j, best.k) === id) [nearest, least] = [[i, j, best.k], far];
    }
  return nearest;
};

// An element with properties and children; text is always set as text, never as markup.
SV.element = (kind, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(kind), properties);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
};
