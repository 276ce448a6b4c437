"""Celery's side of the comparison; it runs in an environment of its own.

    python peer_celery.py accept|run COUNT     prints the seconds
    celery -A peer_celery worker ...           the two workers

The broker's address comes in BENCH_REDIS.
"""

import os
import subprocess
import sys
import time

from celery import Celery

app = Celery("peer_celery", broker=os.environ["BENCH_REDIS"], backend=os.environ["BENCH_REDIS"])
app.conf.worker_prefetch_multiplier = 4
app.conf.broker_connection_retry_on_startup = True


@app.task(acks_late=True)
def true():
    return subprocess.run(["/bin/true"], check=True).returncode


@app.task(ignore_result=True)
def recorded(text):
    return None


def main():
    what, count = sys.argv[1], int(sys.argv[2])
    if what == "accept":
        recorded.apply_async(("warm",), queue="nobody")
        begun = time.perf_counter()
        for number in range(count):
            recorded.apply_async((f"archive /VAULT01/HELD/A00001 ref={number}",), queue="nobody")
    else:
        true.delay().get(timeout=60)
        begun = time.perf_counter()
        for result in [true.delay() for _ in range(count)]:
            result.get(timeout=600)
    sys.stdout.write(f"{time.perf_counter() - begun}\n")


if __name__ == "__main__":
    main()
