// Where srgan-serve serves this page, this script comes first and puts the server in the place of the engine in the browser:
// the photo is sent there as a job, and the picture that comes back is the file to download. A static site does not load it.
(() => {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');  // https://…/#token=…: a fragment is never sent by itself
  const head = token ? {Authorization: `Bearer ${token}`} : {};

  /** For `catch`: a connection that cannot be had, or breaks, in one sentence of ours; every browser has words of its own. */
  const noAnswer = signal => e => {
    throw signal?.aborted || e.name === 'AbortError' ? e : new Error('The server does not answer; is it still running?');
  };

  /** An answer; what the server refuses becomes an error with its sentence. */
  async function ask(path, options = {}) {
    const r = await fetch(path, {...options, headers: {...head, ...options.headers}}).catch(noAnswer(options.signal));
    if (r.status === 401) throw new Error('This server wants a token: put #token=… at the end of the address of this page.');
    if (!r.ok) throw new Error((await r.json().catch(() => ({}))).detail ?? `The server answers ${r.status}.`);
    return r;
  }

  /** The events of a job, as they come, until its end. */
  async function* events(path, signal) {
    const reader = (await ask(path, {signal})).body.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = '', part; !(part = await reader.read().catch(noAnswer(signal))).done;) {
      const whole = (text + part.value).split('\n\n');
      text = whole.pop();
      for (const e of whole) { const data = /^data: (.*)$/m.exec(e); if (data) yield JSON.parse(data[1]); }
    }
  }

  async function enlarged(job, told, signal) {
    for await (const {state, tile, tiles, error} of events(`${job}/events`, signal)) {
      if (error) throw new Error(error);
      if (tile && state === 'running') told({done: tile, of: tiles});
    }
    const result = await ask(`${job}/result`, {signal});
    return {file: await result.blob().catch(noAnswer(signal)), lost: decodeURIComponent(result.headers.get('X-Lost') ?? '')};
  }

  async function upscale(bitmap, told = () => {}, signal = undefined, file = undefined) {
    const job = `v1/jobs/${(await (await ask('v1/jobs', {method: 'POST', body: file, signal})).json()).id}`;
    const leave = () => { ask(job, {method: 'DELETE', keepalive: true}).catch(() => {}); };
    addEventListener('pagehide', leave);                                   // the tab is closed, the page loaded again
    try {
      const {file, lost} = await enlarged(job, told, signal), picture = await createImageBitmap(file, {premultiplyAlpha: 'none'});
      const {width: w, height: h} = picture;
      signal?.throwIfAborted();
      told({done: 1, of: 1, picture});
      picture.close();
      return {w, h, lost, blob: async () => file};
    } finally { removeEventListener('pagehide', leave); leave(); }         // what is cancelled stops; what is done is forgotten
  }

  /** The first model does the work. Asked before each picture: a server may come back with another one while the page is open. */
  async function ready() {
    try { [{scale: api.scale}] = await (await ask('v1/models')).json(); } catch { return; }
    document.getElementById('size').textContent = `${api.scale} times as wide and ${api.scale} times as high`;
  }

  const api = window.SRGAN_API = {scale: 4, upscale, get ready() { return ready(); }};
  addEventListener('hashchange', () => location.reload());                  // a token that comes later
  addEventListener('DOMContentLoaded', () => {
    document.getElementById('where').textContent = 'Your photo is sent to this server, which enlarges it and keeps it only for as long as that takes.';
    Object.assign(document.querySelector('header a'), {href: 'docs', textContent: 'The API of this server'});
  });
})();
