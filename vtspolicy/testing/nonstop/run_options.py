"""How programs are asked for: options between slashes, lists with commas, commands over SSH."""

import re

NAME = re.compile(r"\$[A-Z][A-Z0-9]{0,4}")
"""A process name (documented)."""


def run_options(text: str) -> tuple[dict[str, str], str]:
    """Return the options, by their words in upper case, and the program's own parameters."""
    text = text.lstrip()
    if not text.startswith("/"):
        return {}, text
    inside, _, rest = text[1:].partition("/")
    pairs = (part.partition(" ") for part in cut(inside))
    return {word.upper(): value.strip() for word, _, value in pairs}, rest


def cut(text: str) -> list[str]:
    """Cut at the commas that no parentheses enclose; nothing is left of blank parts."""
    parts, depth = [""], 0
    for each in text:
        depth += (each == "(") - (each == ")")
        if each == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += each
    return [part.strip() for part in parts if part.strip()]


def tacl_command(words: str) -> str | None:
    """Return the TACL command in `tacl -c COMMAND` or `gtacl -c COMMAND`; None: it is another."""
    program, _, rest = words.strip().partition(" ")
    option, _, command = rest.strip().partition(" ")
    if program not in ("tacl", "gtacl") or option != "-c":
        return None
    command = command.strip()
    quotes = command[:1]
    if quotes in ("'", '"') and len(command) > 1 and command.endswith(quotes):
        command = command[1:-1]  # the shell would take them away
    return command
