// The page: a photo in (chosen, dropped or pasted), the engine's tiles on a canvas, a slider, a file to download.
import {engine, tooLarge} from './engine.js';
import {isWhole} from './whole.js';

const $ = id => document.getElementById(id);
const show = (id, on) => { $(id).hidden = !on; };
const say = text => { $('status').textContent = text; };
const fail = text => { $('error').textContent = text; show('error', text); };
let running, link;  // what cancels the work in hand; the address of the last result

/** Width and height by the file's header: what is too large is refused before it is decoded. */
async function size(file) {
  const img = new Image(), url = URL.createObjectURL(file);
  try {
    await new Promise((done, bad) => { img.onload = done; img.onerror = bad; img.src = url; });
    return [img.naturalWidth, img.naturalHeight];
  } finally { URL.revokeObjectURL(url); }
}

const AS_PYTHON = {premultiplyAlpha: 'none', imageOrientation: 'from-image', colorSpaceConversion: 'default'};
const UNREADABLE = 'cannot be read as a picture: it is damaged, far too large, or of a kind that this browser does not know.';

/** Upright (a JPEG; those tried turn no WebP), in sRGB, with the colours of transparent pixels: as `open_image` in Python. */
async function open(file) {
  try {
    const [w, h] = await size(file), refuse = tooLarge(w, h, engine.scale);
    if (refuse) return {refuse};
    if (!isWhole(new Uint8Array(await file.arrayBuffer()))) throw new Error('truncated');
    return {bitmap: await createImageBitmap(file, AS_PYTHON)};
  } catch { return {refuse: `${file.name || 'This'} ${UNREADABLE}`}; }
}

/** The small picture lies below; the empty canvas above it fills up with tiles. */
function draw(bitmap, k = 1) {
  const w = bitmap.width/k, h = bitmap.height/k;
  for (const [id, s] of [['before', 1], ['after', engine.scale]]) { $(id).width = s*w; $(id).height = s*h; }
  $('before').getContext('2d').drawImage(bitmap, 0, 0, w, h);
}

function drawTile({box: {t, b, l, r}, data}) {
  const s = engine.scale;
  $('after').getContext('2d').putImageData(new ImageData(data, s*(r - l), s*(b - t)), s*l, s*t);
}

function told(p) {
  if (p.data) drawTile(p);
  if (p.picture) {  // a server sends it whole, and upright
    if (p.picture.width !== $('after').width) draw(p.picture, engine.scale);
    $('after').getContext('2d').drawImage(p.picture, 0, 0);
  }
  $('progress').value = p.done/p.of;
  $('tile').textContent = `${p.done} of ${p.of} ${p.of === 1 ? 'tile' : 'tiles'}`;
}

function offer(blob, name) {
  if (link) URL.revokeObjectURL(link);
  link = URL.createObjectURL(blob);
  Object.assign($('download'), {href: link, download: `${name.replace(/\.\w+$/, '') || 'photo'}-x${engine.scale}.png`});
  show('download', true);
}

/** What the browser leaves out of a file (not every one can count frames). A server says it itself. */
async function leftOut(file) {
  if (window.SRGAN_API) return [];
  const bytes = await file.arrayBuffer(), head = new Uint8Array(bytes, 0, Math.min(25, bytes.byteLength)), lost = [];
  if (head[1] === 0x50 && head[24] === 16) lost.push('colours of 16 bits were read as 8');  // a PNG
  try {
    const film = new ImageDecoder({data: bytes, type: file.type});
    await Promise.all([film.tracks.ready, film.completed]);
    const n = film.tracks.selectedTrack.frameCount;
    film.close();
    if (n > 1) lost.push(`the first of ${n} frames alone`);
  } catch { /* no such decoder, or not of this kind of file */ }
  return lost;
}

async function upscale(files) {
  const [file] = files;
  if (!file) return;
  running?.abort();
  const mine = running = new AbortController(), {signal} = mine, start = performance.now();
  fail(''); show('download', false); show('result', false);
  try {
    say('Reading the photo…');
    if (window.SRGAN_API) await engine.ready;  // a server tells its scale
    const {bitmap, refuse} = await open(file);
    signal.throwIfAborted();
    if (refuse) { say(''); return fail(refuse); }
    draw(bitmap); show('work', true); show('result', true); move();
    $('progress').value = 0; $('tile').textContent = '';
    say(`Enlarging ${bitmap.width} × ${bitmap.height} pixels…`);
    const result = await engine.upscale(bitmap, p => signal.aborted || told(p), signal, file).finally(() => bitmap.close());
    say('Writing the file…');
    const blob = await result.blob(), lost = [...await leftOut(file), ...result.lost ? [result.lost] : []];
    signal.throwIfAborted();  // another picture may have come
    offer(blob, file.name || 'photo');
    if (files.length > 1) lost.push(`the first of ${files.length} pictures alone: give one at a time`);
    const seconds = ((performance.now() - start)/1000).toFixed(1), note = lost.length ? ` (${lost.join('; ')})` : '';
    say(`Done: ${result.w} × ${result.h} pixels in ${seconds} seconds, ${(blob.size/1e6).toFixed(1)} MB${note}.`);
  } catch (e) {
    if (mine !== running) return;
    show('result', false);
    if (signal.aborted) say('Cancelled.'); else { say(''); fail(e.message); }
  } finally { if (mine === running) show('work', false); }
}

/** The line between before and after: a share of what is in sight, also where the picture is larger. */
function move() {
  const {scrollLeft, clientWidth} = $('stage');
  $('inner').style.setProperty('--at', `${scrollLeft + $('slider').value/100*clientWidth}px`);
}

function point(e) {
  const pans = $('stage').classList.contains('closer') && e.pointerType !== 'mouse';
  if (pans || e.type === 'pointermove' && !e.buttons) return;
  const {left, width} = $('stage').getBoundingClientRect();
  $('slider').value = 100*(e.clientX - left)/width;
  move();
}

$('slider').addEventListener('input', move);
$('stage').addEventListener('scroll', move);
$('stage').addEventListener('pointerdown', point);
$('stage').addEventListener('pointermove', point);
addEventListener('resize', move);
$('closer').addEventListener('click', () => {
  const on = $('stage').classList.toggle('closer'), {scrollWidth, clientWidth, scrollHeight, clientHeight} = $('stage');
  $('closer').textContent = on ? 'Fit the window' : 'Show every pixel';
  $('closer').setAttribute('aria-pressed', on);
  $('stage').tabIndex = on ? 0 : -1;  // the arrow keys scroll it
  if (on) $('stage').scrollTo((scrollWidth - clientWidth)/2, (scrollHeight - clientHeight)/2); else $('stage').scrollTo(0, 0);
  move();
});
$('cancel').addEventListener('click', () => running?.abort(new DOMException('', 'AbortError')));
addEventListener('keydown', e => { if (e.key === 'Escape') $('cancel').click(); });
$('file').addEventListener('change', () => { upscale([...$('file').files]); $('file').value = ''; });
addEventListener('paste', e => upscale([...e.clipboardData?.files ?? []]));
addEventListener('dragover', e => { e.preventDefault(); $('drop').classList.add('over'); });
addEventListener('dragleave', () => $('drop').classList.remove('over'));
addEventListener('drop', e => {
  e.preventDefault();
  $('drop').classList.remove('over');
  upscale([...e.dataTransfer.files]);
});

engine.ready.then(() => { if (!running) say('Ready.'); document.body.dataset.ready = ''; },
                  e => { say(''); fail(e.message); $('file').disabled = true; });
