"""An event as a printing distributor displays it: what a host's screen, or its link, shows."""

from datetime import datetime


def display(
    text: str,
    *,
    time: datetime,
    system: str = r"\NSK1",
    process: str = "$ZBAT",
    ssid: str = "USER.BATCH.A01",
    number: int = 1234,
    critical: bool = False,
    columns: int = 80,
    indent: int = 8,
) -> bytes:
    r"""Return display lines, wrapped at blanks; `columns` is 80 or 132 on a host, 0 for no end.

    Line breaks of the text stay; continuation lines are indented. A word that is longer than a
    line stays whole. `process` is $NAME or cpu,pin.
    """
    mark = "*" if critical else ""
    header = f"{time:%y-%m-%d %H:%M:%S} {system}.{process}{mark} {ssid} {number:06d} "
    lines: list[str] = []
    line = header
    for at, part in enumerate(text.split("\n")):
        if at:
            lines.append(line)
            line = " " * indent
        fresh = True
        for word in part.split(" "):
            if fresh:
                line += word
            elif columns and len(line) + 1 + len(word) > columns:
                lines.append(line)
                line = " " * indent + word
            else:
                line += " " + word
            fresh = False
    lines.append(line)
    return "".join(f"{each.rstrip(' ')}\n" for each in lines).encode("utf-8", "surrogateescape")
