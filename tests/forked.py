"""A command as `python -m srgan_course` runs it, or code as `python -c` does, in a process of its own that need not import torch and fastai
again: a fork of this one.

That import is most of what a short command takes. Where the start of a process is what is tested, the tests start a real one."""
import multiprocessing, os, runpy, subprocess, sys, tempfile, warnings

def _child(args, cwd, env, files):
    for fd, file in enumerate(files): os.dup2(file, fd)
    sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__ = [open(fd, mode, closefd=False)
                                                                                         for fd, mode in enumerate('rww')]
    warnings.resetwarnings(); warnings.simplefilter('default')                  # not those of pytest
    if cwd: os.chdir(cwd)
    os.environ.clear(); os.environ.update(env)
    sys.argv, sys.orig_argv = ['-m', *args], [sys.executable, '-m', 'srgan_course', *args]
    if args[:1] == ['-c']: exec(args[1], {'__name__': '__main__'})
    else: runpy.run_module('srgan_course', run_name='__main__', alter_sys=True)

class Forked:
    "A command that runs, without standard input; what it says is read in the end."
    def __init__(self, *args, cwd=None, env=None):
        self.args, self.said = [*map(str, args)], [tempfile.TemporaryFile('w+', encoding='utf-8') for _ in range(2)]
        env = {**(os.environ if env is None else env)}
        if sys.platform != 'linux':
            what = [] if args[:1] == ('-c',) else ['-m', 'srgan_course']
            self.p = subprocess.Popen([sys.executable, *what, *self.args], cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                                      stdout=self.said[0], stderr=self.said[1])
            self.p.join = self.p.wait; return
        import srgan_course.srgan, srgan_course.classifier                      # noqa: F401 (fastai, once for all forks)
        with open(os.devnull) as nothing, warnings.catch_warnings():
            warnings.simplefilter('ignore', DeprecationWarning)                 # of threads, which the child does not have
            self.p = multiprocessing.get_context('fork').Process(target=_child, args=(self.args, cwd, env, [f.fileno() for f in (nothing, *self.said)]))
            self.p.start()
    @property
    def returncode(self): return self.p.poll() if isinstance(self.p, subprocess.Popen) else self.p.exitcode
    def send_signal(self, sig): os.kill(self.p.pid, sig)
    def communicate(self, timeout=600):
        self.p.join(timeout)
        if self.returncode is None: self.p.kill(); raise subprocess.TimeoutExpired(self.args, timeout)
        for f in self.said: f.seek(0)
        return [f.read() for f in self.said]

def command(*args, timeout=600, **kwargs):
    "Run to the end: a `CompletedProcess`, with what it said as text."
    p = Forked(*args, **kwargs)
    out, err = p.communicate(timeout)
    return subprocess.CompletedProcess(p.args, p.returncode, out, err)
