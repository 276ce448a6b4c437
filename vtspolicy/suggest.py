"""The nearest right word: what somebody probably meant when a word is not one of the known ones."""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

LONGEST = 100  # characters of a word that may be near another
MOST = 1000  # words that are looked at


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice that `word` most probably stands for, or None when nothing is near.

    A difference of case alone wins over any difference of letters.
    """
    if len(word) > LONGEST:
        return None
    known = list(islice(choices, MOST))
    for choice in known:
        if choice.lower() == word.lower():
            return choice
    by_lower_case = {choice.lower(): choice for choice in known}
    near = get_close_matches(word.lower(), by_lower_case, n=1, cutoff=0.6)
    return by_lower_case[near[0]] if near else None


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return `did you mean "X"?`, or an empty string when nothing is near."""
    choice = nearest(word, choices)
    return f'did you mean "{choice}"?' if choice else ""
