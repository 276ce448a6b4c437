"""A ledger on the disk and a server beside it, for tests of commands that read and order."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer

from click.testing import CliRunner

from vtspolicy.client import SOCKET, reachable
from vtspolicy.events.event import Event
from vtspolicy.jobs import JobState, RequestState
from vtspolicy.ledger import Ending, Intake, JobRecords, RequestRecords, open_ledger
from vtspolicy.ledger.sqlite.database_file import open_file
from vtspolicy.rules.decision import PlannedJob
from vtspolicy.rules.work import Work
from vtspolicy.tapes import Tape

NOW = time.time()


BEGAN = NOW - 600


TEXT = "VTSPolicy DSK 'archive /VAULT01/PAYROLL/A00017 r=14,d'"


class Site:
    """A configuration, its ledger and its spool in a folder."""

    def __init__(self, folder: Path):
        self.spool = folder / "spool"
        self.spool.mkdir()
        self.ledger = folder / "ledger.db"
        self.config = folder / "vtspolicy.yaml"
        self.config.write_text(
            f"node: vts1.example.com\nledger: sqlite:///{self.ledger}\nspool: {self.spool}\n"
            'listen: [{endpoint: "tcp:port=0:interface=127.0.0.1"}]\n'
        )
        open_file(self.ledger).close()

    def write(self, verb, *args, **given):
        with open_ledger(self.ledger, readonly=False) as tx:
            return tx.ask(verb, *args, **given)

    def run(self, command, *arguments, env=None):
        given = ["--config", str(self.config), *map(str, arguments)]
        return CliRunner().invoke(command, given, env={"COLUMNS": "", **(env or {})})

    def run_json(self, command, *arguments):
        result = self.run(command, "--json", *arguments)
        return result.exit_code, json.loads(result.stdout)

    def record(self, *, cartridges=("A00017",), text=TEXT, between=None, **more):
        run = ("disk", "archive", "{path}", "--handle={handle}")
        work = Work(application="DSK", run=run, between=between)
        planned = tuple(
            PlannedJob(
                work=work,
                values={"path": f"/VAULT01/PAYROLL/{each}"},
                lock=f"/VAULT01/PAYROLL/{each}",
                tape=Tape(
                    vault="VAULT01",
                    pool="PAYROLL",
                    cartridge=each,
                    path=f"/VAULT01/PAYROLL/{each}",
                ),
            )
            for each in cartridges
        )
        trace = {
            "command": {
                "family": "DSK",
                "operation": "archive",
                "targets": ["/VAULT01/PAYROLL/A00017"],
                "keywords": {"retention": "14,d"},
                "ref": None,
                "warnings": [],
            },
            "table": "3f2a77",
            "rule": "payroll to disk",
            "number": 2,
            "steps": [
                {
                    "number": 1,
                    "rule": "ledgers",
                    "matched": False,
                    "condition": "pool: LED*",
                    "found": "PAYROLL",
                },
                {
                    "number": 2,
                    "rule": "payroll to disk",
                    "matched": True,
                    "condition": None,
                    "found": None,
                },
            ],
            "left_out": [["/VAULT01/PAYROLL/A00099", "size: over 1G"]],
        }
        known = {
            "event": Event(text=text),
            "host": "NSK1",
            "received": BEGAN,
            "state": RequestState.OPEN,
            "family": "DSK",
            "rule": "payroll to disk",
            "table": "3f2a77",
            "why": json.dumps(trace),
            "jobs": planned,
        }
        return self.write(RequestRecords.record, Intake(**(known | more)))

    def start(self, number, at=BEGAN + 5):
        self.write(JobRecords.start_attempt, number, at)

    def finish(self, number, state=JobState.COMPLETED, *, attempt=1, at=BEGAN + 125, **more):
        self.write(JobRecords.finish_attempt, number, attempt, Ending(state=state, **more), at)


class Server:
    """Answers on the control socket, one answer after the other, and remembers the questions."""

    def __init__(self, spool):
        self.asked = []
        self.answers = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def address_string(self):
                return "peer"

            def log_message(self, *_):
                pass

            def do_GET(self):
                self.answer(None)

            def do_POST(self):
                self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def answer(self, body):
                server.asked.append((self.path, body))
                code, told = server.answers.pop(0)
                text = json.dumps(told).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        with reachable(spool / SOCKET) as address:
            self._server = UnixStreamServer(address, Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
