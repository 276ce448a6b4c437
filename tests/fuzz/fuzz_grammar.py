"""A fuzz target for the language: any text parses or is explained, within bounds.

    python tests/fuzz/fuzz_grammar.py [corpus folder] [-runs=20000] [options of libFuzzer]

Without `-runs` it goes on until it is stopped, or for `-max_total_time` seconds.
"""

import sys
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["vtspolicy.grammar"]):
    from vtspolicy.grammar import (
        CommandError,
        diagnose,
        format_command,
        parse,
        shipped,
    )
    from vtspolicy.grammar.reference import example

SLOWEST = 1.0  # seconds of processor time for one text, instrumented
UNEXPLAINED = "found no command of the language"
LONGEST = 4200  # bytes, a little more than an event


def texts(data: bytes) -> list[str]:
    """Return the text as the decoder may read it: UTF-8, or every byte as one character."""
    return [f"VTSPolicy {data.decode(name, 'surrogateescape')}" for name in ("utf-8", "latin-1")]


def check(text: str) -> None:
    """Raise AssertionError if one of the promises about texts is broken."""
    start = time.thread_time()
    try:
        command = parse(text)
    except CommandError as error:
        problem = check_error(text, error)
    else:
        again = parse(format_command(command))
        same = (again.family, again.operation, again.targets, again.keywords, again.ref) == (
            command.family,
            command.operation,
            command.targets,
            command.keywords,
            command.ref,
        )
        problem = "" if same else "printed and parsed it is another command"
    if time.thread_time() - start > SLOWEST:
        problem = "it takes too long"
    if problem:
        raise AssertionError(f"{problem}: {text!r}")


def check_error(text: str, error: CommandError) -> str:
    """Return what is wrong with the error, or an empty string."""
    if not 1 <= error.column <= len(text) + 1:
        return f"column {error.column} is outside"
    if error.message == UNEXPLAINED:
        return "it is not explained"
    if len(error.message) + len(error.hint or "") > 160:
        return "the answer is too long"
    if not f"{error.message}{error.hint or ''}".isprintable():
        return "the answer cannot be printed"
    if any(len(line) > 100 for line in diagnose(text, error).splitlines()[:2]):
        return "what is shown is too wide"
    return ""


def one_input(data: bytes) -> None:
    """Check the texts that the fuzzer's bytes stand for."""
    for text in texts(data):
        check(text)


def seeds(folder: Path) -> None:
    """Write an example of every family, to start from."""
    folder.mkdir(parents=True, exist_ok=True)
    for family in shipped().families.values():
        words = example(family).removeprefix("VTSPolicy ")
        (folder / f"{family.name}.txt").write_text(words, encoding="utf-8")


def main(argv: list[str]) -> None:
    """Run the fuzzer with libFuzzer's options; the first folder named gets the examples."""
    for argument in argv[1:2] if argv[1:] and not argv[1].startswith("-") else []:
        seeds(Path(argument))
    atheris.Setup([argv[0], f"-max_len={LONGEST}", *argv[1:]], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
