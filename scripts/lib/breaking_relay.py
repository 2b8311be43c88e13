"""A way to a server whose connections break: each after more bytes than the one before it.

What the server sends is let through up to the byte at which the connection breaks, in the middle of
whatever is on its way. As every connection lasts twice as long, anything gets through in the end.
"""

import socket
import threading

FIRST_BYTES = 512
CHUNK_BYTES = 16 << 10


class BreakingRelay:
    """Listens on `address` and leads to `server`."""

    def __init__(self, server):
        host, port = server.rsplit(":", 1)
        self._server = (host, int(port))
        self._budget = FIRST_BYTES
        self._open = []
        self.broken = 0

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error):
        for each in [self._listener, *self._open]:
            each.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
            except OSError:
                return
            self._open += [client, server]
            budget, self._budget = self._budget, self._budget * 2
            for way in ((client, server, None), (server, client, budget)):
                threading.Thread(target=self._carry, args=way, daemon=True).start()

    def _carry(self, source, sink, budget):
        try:
            while chunk := source.recv(min(CHUNK_BYTES, budget or CHUNK_BYTES)):
                sink.sendall(chunk)
                if budget is not None and (budget := budget - len(chunk)) == 0:
                    self.broken += 1
                    break
        except OSError:
            pass
        for each in (source, sink):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
