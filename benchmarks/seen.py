#!/usr/bin/env python3
"""Is a model short of pictures or of steps? Its gain over bicubic on photographs it was trained on, less its gain on others of the same
kind.

Both halves of BSDS500's `test` part: every second picture by name was held out, the others were trained on. A gap that is clearly above
0 says that more pictures would help.
usage: seen.py [MODEL ...]        writes results/seen.json
"""
import time
import numpy as np
from frame import ledger, parser

def gains(model, files):
    "PSNR over bicubic's, dB, picture by picture."
    from srgan_course.images import crop_to_multiple, downscale, interpolate, open_image
    from srgan_course.metrics import psnr_y
    from srgan_course.upscale import Upscaler
    up, out = Upscaler.load(model, device='cpu'), []
    for f in files:
        hr = crop_to_multiple(open_image(f).convert('RGB'), up.scale)
        lr = downscale(hr, up.scale)
        out.append(psnr_y(up(lr), hr, up.scale) - psnr_y(interpolate(lr, up.scale), hr, up.scale))
    return np.array(out)

def main(models):
    from srgan_course.data import bsds_split
    start, split, figures, spread, rng = time.perf_counter(), bsds_split(), {}, {}, np.random.default_rng(0)
    seen, held = [f for f in split['train'] if f.parent.name == 'test'], split['valid']
    for m in models:
        a, b = gains(m, seen), gains(m, held)
        draws = [rng.choice(a, len(a)).mean() - rng.choice(b, len(b)).mean() for _ in range(2000)]
        figures[m] = dict(gain_on_seen=round(float(a.mean()), 4), gain_on_held_out=round(float(b.mean()), 4),
                          gap=round(float(a.mean() - b.mean()), 4))
        spread[m] = [round(float(v), 4) for v in np.percentile(draws, [2.5, 97.5])]
        print(m, figures[m], spread[m], flush=True)
    ledger('seen', 'gain over bicubic on photographs a model was trained on, and on others of the same kind', figures, 'bsds500/test',
           len(seen) + len(held), start, seed=0, spread=spread,
           protocol='PSNR in dB on luminance (BT.601), as many pixels cropped as the scale, LR by Pillow bicubic; spread: 95 % bootstrap of '
                    'pictures, of the gap')

if __name__ == '__main__':
    ap = parser(__doc__)
    ap.add_argument('models', nargs='*', default=['light-x4', 'srresnet-x4'])
    main(ap.parse_args().models)
