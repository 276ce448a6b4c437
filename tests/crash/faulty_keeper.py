"""The real keeper, with a fuse: it dies at a chosen instant of its writing.

Run as the keeper is, with the standard library only. The file `fuse-keeper` beside the spool says
at which instant; the first keeper that finds it takes it.
"""

import os
import runpy
import signal
import sys
from pathlib import Path

KEEPER = Path(__file__).resolve().parents[2] / "vtspolicy" / "runner" / "keeper.py"
ROOT = Path(sys.argv[1]).resolve().parent

count = 0


def take_fuse():
    fuse = ROOT / "fuse-keeper"
    try:
        at = int(fuse.read_text())
        fuse.unlink()
    except (OSError, ValueError):
        return None
    return at


def step():
    global count  # noqa: PLW0603 - one fuse in one process
    count += 1
    if not AT:
        tally = real["open"](ROOT / "tally-keeper", os.O_WRONLY | os.O_CREAT)
        os.pwrite(tally, b"%d" % count, 0)
        os.close(tally)
    elif count == AT:
        return True
    return False


def die():
    record = real["open"](ROOT / "record", os.O_WRONLY | os.O_APPEND)
    real["write"](record, b"keeper-killed\n")
    os.kill(os.getpid(), signal.SIGKILL)


def counted(name):
    def around(*args, **kwargs):
        if name == "open" and not args[1] & os.O_CREAT:
            return real[name](*args, **kwargs)
        if step():
            die()
        if name == "write" and step():
            real[name](args[0], args[1][: len(args[1]) // 2])
            die()
        done = real[name](*args, **kwargs)
        if step():
            die()
        return done

    return around


NAMES = ("open", "link", "write", "unlink", "ftruncate", "posix_spawn")
real = {name: getattr(os, name) for name in NAMES}


def forked():
    """Leave those alone that look at tapes for the keeper: it is the keeper that dies."""
    global forks  # noqa: PLW0603 - the first one makes the keeper itself
    forks += 1
    if forks > 1:
        for name, function in real.items():
            setattr(os, name, function)


forks = 0
os.register_at_fork(after_in_child=forked)
AT = take_fuse()
if AT is not None:
    for each in NAMES:
        setattr(os, each, counted(each))
sys.argv[0] = str(KEEPER)
runpy.run_path(str(KEEPER), run_name="__main__")
