"""A Telnet daemon whose login program is ours, and a client that declines every option."""

import shlex
import socket
import subprocess
import threading
from collections.abc import Sequence

from tests.harness.programs.daemon import PATH, program

IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240
BREAK = bytes((IAC, 243))


class Telnetd:
    """Starts the daemon for each connection, as an inetd does."""

    def __init__(self, login: Sequence[str]) -> None:
        self._argv = [program("telnetd"), "-n", "-E", shlex.join(login)]
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.processes: list[subprocess.Popen[bytes]] = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self):
        while True:
            try:
                accepted, _ = self._listening.accept()
            except OSError:
                return
            with accepted:
                self.processes.append(
                    subprocess.Popen(
                        self._argv,
                        stdin=accepted,
                        stdout=accepted,
                        stderr=subprocess.DEVNULL,
                        env={"PATH": PATH},
                    )
                )

    def stop(self):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()
        for process in self.processes:
            process.terminate()
            process.wait(60)


class TelnetClient:
    """Declines every option, and collects what is shown."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.shown = b""
        self._rest = b""

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def until(self, end: bytes) -> bytes:
        """Read until this is shown; return what was shown since the last call."""
        while end not in self.shown:
            data = self._socket.recv(4096)
            assert data, f"the connection ended behind {self.shown!r}"
            self._take(data)
        found, _, self.shown = self.shown.partition(end)
        return found + end

    def is_ended(self) -> bool:
        """Read to the end."""
        while data := self._socket.recv(4096):
            self._take(data)
        return True

    def close(self) -> None:
        self._socket.close()

    def _take(self, data: bytes) -> None:
        data = self._rest + data
        at, out = 0, bytearray()
        while at < len(data):
            if data[at] != IAC:
                out.append(data[at])
                at += 1
                continue
            command = data[at + 1 : at + 2]
            length = 3 if command and command[0] in (DO, DONT, WILL, WONT) else 2
            if command and command[0] == SB:
                end = data.find(bytes((IAC, SE)), at)
                length = end + 2 - at if end > 0 else len(data)  # more has to come
            if at + length > len(data) or not command:
                break
            if command[0] == DO:
                self.send(bytes((IAC, WONT, data[at + 2])))
            elif command[0] == WILL:
                self.send(bytes((IAC, DONT, data[at + 2])))
            at += length
        self._rest = data[at:]
        self.shown += bytes(out).replace(b"\r\0", b"\r")
