// An engine enlarges pictures: `await engine.ready`, then `engine.upscale(bitmap, onProgress, signal, file)`.
// This one does it here, in the browser, and needs no more than the bitmap.
// A server that serves these files may give one of its own, as `window.SRGAN_API`, before this page's script runs.
import {cut, tiles} from './picture.js';

const MAX_PIXELS = 2**24, MAX_SIDE = 32767;                                // what every browser's canvas can hold
const TILE = 128;                                                          // pixels of the small picture

/** One sentence where a result of this size cannot be shown, else nothing. */
export function tooLarge(w, h, scale) {
  if (w*h*scale**2 <= MAX_PIXELS && Math.max(w, h)*scale <= MAX_SIDE) return '';
  const most = Math.floor(Math.sqrt(MAX_PIXELS)/scale);
  return `This picture has ${w} × ${h} pixels, and its enlargement would be larger than a browser can show; ` +
         `take one of at most ${most} × ${most} pixels, or as many in another shape.`;
}

async function bytes(name) {
  const r = await fetch(new URL(name, import.meta.url));
  if (!r.ok) throw new Error(`${name} is missing beside this page (${r.status}).`);
  return r.arrayBuffer();
}

/** A worker whose tasks are promises. */
class Hand {
  constructor() {
    this.waiting = new Map();
    this.worker = new Worker(new URL('worker.js', import.meta.url), {type: 'module'});
    this.worker.onmessage = ({data: {id, reply, error}}) => {
      const {done, fail} = this.waiting.get(id);
      this.waiting.delete(id);
      if (error === undefined) done(reply); else fail(new Error(error));
    };
    this.worker.onerror = e => {
      for (const {fail} of this.waiting.values()) fail(new Error(e.message || 'A part of this page could not be loaded; reload it.'));
      this.waiting.clear();
    };
  }
  ask(task, args, move = []) {
    const id = this.next = (this.next ?? 0) + 1;
    return new Promise((done, fail) => { this.waiting.set(id, {done, fail}); this.worker.postMessage({id, task, ...args}, move); });
  }
}

export class BrowserEngine {
  constructor(model = 'light-x4.safetensors', cores = navigator.hardwareConcurrency || 2) {
    this.scale = 4;
    this.ready = this.start(model, Math.min(cores, 16));
  }

  /** Everything is fetched here; afterwards the page needs no connection. */
  async start(name, cores) {
    const [model, wasm] = await Promise.all([bytes(name), bytes('conv.wasm')]);
    this.hands = Array.from({length: cores}, () => new Hand());
    const [said] = await Promise.all(this.hands.map(hand => hand.ask('load', {model, wasm})));
    Object.assign(this, said);
  }

  /** An ImageBitmap -> {data: RGBA bytes, w, h, kind, blob()}; `onProgress({done, of, box, data})` is told of each tile. */
  async upscale(bitmap, onProgress = () => {}, signal = undefined, file = undefined, tile = TILE) {
    await this.ready;
    const {width: w, height: h} = bitmap, s = this.scale, refuse = tooLarge(w, h, s);
    if (refuse) throw new Error(refuse);
    const {rgba, what} = await this.hands[0].ask('read', {bitmap});
    signal?.throwIfAborted();
    const boxes = tiles(h, w, tile, this.radius), todo = [...boxes];
    const out = new Uint8ClampedArray(4*s*s*w*h);
    let done = 0;
    const work = async hand => {
      while (todo.length) {
        signal?.throwIfAborted();
        const box = todo.shift(), {data} = await hand.ask('tile', {rgba: cut(rgba, w, box), box, kind: what});
        signal?.throwIfAborted();
        const row = 4*s*(box.r - box.l);
        for (let i = 0; i < s*(box.b - box.t); i++) out.set(data.subarray(i*row, (i + 1)*row), 4*((s*box.t + i)*s*w + s*box.l));
        onProgress({done: ++done, of: boxes.length, box, data});
      }
    };
    const left = signal && new Promise((_, fail) => signal.addEventListener('abort', () => fail(signal.reason), {once: true}));
    const all = Promise.all(this.hands.map(work));
    await (left ? Promise.race([all, left]) : all);
    return {data: out, w: s*w, h: s*h, kind: what,
            blob: async () => (await this.hands[0].ask('png', {data: out, h: s*h, w: s*w, kind: what})).blob};
  }
}

export const engine = window.SRGAN_API?.upscale ? window.SRGAN_API : new BrowserEngine();
