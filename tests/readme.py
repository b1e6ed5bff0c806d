#!/usr/bin/env python3
"""README.md is nbs/index.ipynb as Markdown. `readme.py` says whether they are equal, `readme.py --write` makes them so.

nbdev-readme does the same through Quarto; this works where Quarto is missing. Code cells become fenced blocks, outputs are not kept,
hidden cells and front matter are left out, and paths of pictures are made relative to the repository. `--write` first takes the figures
of the
notebook's tables anew from results/, as `figure` writes them: a row is about what its first cell names, a column about the
pictures and the measure in its title.
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
    return NOTE + re.sub(r'\]\((\w+\.ipynb)', r'](nbs/\1', body) + '\n'

def figure(name, *keys, digits=2, folder=ROOT/'results'):
    "One measured figure as a text writes it: results/NAME.json, and the way into its figures, such as 'mean', 'psnr'."
    from srgan_course.kit.results import load_result
    path = Path(folder)/f'{name}.json'
    if not path.is_file(): raise FileNotFoundError(f'{name} is not measured: there is no {path.name} in {path.parent.name}/')
    v = load_result(path)['figures']
    for i, k in enumerate(keys):
        if not isinstance(v, dict) or k not in v:
            raise ValueError(f'{name}: no figure {" ".join(map(str, keys[:i+1]))!r}; there is {", ".join(v) if isinstance(v, dict) else v}')
        v = v[k]
    if isinstance(v, bool) or not isinstance(v, (int, float)):
        raise ValueError(f'{name}: {" ".join(map(str, keys))!r} is not a number; go on to {", ".join(v) if isinstance(v, dict) else "one"}')
    return f'{v:,.{digits}f}'

def row_of(label):
    "The results and the keys that a row of a table is about: ('light-x4-{}', 'mean') for `light-x4, which ships`."
    label = label.replace('`', '')
    if m := re.match(r'(nearest|bilinear|bicubic|lanczos)\b(?: x(\d))?', label): return f'{m[1]}-x{m[2] or 4}-{{}}', ('mean',)
    if m := re.match(r'[a-z]+-x\d\b', label): return f'{m[0]}-{{}}', ('mean',)
    if m := re.match(r'make demo, (\w+)', label): return 'demo', ('mean', m[1])

def refresh(text, figure):
    "The tables of `text` with the figures that `figure` gives; only cells that hold one number are touched."
    lines, head = text.split('\n'), None
    for i, line in enumerate(lines):
        if not line.startswith('|'): head = None; continue
        cells = [c.strip() for c in line.strip('|').split('|')]
        if head is None: head = cells; continue
        row, where = row_of(cells[0]), None
        for j, (title, c) in enumerate(zip(head, cells)):
            where = 'set5' if 'Set5' in title else 'embedded' if 'photos' in title else where
            kind = next((k for k in ('psnr', 'ssim') if k in title.lower()), None)
            if row and where and kind and re.fullmatch(r'\d+\.\d+', c):
                cells[j] = figure(row[0].format(where), *row[1], kind, digits=len(c.partition('.')[2]))
        if row: lines[i] = re.sub(r'\|  (?=\|)', '| ', '| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)

def refresh_index(path):
    "The notebook's tables anew; the file is written only where a figure has changed."
    nb, changed = json.loads(path.read_text(encoding='utf-8')), False
    for c in nb['cells']:
        src = ''.join(c['source'])
        if c['cell_type'] != 'markdown' or (new := refresh(src, figure)) == src: continue
        c['source'], changed = new.splitlines(keepends=True), True
    if changed: path.write_text(json.dumps(nb, indent=1, ensure_ascii=False, sort_keys=True) + '\n', encoding='utf-8')
    return changed

def main(write):
    if write and refresh_index(ROOT/'nbs'/'index.ipynb'): print('nbs/index.ipynb: figures of its tables changed with results/')
    want = to_markdown(json.loads((ROOT/'nbs'/'index.ipynb').read_text(encoding='utf-8')))
    readme = ROOT/'README.md'
    if write: readme.write_text(want, encoding='utf-8'); return 0
    same = readme.read_text(encoding='utf-8') == want
    print('README.md is nbs/index.ipynb' if same else 'README.md differs from nbs/index.ipynb: run make export')
    return not same

if __name__ == '__main__': sys.exit(main('--write' in sys.argv[1:]))
