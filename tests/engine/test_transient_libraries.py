"""What the real libraries raise, when a real server misbehaves, is told apart as their users would."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import http.server
import os
import shutil
import socket
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from durable_nb.engine.transient import is_transient, retry_after

pytestmark = pytest.mark.long

NEEDED = ["aiohttp", "anthropic", "boto3", "botocore", "httpx", "openai", "requests", "tenacity", "urllib3"]
for _name in NEEDED:
    pytest.importorskip(_name, reason="pip install durable-nb[clients]")

import aiohttp  # noqa: E402 - see above
import anthropic  # noqa: E402
import botocore.config  # noqa: E402
import botocore.exceptions  # noqa: E402
import botocore.session  # noqa: E402
import httpx  # noqa: E402
import openai  # noqa: E402
import requests  # noqa: E402
import requests.adapters  # noqa: E402
import tenacity  # noqa: E402
import urllib3  # noqa: E402

TIMEOUT, CONNECTION = "a timeout", "a connection error"
PATIENCE = 0.5
"""Seconds that clients wait for an answer; the server never answers before they gave up."""

NOW = 1_792_567_680.0
DATE = email.utils.formatdate(NOW + 30, usegmt=True)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers what the first part of the path says."""

    server: Server

    def do_GET(self) -> None:
        situation, *more = self.path.strip("/").split("/")[0].split("-")
        if situation == "hang":
            self.server.over.wait()
        elif situation == "cut":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"{")
        elif situation != "close":
            self.send_response(int(situation))
            for header in more:
                self.send_header(*{"in7": ("Retry-After", "7"), "on": ("Retry-After", DATE)}[header])
            body = b"{}" if situation != "429" or more else QUOTA.encode()
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_: object) -> None: ...


QUOTA = '{"error": {"message": "no", "type": "insufficient_quota", "code": "insufficient_quota"}}'


class Server(http.server.ThreadingHTTPServer):
    """Threads are waited for at the end, so that nothing is left open."""

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.over = threading.Event()
        """nobody waits for an answer any more"""

    def handle_error(self, *_: object) -> None:
        """A client that does not trust us hangs up."""


@contextlib.contextmanager
def serving(server: Server) -> Iterator[str]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def plain() -> Iterator[str]:
    with serving(Server()) as address:
        yield f"http://{address}"


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose certificate nobody vouches for."""
    folder = tmp_path_factory.mktemp("certificate")
    openssl = shutil.which("openssl")
    assert openssl, "needs the program openssl"
    command = f"{openssl} req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1 -keyout key -out cert"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert", folder / "key")
    server = Server()
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with serving(server) as address:
        yield f"https://{address}"


@pytest.fixture(scope="module")
def refusing() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return f"http://127.0.0.1:{closed.getsockname()[1]}"


@pytest.fixture(autouse=True)
def _at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No proxies, no settings of the user."""
    for name in os.environ:
        if name.lower().endswith("_proxy") or name.startswith(("AWS_", "OPENAI_", "ANTHROPIC_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def with_requests(base: str, situation: str) -> None:
    with requests.get(f"{base}/{situation}", timeout=PATIENCE) as response:
        response.raise_for_status()


def with_httpx(base: str, situation: str) -> None:
    with httpx.Client(timeout=PATIENCE) as client:
        client.get(f"{base}/{situation}").raise_for_status()


def with_httpx_async(base: str, situation: str) -> None:
    async def get() -> None:
        async with httpx.AsyncClient(timeout=PATIENCE) as client:
            (await client.get(f"{base}/{situation}")).raise_for_status()

    asyncio.run(get())


class AnswerError(Exception):
    """What users of urllib3, which does not raise for a status, write."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        super().__init__(f"the server says {response.status}")
        self.response = response


def with_urllib3(base: str, situation: str) -> None:
    with urllib3.PoolManager(retries=False, timeout=PATIENCE) as pool:
        response = pool.request("GET", f"{base}/{situation}")
        if response.status >= 400:
            raise AnswerError(response)


def with_urllib3_retrying(base: str, situation: str) -> None:
    retries = urllib3.Retry(1, backoff_factor=0, respect_retry_after_header=False)
    with urllib3.PoolManager(retries=retries, timeout=PATIENCE) as pool:
        response = pool.request("GET", f"{base}/{situation}")
        if response.status >= 400:
            raise AnswerError(response)


def with_urllib(base: str, situation: str) -> None:
    try:
        with urllib.request.urlopen(f"{base}/{situation}", timeout=PATIENCE) as response:  # noqa: S310
            response.read()
    except urllib.error.HTTPError as error:
        error.close()
        raise


def with_aiohttp(base: str, situation: str) -> None:
    async def get() -> None:
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        async with (
            aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as client,
            client.get(f"{base}/{situation}") as response,
        ):
            await response.read()

    asyncio.run(get())


def with_aiohttp_waiting_for_bytes(base: str, situation: str) -> None:
    async def get() -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=PATIENCE, sock_read=PATIENCE)
        async with (
            aiohttp.ClientSession(timeout=timeout) as client,
            client.get(f"{base}/{situation}") as response,
        ):
            response.raise_for_status()
            await response.read()

    asyncio.run(get())


def with_botocore(base: str, situation: str) -> None:
    config = botocore.config.Config(
        connect_timeout=PATIENCE,
        read_timeout=PATIENCE,
        retries={"total_max_attempts": 1},
        s3={"addressing_style": "path"},
    )
    client = botocore.session.Session().create_client(
        "s3",
        "eu-central-1",
        endpoint_url=base,
        config=config,
        aws_access_key_id="a",
        aws_secret_access_key="b",  # noqa: S106 - of nobody
    )
    with contextlib.closing(client), client.get_object(Bucket=situation, Key="key")["Body"] as body:
        body.read()


def with_openai(base: str, situation: str) -> None:
    with openai.OpenAI(
        api_key="a", base_url=f"{base}/{situation}", max_retries=0, timeout=PATIENCE
    ) as client:
        client.models.list()


def with_openai_async(base: str, situation: str) -> None:
    async def get() -> None:
        async with openai.AsyncOpenAI(
            api_key="a", base_url=f"{base}/{situation}", max_retries=0, timeout=PATIENCE
        ) as client:
            await client.models.list()

    asyncio.run(get())


def with_anthropic(base: str, situation: str) -> None:
    with anthropic.Anthropic(
        api_key="a", base_url=f"{base}/{situation}", max_retries=0, timeout=PATIENCE
    ) as client:
        client.models.list()


Client = Callable[[str, str], None]

CLIENTS: list[Client] = [
    with_requests,
    with_httpx,
    with_httpx_async,
    with_urllib3,
    with_urllib3_retrying,
    with_urllib,
    with_aiohttp,
    with_aiohttp_waiting_for_bytes,
    with_botocore,
    with_openai,
    with_openai_async,
    with_anthropic,
]
each_client = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)


def raised(client: Client, base: str, situation: str = "200") -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whichever the library has
        client(base, situation)
    return caught.value


@each_client
@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504, 529])
def test_a_status_that_passes_is_tried_again(plain: str, client: Client, status: int) -> None:
    error = raised(client, plain, str(status))
    assert is_transient(error) == f"HTTP {status}"
    assert retry_after(error, NOW) is None


@each_client
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 501, 505])
def test_a_status_that_stays_is_not(plain: str, client: Client, status: int) -> None:
    assert is_transient(raised(client, plain, str(status))) is None


@each_client
@pytest.mark.parametrize(
    ("situation", "wait"), [("429-in7", 7), ("503-in7", 7), ("429-on", 30), ("503-on", 30)]
)
def test_the_server_says_how_long_to_wait(plain: str, client: Client, situation: str, wait: float) -> None:
    error = raised(client, plain, situation)
    assert is_transient(error) == f"HTTP {situation[:3]}"
    assert retry_after(error, NOW) == wait


@each_client
def test_a_server_that_hangs_is_tried_again(plain: str, client: Client) -> None:
    assert is_transient(raised(client, plain, "hang")) == TIMEOUT


@each_client
def test_a_server_that_hangs_up_is_tried_again(plain: str, client: Client) -> None:
    assert is_transient(raised(client, plain, "close")) == CONNECTION


@each_client
def test_an_answer_that_breaks_off_is_tried_again(plain: str, client: Client) -> None:
    assert is_transient(raised(client, plain, "cut")) == CONNECTION


@each_client
def test_a_closed_port_is_tried_again(refusing: str, client: Client) -> None:
    assert is_transient(raised(client, refusing)) == CONNECTION


@each_client
def test_a_certificate_that_nobody_vouches_for_is_not(self_signed: str, client: Client) -> None:
    assert is_transient(raised(client, self_signed)) is None


@each_client
def test_a_server_without_encryption_is_not(plain: str, client: Client) -> None:
    assert is_transient(raised(client, plain.replace("http:", "https:"))) is None


@each_client
@pytest.mark.parametrize(("number", "expected"), [(socket.EAI_AGAIN, CONNECTION), (socket.EAI_NONAME, None)])
def test_a_name_is_asked_for_again_only_if_nobody_could_answer(
    client: Client, monkeypatch: pytest.MonkeyPatch, number: int, expected: str | None
) -> None:
    def getaddrinfo(*_: object, **__: object) -> Any:
        raise socket.gaierror(number, "no")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert is_transient(raised(client, "http://nowhere.example")) == expected


@pytest.mark.parametrize("client", [with_openai, with_openai_async, with_anthropic], ids=lambda c: c.__name__)
def test_a_quota_that_is_used_up_is_not_tried_again(plain: str, client: Client) -> None:
    error = raised(client, plain, "429")
    assert isinstance(error, openai.RateLimitError | anthropic.RateLimitError)
    assert is_transient(error) is None


@pytest.mark.parametrize(("status", "expected"), [(503, "HTTP 503"), (404, None)])
def test_the_adapter_of_requests_that_gave_up_is_tried_again(
    plain: str, status: int, expected: str | None
) -> None:
    retries = urllib3.Retry(1, backoff_factor=0, status_forcelist=[status])

    def client(base: str, situation: str) -> None:
        with requests.Session() as session:
            session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retries))
            session.get(f"{base}/{situation}", timeout=PATIENCE)

    error = raised(client, plain, str(status))
    assert isinstance(error, requests.exceptions.RetryError)
    assert is_transient(error) == expected


@pytest.mark.parametrize(
    ("situation", "expected"), [("503", "HTTP 503"), ("404", None), ("close", CONNECTION)]
)
def test_tenacity_that_gave_up_is_looked_through(plain: str, situation: str, expected: str | None) -> None:
    error = raised(tenacity.retry(stop=tenacity.stop_after_attempt(2))(with_httpx), plain, situation)
    assert isinstance(error, tenacity.RetryError)
    assert is_transient(error) == expected


def test_an_exception_group_of_a_task_group_is_looked_through(plain: str) -> None:
    def client(base: str, situation: str) -> None:
        async def get(name: str) -> None:
            async with httpx.AsyncClient(timeout=PATIENCE) as web:
                (await web.get(f"{base}/{name}")).raise_for_status()

        async def both() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(get(situation))

        asyncio.run(both())

    assert is_transient(raised(client, plain, "503")) == "HTTP 503"
    assert is_transient(raised(client, plain, "404")) is None


@pytest.mark.parametrize("code", ["SlowDown", "ThrottlingException", "RequestTimeout"])
def test_a_code_of_botocore_counts_more_than_its_status(code: str) -> None:
    told = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    assert is_transient(botocore.exceptions.ClientError(told, "GetObject")) == code


def test_a_class_is_asked_for_under_any_of_its_names(plain: str) -> None:
    error = raised(with_requests, plain, "404")
    for name in (
        "requests.HTTPError",
        "requests.exceptions.HTTPError",
        "HTTPError",
        "requests.RequestException",
    ):
        assert is_transient(error, [name]) == "asked for by --retry-on"
    for name in ("requests.Timeout", "httpx.HTTPStatusError", "urllib.error.HTTPError"):
        assert is_transient(error, [name]) is None
