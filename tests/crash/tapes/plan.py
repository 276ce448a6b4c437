"""What the hosts ask for about tapes: rows of commands that do not wait for each other."""

import random
from collections.abc import Iterator, Mapping
from datetime import timedelta

from attrs import define

from tests.crash.plan import BEGIN, Command, event
from tests.crash.tapes.setting import POOL_OF

ROWS: Mapping[tuple[str, ...], int] = {
    ("archive",): 3,
    ("archive", "erase"): 5,
    ("archive", "delete"): 4,
    ("archive", "erase", "restore"): 6,
    ("archive", "delete", "restore"): 5,
    ("archive", "archive", "erase"): 2,
    ("erase",): 2,
    ("delete",): 1,
    ("restore",): 4,
    ("restore", "erase", "restore"): 2,
    ("restore", "delete"): 1,
    ("mount",): 2,
    ("erase", "mount"): 1,
    ("archive", "erase", "mount"): 3,
}
"""What is asked of one tape in a row, and how often in relation to the others."""

SEVERAL = 0.1
"""The share of rows that are about several tapes: each command names them all."""


@define
class Plan:
    """Makes commands, each with a ref of its own."""

    draw: random.Random
    rows: Mapping[tuple[str, ...], int] = ROWS
    tapes: tuple[str, ...] = tuple(POOL_OF)
    number: int = 0

    def stream(self) -> Iterator[Command]:
        """Yield commands without end."""
        names = sorted(self.tapes)
        while True:
            row = self.draw.choices(tuple(self.rows), tuple(self.rows.values()))[0]
            count = self.draw.randint(2, 3) if self.draw.random() < SEVERAL else 1
            tapes = self.draw.sample(names, count)
            host = self.draw.choice(("NSK1", "NSK2"))
            for verb in row:
                if verb in {"archive", "mount"}:
                    yield from (self.command(verb, [tape], host) for tape in tapes)
                else:
                    yield self.command(verb, tapes, host)

    def command(self, verb: str, tapes: list[str], host: str = "NSK1") -> Command:
        """Return the command for tapes; an archive or mount is about one."""
        self.number += 1
        ref, at = f"t{self.number}", BEGIN + timedelta(seconds=self.number)
        (tape,) = tapes if len(tapes) == 1 else ("",)
        if verb == "mount":
            text = f"$ZSVR: {self.number % 10000:04} MOUNT {tape} WITH RING"
            about = {"process": "$ZSVR", "ssid": "TANDEM.TAPE.L01", "number": 600}
            data = event(host, ref, text, at, 80, **about)
            return Command(ref=ref, host=host, text=text, data=data, jobs=None, is_silent=True)
        if verb == "archive":
            family = "BRG" if POOL_OF[tape] == "QUE" else "DSK"
            text = f"VTSPolicy {family} 'archive /VAULT01/{POOL_OF[tape]}/{tape} ref={ref}'"
        else:
            text = f"VTSPolicy {verb.title()} - {' '.join(tapes)} ref={ref}"
        data = event(host, ref, text, at, self.draw.choice((0, 80, 132)))
        return Command(ref=ref, host=host, text=text, data=data, jobs=None)
