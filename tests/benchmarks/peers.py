"""The other programs, each an ordinary process with files of its own, where they are installed."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.harness.ports import free_ports

from .ground import TIMEOUT

HERE = Path(__file__).parent
CELERY = "celery[redis]>=5.4"


class NotInstalled(Exception):  # noqa: N818 - reads as what it says
    """A peer that cannot be measured; the text says how to get it."""


def cache() -> Path:
    """Return the folder of ours in which peers are kept from one run to the next."""
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return kept / "vtspolicy-benchmarks"


def program(name: str, package: str) -> str:
    """Return the path of an installed program."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        raise NotInstalled(f"peer not installed: apt install {package}")
    return path


@contextmanager
def running(
    words: Sequence[str | Path], folder: Path, *, port: int = 0, env: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block ends; with a port, wait until it answers."""
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            words, cwd=folder, stdout=log, stderr=log, env=os.environ | (env or {})
        )
    try:
        until = time.monotonic() + 60
        while port:
            try:
                socket.create_connection(("127.0.0.1", port), 5).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError((folder / "log").read_text()) from None
                time.sleep(0.01)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def counting(folder: Path, lines: int) -> Iterator[int]:
    """Twisted's receiver that counts up to so many lines: its port."""
    folder.mkdir()
    (port,) = free_ports(1)
    with running(
        [sys.executable, HERE / "floor_lines.py", str(port), str(lines)], folder, port=port
    ):
        yield port


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """A Redis that flushes every write before it answers: its address."""
    path = program("redis-server", "redis-server")
    folder.mkdir()
    (port,) = free_ports(1)
    keep = ["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--dir", folder]
    words = [path, "--bind", "127.0.0.1", "--port", str(port), *keep]
    with running(words, folder, port=port):
        yield f"redis://127.0.0.1:{port}/0"


def celery(*, install: bool) -> Path:
    """Return the folder of Celery's programs; made on first use, in a cache of our own."""
    home = cache() / "celery"
    if not (home / "bin" / "celery").exists():
        if not install:
            raise NotInstalled("peer not installed: a run without --quick installs it from PyPI")
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        pip = [home / "bin" / "python", "-m", "pip", "install", "-q"]
        done = subprocess.run([*pip, CELERY], check=False, stdout=sys.stderr)
        if done.returncode:
            raise NotInstalled(f"peer not installed: pip install {CELERY} failed")
    return home / "bin"


def celery_seconds(programs: Path, address: str, what: str, count: int) -> float:
    """Have Celery accept, or run, so many tasks; return the seconds."""
    done = subprocess.run(
        [programs / "python", HERE / "peer_celery.py", what, str(count)],
        check=True,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=os.environ | {"BENCH_REDIS": address},
    )
    return float(done.stdout.split()[-1])


@contextmanager
def celery_workers(programs: Path, address: str, folder: Path) -> Iterator[None]:
    """Two worker processes."""
    folder.mkdir()
    words = [
        programs / "celery",
        "-A",
        "peer_celery",
        "worker",
        "--concurrency=2",
        "--pool=prefork",
    ]
    words += ["--loglevel=WARNING"]
    env = {"BENCH_REDIS": address, "PYTHONPATH": str(HERE)}
    with running(words, folder, env=env):
        yield
