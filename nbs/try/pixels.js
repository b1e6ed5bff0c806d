// A decoded picture -> its bytes.
import {kind} from './picture.js';

/** Does a page get the pixels that were drawn? Firefox can give it others, against fingerprinting. */
export function honest() {
  const ctx = new OffscreenCanvas(64, 64).getContext('2d', {willReadFrequently: true}), test = new ImageData(64, 64);
  for (let i = 0; i < test.data.length; i++) test.data[i] = i%4 === 3 ? 255 : (i*7919 ^ i*i*31) & 255;
  ctx.putImageData(test, 0, 0);
  return ctx.getImageData(0, 0, 64, 64).data.every((v, i) => v === test.data[i]);
}

/** Straight RGBA bytes. A 2D canvas multiplies colour by alpha: what is transparent comes from WebGL, where both agree. */
export function pixels(bitmap) {
  const {width: w, height: h} = bitmap, canvas = new OffscreenCanvas(w, h), ctx = canvas.getContext('2d', {willReadFrequently: true});
  ctx.drawImage(bitmap, 0, 0);
  const {data} = ctx.getImageData(0, 0, w, h);
  const whole = kind(data).alpha && straight(bitmap);
  return whole && whole.every((v, i) => Math.abs(v - data[i])*data[i | 3] < 4*255) ? whole : data;
}

function straight(bitmap) {
  const {width: w, height: h} = bitmap, gl = new OffscreenCanvas(1, 1).getContext('webgl2');
  if (!gl || Math.max(w, h) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) return null;
  const data = new Uint8ClampedArray(4*w*h);
  gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, gl.getParameter(gl.TEXTURE_BINDING_2D), 0);
  gl.readPixels(0, 0, w, h, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(data.buffer));
  const failed = gl.getError();
  gl.getExtension('WEBGL_lose_context')?.loseContext();
  return failed ? null : data;
}
