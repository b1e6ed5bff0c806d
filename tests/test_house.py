"""The house: no room is overfull, nothing stands in two rooms, nobody reaches into another's drawers. Each message says which room and
line."""
import ast, json, re
from collections import defaultdict
from functools import lru_cache
import pytest
from conftest import ROOT

LINES, WIDTH, ROOM, EXPORTED = 8500, 140, 400, 280
# No room is over ROOM any more. The two totals still are, and may only shrink
TOTAL_LINES, TOTAL_EXPORTED = 10991, 380
# What came on top for people's wishes: (lines, names)
ON_TOP = {'a run keeps the list of its pictures, options out of range': (60, 2),
          'what a folder passes over, reports that cannot be printed, pipes and devices, numbers that are no picture': (129, 0)}
MORE_LINES, MORE_EXPORTED = map(sum, zip(*ON_TOP.values()))
COMMANDS = {'demo', 'train', 'fid'}                  # a command may have the name of the function that it calls
LATER = {'serve', 'deploy', 'scale', 'kit/engines', 'kit/noise', 'kit/server', 'kit/desk', 'kit/jobs', 'kit/formats', 'kit/frames', 'kit/hub'}   # built on top, counted by themselves: at most ROOM lines each
