"""A board that `bunny review` serves, spoken to as its page does: over HTTP and a WebSocket."""

from __future__ import annotations

import json
import re
import time
import uuid
from typing import Any

import http_attack
import websocket  # of jupyter_server
from jupyter_server.services.kernels.connection import base

START_S, ANSWER_S = 300.0, 120.0  # on a busy machine


class BoardClient:
    """The page of one person.

    Parameters
    ----------
    port : int
    token : str
        As `bunny review` prints them.
    """

    def __init__(self, port: int, token: str) -> None:
        page = http_attack.ask(port, f"/?token={token}")
        assert page.status == 200, page.body
        kernel = re.search(rb'"kernelId": *"([^"]+)"', page.body)
        assert kernel, "no kernel in the page"
        self._socket = websocket.create_connection(
            f"ws://127.0.0.1:{port}/api/kernels/{kernel[1].decode()}/channels",
            cookie=http_attack.cookies(page),
            timeout=ANSWER_S,
            subprotocols=["v1.kernel.websocket.jupyter.org"],
        )
        self._session, self._id = uuid.uuid4().hex, 0
        self._board = self._find_board()
        self.hello = self.ask("hello", query={})

    def close(self) -> None:
        """Leave."""
        self._socket.close()

    def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Send one message of `view/board/session.py`; the board's answer to it.

        Where the film's tables changed, the view is opened anew first, as the page does.
        """
        answer = self._ask(kind, **fields)
        if answer.get("is_closed"):
            self._ask("hello", query={})
            answer = self._ask(kind, **fields)
        return answer

    def _ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        self._id += 1
        content = {"kind": kind, "view": self._session, "id": self._id, **fields}
        data = {"method": "custom", "content": content}
        self._send("comm_msg", {"comm_id": self._board, "data": data})
        while True:
            answer = self._receive("comm_msg")["data"]
            if answer.get("method") == "custom" and answer["content"].get("id") == self._id:
                return answer["content"]

    def act(self, row: int, action: str, **fields: Any) -> dict[str, Any]:
        """Say something of one row, as a click does."""
        fields = {"user": "ann", "seen": 0, "rows": [row], "action": action, **fields}
        return self.ask("act", **fields)

    def _find_board(self) -> str:
        """Id of the comm of the board's widget, once its cell has run."""
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            self._send(
                "comm_open",
                {
                    "comm_id": "asks",
                    "target_name": "jupyter.widget.control",
                    "data": {},
                    "target_module": None,
                },
            )
            self._send("comm_msg", {"comm_id": "asks", "data": {"method": "request_states"}})
            states = self._receive("comm_msg")["data"].get("states", {})
            for one, model in states.items():
                if "is_alone" in model["state"]:
                    return one
            time.sleep(0.5)
        raise TimeoutError("the board did not come")

    def _send(self, kind: str, content: dict[str, Any]) -> None:
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": kind,
            "session": self._session,
            "username": "",
            "version": "5.3",
            "date": "",
        }
        # `version`: of the widgets' protocol
        parts = [header, {}, {"version": "1.0.0"}, content]
        packed = [json.dumps(part).encode() for part in parts]
        self._socket.send_binary(base.serialize_msg_to_ws_v1(packed, "shell"))

    def _receive(self, kind: str) -> dict[str, Any]:
        while True:
            _, (header, _, _, content, *_) = base.deserialize_msg_from_ws_v1(self._socket.recv())
            if json.loads(header)["msg_type"] == kind:
                return json.loads(content)
