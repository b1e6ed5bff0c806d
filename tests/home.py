#!/usr/bin/env python3
"""What follows from the project's home, which stands in [project.urls] of pyproject.toml: `home.py` says whether every file agrees,
`home.py --write` makes it so.

`Repository` gives the edit and issue buttons (repo-url in _quarto.yml) and repository-code in CITATION.cff; `Documentation` gives the
sitemap and
absolute addresses of the social card (site-url) and url in CITATION.cff. nbs/nbdev.yml is what nbdev writes. Links to source code and
to Colab follow when the
pages are made (nbs/kit/pages.ipynb). Without a home none of these lines is there.
"""
import re, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MARK = '  # home: written by tests/home.py from [project.urls] in pyproject.toml\n'
TAKEN = r'(?:  (?:site-url|repo-url|repo-subdir|repo-branch|repo-actions): .*\n)*'

def home(root):
    "nbdev's settings, which hold the home: git_url, doc_url, branch."
    from nbdev.config import get_config
    return get_config(root)

def quarto(text, cfg):
    "_quarto.yml with the lines that the home asks for."
    lines = [f'site-url: "{cfg.doc_url}"'] if cfg.doc_url else []
    if cfg.git_url:
        lines += [f'repo-url: "{cfg.git_url}"', f'repo-subdir: {cfg.nbs_path.name}', f'repo-branch: {cfg.branch}',
                  'repo-actions: [edit, issue]']
    if MARK not in text: raise ValueError(f'_quarto.yml has lost the line {MARK.strip()!r}: put it back under website')
    return re.sub(re.escape(MARK) + TAKEN, lambda _: MARK + ''.join(f'  {l}\n' for l in lines), text)

def citation(text, cfg):
    "CITATION.cff with the home's addresses, after the licence."
    lines = [f'repository-code: "{cfg.git_url}"'] if cfg.git_url else []
    if cfg.doc_url: lines += [f'url: "{cfg.doc_url}"']
    text = re.sub(r'^(?:repository-code|url): .*\n', '', text, flags=re.M)
    return re.sub(r'^license: .*\n', lambda m: m[0] + ''.join(f'{l}\n' for l in lines), text, flags=re.M)

def nbdev_yml(text, cfg):
    "nbs/nbdev.yml as nbdev writes it when it makes the pages."
    from nbdev.quarto import _nbdev_yml
    vals = {k: cfg[k] for k in ('title', 'description', 'branch', 'git_url', 'doc_host', 'doc_baseurl')}
    return _nbdev_yml.format(**vals, doc_path=cfg.doc_path.name)

FILES = {'_quarto.yml': quarto, 'CITATION.cff': citation, 'nbs/nbdev.yml': nbdev_yml}

def main(write, root=ROOT):
    cfg, wrong = home(root), []
    for name, make in FILES.items():
        text = (root/name).read_text(encoding='utf-8')
        if (want := make(text, cfg)) == text: continue
        if write: (root/name).write_text(want, encoding='utf-8')
        else: wrong.append(name)
    if wrong: print(f'{", ".join(wrong)}: not what [project.urls] in pyproject.toml says: run make export')
    return bool(wrong)

if __name__ == '__main__': sys.exit(main('--write' in sys.argv[1:]))
