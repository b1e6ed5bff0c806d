// One of these runs on each core. It is given the model once, then tiles; it knows no address and asks for nothing.
import {Network} from './network.js';
import {enlarge, fillColour, kind} from './picture.js';
import {honest, pixels} from './pixels.js';
import {png} from './png.js';

let net;
const tasks = {
  async load({model, wasm}) { net = await Network.load(model, wasm); return {scale: net.scale, radius: net.radius}; },
  read({bitmap}) {
    if (!honest()) throw new Error('This browser gives a page other pixels than were drawn, against fingerprinting; ' +
                                   'let this page read its canvas.');
    const rgba = pixels(bitmap), what = kind(rgba);
    if (what.alpha) fillColour(rgba, bitmap.height, bitmap.width);
    bitmap.close();
    return [{rgba, what}, [rgba.buffer]];
  },
  tile({rgba, box, kind}) { const data = enlarge(net, rgba, box, kind); return [{data}, [data.buffer]]; },
  async png({data, h, w, kind}) { return {blob: await png(data, h, w, kind)}; },
};

onmessage = async ({data: {id, task, ...args}}) => {
  try {
    const made = await tasks[task](args), [reply, move] = Array.isArray(made) ? made : [made, []];
    postMessage({id, reply}, move);
  } catch (e) { postMessage({id, error: e.message}); }
};
