"""Records as plain data: the one form in which the web interface and `--json` show them.

Enums are their values, times are ISO 8601 in UTC with their offset, absent times are null.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from attrs import evolve, fields, frozen, has
from cattrs import Converter
from cattrs.errors import BaseValidationError
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from vtspolicy.jobs import Attempt, Job, Request, Transition
from vtspolicy.rules.progress import bytes_of

T = TypeVar("T")

TIMES = frozenset(
    {
        *("at", "received", "created", "due", "started", "finished", "since", "oldest"),
        *("last_event", "written", "migrated", "copied_written", "erased", "restored"),
        *("opened", "closed", "verified", "rewritten", "restoring", "deleted", "restores_since"),
        *("override_at", "mounted", "began", "ended", "proved", "lost", "doubted", "until"),
    }
)
"""Fields of records that hold seconds since the epoch; 0 stands for never."""

_LATEST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


def moment(seconds: float | None) -> str | None:
    """Return a time as ISO 8601 with its offset, or None for no time at all."""
    if not seconds or not 0 < seconds <= _LATEST:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def seconds(text: str | None) -> float | None:
    """Return the time that `moment` wrote, in seconds since the epoch."""
    return None if text is None else datetime.fromisoformat(text).timestamp()


def plain(record: object) -> Any:  # Any: JSON has no narrower type
    """Return a record, or anything made of records, as what `json.dumps` takes."""
    return _CONVERTER.unstructure(record)


def typed(data: object, kind: type[T]) -> T:
    """Return the record that `plain` made; unknown keys are ignored. Raises ValueError."""
    try:
        return _CONVERTER.structure(data, kind)
    except (BaseValidationError, KeyError, TypeError) as error:
        raise ValueError(f"this is not a valid {kind.__name__}") from error


@frozen(kw_only=True)
class Live:
    """What only a running server knows of a job that has not ended."""

    waits_for: str | None = None  # time, lock, seat, or drain: nothing is started; None: it runs
    place: int | None = None  # in the line of those that want the same; None: not near its front
    of: int | None = None  # how many are in that line
    behind: int | None = None  # the job that has the lock, or wants it and came before
    pct: int | None = None  # how much of it is done, by its application's output
    bytes: int | None = None  # how many bytes are done


NOTHING = Live()
"""What is known without a server, or of a job that has ended."""


def job_row(job: Job, live: Live = NOTHING) -> dict[str, Any]:
    """Return what a list of jobs shows of one."""
    row = plain(job) | plain(live)
    for key in ("work", "values", "notify_all"):
        del row[key]
    row["application"] = job.work.application
    row["then"] = job.work.then
    return _in_order(row, _JOB_FIRST)


def job_page(
    job: Job,
    attempts: Sequence[Attempt] = (),
    history: Iterable[Transition] = (),
    live: Live = NOTHING,
) -> dict[str, Any]:
    """Return all about one job. Of its environment only the names: values can be secrets."""
    if attempts and not job.state.is_live:
        live = evolve(live, bytes=bytes_of(attempts[-1].readings))
    page = job_row(job, live)
    work = plain(job.work)
    work["env"] = sorted(job.work.env)
    page["work"] = work
    page["values"] = dict(job.values)
    page["attempts"] = plain(list(attempts))
    page["history"] = plain(list(history))
    return page


def request_row(request: Request) -> dict[str, Any]:
    """Return what a list of requests shows of one."""
    row: dict[str, Any] = plain(request)
    return row


def request_page(
    request: Request, jobs: Iterable[Job] = (), history: Iterable[Transition] = ()
) -> dict[str, Any]:
    """Return all about one request; `jobs` there is their number, the list is `job_list`."""
    page = request_row(request)
    page["job_list"] = [job_row(job) for job in jobs]
    page["history"] = plain(list(history))
    return page


_JOB_FIRST = ("id", "request", "host", "state", "application", "then", "tape", "rule", "reason")


def _in_order(row: Mapping[str, Any], first: Iterable[str]) -> dict[str, Any]:
    return {key: row[key] for key in first} | dict(row)


def _make_converter() -> Converter:
    converter = Converter()

    def unstructure(cls: type[Any]) -> Any:  # cattrs' own hooks are untyped
        times = {
            each.name: override(unstruct_hook=moment)
            for each in fields(cls)
            if each.name in TIMES and _is_time(each.type)
        }
        return make_dict_unstructure_fn(cls, converter, **times)  # type: ignore[arg-type]  # cattrs

    def structure(cls: type[Any]) -> Any:
        times = {
            each.name: override(struct_hook=lambda text, _: seconds(text))
            for each in fields(cls)
            if each.name in TIMES and _is_time(each.type)
        }
        return make_dict_structure_fn(cls, converter, **times)  # type: ignore[arg-type]  # cattrs

    converter.register_unstructure_hook_factory(has, unstructure)
    converter.register_structure_hook_factory(has, structure)
    converter.register_unstructure_hook(datetime, datetime.isoformat)
    converter.register_unstructure_hook_func(_is_path, str)
    return converter


def _is_path(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Path)


def _is_time(kind: object) -> bool:
    return kind in {float, float | None}


_CONVERTER = _make_converter()
