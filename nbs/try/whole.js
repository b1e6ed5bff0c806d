// Is a picture's file all there? Firefox and WebKit draw what there is of a truncated picture, fill up the rest, and say nothing.
// All of them refuse half an AVIF.
import {crc} from './png.js';

/** To IEND; the chunks that a picture needs also by their checksums. */
function png(b, view) {
  for (let at = 8, next; view.getUint32(at + 4) !== 0x49454e44; at = next) {
    next = at + 12 + view.getUint32(at);
    const needed = !(b[at + 4] & 32);                                      // its name begins with a capital
    if (needed && view.getUint32(next - 4) !== crc(b.subarray(at + 4, next - 4))) return false;
  }
  return true;
}

/** Segment by segment, and through the data between them, to the end of the image; thumbnails lie inside segments. */
function jpeg(b, view) {
  for (let at = 2; at < b.length;) {
    const marker = b[at] === 0xff ? b[at + 1] : 0;
    if (marker === 0xd9) return true;
    const alone = marker < 2 || marker === 0xff || marker >= 0xd0 && marker <= 0xd7;
    at += alone ? 1 : 2 + view.getUint16(at + 2);
  }
  return false;
}

/** To the end of the first frame, which is the one that is read. */
function gif(b) {
  const table = flags => flags & 128 ? 6 << (flags & 7) : 0;               // bytes of a table of colours
  let at = 13 + table(b[10]);
  const skip = () => { while (b[at]) at += 1 + b[at]; return at++ < b.length; };     // blocks, up to an empty one
  while (b[at] === 0x21) { at += 2; if (!skip()) return false; }
  if (b[at] !== 0x2c) return false;
  at += 11 + table(b[at + 9]);
  return skip();
}

function bmp(b, view) {
  if (view.getUint32(14, true) < 40 || ![0, 3].includes(view.getUint32(30, true))) return true;      // packed
  const row = 4*Math.ceil(view.getInt32(18, true)*view.getUint16(28, true)/32);
  return view.getUint32(10, true) + row*Math.abs(view.getInt32(22, true)) <= b.length;
}

function webp(b, view) { return view.getUint32(4, true) + 8 <= b.length; }

const KINDS = {'\x89PNG': png, '\xff\xd8\xff': jpeg, GIF8: gif, BM: bmp, RIFF: webp};

/** A file's bytes -> is it a whole picture, as far as we know its kind? */
export function isWhole(b) {
  const sign = Object.keys(KINDS).find(sign => [...sign].every((c, i) => b[i] === c.charCodeAt(0)));
  if (!sign) return true;
  try { return KINDS[sign](b, new DataView(b.buffer, b.byteOffset, b.length)); }
  catch (e) { if (e instanceof RangeError) return false; throw e; }        // it tells of bytes behind its end
}
