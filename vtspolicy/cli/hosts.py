"""`vtspolicy hosts`: who is connected, what came from whom today, and what each host may do."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from vtspolicy.cli.options import config_option, give_up, json_option, places, print_json, reading
from vtspolicy.cli.tables import Column, emit, pairs, recent, table
from vtspolicy.client import Client, Refusal, Unreachable
from vtspolicy.config.model import Configuration, Host
from vtspolicy.exit_codes import Exit
from vtspolicy.ledger.overview import HostDay, Overview
from vtspolicy.readable import duration
from vtspolicy.records import plain, typed
from vtspolicy.status import HostStatus, Status
from vtspolicy.suggest import did_you_mean
from vtspolicy.visible import visible


@click.command()
@config_option
@json_option
@click.argument("name", required=False)
def hosts(*, config: Path, as_json: bool, name: str | None) -> None:
    """Show the configured hosts: their links, what they asked for today, their rights.

    With NAME all about one host: why commands of it were refused today, too. Today begins at
    midnight. What is connected only a running server knows: without one the exit code is 6.
    """
    configuration = places(config)
    if name is not None and name not in configuration.hosts:
        known = ", ".join(configuration.hosts) or "none"
        hint = did_you_mean(name, configuration.hosts) or f"configured: {known}"
        give_up(f"there is no host {name}", Exit.USAGE, hint)
    today = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    with reading(configuration) as tx:
        days = {each.host: each for each in tx.ask(Overview.hosts_since, today.timestamp())}
        pending = {each.host: each for each in tx.notices.pending_counts()}
    status, trouble = _server(configuration)
    wanted = [name] if name is not None else list(configuration.hosts)
    found = [
        _about(configuration.hosts[each], status, days.get(each, HostDay(host=each)), pending)
        for each in wanted
    ]
    if as_json:
        print_json({"hosts": found, "server": trouble})
    elif name is not None:
        emit(_page(found[0]))
    else:
        emit(_table(found))
    if trouble is not None:
        click.echo(trouble, err=True)
        raise SystemExit(Exit.UNREACHABLE)


def _server(configuration: Configuration) -> tuple[Mapping[str, HostStatus], str | None]:
    """Return what a running server knows of its hosts, or why it cannot be asked."""
    try:
        answer = Client(spool=configuration.spool).get("status")
        return {each.name: each for each in typed(answer, Status).hosts}, None
    except (Unreachable, Refusal) as error:
        return {}, str(error)
    except ValueError:
        return {}, "the server is of another version, and its state cannot be shown"


def _about(
    host: Host,
    status: Mapping[str, HostStatus],
    day: HostDay,
    pending: Mapping[str, Any],
) -> dict[str, Any]:
    """Return all about a host as JSON's types."""
    known, waiting = status.get(host.name), pending.get(host.name)
    return {
        "name": host.name,
        "connections": known.connections if known is not None else None,
        "last_event": plain(known)["last_event"] if known is not None else None,
        "link": plain(known.link) if known is not None and known.link is not None else None,
        "requests_today": dict(day.requests),
        "refused_today": dict(day.refused),
        "notices_pending": waiting.count if waiting is not None else 0,
        "oldest_notice": plain(waiting)["oldest"] if waiting is not None else None,
        "peers": list(host.peers),
        "systems": list(host.systems),
        "vaults": list(host.vaults),
        "families": list(host.families),
        "notices": host.notices,
    }


def _link(about: Mapping[str, Any]) -> str:
    """Return in words whether and how a host is connected."""
    link = about["link"]
    if link is not None:
        lost = f", lost because {link['error']}" if link["error"] else ""
        return f"{link['state']} since {recent(_seconds(link['since']))}{lost}"
    count = about["connections"]
    if count is None:
        return "not known"
    return f"{count} open" if count else "not connected"


def _seconds(moment: str | None) -> float | None:
    return None if moment is None else datetime.fromisoformat(moment).timestamp()


def _table(found: Sequence[Mapping[str, Any]]) -> str:
    columns = (
        Column("host", gives=True),
        Column("link", gives=True),
        Column("last event"),
        Column("requests today", right=True),
        Column("refused", right=True),
        Column("notices pending", right=True, needs=90),
    )
    return table(
        columns,
        (
            (
                each["name"],
                visible(_link(each)),
                recent(_seconds(each["last_event"])),
                sum(each["requests_today"].values()),
                sum(each["refused_today"].values()),
                each["notices_pending"],
            )
            for each in found
        ),
    )


def _page(about: Mapping[str, Any]) -> str:
    oldest = _seconds(about["oldest_notice"])
    waits = f", the oldest for {duration(time.time() - oldest)}" if oldest else ""
    lines = pairs(
        (
            ("link", visible(_link(about))),
            ("endpoint", about["link"]["endpoint"] if about["link"] else None),
            ("last event", recent(_seconds(about["last_event"])) or None),
            ("requests today", _counted(about["requests_today"]) or "none"),
            ("notices", f"{about['notices_pending']} wait{waits}"),
            ("gets", "starts, progress and ends" if about["notices"] == "all" else "ends"),
            ("comes from", _listed(about["peers"], "nowhere: it is dialled, or cannot connect")),
            ("systems", _listed(about["systems"], "none")),
            ("may use", _listed(about["families"], "no family and no verb")),
            ("may name tapes of", _listed(about["vaults"], "no vault")),
        )
    )
    refused = [f"  {count}  {visible(reason)}" for reason, count in about["refused_today"].items()]
    return "\n".join([about["name"], lines, *(["", "refused today", *refused] if refused else [])])


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in counts.items())


def _listed(names: Sequence[str], otherwise: str) -> str:
    return ", ".join(names) or otherwise
