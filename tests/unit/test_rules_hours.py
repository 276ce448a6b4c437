"""Hours: windows over midnight, days, calendars, and nights on which the clock is changed."""

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtspolicy.rules.hours import LOCAL, HoursError, named_days, next_start, parse_hours

BERLIN = ZoneInfo("Europe/Berlin")
HOLIDAYS = {"holidays": ("2026-12-25", "2026-12-26")}


def at(text):
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("between", "now", "start"),
    [
        (None, "2026-01-05 12:00", "2026-01-05 12:00"),
        ("20:00-06:00", "2026-01-05 12:00", "2026-01-05 20:00"),
        ("20:00-06:00", "2026-01-05 20:00", "2026-01-05 20:00"),
        ("20:00-06:00", "2026-01-06 05:59", "2026-01-06 05:59"),
        ("20:00-06:00", "2026-01-06 06:00", "2026-01-06 20:00"),
        ("08:00-24:00", "2026-01-05 23:59", "2026-01-05 23:59"),
        ("08:00-24:00", "2026-01-06 00:00", "2026-01-06 08:00"),
        # Monday is the 5th; a window belongs to the day on which it begins
        ("Mon-Fri 20:00-06:00", "2026-01-10 05:00", "2026-01-10 05:00"),
        ("Mon-Fri 20:00-06:00", "2026-01-10 06:00", "2026-01-12 20:00"),
        ("Sat,Sun", "2026-01-09 12:00", "2026-01-10 00:00"),
        ("Sat Sun 10:00-11:00", "2026-01-11 11:00", "2026-01-17 10:00"),
        ("Fri-Mon 10:00-11:00", "2026-01-06 00:00", "2026-01-09 10:00"),
        ("Mon 20:00-21:00;Tue 06:00-07:00", "2026-01-05 21:00", "2026-01-06 06:00"),
        # the night that begins on a holiday is not taken, its morning from the day before is
        ("!holidays 20:00-06:00", "2026-12-25 05:00", "2026-12-25 05:00"),
        ("!holidays 20:00-06:00", "2026-12-25 20:00", "2026-12-27 20:00"),
        ("holidays 10:00-11:00", "2026-01-01 00:00", "2026-12-25 10:00"),
    ],
)
def test_the_next_start_is_now_or_when_the_next_window_begins(between, now, start):
    assert next_start(between, HOLIDAYS, at(now)) == at(start)


def test_named_days_that_are_over_never_come():
    assert next_start("holidays 10:00-11:00", HOLIDAYS, at("2027-01-01")) is None


def berlin(text, fold=0):
    return at(text).replace(tzinfo=BERLIN, fold=fold)


def test_a_window_that_begins_in_the_missing_hour_begins_after_it():
    # On 29 March 2026 the clock goes from 02:00 to 03:00.
    start = next_start("02:30-05:00", {}, berlin("2026-03-29 01:00"))
    assert start.astimezone(UTC) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert (start.hour, start.minute) == (3, 30)


def test_a_night_with_a_missing_hour_ends_by_the_clock_on_the_wall():
    inside = berlin("2026-03-29 05:59")
    assert next_start("20:00-06:00", {}, inside) == inside
    assert next_start("20:00-06:00", {}, berlin("2026-03-29 06:00")) == berlin("2026-03-29 20:00")


def test_an_hour_that_comes_twice_is_in_the_window_both_times():
    # On 25 October 2026 the clock goes from 03:00 back to 02:00.
    for fold in (0, 1):
        now = berlin("2026-10-25 02:15", fold)
        assert next_start("22:00-02:30", {}, now) == now
    after = berlin("2026-10-25 02:30", 1)
    assert next_start("22:00-02:30", {}, after) == berlin("2026-10-25 22:00")


@given(
    st.datetimes(at("2026-01-01"), at("2027-01-01")),
    st.sampled_from(
        ["20:00-06:00", "Mon-Fri 22:00-02:30", "02:10-02:40", "!holidays Sun 01:00-04:00"]
    ),
)
def test_a_start_is_never_before_now_and_is_itself_inside_a_window(naive, between):
    now = naive.replace(tzinfo=UTC).astimezone(BERLIN)
    start = next_start(between, HOLIDAYS, now)
    assert start.astimezone(UTC) >= now.astimezone(UTC)
    assert next_start(between, HOLIDAYS, start) == start
    assert start.astimezone(UTC) - now.astimezone(UTC) < timedelta(days=15)


@pytest.fixture(scope="module")
def _in_berlin():
    """A machine that goes by Berlin's time; the rule for it needs no files of zones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_in_berlin")
@given(st.integers(1_767_225_600, 1_798_761_600))  # the seconds of 2026
def test_the_machines_own_zone_is_that_zone_with_its_changes(seconds):
    ours = datetime.fromtimestamp(seconds, LOCAL)
    theirs = datetime.fromtimestamp(seconds, BERLIN)
    assert (ours.replace(tzinfo=None), ours.fold) == (theirs.replace(tzinfo=None), theirs.fold)
    assert (ours.timestamp(), ours.utcoffset()) == (seconds, theirs.utcoffset())
    assert ours.isoformat() == theirs.isoformat()


@pytest.mark.usefixtures("_in_berlin")
@given(
    st.one_of(
        st.integers(1_774_656_000, 1_774_828_800),  # 28 and 29 March
        st.integers(1_792_800_000, 1_792_972_800),  # 24 and 25 October
    ),
    st.sampled_from(["04:00-05:00", "02:10-02:40", "00:30-02:30", "20:00-06:00", "Sun 3:00-4:00"]),
)
def test_hours_of_the_machines_own_zone_begin_when_they_do_in_berlin(seconds, between):
    start = next_start(between, {}, datetime.fromtimestamp(seconds, LOCAL))
    expected = next_start(between, {}, datetime.fromtimestamp(seconds, BERLIN))
    assert start.timestamp() == expected.timestamp()


@pytest.mark.usefixtures("_in_berlin")
@pytest.mark.parametrize("fold", [0, 1])
@pytest.mark.parametrize("shown", [(2026, 3, 29, 2, 10), (2026, 10, 25, 2, 10), (2026, 3, 29, 3)])
def test_a_time_that_the_clock_leaves_out_or_shows_twice_has_its_offset(shown, fold):
    ours = datetime(*shown, tzinfo=LOCAL, fold=fold)
    assert ours.utcoffset() == ours.replace(tzinfo=BERLIN).utcoffset()


def test_the_names_of_days_are_known():
    assert named_days("!holidays 20:00-06:00;stock 1:00-2:00") == {"holidays", "stock"}


@pytest.mark.parametrize(
    "text", ["", " ", "a b:c", "Mon-", "20:00-06:00,", "!", "25:00-26:00", "Mon-Xyz", "1"]
)
def test_what_are_no_hours_is_refused(text):
    with pytest.raises(HoursError):
        parse_hours(text)
