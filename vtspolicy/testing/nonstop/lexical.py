r"""TACL's reading of a line: what acts and what is text.

Documented, with `#INFORMAT TACL`: `[ ]` expand what is inside, `|` marks a label, `{ }` and `==`
are comments, `&` at the end continues the line, also before a comment; `~` before one of these (and
before `~`) makes it text, `~;` ends a line, `~_` is a blank, and before anything else `~` and that
become `?`. An open `[` continues the line, too. With `PLAIN` everything is text; with `QUOTED`
everything within quotation marks is.

Ours: a comment that is not closed goes on in the next line, as a bracket does; a `~` that ends a
line vanishes; a quotation mark that is not closed ends with its line; with `PLAIN`, `&` is text.
"""

from attrs import define

# TACL keeps what acts apart from the characters of the same look by an internal notation, and so
# does this: lone surrogates that no decoder makes.
OPEN, CLOSE, BAR, END, BLANK = "\ud800", "\ud801", "\ud802", "\ud803", "\ud804"

_ACTING = {"[": OPEN, "]": CLOSE, "|": BAR}
_SHOWN = str.maketrans({OPEN: "[", CLOSE: "]", BAR: "|", END: "\n", BLANK: " "})

FORMATS = ("TACL", "QUOTED", "PLAIN")
"""The values of #INFORMAT."""

BUFFER = 32_767
"""Bytes of TACL's text buffer (documented): a line that is continued gets no longer."""


def shown(text: str) -> str:
    """Return a text with what acts as the characters that it was written with."""
    return text.translate(_SHOWN)


@define
class Reader:
    """Joins the lines of a terminal to logical lines, in internal notation."""

    text: str = ""  # so far
    in_comment: bool = False

    def take(self, line: str, informat: str) -> str | None:
        """Take a line; return a logical line when it is complete."""
        if informat == "PLAIN":
            text, self.text = self.text + line, ""
            return text
        read, goes_on = self._translate(line, quoted=informat == "QUOTED")
        self.text += read
        depth = self.text.count(OPEN) - self.text.count(CLOSE)
        if (goes_on or self.in_comment or depth > 0) and len(self.text) < BUFFER:
            if depth > 0 and not goes_on:
                self.text += END
            return None
        text = self.text
        self.text, self.in_comment = "", False
        return text

    def drop(self) -> None:
        """Forget what was read of a logical line."""
        self.text, self.in_comment = "", False

    def _translate(self, line: str, *, quoted: bool) -> tuple[str, bool]:
        """Return a line in internal notation, and whether `&` continues it."""
        out: list[str] = []
        at, in_quotes = 0, False
        while at < len(line):
            each, rest = line[at], line[at:]
            at += 1
            if self.in_comment:
                self.in_comment = each != "}"
            elif quoted and each == '"':
                in_quotes = not in_quotes
                out.append(each)
            elif in_quotes:
                out.append(each)
            elif each == "~":
                text, length = _escaped(rest[1:])
                out.append(text)
                at += length
            elif rest.startswith("=="):
                break
            elif each == "{":
                self.in_comment = True
            else:
                out.append(_ACTING.get(each, each))
        text = "".join(out)
        if text.rstrip(" ").endswith("&"):
            return text.rstrip(" ")[:-1], True
        return text, False


def _escaped(rest: str) -> tuple[str, int]:
    """Return what a tilde and what follows it mean, and how many characters that took."""
    if rest.startswith("=="):
        return "==", 2
    each = rest[:1]
    if each in ("[", "]", "{", "}", "|", "~"):
        return each, 1
    return {"": "", ";": END, "_": BLANK}.get(each, "?"), len(each)


def commands(text: str, most: int | None = None) -> list[str]:
    """Cut a logical line at its ends of line that no bracket encloses; at most at so many."""
    found, depth, start = [], 0, 0
    for at, each in enumerate(text):
        depth += (each == OPEN) - (each == CLOSE)
        if each == END and depth <= 0:
            found.append(text[start:at])
            start = at + 1
            if len(found) == most:
                return found
    return [*found, text[start:]]


def closing(text: str, start: int) -> int | None:
    """Return where the bracket is closed that is opened at `start`; None: nowhere."""
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] == OPEN) - (text[at] == CLOSE)
        if depth == 0:
            return at
    return None


def enclosed(text: str) -> list[tuple[str, str]]:
    """Cut an enclosure into labels, in upper case, and what each encloses.

    What stands before the first label is enclosed by an empty one.
    """
    parts, depth, start = [], 0, 0
    for at, each in enumerate(text):
        depth += (each == OPEN) - (each == CLOSE)
        if each == BAR and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    parts.append(text[start:])
    labels = ["", *(" ".join(label.upper().split()) for label in parts[1::2])]
    bodies = [body.strip(f" {END}") for body in parts[::2]]
    return list(zip(labels, [*bodies, ""], strict=False))
