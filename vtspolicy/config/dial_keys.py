"""The keys of a link that this program opens to a host, as a table."""

from vtspolicy.config import reading
from vtspolicy.config.positions import Node, Scalar
from vtspolicy.config.reading import REQUIRED, Findings, Key, Section, keys_of
from vtspolicy.links.distributor import OVERLAP, TEMPLATE
from vtspolicy.links.login import DIALOGUES, REFUSED, TIMEOUT
from vtspolicy.links.tacl_text import ROUTINE

STEP = keys_of(
    Key(
        name="expect",
        read=reading.text,
        type="a regular expression",
        default=REQUIRED,
        help="what the host shows at the end of its text when this step has come",
    ),
    Key(
        name="send",
        read=reading.text,
        type="a line",
        help="what is typed then, with {user} and {password}; the last step has none",
    ),
    Key(
        name="within",
        read=reading.duration_within("100ms", "10m"),
        type="a duration of 100ms to 10m",
        default=TIMEOUT,
        default_text="5s",
        help="in which time it has to come",
    ),
    Key(
        name="optional",
        read=reading.boolean,
        type="true or false",
        default=False,
        default_text="false",
        help="whether the host may leave it out",
    ),
)
"""The keys of one step of a login."""


def _login(node: Node, findings: Findings) -> str | tuple[Section, ...] | None:
    """The name of a dialogue, or the steps of one."""
    if isinstance(node, Scalar):
        name: str | None = reading.choice(*DIALOGUES)(node, findings)
        return name
    return reading.items(reading.section_of(STEP, "a step"), least=1)(node, findings)


_process = reading.matching(r"\$[A-Za-z][A-Za-z0-9]{0,4}", "the name of a process, as $VTS,")
_file_name = reading.matching(
    r"(?:(?:\\[A-Za-z][A-Za-z0-9]{0,6}\.)?\$?[A-Za-z][A-Za-z0-9]{0,7}\.){0,2}[A-Za-z][A-Za-z0-9]{0,7}",
    "the name of a file, as $SYSTEM.VTS.FILTER,",
)

DIAL = keys_of(
    Key(
        name="host",
        read=reading.text,
        type="a name of `hosts`",
        default=REQUIRED,
        help="the host that is called; its rights stand under `hosts`, and it needs no peers",
    ),
    Key(
        name="endpoint",
        read=reading.text,
        type="an endpoint",
        default=REQUIRED,
        help="ssh:HOST[:PORT], telnet:HOST[:PORT], telnets:HOST[:PORT] (Telnet over TLS), or"
        " another client endpoint, as tcp:host=10.0.0.9:port=23, with `protocol`",
    ),
    Key(
        name="protocol",
        read=reading.choice("telnet", "lines"),
        type="telnet or lines",
        help="what is spoken on another endpoint; lines has no commands of Telnet in it",
    ),
    Key(
        name="user",
        read=reading.text,
        type="a user of the host",
        default=REQUIRED,
        help="who logs on, as GROUP.USER",
    ),
    Key(
        name="password_file",
        read=reading.text,
        type="a file",
        help="its first line is the password; it is read at each logon",
    ),
    Key(name="key_file", read=reading.text, type="a file", help="ssh: the user's private key"),
    Key(
        name="known_hosts",
        read=reading.text,
        type="a file",
        help="ssh: the host's key, in the form that OpenSSH has",
    ),
    Key(
        name="command",
        read=reading.text,
        type="a command",
        default_text="the subsystem tacl",
        help="ssh: what is run instead of the subsystem",
    ),
    Key(
        name="authority",
        read=reading.text,
        type="a file",
        default_text="the system's own authorities",
        help="telnets: the authority that has signed the host's certificate, PEM",
    ),
    Key(
        name="login",
        read=_login,
        type="a name, or a list of steps",
        default_text="ssh-tacl for ssh, tacl for others",
        help=f"how to log on: {', '.join(DIALOGUES)}, or a dialogue of the site's own",
    ),
    Key(
        name="refused",
        read=reading.text,
        type="a regular expression",
        default=REFUSED,
        help="what the host shows if it does not accept user or password",
    ),
    Key(
        name="process",
        read=_process,
        type="a process name",
        default_text="the host takes a free one",
        help="how the distributor is called, {name} in its line",
    ),
    Key(
        name="filters",
        read=reading.items(_file_name, single=True),
        type="a list of files",
        default=(),
        default_text="none",
        help="compiled filters, or filter tables, of the distributor, {filter} in its line; with"
        " one, a notice counts as delivered also when its command has ended without an error",
    ),
    Key(
        name="distributor",
        read=reading.text,
        type="a line",
        default=TEMPLATE,
        help="starts the distributor; {name}, {filter} and {time} stand for what belongs there",
    ),
    Key(
        name="overlap",
        read=reading.duration_within("1s", "1d"),
        type="a duration of 1s to 1d",
        default=OVERLAP,
        default_text="60s",
        help="after a lost link, events are shown again from so long before the last one",
    ),
    Key(
        name="reply",
        read=reading.text,
        type="a line",
        default=ROUTINE,
        help="posts a notice: the name of a routine that reads lines of text from the terminal,"
        " or a command of the site with {text} and perhaps {number}",
    ),
    Key(
        name="poll",
        read=reading.duration_within("1m", "1d", off=True),
        type="a duration of 1m to 1d, or 0",
        default=600.0,
        default_text="10m",
        help="how often the host is asked for its pending mounts, by MEDIACOM; 0 is never",
    ),
)
"""The keys of one link."""
