"""Templates become arguments: every `{name}` is replaced, in a single pass, or the reason why not.

An argument that names a value which is absent is left out as a whole; arguments that stand or
fall together are one template with GROUP between them. `{{` and `}}` are braces.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache

Template = str
"""One argument; `{name}` is replaced by a value, in a single pass: values are never read again.

Arguments that stand or fall together are one template, with GROUP between them.
"""

GROUP = "\x1f"
"""Stands between the arguments of one template that are left out together."""


class TemplateError(ValueError):
    """A text that is not a template: a brace that is not closed or not opened, or an empty name."""


class ExpansionError(ValueError):
    """A value that must not be where its template wants it."""


Part = tuple[bool, str]
"""A piece of a template: (True, name) or (False, literal text)."""

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z0-9_-]+)?", re.ASCII)


@lru_cache(maxsize=4096)
def parts_of(template: Template) -> tuple[Part, ...]:
    """Return the pieces of one template; raises TemplateError."""
    parts: list[Part] = []
    for match in _PIECE.finditer(template):
        piece = match.group()
        if piece in {"{{", "}}"}:
            parts.append((False, piece[0]))
        elif match[1] is not None:
            if not _NAME.fullmatch(match[1]):
                raise TemplateError(f"{piece} is not a place: it needs a name between the braces")
            parts.append((True, match[1]))
        elif piece in {"{", "}"}:
            raise TemplateError(f"a single {piece} is here")
        else:
            parts.append((False, piece))
    return tuple(parts)


def names_in(template: Template) -> tuple[str, ...]:
    """Return the names that a template wants, in order; raises TemplateError."""
    return tuple(text for is_name, text in parts_of(template) if is_name)


def fill(
    template: Template, values: Mapping[str, str], *, keep: Collection[str] = ()
) -> str | None:
    """Return one template with its values, or None when one of them is absent.

    Names in `keep` that have no value stay as they are written. Raises ExpansionError for a NUL.
    """
    filled = []
    for is_name, text in parts_of(template):
        if not is_name:
            filled.append(text)
        elif text in values:
            filled.append(values[text])
        elif text in keep:
            filled.append(f"{{{text}}}")
        else:
            return None
    result = "".join(filled)
    if "\0" in result:
        raise ExpansionError(f"a value for {template} has a NUL in it")
    return result


def expand(
    templates: Iterable[Template], values: Mapping[str, str], *, keep: Collection[str] = ()
) -> tuple[str, ...]:
    """Return the argument list of templates.

    Raises ExpansionError for a NUL, and for a value that would make an argument begin with `-`
    where the template does not: a program would take it for an option.
    """
    arguments: list[str] = []
    for template in templates:
        group = []
        for member in template.split(GROUP):
            argument = fill(member, values, keep=keep)
            if argument is None:
                break
            if argument.startswith("-") and not member.startswith("-"):
                raise ExpansionError(
                    f'{member} would become the argument "{argument}", which begins with -'
                )
            group.append(argument)
        else:
            arguments.extend(group)
    return tuple(arguments)


def expand_input(
    lines: Iterable[Template], values: Mapping[str, str], *, keep: Collection[str] = ()
) -> str | None:
    """Return the text of some lines for a program's standard input, or None for no lines at all.

    A line that names an absent value is left out; of a line that is made of words, only those
    words. Raises ExpansionError for a value that could end its line or its quotes: it would
    become a command of its own to a console.
    """
    text = None
    for line in lines:
        words = []
        for member in line.split(GROUP):
            for name in names_in(member):
                if _UNSAFE.search(values.get(name, "")):
                    raise ExpansionError(f"{{{name}}} has a quote or a line end in it: {line}")
            word = fill(member, values, keep=keep)
            if word is not None:
                words.append(word)
        text = text or ""
        if words:
            text += " ".join(words) + "\n"
    return text


_UNSAFE = re.compile(r'[\x00-\x1f\x7f"]')


def expand_environment(
    env: Mapping[str, Template], values: Mapping[str, str], *, keep: Collection[str] = ()
) -> dict[str, str]:
    """Return the variables of an environment; one that names an absent value is left out."""
    filled = {name: fill(template, values, keep=keep) for name, template in env.items()}
    return {name: value for name, value in filled.items() if value is not None}
