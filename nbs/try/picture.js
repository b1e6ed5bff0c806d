// What srgan_course/upscale.py does around the network: grey, alpha, invisible colours, tiles.

const GREY = [.299, .587, .114];                                           // BT.601: what a colour weighs in grey

/** Cut a length into the fewest pieces no longer than `tile`, all nearly the same length. */
export function edges(n, tile) {
  const k = Math.ceil(n/tile);
  return Array.from({length: k + 1}, (_, i) => Math.round(i*n/k));
}

/** Tiles that cover a picture, each with what has to be read so that it comes out right. */
export function tiles(h, w, tile, overlap) {
  const ys = edges(h, tile), xs = edges(w, tile), out = [];
  for (let i = 0; i + 1 < ys.length; i++) for (let j = 0; j + 1 < xs.length; j++) {
    const [t, b, l, r] = [ys[i], ys[i + 1], xs[j], xs[j + 1]];
    out.push({t, b, l, r,
              t0: Math.max(t - overlap, 0), b0: Math.min(b + overlap, h), l0: Math.max(l - overlap, 0), r0: Math.min(r + overlap, w)});
  }
  return out;
}

/** What a picture's pixels (RGBA bytes) say: are all of them grey, are some of them transparent? */
export function kind(rgba) {
  let grey = true, alpha = false;
  for (let i = 0; i < rgba.length; i += 4) {
    if (rgba[i] !== rgba[i + 1] || rgba[i] !== rgba[i + 2]) grey = false;
    if (rgba[i + 3] !== 255) alpha = true;
  }
  return {grey, alpha};
}

/** Sums of cells of 2 x 2; four numbers a pixel. */
function halve({m, h, w}) {
  const H = h + 1 >> 1, W = w + 1 >> 1, out = new Float32Array(4*H*W);
  for (let i = 0; i < h; i++) for (let j = 0; j < w; j++) for (let c = 0; c < 4; c++)
    out[4*((i >> 1)*W + (j >> 1)) + c] += m[4*(i*w + j) + c];
  return {m: out, h: H, w: W};
}

/** Give the invisible pixels, in place, the colour of the visible ones around them. */
export function fillColour(rgba, h, w) {
  const m = new Float32Array(rgba.length), sums = [{m, h, w}];
  let holes = 0;
  for (let i = 0; i < rgba.length; i += 4) {
    const a = Math.fround(rgba[i + 3]/255);
    for (let c = 0; c < 3; c++) m[i + c] = rgba[i + c]*a;
    m[i + 3] = a;
    holes += a === 0;
  }
  if (!holes || holes === h*w) return;
  while (sums.at(-1).h > 1 || sums.at(-1).w > 1) sums.push(halve(sums.at(-1)));
  let above = null;
  for (const {m, h, w} of sums.reverse()) {                                // from coarse to fine
    const colour = new Float32Array(m.length);
    for (let i = 0; i < h; i++) for (let j = 0; j < w; j++) for (let c = 0; c < 3; c++) {
      const at = 4*(i*w + j), a = m[at + 3];
      colour[at + c] = a > 0 || !above ? m[at + c]/Math.max(a, 1e-9) : above.colour[4*((i >> 1)*above.w + (j >> 1)) + c];
    }
    above = {colour, w};
  }
  const seen = new Uint8ClampedArray(above.colour);                        // rounds as NumPy does, halves to even
  for (let i = 0; i < rgba.length; i += 4) if (rgba[i + 3] === 0) for (let c = 0; c < 3; c++) rgba[i + c] = seen[i + c];
}

/** The part of a picture that a tile reads. */
export function cut(rgba, w, {t0, b0, l0, r0}) {
  const out = new Uint8ClampedArray(4*(b0 - t0)*(r0 - l0));
  for (let i = t0; i < b0; i++) out.set(rgba.subarray(4*(i*w + l0), 4*(i*w + r0)), 4*(i - t0)*(r0 - l0));
  return out;
}

/** Least and greatest alpha of the nine pixels around (i,j). */
function around(rgba, h, w, i, j) {
  let lo = 255, hi = 0;
  for (let y = Math.max(i - 1, 0); y < Math.min(i + 2, h); y++) for (let x = Math.max(j - 1, 0); x < Math.min(j + 2, w); x++) {
    const a = rgba[4*(y*w + x) + 3];
    if (a < lo) lo = a;
    if (a > hi) hi = a;
  }
  return [lo/255, hi/255];
}

/** What the network makes of x; NaN and infinity would become black pixels. */
function answer(net, x, h, w) {
  const y = net.forward(x, h, w);
  if (!y.every(Number.isFinite)) throw new Error('The model makes numbers that are no picture; its file is damaged.');
  return y;
}

/** A tile: what it reads (RGBA bytes) -> its own pixels, scale times larger, RGBA bytes. Colour and alpha go through one by one. */
export function enlarge(net, rgba, {t, b, l, r, t0, b0, l0, r0}, {grey, alpha}) {
  const s = net.scale, h = b0 - t0, w = r0 - l0, W = s*w, size = s*s*h*w, x = new Float32Array(3*h*w);
  for (let i = 0; i < h*w; i++) for (let c = 0; c < 3; c++) x[c*h*w + i] = rgba[4*i + c]/255;
  const y = answer(net, x, h, w), H2 = s*(b - t), W2 = s*(r - l), out = new Uint8ClampedArray(4*H2*W2);
  const at = (i, j) => (s*(t - t0) + i)*W + s*(l - l0) + j, clamp = v => Math.min(Math.max(v, 0), 1);
  for (let i = 0; i < H2; i++) for (let j = 0; j < W2; j++) {
    const p = at(i, j), o = 4*(i*W2 + j), v = [0, 1, 2].map(c => clamp(y[c*size + p]));
    const g = v[0]*GREY[0] + v[1]*GREY[1] + v[2]*GREY[2];
    for (let c = 0; c < 3; c++) out[o + c] = 255*(grey ? g : v[c]);
    out[o + 3] = 255;
  }
  if (!alpha) return out;
  for (let i = 0; i < h*w; i++) x[i] = x[h*w + i] = x[2*h*w + i] = rgba[4*i + 3]/255;
  const ya = answer(net, x, h, w);
  for (let i = 0; i < H2; i++) for (let j = 0; j < W2; j++) {
    const p = at(i, j), [lo, hi] = around(rgba, h, w, t - t0 + (i/s | 0), l - l0 + (j/s | 0));
    const a = GREY[0]*ya[p] + GREY[1]*ya[size + p] + GREY[2]*ya[2*size + p];
    out[4*(i*W2 + j) + 3] = 255*Math.min(Math.max(a, lo), hi);
  }
  return out;
}
