"Where a number that stands in a text can come from: the figures of a result, their spread, differences of two rows."

def numbers_in(figures,  # of a result: numbers, or dicts and lists of them
               way:tuple=() # keys on the way here
              ):         # yields (keys, number)
    "Every number of a result, with the way to it."
    if isinstance(figures, bool) or figures is None: return
    if isinstance(figures, (int, float)): yield way, float(figures)
    for k, v in figures.items() if isinstance(figures, dict) else enumerate(figures) if isinstance(figures, list) else ():
        yield from numbers_in(v, (*way, k))

def _gaps(figures:dict # of a result
               ):            # yields (keys, number)
    "What one row of a result has over another, wherever two rows hold the same figure."
    rows = {k: v for k, v in figures.items() if isinstance(v, dict)}
    for a, x in rows.items():
        yield from (((a, *way), v) for way, v in _gaps(x))
        for b, y in rows.items():
            yield from (((f'{a} - {b}', k), x[k] - y[k]) for k in x if a != b and all(isinstance(z.get(k), (int, float)) for z in (x, y)))

def quotable(text:str,     # a number as it stands in a text, such as '31.26'
             result:dict,  # as `load_result` gives it
             percent:bool=False # does the text say %?
            )->list:       # ways to figures of the result that are written so
    "Where a number of a text can come from: a figure of this result, its spread, or a difference of two rows, rounded as the text rounds."
    d = len(text.partition('.')[2])
    found = [*numbers_in(result['figures']), *numbers_in(result.get('spread')), *_gaps(result['figures']), (('n',), result['n'])]
    return [way for way, v in found if text.replace(',', '') in {f'{s*v:.{d}f}' for s in ((1, 100) if percent else (1,))}]
