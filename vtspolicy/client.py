"""Speaks to a running server over its control socket."""

import http.client
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from attrs import frozen

SOCKET = "control.sock"
"""The name of the control socket in the spool."""

MOST = 64 * 2**20
"""Bytes of the longest answer that is read."""

_LONGEST_ADDRESS = 107  # bytes: sun_path of Linux has 108, the last one is a NUL


class Unreachable(Exception):  # noqa: N818 - reads as what it says
    """No server answers on the control socket."""


class Refusal(Exception):  # noqa: N818
    """The server answered that it will not, or cannot."""

    def __init__(self, status: int, message: str, hint: str = "") -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.status = status
        self.message = message
        self.hint = hint


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """Give a socket's path in a form that fits into an address, however long it is."""
    if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with reachable(self._path) as address:
            self.sock.connect(address)


@frozen(kw_only=True)
class Client:
    """A server, by its spool."""

    spool: Path
    timeout: float = 30.0  # seconds that an answer may take

    def get(self, page: str, **query: str | int) -> Any:
        """Return what the server answers to a question. Raises Unreachable or Refusal."""
        asked = f"/api/v1/{page}" + (f"?{urlencode(query)}" if query else "")
        return self._ask("GET", asked, None)

    def post(self, verb: str, **arguments: str | int) -> Mapping[str, Any]:
        """Have something done. Raises Unreachable or Refusal."""
        told: Mapping[str, Any] = self._ask("POST", f"/api/v1/{verb}", arguments)
        return told

    def _ask(self, method: str, address: str, body: Mapping[str, str | int] | None) -> Any:
        path = self.spool / SOCKET
        connection = _Connection(path, self.timeout)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(
                method, address, data, {"Content-Type": "application/json", **_person()}
            )
            response = connection.getresponse()
            text = response.read(MOST)
        except FileNotFoundError:
            raise Unreachable(f"no server runs here: there is no {path}") from None
        except ConnectionRefusedError:
            raise Unreachable(f"no server runs here: no answer on {path}") from None
        except TimeoutError:
            message = f"the server at {path} did not answer within {self.timeout:g} s"
            if method != "GET":
                message += "; it may still do what it was told"
            raise Unreachable(message) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error)
            if isinstance(error, PermissionError):
                reason += "; be root, the server's user, or in the group `control_group`"
            raise Unreachable(f"the server at {path} cannot be reached: {reason}") from error
        finally:
            connection.close()
        return _read(response.status, text)


PERSON = "X-Vtspolicy-Person"
"""The header by which root names the person it acts for."""


def _person() -> dict[str, str]:
    """Return the header that names the person behind sudo; a server believes it of root only."""
    person = os.environ.get("SUDO_USER", "")
    is_name = person.isascii() and person.isprintable() and 0 < len(person) <= LONGEST_NAME
    return {PERSON: person} if os.geteuid() == 0 and is_name and person != "root" else {}


LONGEST_NAME = 64
"""Characters of the longest name of a user."""


def _read(status: int, text: bytes) -> Any:
    try:
        answer = json.loads(text)
    except ValueError:
        raise Refusal(status, f"the server's answer is not JSON (HTTP status {status})") from None
    if status == HTTPStatus.OK:
        return answer
    error = answer.get("error") or {}
    raise Refusal(status, error.get("message") or f"HTTP status {status}", error.get("hint") or "")
