"""From an event to a command that its host may give, or to the reason why it may not."""

from collections.abc import Collection

from vtspolicy.config.model import Host
from vtspolicy.engine.commands.cancel import Cancel
from vtspolicy.engine.commands.composing import refused, rejected
from vtspolicy.engine.commands.status import Status
from vtspolicy.engine.commands.steps import Authorised, Elsewhere, Unheard
from vtspolicy.engine.policy import Policy
from vtspolicy.events.event import Event
from vtspolicy.grammar import Command, CommandError, Vocabulary, missing_in_cluster, parse
from vtspolicy.grammar.values import CUT_AT
from vtspolicy.jobs import RequestState
from vtspolicy.requests import Intake
from vtspolicy.rights import host_of_event, why_not_command


def understand(
    policy: Policy, event: Event, *, hosts: Collection[Host], address: str, received: float
) -> Authorised | Status | Cancel | Intake | Unheard | Elsewhere:
    """Return what a command asks for, or how it is refused before any tape is looked at."""
    host = host_of_event(hosts, event, address=address)
    if isinstance(host, str):
        return Unheard(event=event, reason=host, ref=_ref_of(event, policy.vocabulary))
    try:
        command = _parse(event, policy.vocabulary)
    except CommandError as error:
        if error.source is not None and not policy.configuration.is_this_node(error.source):
            return Elsewhere(event=event, server=error.source)
        return rejected(event, host, error, received)
    server = command.keywords.get("source")
    configuration = policy.configuration
    if server is not None and not configuration.is_this_node(server):
        return Elsewhere(event=event, server=server)
    understood = Authorised(event=event, host=host, command=command, received=received)
    if configuration.cluster:
        missing = missing_in_cluster(command, policy.vocabulary)
        if missing:
            reason = f"in a cluster {command.family} needs {missing[0]}="
            missed = CommandError(column=len(event.text) + 1, message=reason)
            return rejected(event, host, missed, received)
    denial = why_not_command(host, command)
    if denial is not None:
        return refused(understood, RequestState.DENIED, denial)
    match command.operation:
        case "status":
            return Status(command=understood)
        case "cancel":
            return Cancel(command=understood)
    return understood


def _parse(event: Event, vocabulary: Vocabulary) -> Command:
    """Return the command of an event; columns of an error count in the event's whole text.

    Whether a plain write may have cut it, is counted behind the writer and from the beginning.
    """
    writer = len(event.writer)
    cuts = {CUT_AT, CUT_AT + writer}
    may_be_cut = any(cut in event.lengths for cut in cuts) if event.lengths else None
    try:
        return parse(event.command, vocabulary, may_be_cut=may_be_cut)
    except CommandError as error:
        error.column += writer
        raise


def _ref_of(event: Event, vocabulary: Vocabulary) -> str | None:
    try:
        return _parse(event, vocabulary).ref
    except CommandError as error:
        return error.ref
