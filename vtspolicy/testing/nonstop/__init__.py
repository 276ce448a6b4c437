"""A simulated NonStop host: what a link to a host meets, without a host.

It logs people on, shows TACL prompts, obeys TACL's metacharacters, runs EMSDIST, MEDIACOM and FUP
as far as a link needs them, and keeps an event log. It speaks Telnet, Telnet over TLS, SSH, plain
lines, and its own standard input and output. `vtspolicy host-simulator` runs it from the shell.

    system = System()
    listeners = await serve(system, reactor, ["telnet:0", "ssh:0"])
    system.post("VTSPolicy DSK 'archive /VAULT01/PAYROLL/A00017 ref=mine'")
    system.links[-1].hang()

It was written from public manuals and was never held beside a host. The docstrings say how certain
each behaviour is, with these words:

- *documented*: the maker's manuals say so;
- *ours*: the manuals are silent or not public, and this is what we chose. A program that works only
  because of it is not known to work with a host.

Modules, from the bottom: `journal` (what the system remembers), `accounts`, `system` (the event
log, pending mounts, everything that all sessions share), `terminal` and `dialogue` (how a program
talks to a terminal), `lexical`, `variables`, `expressions`, `tacl` and its functions (`functions`,
`flow`, `strings`, `spi`, `requesters`, `library`: the command interpreter), `emsdist`, `consumer`,
`mediacom`, `fup` (its programs), `logins`, `session` (one terminal from banner to log-off):
pure, bytes in and bytes out. Above them the links: `link` (with faults on demand), `telnet`,
`ssh`, `stdio`, and `serving`, which opens them. Nothing is imported here.
"""
