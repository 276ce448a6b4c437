"""Texts of others, made fit to be shown on one line of a terminal."""


def visible(text: object) -> str:
    """Return a text with unprintable characters as escapes, and line ends as blanks.

    Texts of hosts and applications, and names on a disk, can hold the control sequences of
    terminals.
    """
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(
        each if each.isprintable() else " " if each in "\n\t\r" else _escape(each) for each in shown
    )


def visible_lines(text: str) -> str:
    """Return a text of several lines with each of them made visible."""
    return text if text.isprintable() else "\n".join(map(visible, text.split("\n")))


def _escape(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
