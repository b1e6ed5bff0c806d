"A toy in place of a network, for processes that tests/test_scale.py starts and kills."
import os, signal, time
from srgan_course.kit.shards import Work

def toy_work(seconds=0., mark=''):
    "Upper case; text that says KILL ends the process, as a decoder that crashes does. `mark`: a file that gets a letter a picture."
    def make(x):
        if 'KILL' in x: os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(seconds)
        if mark:
            with open(mark, 'a') as f: f.write('.')
        return x.upper()
    return Work('toy', bytes.decode, make, lambda x, y: y.encode())
