#!/usr/bin/env python3
"""The page that enlarges a photo in the browser, nbs/try: its kernel is built and its files are brought together here.

usage: page.py          does conv.wasm hold the bytes that conv.c compiles to?
       page.py --write  compile conv.c to conv.wasm (needs ziglang)
       page.py --model  copy the model beside the page, as the site needs it
       page.py FOLDER   the whole page, ready to be served, in FOLDER
"""
import shutil, subprocess, sys, tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE, MODEL = ROOT/'nbs'/'try', ROOT/'srgan_course'/'models'/'light-x4.safetensors'
FILES = 'index.html style.css page.js engine.js worker.js network.js picture.js pixels.js png.js safetensors.js whole.js server.js conv.c conv.wasm'.split()
FLAGS = '--target=wasm32-freestanding -msimd128 -O3 -nostdlib -Wl,--no-entry -Wl,--strip-all -Wl,--export=__heap_base'.split()

def compiled():
    "The bytes that conv.c compiles to."
    with tempfile.TemporaryDirectory() as d:
        shutil.copy(PAGE/'conv.c', d)
        subprocess.run([sys.executable, '-m', 'ziglang', 'cc', *FLAGS, '-o', 'conv.wasm', 'conv.c'], cwd=d, check=True)
        return (Path(d)/'conv.wasm').read_bytes()

def copy_page(to):
    "The page and its model in the folder `to`."
    to = Path(to)
    to.mkdir(parents=True, exist_ok=True)
    for f in FILES: shutil.copy(PAGE/f, to/f)
    shutil.copy(MODEL, to/MODEL.name)
    return to

def main(arg=None):
    if arg == '--write': (PAGE/'conv.wasm').write_bytes(compiled())
    elif arg == '--model': shutil.copy(MODEL, PAGE/MODEL.name)
    elif arg: print(copy_page(arg))
    elif (PAGE/'conv.wasm').read_bytes() != compiled(): sys.exit('conv.wasm is not what conv.c compiles to: python tests/page.py --write')

if __name__ == '__main__': main(*sys.argv[1:2])
