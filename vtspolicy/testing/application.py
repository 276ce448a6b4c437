"""A program that acts out what a backup application can do, for tests of rules and of the runner.

    python -m vtspolicy.testing.application STEP... [-- ARGUMENT...]

acts out its steps in order and exits. What is after `--` is what a real application would be
given: it is recorded and otherwise ignored. Steps can also come from the variable VTSPOLICY_ACT,
separated by semicolons; they are acted out first. In a rule:

    run: [python3, -m, vtspolicy.testing.application, delay=2, exit=4, --, archive, "{path}"]

STEPS, below, says what there is. Only `os` and `sys` are loaded for steps that need no more, so
that the program starts as fast as Python does.
"""

import os
import sys
from collections.abc import Callable

WRONG_STEP = 64
"""Exit code when a step is not one of STEPS (EX_USAGE of sysexits.h)."""

STEPS = {
    # step -> its value and what it does
    "record": "FILE: add one JSON line to FILE now and one at the end, each with a single write",
    "say": "TEXT: write a line to standard output",
    "complain": "TEXT: write a line to standard error",
    "flood": "BYTES: write so many bytes to standard output",
    "delay": "SECONDS: wait",
    "wait": "FILE: wait until FILE exists",
    "touch": "FILE: make FILE",
    "ignore": "NAME[,NAME]: ignore these signals from now on: TERM, INT, HUP",
    "spawn": "SECONDS: leave a process behind that lives so long, in the same process group",
    "desert": "SECONDS: the same, in a session of its own",
    "stdin": "(no value): read standard input to its end and say how many bytes there were",
    "die": "NAME: end by this signal: KILL, SEGV",
    "exit": "CODE[,CODE]: end now; of several codes the n-th start with these arguments takes the "
    "n-th, further ones the last (needs `record` before it). Without this step: 0",
}


class _Actor:
    """Acts out steps."""

    def __init__(self, arguments: list[str]) -> None:
        self.arguments = arguments  # those of the application that is acted
        self.record_file = ""

    def act(self, step: str) -> None:
        name, _, value = step.strip().partition("=")
        if name not in STEPS:
            from vtspolicy.suggest import did_you_mean  # noqa: PLC0415 - see the docstring

            hint = did_you_mean(name, STEPS) or f"there are {', '.join(STEPS)}"
            os.write(2, f'there is no step "{name}": {hint}\n'.encode())
            sys.exit(WRONG_STEP)
        action: Callable[[str], None] = getattr(self, name)
        action(value)

    def record(self, value: str) -> None:
        self.record_file = value
        self.note("start", env=dict(os.environ), cwd=os.getcwd(), argv=sys.argv)  # noqa: PTH109 - pathlib costs 10 ms

    def note(self, what: str, **more: object) -> None:
        if not self.record_file:
            return
        import json  # noqa: PLC0415 - see the docstring
        import time  # noqa: PLC0415

        pid = os.getpid()
        facts = {"what": what, "at": time.time(), "pid": pid, "group": os.getpgid(pid)}
        line = json.dumps({**facts, "arguments": self.arguments, **more}).encode() + b"\n"
        # One write to a file that is open for appending is not torn by another process's.
        file = os.open(self.record_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(file, line)
        os.close(file)

    def say(self, value: str) -> None:
        os.write(1, os.fsencode(value) + b"\n")

    def complain(self, value: str) -> None:
        os.write(2, os.fsencode(value) + b"\n")

    def flood(self, value: str) -> None:
        left = int(value)
        line = b"the application has much to say, and nobody asked for it\n" * 1024
        while left > 0:
            left -= os.write(1, line[:left])

    def delay(self, value: str) -> None:
        import time  # noqa: PLC0415 - see the docstring

        time.sleep(float(value))

    def wait(self, value: str) -> None:
        while not os.path.exists(value):  # noqa: PTH110 - pathlib costs 10 ms
            self.delay("0.01")

    def touch(self, value: str) -> None:
        os.close(os.open(value, os.O_WRONLY | os.O_CREAT, 0o644))

    def ignore(self, value: str) -> None:
        import signal  # noqa: PLC0415 - see the docstring

        for name in value.split(","):
            signal.signal(signal.Signals[f"SIG{name}"], signal.SIG_IGN)

    def spawn(self, value: str) -> None:
        self._leave_behind(value, own_session=False)

    def desert(self, value: str) -> None:
        self._leave_behind(value, own_session=True)

    def _leave_behind(self, seconds: str, *, own_session: bool) -> None:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            if os.fork() == 0:
                if own_session:
                    os.setsid()
                os.write(writer, str(os.getpid()).encode())
                os.close(writer)
                self.delay(seconds)
            os._exit(0)
        os.close(writer)
        os.waitpid(child, 0)
        pid = os.read(reader, 20).decode()
        self.note("spawned", child=int(pid))
        self.say(f"spawned {pid}")

    def stdin(self, _value: str) -> None:
        count = 0
        while data := os.read(0, 65536):
            count += len(data)
        self.say(f"standard input ended after {count} bytes")

    def die(self, value: str) -> None:
        import signal  # noqa: PLC0415 - see the docstring

        number = signal.Signals[f"SIG{value}"]
        if number not in {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.pause()

    def exit(self, value: str) -> None:
        codes = [int(code) for code in value.split(",")]
        start = self._starts() if len(codes) > 1 else 1
        code = codes[min(start, len(codes)) - 1]
        self.note("end", code=code)
        sys.exit(code)

    def _starts(self) -> int:
        """Return how many starts with the same arguments are recorded, this one counted."""
        if not self.record_file:
            os.write(2, b"several exit codes need a record=FILE before them\n")
            sys.exit(WRONG_STEP)
        import json  # noqa: PLC0415 - see the docstring

        with open(self.record_file, encoding="utf-8") as file:  # noqa: PTH123 - pathlib costs 10 ms
            notes = [json.loads(line) for line in file]
        return sum(
            note["what"] == "start" and note["arguments"] == self.arguments for note in notes
        )


def main(argv: list[str]) -> None:
    """Act out the steps of VTSPOLICY_ACT and of the arguments."""
    cut = argv.index("--") if "--" in argv else len(argv)
    steps = [step for step in os.environ.get("VTSPOLICY_ACT", "").split(";") if step.strip()]
    actor = _Actor(argv[cut + 1 :])
    for step in (*steps, *argv[:cut], "exit=0"):
        actor.act(step)


if __name__ == "__main__":
    main(sys.argv[1:])
