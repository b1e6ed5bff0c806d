#!/usr/bin/env python3
"""The first picture of README.md: three crops of photographs that no model of ours was trained on, made small and enlarged by what ships.

Wants SRGAN_DATA (hr). Writes nbs/images/models.jpg and results/pictures.json.
usage: pictures.py
"""
import time
from io import BytesIO
from frame import ROOT, ledger, parser

CROPS = {'kitten-on-lawn': (576, 0), 'hans-jurgen-mager-indri': (0, 360), 'roman-colosseum': (504, 0)}     # left, top; all CC0
SIDE, MODELS = 144, ('light-x4', 'srgan-x4')

def pictures():
    import matplotlib.pyplot as plt
    from srgan_course.images import crop_to_multiple, downscale, interpolate, open_image
    from srgan_course.kit.files import write_whole
    from srgan_course.kit.show import show_grid
    from srgan_course.kit.sources import hr_split
    from srgan_course.metrics import mean_gradient, psnr_y
    from srgan_course.upscale import Upscaler
    start, rows, figures = time.perf_counter(), [], {}
    nets = {m: Upscaler.load(m, device='cpu') for m in MODELS}
    files = {p.stem: p for p in hr_split()['valid']}
    for name, (l, t) in CROPS.items():
        hr = crop_to_multiple(open_image(files[name]).convert('RGB'), 4)
        lr = downscale(hr, 4)
        made = {'bicubic': interpolate(lr, 4)} | {m: up(lr) for m, up in nets.items()}
        figures[name] = {k: dict(psnr=round(float(psnr_y(im, hr, 4)), 2), gradient=round(mean_gradient(im)/mean_gradient(hr), 3))
                         for k, im in made.items()}
        rows.append([im.crop((l, t, l + SIDE, t + SIDE)) for im in (*made.values(), hr)])
    fig, out = show_grid(rows, titles=['bicubic', *MODELS, 'original'], size=2.2), BytesIO()
    fig.savefig(out, format='jpg', dpi=110, bbox_inches='tight', pad_inches=.05, pil_kwargs=dict(quality=85)); plt.close(fig)
    write_whole(ROOT/'nbs'/'images'/'models.jpg', out.getvalue())
    ledger('pictures', "README's first picture: PSNR of the whole photographs, and their gradient over the original's", figures,
           'three of the 20 held-out photographs of hr, CC0', len(CROPS), start,
           protocol='x4, bicubic with antialiasing, luminance (BT.601), 4 pixels cropped')

if __name__ == '__main__':
    parser(__doc__).parse_args()
    pictures()
