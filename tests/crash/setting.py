"""What a site is made of: configuration, rules, the application, and what its tapes hold."""

from collections.abc import Mapping

from attrs import frozen

CONFIGURATION = r"""
node: vts1.example.com
listen: [{{endpoint: "tcp:port={port}:interface=127.0.0.1", plain: true}}]
ledger: sqlite:///{root}/ledger.db
spool: {root}/spool
settle: 0.05s
vaults: {{VAULT01: {root}/VAULT01}}
hosts:
  NSK1:
    peers: [127.0.0.2]
    systems: ['\NSK1']
    vaults: [VAULT01]
    families: [DSK, RST, Status, Cancel]
  NSK2:
    peers: [127.0.0.3]
    systems: ['\NSK2']
    vaults: [VAULT01]
    families: [DSK, RST, Status, Cancel]
    notices: all
    acknowledge: true
rules: [rules.yaml]
"""

RULES = """
applications:
  DSK: {{title: one that may be run again, seats: 3, outcome: {{0: completed, 4: warning}}}}
  RST: {{title: one that may not, seats: 2, outcome: {{0: completed, 4: warning}}}}
rules:
  - rule: the whole pool at once
    when: {{family: DSK, pool: SET}}
    run: [{root}/application, archive, "{{path}}", "{{handle}}", "{{job}}", "{{attempt}}"]
    each: pool
    lock: "{{path}}"
    on_interrupt: retry
  - rule: several attempts
    when: {{family: DSK, pool: RETRY}}
    run: [{root}/application, archive, "{{path}}", "{{handle}}", "{{job}}", "{{attempt}}"]
    lock: "{{path}}"
    retry: {{attempts: 3, delay: 0.1s}}
    on_interrupt: retry
  - rule: one attempt, again if it was interrupted
    when: {{family: DSK}}
    run: [{root}/application, archive, "{{path}}", "{{handle}}", "{{job}}", "{{attempt}}"]
    lock: "{{path}}"
    on_interrupt: retry
    then: migrated
  - rule: one attempt and no more
    when: {{family: RST}}
    run: [{root}/application, archive, "{{path}}", "{{handle}}", "{{job}}", "{{attempt}}"]
    lock: "{{path}}"
    on_interrupt: fail
    verify: [{root}/application, query, "{{path}}", "{{handle}}", "{{job}}", "{{attempt}}"]
"""

APPLICATION = """#!/bin/sh
# Each line of the record is one write to a file that is open for appending. What a tape holds says
# how long its copy takes, and with which code each attempt ends.
if [ "$1" = query ]; then echo "query $4 $5 $$ $3 $2" >> {root}/record; exit 0; fi
job=$4; attempt=$5; seconds=0.05; codes=0
trap 'echo "end $job $attempt $$ 143" >> {root}/record; exit 143' TERM
echo "start $4 $5 $$ $3 $2" >> {root}/record
[ ! -f "$2" ] || read -r seconds codes < "$2"
echo "copying $2"
sleep "$seconds"
trap "" TERM  # it is over: what it says next is how it ends
set -- $codes; shift $((attempt > $# ? $# - 1 : attempt - 1))
echo "end $job $attempt $$ $1" >> {root}/record
exit "$1"
"""

TAPES = {
    # pool -> cartridge -> how long its copy takes, and with which code each attempt ends
    "PAY": {"A00001": "0.02 0", "A00002": "0.1 0", "A00003": "0.3 0", "A00004": "0.05 4"},
    "FAIL": {"F00001": "0.02 7", "F00002": "0.1 8"},
    "RETRY": {"R00001": "0.02 7 0", "R00002": "0.05 7 9 0", "R00003": "0.02 7 8 9"},
    "SET": {"S00001": "0.05 0", "S00002": "0.1 0", "S00003": "0.05 0"},
}


@frozen(kw_only=True)
class Setting:
    """What a site begins with. In its texts {root} is the site's folder and {port} its port."""

    configuration: str
    rules: str
    application: str
    tapes: Mapping[str, Mapping[str, str]]  # pool -> cartridge -> its first content


COPIES = Setting(
    configuration=CONFIGURATION,
    rules=RULES,
    application=APPLICATION,
    tapes={
        pool: {name: f"{text}\n" for name, text in tapes.items()} for pool, tapes in TAPES.items()
    },
)
"""A site that only copies tapes: what counts there are commands, runs and notices."""
