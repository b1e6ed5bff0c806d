#!/usr/bin/env python3
"""Make the stored outputs of notebooks small after they were executed: photographs as JPEG of quality 66, plots as PNG with a palette, no
widget state. Pictures that are committed stay as they are.

usage: slim.py NOTEBOOK...
"""
import base64, io, subprocess, sys
from pathlib import Path
import nbformat
from PIL import Image

def jpeg(im):
    buf = io.BytesIO(); im.convert('RGB').save(buf, 'jpeg', quality=66, optimize=True)
    return buf.getvalue()

def png(im):
    "A palette of 96 colours is enough for a plot."
    buf = io.BytesIO(); im.convert('RGB').quantize(96, dither=Image.Dither.NONE).save(buf, 'png', optimize=True)
    return buf.getvalue()

def is_photo(im):
    "Many colours, none of which fills much of the picture."
    colours = im.convert('RGB').getcolors(2**24)
    return len(colours) > 20000 and max(n for n, _ in colours) < .6*im.width*im.height

def slim(data, committed=''):
    "The outputs of a cell, changed in place, where that makes them a tenth smaller; `committed`: the notebook's text in the last commit."
    data.pop('application/vnd.jupyter.widget-view+json', None)
    for kind in [k for k in ('image/png', 'image/jpeg') if k in data and data[k].strip() not in committed]:
        old = base64.b64decode(data[kind]); im = Image.open(io.BytesIO(old))
        new, to = (jpeg(im), 'image/jpeg') if kind == 'image/jpeg' or is_photo(im) else (png(im), 'image/png')
        if len(new) < .9*len(old): del data[kind]; data[to] = base64.b64encode(new).decode()

def main(paths):
    for p in map(Path, paths):
        nb, before = nbformat.read(p, 4), p.stat().st_size
        committed = subprocess.run(['git', 'show', f'HEAD:./{p.name}'], cwd=p.parent, capture_output=True, text=True, encoding='utf-8').stdout
        nb.metadata.pop('widgets', None)
        for c in nb.cells:
            for o in c.get('outputs', ()): slim(o.get('data', {}), committed)
        nbformat.write(nb, p)
        print(f'{p}: {before//1000} -> {p.stat().st_size//1000} KB')

if __name__ == '__main__': main(sys.argv[1:])
