"""An S3-compatible store on this machine, for the files of tests: moto's server, which can be stopped and can refuse.

One serves a whole run of tests; each test has a bucket of its own.
"""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

KEY, SECRET = "key-of-tests", "secret/of+tests-d41f"
ERROR = "<?xml version='1.0'?><Error><Code>{}</Code><Message>Because the test says so.</Message></Error>"
WRITES = ("PUT", "POST")


class Quiet(WSGIRequestHandler):
    """Logs nothing."""

    def log(self, *args: Any) -> None:
        """Say nothing."""


class Store:
    """The server. `asked` are the requests that it got: method and path, with the range where one was asked for."""

    def __init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server: BaseWSGIServer | None = None
        self.port = 0
        self.asked: list[tuple[str, str, str]] = []
        self._refusal: tuple[str, str] | None = None
        self._refused: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve, where it served before."""
        self._server = make_server("127.0.0.1", self.port, self._answer, threaded=True, request_handler=Quiet)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Serve no longer; what is in it stays."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Do not serve while the body runs."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextlib.contextmanager
    def refusing(self, status: str, code: str, methods: tuple[str, ...] = WRITES) -> Iterator[None]:
        """Answer requests of these methods with a refusal while the body runs."""
        self._refusal, self._refused = (status, code), methods
        try:
            yield
        finally:
            self._refusal = None

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        self.asked.append((method, environ["PATH_INFO"], environ.get("HTTP_RANGE", "")))
        if self._refusal and method in self._refused:
            status, code = self._refusal
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response(status, [("Content-Type", "application/xml")])
            return [ERROR.format(code).encode()]
        return self._app(environ, start_response)


class Bucket:
    """A bucket of the store: its address as STORAGE_URL, and what is in it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.name = f"uploads-{uuid4().hex}"
        self.url = self.url_with(self.name)
        self.client = boto3.client(
            "s3",
            endpoint_url=store.address,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )
        self.client.create_bucket(Bucket=self.name)

    def url_with(self, name: str, port: int = 0) -> str:
        """The address of a bucket of that name, there or at another port."""
        endpoint = f"http://127.0.0.1:{port or self.store.port}"
        return f"s3://{KEY}:{quote(SECRET, safe='')}@{name}/audience?endpoint={endpoint}&region=us-east-1"

    def names(self) -> list[str]:
        """The names of all files in it, below the folder of the address."""
        found = self.client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return [file["Key"].removeprefix("audience/") for file in found]
