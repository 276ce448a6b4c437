"""A Command printed as the canonical text of the language."""

from vtspolicy.grammar.command import Command


def format_command(command: Command) -> str:
    """Return the text that parses to `command` again, with long keywords and plain quotes.

    Warnings are not part of the text. The command is taken as valid, as `parse` made it.
    """
    given = dict(command.keywords)
    request = given.pop("request", None)
    words = [f"{name}={value}" for name, value in given.items()]
    if command.ref is not None:
        words.append(f"ref={command.ref}")
    if request is not None:
        return " ".join(["VTSPolicy", command.family, "-", request, *words])
    if command.targets and command.targets[0].path is None:
        tapes = [target.cartridge or "" for target in command.targets]
        return " ".join(["VTSPolicy", command.family, "-", *tapes, *words])
    paths = [target.path or "" for target in command.targets]
    operation = [command.operation] if command.operation else []
    return f"VTSPolicy {command.family} '{' '.join([*operation, *paths, *words])}'"
