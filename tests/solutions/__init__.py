"""Answers to the exercises: one file a lesson (`e02_data.py`), with wrong ones that a clever learner would write and right ones of other
forms than the folded solution.

Each answer is a function or class marked with the number of its exercise; its name says what is wrong with it, or what is different.
What a lesson's imports and its module give is there
without importing (tests/test_exercises.py puts it there), anything else is imported in the file. An answer that is no function is given
by one that `makes` it:

    from solutions import makes, right, wrong

    @wrong(1)
    def forgets_the_corner(top, left, side, scale): return left, top, left + side*scale, top + side*scale

    @right(2, makes)
    def a_list(): return [.1, .2]
"""
def makes(f): return f()

def _mark(kind, n, made=None):
    def mark(f):
        f.exercise = (kind, str(n), made is makes)
        return f
    return mark

def wrong(n, made=None): "Mark an answer that the check of exercise `n` has to refuse."; return _mark('wrong', n, made)
def right(n, made=None): "Mark an answer that the check of exercise `n` has to accept."; return _mark('right', n, made)
