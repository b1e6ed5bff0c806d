// LightSR as in srgan_course/generators.py: head, blocks, mid, tail, pixel shuffle, added to a bicubic enlargement.
import {readSafetensors, verify} from './safetensors.js';

/** Keys' cubic with a = -0.5, the curve of Pillow's bicubic. */
function keys(t) {
  t = Math.abs(t);
  return t <= 1 ? (1.5*t - 2.5)*t*t + 1 : t < 2 ? ((-.5*t + 2.5)*t - 4)*t + 2 : 0;
}

/** Make each line of a picture `scale` times longer. x: `lines` lines of n numbers, `step` apart; a line's numbers are `gap` apart. */
function stretch(x, n, lines, step, gap, scale) {
  const y = new Float32Array(lines*n*scale);                               // one line after another
  for (let i = 0; i < n; i++) for (let p = 0; p < scale; p++) {
    const from = Math.max(i - 2, 0), to = Math.min(i + 3, n), w = [];
    for (let t = from; t < to; t++) w.push(keys((p + .5)/scale - .5 - (t - i)));
    const inside = w.reduce((a, b) => a + b);                              // 1, and less at the border
    for (let l = 0; l < lines; l++) {
      let sum = 0;
      for (let t = from; t < to; t++) sum += x[l*step + t*gap]*w[t - from];
      y[l*n*scale + i*scale + p] = sum/inside;
    }
  }
  return y;
}

/** One channel (h,w) -> (scale*h, scale*w), as Pillow enlarges. */
export function bicubic(x, h, w, scale) {
  const wide = stretch(x, w, h, w, 1, scale);                              // (h, scale*w)
  const tall = stretch(wide, h, scale*w, 1, scale*w, scale);               // (scale*w, scale*h): lines are columns now
  const out = new Float32Array(tall.length), H = scale*h, W = scale*w;
  for (let j = 0; j < W; j++) for (let i = 0; i < H; i++) out[i*W + j] = tall[j*H + i];
  return out;
}

const KNOWN = {LightSR({scale, nf, n_blocks, full}) {                      // the networks a file may name
  if (full) throw new Error('The model has layers at full size; this page can run models that end in a pixel shuffle.');
  return {scale, nf, n_blocks};
}};

export class Network {
  /** Bytes of a safetensors file and of conv.wasm -> a network. */
  static async load(file, wasm) {
    const {meta, tensors} = readSafetensors(file), build = KNOWN[meta.network];
    if (!build) throw new Error(`The model is a ${meta.network ?? 'network without a name'}; this page can run ${Object.keys(KNOWN)}.`);
    await verify({meta, tensors});
    const {instance} = await WebAssembly.instantiate(wasm);
    return new Network(build(JSON.parse(meta.args)), tensors, instance.exports);
  }

  constructor(args, tensors, {conv, memory, __heap_base}) {
    Object.assign(this, args, {conv, memory, top: __heap_base.value, layers: {}});
    this.radius = 2*this.n_blocks + 3;                                     // each 3x3 convolution adds one pixel
    const names = ['head', ...Array.from({length: 2*this.n_blocks}, (_, i) => `body.${i >> 1}.conv${i%2 + 1}`), 'mid', 'tail'];
    for (const name of names) this.layers[name] = this.place(tensors[`${name}.weight`], tensors[`${name}.bias`], name);
  }

  /** Room for n numbers in the kernel's memory. */
  room(n) {
    const at = this.top;
    this.top += 4*n + 15 & ~15;
    const more = this.top - this.memory.buffer.byteLength;
    if (more > 0) this.memory.grow(Math.ceil(more/65536));
    return at;
  }
  floats(at, n) { return new Float32Array(this.memory.buffer, at, n); }

  /** A layer's weights (co,ci,3,3) as the kernel reads them, (3,3,ci,co), and its bias. */
  place(weight, bias, name) {
    if (!weight || !bias) throw new Error(`The model file is damaged: it has no layer ${name}.`);
    const [co, ci] = weight.shape, k = this.room(9*ci*co), b = this.room(co), to = this.floats(k, 9*ci*co);
    for (let o = 0; o < co; o++) for (let i = 0; i < ci; i++) for (let n = 0; n < 9; n++)
      to[(n*ci + i)*co + o] = weight.data[(o*ci + i)*9 + n];
    this.floats(b, co).set(bias.data);
    return {k, b, ci, co};
  }

  run(name, x, y, h, w, {relu = 0, add = 0} = {}) {
    const {k, b, ci, co} = this.layers[name];
    this.conv(x, k, b, add, y, h, w, ci, co, relu);
  }

  /** Three channels (3,h,w) in [0,1] -> (3, scale*h, scale*w), about [0,1]. */
  forward(x, h, w) {
    const {scale, nf, n_blocks} = this, top = this.top, n = (h + 2)*(w + 2), co = this.layers.tail.co;
    const spare = 16*nf;                                                   // the kernel looks up to three pixels past the last one
    const [a, f, g, t] = [3, nf, nf, Math.max(nf, co)].map(c => {
      const at = this.room(n*c + spare);
      return this.floats(at, n*c + spare).fill(0), at;
    });
    const first = this.floats(a, 3*n);
    for (let c = 0; c < 3; c++) for (let i = 0; i < h; i++) for (let j = 0; j < w; j++)
      first[((i + 1)*(w + 2) + j + 1)*3 + c] = x[(c*h + i)*w + j] - .5;
    this.run('head', a, f, h, w);
    this.floats(g, n*nf).set(this.floats(f, n*nf));
    for (let i = 0; i < n_blocks; i++) {
      this.run(`body.${i}.conv1`, g, t, h, w, {relu: 1});
      this.run(`body.${i}.conv2`, t, g, h, w, {add: g});
    }
    this.run('mid', g, f, h, w, {add: f});
    this.run('tail', f, t, h, w);
    const detail = this.floats(t, n*co), H = scale*h, W = scale*w, out = new Float32Array(3*H*W);
    for (let c = 0; c < 3; c++) {
      const y = bicubic(x.subarray(c*h*w, (c + 1)*h*w), h, w, scale);
      for (let i = 0; i < H; i++) for (let j = 0; j < W; j++) {            // pixel shuffle: channel -> place within scale x scale
        const at = (((i/scale | 0) + 1)*(w + 2) + (j/scale | 0) + 1)*co + (c*scale + i%scale)*scale + j%scale;
        y[i*W + j] += detail[at];
      }
      out.set(y, c*H*W);
    }
    this.top = top;
    return out;
  }
}
