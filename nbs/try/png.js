// A PNG of straight pixels. A canvas multiplies colour by alpha and would lose the colours of what is nearly transparent.

const TABLE = Uint32Array.from({length: 256}, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ n >>> 1 : n >>> 1;
  return n;
});

export function crc(bytes) {
  let c = ~0;
  for (const b of bytes) c = TABLE[(c ^ b) & 255] ^ c >>> 8;
  return ~c >>> 0;
}

function chunk(name, data) {
  const out = new Uint8Array(data.length + 12), view = new DataView(out.buffer);
  view.setUint32(0, data.length);
  out.set(new TextEncoder().encode(name), 4);
  out.set(data, 8);
  view.setUint32(data.length + 8, crc(out.subarray(4, data.length + 8)));
  return out;
}

/** The neighbour that lies nearest to left + above - corner (Paeth's filter). */
function paeth(left, up, corner) {
  const pl = Math.abs(up - corner), pu = Math.abs(left - corner), pc = Math.abs(left + up - 2*corner);
  return pl <= pu && pl <= pc ? left : pu <= pc ? up : corner;
}

const CHANNELS = {0: [0], 2: [0, 1, 2], 4: [0, 3], 6: [0, 1, 2, 3]};       // PNG's colour types: grey, RGB, grey with alpha, RGBA

function filtered(rgba, h, w, channels) {
  const n = channels.length, out = new Uint8Array(h*(1 + n*w));
  for (let i = 0, o = 0; i < h; i++) {
    out[o++] = 4;                                                          // this row is filtered as Paeth says
    for (let j = 0; j < w; j++) for (const c of channels) {
      const at = 4*(i*w + j) + c, up = i ? rgba[at - 4*w] : 0, left = j ? rgba[at - 4] : 0;
      out[o++] = rgba[at] - paeth(left, up, i && j ? rgba[at - 4*w - 4] : 0);
    }
  }
  return out;
}

/** RGBA bytes -> a PNG file, as a Blob: grey without colours, opaque without alpha. */
export async function png(rgba, h, w, {grey, alpha}) {
  const type = (grey ? 0 : 2) + (alpha ? 4 : 0), head = new Uint8Array(13), view = new DataView(head.buffer);
  view.setUint32(0, w); view.setUint32(4, h);
  head.set([8, type], 8);
  const packed = new Blob([filtered(rgba, h, w, CHANNELS[type])]).stream().pipeThrough(new CompressionStream('deflate'));
  const data = new Uint8Array(await new Response(packed).arrayBuffer());
  const sign = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);
  return new Blob([sign, chunk('IHDR', head), chunk('IDAT', data), chunk('IEND', new Uint8Array())], {type: 'image/png'});
}
