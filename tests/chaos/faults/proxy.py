"""A network between the service and PostgreSQL that can refuse connections or drop packets."""

import selectors
import socket
import threading
from types import TracebackType
from typing import Self

_CHUNK = 65536
_LOOK_SECONDS = 0.02


class Proxy:
    """Forwards TCP connections on a port of the loopback interface to the Unix socket `upstream`."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._lock = threading.Lock()
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._lost: list[socket.socket] = []
        self._forwards = True
        self._ended = False
        self._listener: socket.socket | None = None
        self.port = 0
        self._listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._thread.join()
        self.refuse()
        for each in self._lost:
            each.close()

    def refuse(self) -> None:
        """Refuses new connections and closes the open ones."""
        with self._lock:
            if self._listener is not None:
                self._listener.close()
            self._listener = None
            for each in tuple(self._pairs):
                each.close()
            self._pairs.clear()

    def swallow(self) -> None:
        """Drops all data without closing a connection."""
        with self._lock:
            self._forwards = False

    def restore(self) -> None:
        """Forwards new connections again; the old ones stay open and dead."""
        with self._lock:
            if not self._forwards:
                self._lost += self._pairs
                self._pairs.clear()
            self._forwards = True
            if self._listener is None:
                self._listen()

    def _listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self._listener.setblocking(False)
        self.port = int(self._listener.getsockname()[1])

    def _serve(self) -> None:
        while not self._ended:
            with self._lock, selectors.DefaultSelector() as selector:
                sources = [each for each in (self._listener, *self._pairs) if each is not None]
                for each in sources if self._forwards else ():
                    selector.register(each, selectors.EVENT_READ)
                found = selector.select(0)
                for key, _ in found:
                    self._pass_on(key.fileobj)  # type: ignore[arg-type]
            if not found:
                self._rest(sources)

    def _rest(self, sources: list[socket.socket]) -> None:
        """Waits for the next bytes; during a cut, for a fixed time."""
        with selectors.DefaultSelector() as selector:
            for each in sources if self._forwards else ():
                if each.fileno() >= 0:
                    selector.register(each, selectors.EVENT_READ)
            selector.select(_LOOK_SECONDS)

    def _pass_on(self, source: socket.socket) -> None:
        if source is self._listener:
            self._accept(source)
        elif source in self._pairs:
            try:
                data = source.recv(_CHUNK)
                self._pairs[source].sendall(data)
            except OSError:
                data = b""
            if not data:
                self._close(source)

    def _accept(self, listener: socket.socket) -> None:
        client, _ = listener.accept()
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self._upstream)
        except OSError:
            client.close()
            server.close()
            return
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pairs |= {client: server, server: client}

    def _close(self, one: socket.socket) -> None:
        other = self._pairs.pop(one)
        self._pairs.pop(other, None)
        one.close()
        other.close()
