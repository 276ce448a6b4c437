"""Works whose application is polled."""

from vtspolicy.rules.work import Expectation, Poll, Query, Reading, Work

READINGS = (
    Reading(name="state", pattern="state ([A-Z])"),
    Reading(name="files", pattern="files ([0-9]+)"),
    Reading(name="percent", pattern="([0-9]+)%"),
)


POLL = Poll(
    query=Query(
        run=("poll", "{application_job}"),
        outcome={"0": "completed"},
        readings=READINGS,
        expect=(Expectation(reading="files", equals="1"),),
    ),
    every=10.0,
    running="R",
    completed="T",
    warning="W",
    patience=60.0,
)


WORK = Work(application="BAC", run=("submit",), poll=POLL, cancel=("cancel", "{application_job}"))
