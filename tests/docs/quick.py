"""``tandem`` without waiting for Python to load it: a parent that has it loaded forks for each.

``python -m tests.docs.quick SOCKET`` is the parent. The program that pages call as
``.venv/bin/tandem`` is CLIENT below: it hands its arguments, its folder, its environment and
its three files to the parent, and ends with the code that the command ended with.
"""

from __future__ import annotations

import array
import json
import os
import signal
import socket
import sys
import threading
import traceback

CLIENT = """#!{python} -IS
import array, json, os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect({path!r})
about = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
files = array.array("i", [0, 1, 2])
s.sendmsg([len(about).to_bytes(4, "big") + about],
          [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
sys.exit(int(s.recv(16)))
"""


def serve(path: str) -> None:
    """Fork for each client until the one who started us is gone."""
    from tandem.__main__ import main

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(16)
    print("ready", flush=True)
    while True:
        client, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _one(client, main)
        client.close()


def _one(client: socket.socket, main: object) -> None:
    """In the child: become the command; a second child does it, to tell its code."""
    files = array.array("i")
    data, extra, _, _ = client.recvmsg(1 << 20, socket.CMSG_SPACE(3 * files.itemsize))
    files.frombytes(extra[0][2])
    size = int.from_bytes(data[:4], "big")
    while len(data) < size + 4:
        data += client.recv(1 << 20)
    words, folder, env = json.loads(data[4:])
    child = os.fork()
    if child:
        threading.Thread(target=_with_client, args=(client, child), daemon=True).start()
        _, status = os.waitpid(child, 0)
        client.send(str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    code = 1
    try:
        for number, file in enumerate(files):
            os.dup2(file, number)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(env)
        sys.argv = ["tandem", *words]
        main()  # type: ignore[operator]
        code = 0
    except SystemExit as end:
        code = int(end.code or 0) if not isinstance(end.code, str) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _with_client(client: socket.socket, child: int) -> None:
    """A client that was killed takes its command with it."""
    if client.recv(1) == b"":
        os.kill(child, signal.SIGTERM)


if __name__ == "__main__":
    serve(sys.argv[1])
