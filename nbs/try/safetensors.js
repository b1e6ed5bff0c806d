// A reader of safetensors files: eight bytes with the length of a JSON header, the header, then the numbers of all tensors.
// The header gives each tensor its dtype, shape and place. Nothing is trusted: a place outside the file or a wrong length is refused.

const BYTES = {F16: 2, F32: 4};
const damaged = why => new Error(`The model file is damaged: ${why}. Reload the page; if that does not help, build the site again.`);

/** A float16 (1 bit sign, 5 bits exponent, 10 bits fraction) as a number. */
export function half(bits) {
  const sign = bits >> 15 ? -1 : 1, e = bits >> 10 & 31, f = bits & 1023;
  if (e === 31) return f ? NaN : sign*Infinity;
  return sign*(e ? 2**(e - 15)*(1 + f/1024) : 2**-14*f/1024);
}

function numbers(view, dtype, at, n) {
  const out = new Float32Array(n);
  for (let i = 0; i < n; i++) out[i] = dtype === 'F16' ? half(view.getUint16(at + 2*i, true)) : view.getFloat32(at + 4*i, true);
  return out;
}

function header(buffer) {
  const view = new DataView(buffer);
  if (buffer.byteLength < 10) throw damaged('it is too short');
  const n = Number(view.getBigUint64(0, true));
  if (n > buffer.byteLength - 8) throw damaged('it ends within its header');
  try { return [JSON.parse(new TextDecoder('utf-8', {fatal: true}).decode(new Uint8Array(buffer, 8, n))), 8 + n]; }
  catch { throw damaged('its header cannot be read'); }
}

function tensor(buffer, start, name, {dtype, shape, data_offsets: [from, to]}) {
  const n = shape.reduce((a, b) => a*b, 1);
  if (!(dtype in BYTES)) throw damaged(`${name} has the type ${dtype}`);
  if (to - from !== n*BYTES[dtype] || from < 0 || start + to > buffer.byteLength) throw damaged(`${name} does not fit into the file`);
  const data = numbers(new DataView(buffer), dtype, start + from, n);
  if (!data.every(Number.isFinite)) throw damaged(`${name} holds something that is not a number`);
  return {dtype, shape, data, bytes: new Uint8Array(buffer, start + from, to - from)};
}

/** Bytes of a file -> {meta, tensors: {name: {dtype, shape, data: Float32Array, bytes}}} */
export function readSafetensors(buffer) {
  const [{__metadata__: meta = {}, ...entries}, start] = header(buffer), tensors = {};
  for (const [name, entry] of Object.entries(entries)) {
    if (!Array.isArray(entry.shape) || !Array.isArray(entry.data_offsets)) throw damaged(`${name} has no place`);
    tensors[name] = tensor(buffer, start, name, entry);
  }
  return {meta, tensors};
}

const NAMES = {F16: 'torch.float16', F32: 'torch.float32'};
const quote = s => JSON.stringify(s).replace(/[\u007f-\uffff]/g, c => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));
const shape = s => `(${s.join(', ')}${s.length === 1 ? ',' : ''})`;

/** Compare the file with the SHA-256 in its metadata (see srgan_course.kit.files). Browsers hash on https and localhost only. */
export async function verify({meta, tensors}) {
  if (!globalThis.crypto?.subtle) return;
  const head = Object.keys(meta).filter(k => k !== 'checksum').sort().map(k => `${quote(k)}: ${quote(meta[k])}`).join(', ');
  const parts = [new TextEncoder().encode(`{${head}}`)];
  for (const k of Object.keys(tensors).sort()) {
    const t = tensors[k];
    parts.push(new TextEncoder().encode(`${k} ${NAMES[t.dtype]} ${shape(t.shape)}`), t.bytes);
  }
  const hash = await crypto.subtle.digest('SHA-256', await new Blob(parts).arrayBuffer());
  const hex = [...new Uint8Array(hash)].map(b => b.toString(16).padStart(2, '0')).join('');
  if (hex !== meta.checksum) throw damaged('its checksum does not fit');
}
