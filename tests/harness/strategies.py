"""Hypothesis strategies that tests of several rooms share: events, and displays that show them."""

from datetime import datetime
from textwrap import wrap

from hypothesis import strategies as st

from vtspolicy.events.event import Event

_SENTENCE = """
VTSPolicy VTSPolicyX $ZSVR: TSM DSK 'archive /VAULT01/PAYROLL/A00017' ref=n1 opened closed : $DATA2
RC=0 SUPER.OPER Überlauf 26-11-22 02:14:09 MOUNT A00017 WITH RING Delete - error 45
"""
WORDS = _SENTENCE.split()

_subsystems = st.sampled_from(
    ["TANDEM.EMS.L01", "TANDEM.TAPE.L01", "TANDEM.42.G06", "ACME-1.9.D30", "VTS.POLICY.A01"]
)
_processes = st.one_of(
    st.from_regex(r"\$[A-Z][A-Z0-9]{0,4}", fullmatch=True),
    st.from_regex(r"[0-9]{1,5},[0-9]{1,5}", fullmatch=True),
)
times = st.datetimes(datetime(1969, 1, 1), datetime(2068, 12, 31)).map(  # noqa: DTZ001 (a host's own)
    lambda time: time.replace(microsecond=0)
)
_words = st.one_of(st.sampled_from(WORDS), st.text("abcXYZ09$/=.'\"-é", min_size=1, max_size=12))
_openings = st.sampled_from(["VTSPolicy ", "VTSPolicy DSK ", "$ZSVR: ", "", "", "Volume "])
texts = st.builds(
    lambda opening, words: (opening + " ".join(words)).strip(),
    _openings,
    st.lists(_words, min_size=1, max_size=30),
)


@st.composite
def events(draw: st.DrawFn, texts: st.SearchStrategy[str] = texts) -> Event:
    """An event with a header, as a display can show it."""
    return Event(
        text=draw(texts),
        time=draw(times),
        system=draw(st.sampled_from(["\\NSK1", "\\A", "\\TOKYO12"])),
        process=draw(_processes),
        ssid=draw(_subsystems),
        number=draw(st.integers(-32768, 32767)),
        critical=draw(st.booleans()),
    )


_blanks = st.text(" \t", min_size=1, max_size=5)
_marks = st.sampled_from(["{0}*{1}{2}", "{0}{1}*{1}{2}", "{0}{1}*{2}"])


@st.composite
def displays(draw: st.DrawFn, event: Event) -> str:
    """The lines of one event as some distributor might show it, each with its line end.

    No continuation line begins at column 1 with a date and time, or with a command's first word.
    """
    assert event.time is not None  # a plain command is not displayed
    time = f"{event.time:%y-%m-%d}{draw(_blanks)}{event.time:%H:%M:%S}"
    between = draw(_blanks)
    mark = draw(_marks) if event.critical else "{0}{1}{2}"
    source = mark.format(f"{event.system}.{event.process}", between, event.ssid)
    header = f"{time}{draw(_blanks)}{source}{draw(_blanks)}{event.number:06d}"
    lines = wrap(
        event.text,
        width=draw(st.sampled_from([20, 40, 72, 132])),
        break_long_words=False,
        break_on_hyphens=False,
    )
    end = draw(st.sampled_from(["\n", "\r\n"]))
    if draw(st.booleans()) or not lines:
        shown = [header, *lines]
    else:
        shown = [header + draw(_blanks) + lines[0], *lines[1:]]
    indent = draw(st.sampled_from(["       ", "        ", "\t"]))
    return "".join(
        (indent if number else "") + line + draw(st.sampled_from(["", "", "", "\a", "  "])) + end
        for number, line in enumerate(shown)
    )


@st.composite
def cut(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """The same bytes in chunks, some of them empty or of one byte, some cut just at a line end."""
    anywhere = st.integers(0, len(data))
    line_ends = [place + 1 for place, byte in enumerate(data) if byte == ord("\n")] or [0]
    at = sorted(draw(st.lists(anywhere | st.sampled_from(line_ends), max_size=12)))
    return [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)]
