#!/usr/bin/env python3
"""README.md is nbs/index.ipynb as Markdown. `readme.py` says whether they are equal, `readme.py --write` makes them so.

nbdev-readme does the same through Quarto; this works where Quarto is missing. Code cells become fenced blocks, outputs are not kept,
hidden cells and front matter are left out, and paths of pictures are made relative to the repository.
"""
import json, re, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTE = '<!-- Made from nbs/index.ipynb by `make export`: edit that notebook, not this file. -->\n\n'

def to_markdown(nb):
    "The notebook `nb` (a dict) as Markdown."
    parts = []
    for c in nb['cells']:
        src = ''.join(c['source']).strip()
        if not src or re.search(r'^#\s*\|\s*(hide|echo:\s*false)', src, re.M): continue
        if c['cell_type'] == 'markdown': parts.append(re.sub(r'(\]\(|src=")images/', r'\1nbs/images/', src))
        elif c['cell_type'] == 'code': parts.append('```python\n' + re.sub(r'^#\s*\|.*\n', '', src, flags=re.M) + '\n```')
    body = '\n\n'.join(parts)
    return NOTE + re.sub(r'\]\((\d\d_\w+|cli)\.ipynb\)', r'](nbs/\1.ipynb)', body) + '\n'

def main(write):
    want = to_markdown(json.loads((ROOT/'nbs'/'index.ipynb').read_text(encoding='utf-8')))
    readme = ROOT/'README.md'
    if write: readme.write_text(want, encoding='utf-8'); return 0
    same = readme.read_text(encoding='utf-8') == want
    print('README.md is nbs/index.ipynb' if same else 'README.md differs from nbs/index.ipynb: run make export')
    return not same

if __name__ == '__main__': sys.exit(main('--write' in sys.argv[1:]))
