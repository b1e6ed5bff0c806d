"Every measured figure that README and the model cards quote stands in results/, and every file there follows the schema."
import json, re
from pathlib import Path
import pytest
from conftest import ROOT
from srgan_course.metrics import check_result, load_result

RESULTS = sorted((ROOT/'results').glob('*.json'))
# a number before dB, %, times, s or MB, or in a row of a table that begins with a name
FIGURE = re.compile(r'(?<![\w.,-])(\d+(?:\.\d+)?)\s?(?:dB|%|times|seconds|MB)\b|(?<![\w.,-])(\d+\.\d+)\s?(?=\||$)', re.M)
QUOTED = [ROOT/'README.md', *sorted((ROOT/'srgan_course'/'models').glob('*.md'))]
ALLOWED = {'28.43', '28.42', '26.26', '50'}      # published figures and plain words ("50 % larger") that no run of ours measures

def numbers(o):
    "Every number in a nested value."
    if isinstance(o, bool) or o is None: return
    if isinstance(o, (int, float)): yield float(o)
    elif isinstance(o, dict): yield from (n for v in o.values() for n in numbers(v))
    elif isinstance(o, list): yield from (n for v in o for n in numbers(v))

def test_results_follow_the_schema():
    assert RESULTS, 'no file in results/'
    for p in RESULTS: load_result(p)

@pytest.mark.parametrize('page', QUOTED, ids=lambda p: p.name)
def test_quoted_figures_were_measured(page):
    measured = [n for p in RESULTS for n in numbers(json.loads(p.read_text(encoding='utf-8')))]
    text = re.sub(r'```.*?```', '', page.read_text(encoding='utf-8'), flags=re.S)
    for m in FIGURE.finditer(text):
        s = m.group(1) or m.group(2)
        if s in ALLOWED: continue
        digits = len(s.partition('.')[2])
        assert any(f'{v:.{digits}f}' == s or f'{100*v:.{digits}f}' == s for v in measured), f'{page.name} quotes {m.group(0)!r}, which no file in results/ holds'

def test_a_wrong_figure_is_found():
    "The test above can fail: a figure nobody measured is caught, and one that was is not."
    assert [m.group(1) or m.group(2) for m in FIGURE.finditer('it gains 0.77 dB\n| light-x4 | 31.35 | 0.88 |')] == ['0.77', '31.35', '0.88']
