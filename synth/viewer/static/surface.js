// The surface of a mask as triangles: naive surface nets (Gibson 1998) on a smoothed, thinned copy of its box.
"use strict";
// Samples along the longest side of a mask's box, and the smoothed share at which the surface lies: thin bones keep their
// place, and vessels are not lost.
const NETS = { organ: { most: 52, level: 0.42 }, tree: { most: 130, level: 0.2 } };

// {points: Float32Array of RAS mm, triangles: Uint32Array}, or null where nothing is left of the mask.
SV.surface = (volume, id, box, net = NETS.organ) => {
  const { level } = net;
  const grid = SV.sampled(volume, id, box, net.most);
  const points = [];
  const triangles = [];
  const [nx, ny, nz] = grid.n;
  const index = new Int32Array(nx * ny * nz).fill(-1);
  const value = grid.field;
  const steps = [1, nx, nx * ny];
  for (let z = 0; z < nz - 1; z++)
    for (let y = 0; y < ny - 1; y++)
      for (let x = 0; x < nx - 1; x++) {
        const at = x + y * nx + z * nx * ny;
        const corner = crossing(value, at, steps, level);
        if (!corner) continue;
        index[at] = points.length / 3;
        const voxel = [0, 1, 2].map((axis) => grid.low[axis] + ([x, y, z][axis] + corner[axis]) * grid.step[axis]);
        points.push(...volume.world(voxel));
      }
  for (let z = 1; z < nz - 1; z++)
    for (let y = 1; y < ny - 1; y++)
      for (let x = 1; x < nx - 1; x++) {
        const at = x + y * nx + z * nx * ny;
        for (let axis = 0; axis < 3; axis++) {
          const [inside, beyond] = [value[at] > level, value[at + steps[axis]] > level];
          if (inside === beyond) continue;
          const [u, v] = [steps[(axis + 1) % 3], steps[(axis + 2) % 3]];
          const [a, b, c, d] = [index[at], index[at - u], index[at - u - v], index[at - v]];
          if (inside) triangles.push(a, b, c, a, c, d);
          else triangles.push(a, c, b, a, d, c);
        }
      }
  return triangles.length ? { points: new Float32Array(points), triangles: new Uint32Array(triangles) } : null;
};

// Where the surface passes a cell of eight samples, as the mean of its crossings with the edges; null where it does not.
function crossing(value, at, [sx, sy, sz], level) {
  const corners = [0, sx, sy, sx + sy, sz, sx + sz, sy + sz, sx + sy + sz].map((step) => value[at + step]);
  const inside = corners.filter((one) => one > level).length;
  if (inside === 0 || inside === 8) return null;
  const [sum, count] = [[0, 0, 0], [0]];
  for (let axis = 0; axis < 3; axis++)
    for (let corner = 0; corner < 8; corner++) {
      if (corner & (1 << axis)) continue;
      const [first, second] = [corners[corner], corners[corner | (1 << axis)]];
      if (first > level === second > level) continue;
      const share = (level - first) / (second - first);
      for (let other = 0; other < 3; other++) sum[other] += other === axis ? share : (corner >> other) & 1;
      count[0]++;
    }
  return sum.map((one) => one / count[0]);
}

// The share of the mask about each sample of its box, two samples of nothing round it: a 3 x 3 x 3 mean.
SV.sampled = (volume, id, box, most) => {
  const extent = [0, 1, 2].map((axis) => (box.high[axis] - box.low[axis] + 1) * volume.mm[axis]);
  const apart = Math.max(...extent) / most;
  const step = volume.mm.map((mm) => Math.max(1, apart / mm));
  const n = extent.map((mm, axis) => Math.ceil(mm / volume.mm[axis] / step[axis]) + 4);
  const low = box.low.map((value, axis) => value - 2 * step[axis]);
  let field = new Float32Array(n[0] * n[1] * n[2]);
  for (let z = 2; z < n[2] - 1; z++)
    for (let y = 2; y < n[1] - 1; y++)
      for (let x = 2; x < n[0] - 1; x++) {
        const voxel = [x, y, z].map((value, axis) => Math.round(low[axis] + value * step[axis]));
        if (voxel.every((value, axis) => value >= box.low[axis] && value <= box.high[axis]))
          field[x + y * n[0] + z * n[0] * n[1]] = volume.at(...voxel) === id ? 1 : 0;
      }
  for (const along of [1, n[0], n[0] * n[1]]) {
    const next = new Float32Array(field.length);
    for (let at = along; at < field.length - along; at++)
      next[at] = (field[at - along] + 2 * field[at] + field[at + along]) / 4;
    field = next;
  }
  return { n, low, step, field };
};
