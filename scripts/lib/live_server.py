"""A `configapi serve` of one's own, on free ports and with data that is thrown away.

Used by scripts/examples-in-docs and scripts/examples; must never leave a process behind.
"""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")

START_ATTEMPTS = 5
READY_TIMEOUT_SECONDS = 30
STOP_TIMEOUT_SECONDS = 15
POLL_SECONDS = 0.05


# The server is on this machine: no proxy that the environment names is to be asked for it.
NEAR = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Trouble(Exception):
    """What went wrong, in a sentence for whoever runs the script."""


def find_binary():
    """The program named by CONFIGAPI_BIN, else one that is built now."""
    named = os.environ.get("CONFIGAPI_BIN")
    if not named:
        print("building configapi", flush=True)
        subprocess.run(
            ["cargo", "build", "--quiet", "--locked", "-p", "configapi"], cwd=ROOT, check=True
        )
        named = TARGET / "debug" / "configapi"
    binary = pathlib.Path(named).resolve()
    if not os.access(binary, os.X_OK):
        raise Trouble(f"no such program: {named}")
    return binary


class LiveServer:
    """All servers in one process, with their data in `work`/data."""

    def __init__(self, binary, work):
        self.binary = binary
        self.work = pathlib.Path(work)
        self.log = self.work / "server.log"
        self.rest = self.command = self.query = ""
        self._process = None

    def __enter__(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, end_in_order)
        try:
            # A port that is free now may be taken a moment later, therefore more than one attempt.
            for _ in range(START_ATTEMPTS):
                self.rest, self.command, self.query = free_addresses(3)
                self._start()
                if self._is_ready():
                    return self
        except BaseException:
            # Who is interrupted before it is ready never gets to the end.
            self._stop()
            raise
        raise Trouble(f"the server did not start in {START_ATTEMPTS} attempts; {self.end_of_log()}")

    def __exit__(self, error_type, error, traceback):
        ended_cleanly = self._stop()
        if not ended_cleanly and error is None:
            raise Trouble(f"the server did not end cleanly; {self.end_of_log()}")

    def end_of_log(self):
        """The last lines of the server's log, for an error text."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(["the end of its log:", *lines[-20:]])

    def _start(self):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CONFIGAPI_")}
        environment |= {
            "CONFIGAPI_GATEWAY_ADDR": self.rest,
            "CONFIGAPI_COMMAND_ADDR": self.command,
            "CONFIGAPI_QUERY_ADDR": self.query,
            "CONFIGAPI_SNAPSHOT_DIR": str(self.work / "data" / "snapshots"),
        }
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [self.binary, "serve"],
                cwd=self.work,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _is_ready(self):
        deadline = time.monotonic() + READY_TIMEOUT_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with NEAR.open(f"http://{self.rest}/v1/health", timeout=1):
                    return self._process.poll() is None
            except (urllib.error.URLError, OSError):
                time.sleep(POLL_SECONDS)
        if self._process.poll() is None:
            raise Trouble(f"the server was not ready in time; {self.end_of_log()}")
        return False

    def _stop(self):
        if self._process is None:
            return True
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        return self._process.returncode == 0


def end_in_order(number, frame):
    """Ends this program as Ctrl-C does: what it started is stopped on the way. By itself, Python would
    be gone at once, and the server would run on."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def without_proxy(environment):
    """The environment for who talks to the server: on the way to it there is no proxy."""
    known = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    near = ",".join(["127.0.0.1", "localhost", *filter(None, known.split(","))])
    return environment | {"no_proxy": near, "NO_PROXY": near}


def free_addresses(count):
    """Addresses of this machine that nobody listens on now, none twice."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    finally:
        for each in sockets:
            each.close()
