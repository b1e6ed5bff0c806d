#!/usr/bin/env python3
"""What writing a picture takes in memory, format by format, times the bytes of its pixels: what `kit.wanted` asks for before a network runs.

Each format has a process of its own. Counted from before the picture is made, with the format's library in memory, to the most that the
process has held. One picture is the photograph `coffee`, laid side by side, the other noise, which no format makes small. HEIC and JPEG XL
want their plugins (extra [formats]).
Writes results/saving.json.
usage: saving.py [--side PIXELS] [--quick]
"""
import subprocess, sys, time
from frame import ledger, parser

FORMATS = {k: (f'.{k.lower()}', 8) for k in ('PNG', 'JPEG', 'TIFF', 'GIF', 'BMP', 'WEBP', 'AVIF')} | {
    'HEIF': ('.heic', 8), 'JXL': ('.jxl', 8), 'JPEG2000': ('.jp2', 8), 'PNG, 16 bit': ('.png', 16), 'TIFF, 16 bit': ('.tif', 16)}

CODE = """
import os, resource, sys, tempfile, warnings
import numpy as np
from srgan_course.kit.codec import save_image
from srgan_course.kit.pixels import from_array
from srgan_course.kit.sources import sample_photos
warnings.simplefilter('ignore')                                    # a GIF keeps 256 colours
suffix, bits, side = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
photo = np.asarray(sample_photos('valid')['coffee'])
if sys.argv[4] == 'noise': photo = np.random.default_rng(0).integers(0, 256, photo.shape, np.uint8)
if bits == 16: photo = photo.astype(np.uint16)*257
h, w, _ = photo.shape
with tempfile.TemporaryDirectory() as d:
    save_image(from_array(photo[:64, :64]), f'{d}/small{suffix}')
    before = int(open('/proc/self/statm').read().split()[1])*os.sysconf('SC_PAGE_SIZE')
    a = np.empty((side, side, 3), photo.dtype)
    for i in range(0, side, h):
        for j in range(0, side, w): a[i:i+h, j:j+w] = photo[:side-i, :side-j]
    n, img = a.nbytes, from_array(a)
    del a
    save_image(img, f'{d}/large{suffix}')
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss*1024 - before)/n)
"""

def times(suffix, bits, side):
    call = lambda what: [sys.executable, '-c', CODE, suffix, str(bits), str(side), what]
    run = lambda what: subprocess.run(call(what), capture_output=True, text=True, check=True).stdout
    return {what: round(float(run(what)), 2) for what in ('photograph', 'noise')}

if __name__ == '__main__':
    args, start = parser(__doc__, side=3000, quick=False).parse_args(), time.perf_counter()
    figures = {k: times(*v, 200 if args.quick else args.side) for k, v in FORMATS.items()}
    print('\n'.join(f'{k:14} {v}' for k, v in figures.items()))
    if not args.quick:
        ledger('saving', 'the most memory that writing a picture takes, times the bytes of its pixels', figures,
               f'embedded: coffee, laid side by side to {args.side} x {args.side}, and noise, RGB', 2, start, protocol='resident set, a process for each format')
