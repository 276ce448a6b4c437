"""Every action that a line of the log can be about: its key, how serious it is, what it means."""

from collections.abc import Mapping

from attrs import frozen


@frozen
class Action:
    """What lines with one `action` say."""

    level: str  # info, warn, error or critical; several where the line's fact decides
    meaning: str
    fields: str = ""  # the fields that it has in addition to the text, with blanks between
    limited: bool = False  # at most once a minute and peer; `ACTION_more` counts the others


_COMMAND = "req host by ref family operation tape cause"
_JOB = "job req host ref tape application repeats"

ACTIONS: Mapping[str, Action] = {
    # commands and requests
    "request_accepted": Action(
        "info", "a command is recorded and will be carried out", f"{_COMMAND} jobs again notbefore"
    ),
    "request_rejected": Action(
        "warn", "a command is not one of the language", f"{_COMMAND} column", limited=True
    ),
    "request_denied": Action(
        "warn", "a rule or the host's rights forbid a command", _COMMAND, limited=True
    ),
    "request_norule": Action("warn", "no rule matches a command", _COMMAND, limited=True),
    "request_duplicate": Action("info", "an event was seen before", _COMMAND, limited=True),
    "request_answered": Action(
        "info", "a host asked for a request's state", _COMMAND, limited=True
    ),
    "request_ended": Action(
        "info, warn, error",
        "the last job of a request has ended, or it has none; for a request of one job that"
        " is `job_ended`",
        "req host again ref family operation tape jobs ok warn failed secs state cause",
    ),
    "unheard": Action(
        "warn",
        "a command was denied to a peer that is not its host; it is in no ledger",
        "address ref reason",
        limited=True,
    ),
    "elsewhere": Action(
        "info", "a command is for another server (`s=`)", "address server", limited=True
    ),
    "refused_input": Action(
        "warn",
        "input is not an event, or misses a command by little",
        "address reason",
        limited=True,
    ),
    # jobs
    "job_started": Action("info", "an attempt of a job begins", f"{_JOB} attempt rule"),
    "job_retried": Action(
        "warn",
        "an attempt failed, and is repeated in `wait` seconds",
        f"{_JOB} attempt wait code cause",
    ),
    "job_stopping": Action(
        "info", "a running job was cancelled and is being stopped", f"{_JOB} cause"
    ),
    "job_ended": Action(
        "info, warn, error",
        "a job has ended: info if completed, warn with warnings or cancelled, else error",
        f"{_JOB} state attempt code secs cause",
    ),
    "job_defect": Action(
        "critical", "the program failed at a job; it is taken up again after a minute", "job"
    ),
    "cancel_refused": Action("warn", "an application does not take a cancellation", "job said"),
    "progress": Action(
        "critical",
        "a job's progress could not be reported, because of an error in the program",
        "job",
    ),
    "spool_full": Action("error", "a run cannot be started, and is tried again", "job error"),
    "orphan_ended": Action("info", "what an earlier server had asked of a job is ended", "key"),
    # runs
    "keeper_lost": Action(
        "warn", "the process that starts runs has ended; the runs continue", "spool"
    ),
    "keeper_missing": Action(
        "error, critical", "no process starts runs; tried again", "spool error"
    ),
    "run_unseen": Action("warn", "a run cannot be looked at yet", "key error"),
    "run_left": Action(
        "warn", "a run has left processes, which are waited for", "key reason groups"
    ),
    "run_defect": Action("critical", "the program failed to look at a run", "key"),
    "run_unstoppable": Action(
        "error", "a run cannot be stopped: its processes are another user's", "key groups signal"
    ),
    "stop_unwritten": Action("error", "that a run was stopped could not be written", "key error"),
    # connections
    "link_opened": Action(
        "info", "a host has connected", "host address certificate listener", limited=True
    ),
    "link_closed": Action("info", "a host's connection is closed", "host address", limited=True),
    "stranger": Action(
        "warn",
        "a peer has connected that is not a configured host; `certificate` is its name",
        "address certificate listener",
        limited=True,
    ),
    "refused": Action(
        "warn",
        "a connection was closed: `connections` is reached",
        "address listener",
        limited=True,
    ),
    "tls_failed": Action(
        "warn", "a TLS connection got through no handshake", "address listener cause", limited=True
    ),
    "made_way": Action(
        "warn",
        "an idle connection was closed: its host has most, another host needs one",
        "address",
        limited=True,
    ),
    "event_cut": Action(
        "warn",
        "a connection ended within an event, which is not taken",
        "address text",
        limited=True,
    ),
    # links that this program opens
    "link_up": Action("info", "a dialled host's display is read", "host endpoint", limited=True),
    "link_down": Action(
        "warn",
        "a link to a dialled host is down, and is opened again in `seconds`",
        "host cause seconds",
        limited=True,
    ),
    "link_stopped": Action(
        "error",
        "a host has refused a password or key too often; an operator restarts the link",
        "host cause",
        limited=True,
    ),
    "link_restarted": Action("info", "an operator has a link opened anew", "host by why"),
    "link_defect": Action("critical", "the program failed at a link to a dialled host", "host"),
    "password_shown": Action(
        "warn", "a host shows the password as it is typed", "host user", limited=True
    ),
    "mounts_missed": Action(
        "info",
        "the list of pending mounts of a dialled host shows what no event did",
        "host count",
        limited=True,
    ),
    "answer_failed": Action(
        "warn",
        "notices cannot be posted on a dialled host; tried again",
        "host cause",
        limited=True,
    ),
    "answer_unseen": Action(
        "warn",
        "notices were posted on a dialled host, whose display does not show them; posted again",
        "host count",
        limited=True,
    ),
    "answer_defect": Action(
        "critical", "the program failed to post notices on a dialled host", "host"
    ),
    "resumption_unsaved": Action(
        "error", "from when on dialled hosts show events again cannot be written", "cause"
    ),
    "vanished": Action("warn", "a peer no longer answers, and its connection is ended", "address"),
    "not_recorded": Action("warn", "input came too late before a stop", "address why"),
    "receive_failed": Action("critical", "the program failed at a peer's input", "address"),
    "door_not_closed": Action("critical", "a listener could not be closed; the stop goes on"),
    "outbox_closed": Action("warn", "notices wait for the next server"),
    "outbox_failed": Action("critical", "the program failed to handle notices"),
    "notices_expired": Action(
        "warn", "notices have expired: their host did not take them", "host count days"
    ),
    "effect_defect": Action(
        "critical",
        "the program failed to do what follows from a record; what else follows is done",
        "effect",
    ),
    # mounts and tapes
    "mount_waits": Action("info", "a mount waits for its tape", "seq host tape result req"),
    "mount_answered": Action(
        "info, error",
        "a host got the notice that a tape can be mounted, or cannot",
        "seq host tape state cause",
    ),
    "mount_closed": Action(
        "info", "a host has ended its mount request before it was answered", "seq host tape cause"
    ),
    "mount_denied": Action("warn", "a host may not mount a tape", "seq why"),
    "mount_left": Action("info", "a mount is not of a tape of our vaults", "seq system error"),
    "mounts_failed": Action("critical", "the program failed to answer mounts"),
    "copy_lost": Action(
        "error", "an application does not have a copy any more", "application handle tape said"
    ),
    "proving_failed": Action("critical", "the program failed to prove copies again"),
    "restore_left": Action("warn", "an earlier restore is completed or undone"),
    "left_behind": Action("warn, critical", "what an interrupted act has left is put right"),
    "cleanup": Action("info", "the cleanup of tapes begins", "told"),
    "cleanup_put_off": Action("warn", "the cleanup waits for the clock", "why"),
    "cleanup_waits": Action("info", "the cleanup waits for room in the queue", "left"),
    "cleanup_ended": Action("info", "the cleanup ended before its time", "left"),
    "cleanup_failed": Action("critical", "the program failed to clean up"),
    "scanned": Action("info", "the vaults were looked through", "count changed seconds"),
    "scan_failed": Action("critical", "the program failed to look through the vaults"),
    "vault_trouble": Action("warn", "something in a vault cannot be used", "trouble vault error"),
    "vault_busy": Action("warn", "a vault does not answer; it is asked again"),
    "vault_features": Action("warn", "what a vault cannot do, and what is refused there", "line"),
    # operators
    "sign_in": Action("info", "somebody has signed in to the console", "by peer"),
    "sign_in_refused": Action(
        "warn", "a sign-in to the console was refused", "name peer cause", limited=True
    ),
    "order": Action("info", "somebody gave an order that no other line tells", "by path given"),
    "order_refused": Action("warn", "an order was refused", "by path cause"),
    "drain": Action("info", "a drain begins", "by cause"),
    "resume": Action("info", "a drain ends", "by cause"),
    "not_noted": Action("warn", "the history lacks what was ordered", "why"),
    "reloaded": Action("info", "other rules and settings are in force", "by table cause"),
    "reload_refused": Action(
        "error", "a reload was refused; all stays as it was", "by table problems"
    ),
    "backup": Action("info", "the ledger was copied", "by path"),
    # the server
    "ready": Action("info", "the server has started, and listens", "doors"),
    "stopping": Action("info", "the server stops; applications keep running"),
    "start_failed": Action("critical", "the program failed to start"),
    "recovered": Action("info", "what an earlier server left was taken up", "running waiting"),
    "control_lost": Action(
        "error", "the control socket is gone; opening it is tried again", "error"
    ),
    "control_renewed": Action("warn", "the control socket was removed and is opened again", "path"),
    "put_back": Action("warn", "the ledger was restored from a copy", "first more"),
    "doubted": Action("warn", "runs may have been made of which nothing is left", "doubted why"),
    "spool_unmarked": Action("warn", "the spool cannot keep whose it is", "error"),
    "ledger_held": Action(
        "critical", "another program holds the ledger; it is waited for", "path error"
    ),
    "ledger_trouble": Action(
        "critical", "the ledger cannot be written; nothing is accepted", "trouble"
    ),
    "ledger_well": Action("info", "the ledger can be written again"),
    "clock_doubted": Action("warn", "the clock was set and is not trusted", "cause remedy"),
    "clock_trusted": Action("info", "the clock is trusted again", "cause by"),
    "clock_held_back": Action("info", "what waits for the clock is held back"),
    "clock_not_kept": Action("error", "the ledger lacks whether the clock is trusted", "why"),
    "clock_watch_failed": Action("critical", "the program failed to watch the clock"),
    "configuration_warning": Action("warn", "a setting is doubtful", "problem"),
    "certificate_expires": Action("warn", "a certificate ends soon, or has ended", "words"),
    "few_descriptors": Action(
        "warn", "the system allows too few open files", "connections wanted hard"
    ),
    "housekeeping_failed": Action("critical", "the program failed to remove what is old"),
    "collect_failed": Action("critical", "the program failed to bring the metrics up to date"),
    "web_defect": Action("critical", "the program failed to answer a request over HTTP"),
}
"""Every action, in the order in which the page shows them."""

MORE = "_more"
"""Ends the key of the line that counts the others of a limited kind."""
