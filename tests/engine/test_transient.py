"""An error is tried again when it may be gone the next time, and never when it cannot be."""

from __future__ import annotations

import asyncio
import copy
import email.message
import email.utils
import errno
import http
import http.client
import json
import socket
import ssl
import subprocess
import sys
import urllib.error
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_nb.engine.transient import is_transient, retry_after
from durable_nb.errors import FatalError, NodeTimeoutError, TransientError, UsageError

TIMEOUT, CONNECTION, RATE = "a timeout", "a connection error", "rate limit"
NOW = 1_792_567_680.0


def made(path: str, *bases: type, **attributes: Any) -> Any:
    """A class like a library's."""
    module, _, name = path.rpartition(".")
    return type(name, bases or (Exception,), {"__module__": module, **attributes})


def having(error: BaseException, **attributes: Any) -> Any:
    vars(error).update(attributes)
    return error


def caused(error: BaseException, cause: BaseException | None) -> BaseException:
    """A copy of the error, raised from the cause."""
    error = copy.copy(error)
    try:
        raise error from cause
    except BaseException as raised:
        return raised


def during(context: BaseException, error: BaseException) -> BaseException:
    """A copy of the error, raised while another was handled."""
    error = copy.copy(error)
    try:
        try:
            raise context
        finally:
            raise error
    except BaseException as raised:
        return raised


def answered(status: Any, name: str = "status_code", **headers: str) -> Any:
    """An error with a response."""
    renamed = {key.replace("_", "-"): value for key, value in headers.items()}
    return having(Exception("no"), response=SimpleNamespace(**{name: status}, headers=renamed))


def http_error(status: int, headers: Mapping[str, str] | None = None) -> urllib.error.HTTPError:
    message = email.message.Message()
    for name, value in (headers or {}).items():
        message[name] = value
    return urllib.error.HTTPError("http://x", status, "no", message, None)


def botocore_error(code: str, status: int | None, **headers: str) -> Exception:
    meta = {"HTTPStatusCode": status, "HTTPHeaders": {k.replace("_", "-"): v for k, v in headers.items()}}
    response = {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": meta if status else {}}
    return having(made("botocore.exceptions.ClientError")("no"), response=response)


def openai_error(status: int, code: str) -> Exception:
    base = made("openai.APIStatusError", made("openai.APIError"))
    cls = made("openai.RateLimitError" if status == 429 else "openai.InternalServerError", base)
    body = {"error": {"message": "no", "type": code, "code": code}}
    response = SimpleNamespace(status_code=status, headers={})
    return having(cls(f"Error code: {status} - {body}"), status_code=status, code=code, response=response)


NETWORK = [
    ConnectionError(),
    ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
    ConnectionResetError(errno.ECONNRESET, "reset"),
    ConnectionAbortedError(),
    BrokenPipeError(),
    OSError(errno.ENETUNREACH, "Network is unreachable"),
    OSError(errno.EHOSTUNREACH, "No route to host"),
    OSError(
        "Multiple exceptions: [Errno 111] Connect call failed ('::1', 1), [Errno 111] Connect call failed"
    ),
    socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
    http.client.RemoteDisconnected("Remote end closed connection without response"),
    http.client.IncompleteRead(b"", 10),
    ssl.SSLEOFError(8, "EOF occurred in violation of protocol"),
    ssl.SSLZeroReturnError(6, "closed"),
    urllib.error.URLError(ConnectionRefusedError()),
    urllib.error.ContentTooShortError("short", (b"", None)),  # type: ignore[arg-type]
]

TIMEOUTS = [
    TimeoutError(),
    OSError(errno.ETIMEDOUT, "Connection timed out"),
    TimeoutError("_ssl.c:1011: The handshake operation timed out"),
    ssl.SSLError("The read operation timed out"),
    urllib.error.URLError(TimeoutError("timed out")),
    NodeTimeoutError("took longer than 1 s"),
]

HOPELESS = [
    socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
    socket.gaierror(socket.EAI_FAIL, "Non-recoverable failure in name resolution"),
    ssl.SSLCertVerificationError(1, "certificate verify failed"),
    ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"),
    OSError(errno.ENOSPC, "No space left on device"),
]

OTHERS = [
    ValueError("no"),
    RuntimeError("no"),
    OSError("no"),
    FileNotFoundError(errno.ENOENT, "no"),
    PermissionError(errno.EACCES, "no"),
    ZeroDivisionError(),
    EOFError(),
    StopIteration(),
    json.JSONDecodeError("no", "", 0),
    subprocess.CalledProcessError(503, "x"),
    urllib.error.URLError("unknown url type: foo"),
    urllib.error.URLError(socket.gaierror(socket.EAI_NONAME, "no")),
    urllib.error.URLError(ssl.SSLCertVerificationError(1, "no")),
    UsageError("no"),
    http.client.InvalidURL("no"),
]

NEVER = [
    SyntaxError("rate limit"),
    IndentationError(),
    NameError("rate limit"),
    UnboundLocalError(),
    TypeError("rate limit"),
    KeyError("rate limit"),
    AttributeError("rate limit"),
    ImportError("rate limit"),
    ModuleNotFoundError(),
    AssertionError("rate limit"),
    MemoryError(),
    OSError(errno.ENOSPC, "rate limit"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
]

ABSOLUTELY_NEVER = [
    KeyboardInterrupt(),
    SystemExit(503),
    GeneratorExit(),
    asyncio.CancelledError(),
    FatalError("no"),
]


def named(error: BaseException) -> str:
    return repr(error)[:60]


@pytest.mark.parametrize("error", NETWORK, ids=named)
def test_a_failing_network_is_tried_again(error: BaseException) -> None:
    assert is_transient(error) == CONNECTION


@pytest.mark.parametrize("error", TIMEOUTS, ids=named)
def test_a_timeout_is_tried_again(error: BaseException) -> None:
    assert is_transient(error) == TIMEOUT


@pytest.mark.parametrize("error", [*HOPELESS, *OTHERS], ids=named)
def test_what_time_does_not_mend_is_not_tried_again(error: BaseException) -> None:
    assert is_transient(error) is None


@pytest.mark.parametrize("error", [*NEVER, *ABSOLUTELY_NEVER], ids=named)
@pytest.mark.parametrize("chained", [caused, lambda error, cause: during(cause, error)])
def test_a_mistake_is_not_tried_again_whatever_it_was_raised_from(error: BaseException, chained: Any) -> None:
    for cause in (ConnectionError(), TransientError(), answered(503)):
        assert is_transient(chained(error, cause)) is None
        assert is_transient(caused(RuntimeError("no"), error)) is None


OF_AIOHTTP = made("aiohttp.client_exceptions.ClientConnectionError")


@pytest.mark.parametrize(
    ("path", "bases", "expected"),
    [
        ("requests.exceptions.ConnectionError", (OSError,), CONNECTION),
        ("requests.exceptions.ChunkedEncodingError", (OSError,), CONNECTION),
        ("requests.exceptions.Timeout", (OSError,), TIMEOUT),
        ("requests.exceptions.ConnectTimeout", (made("requests.exceptions.ConnectionError"),), TIMEOUT),
        ("requests.exceptions.InvalidURL", (OSError, ValueError), None),
        ("requests.exceptions.TooManyRedirects", (OSError,), None),
        ("httpx.TimeoutException", (), TIMEOUT),
        ("httpx.NetworkError", (), CONNECTION),
        ("httpx.RemoteProtocolError", (), CONNECTION),
        ("httpx.LocalProtocolError", (), None),
        ("httpx.UnsupportedProtocol", (), None),
        ("httpx2.TimeoutException", (), TIMEOUT),
        ("httpx2.NetworkError", (), CONNECTION),
        ("httpx2.RemoteProtocolError", (), CONNECTION),
        ("httpcore.TimeoutException", (), TIMEOUT),
        ("httpcore.NetworkError", (), CONNECTION),
        ("httpcore.RemoteProtocolError", (), CONNECTION),
        ("httpcore2.TimeoutException", (), TIMEOUT),
        ("httpcore2.NetworkError", (), CONNECTION),
        ("httpcore2.RemoteProtocolError", (), CONNECTION),
        ("urllib3.exceptions.TimeoutError", (), TIMEOUT),
        ("urllib3.exceptions.NewConnectionError", (made("urllib3.exceptions.TimeoutError"),), CONNECTION),
        ("urllib3.exceptions.ProtocolError", (), CONNECTION),
        ("urllib3.exceptions.ProxyError", (), CONNECTION),
        ("urllib3.exceptions.MaxRetryError", (), None),
        ("urllib3.exceptions.LocationParseError", (ValueError,), None),
        ("aiohttp.client_exceptions.ClientConnectionError", (), CONNECTION),
        ("aiohttp.client_exceptions.ClientPayloadError", (), CONNECTION),
        ("aiohttp.client_exceptions.ServerTimeoutError", (OF_AIOHTTP, asyncio.TimeoutError), TIMEOUT),
        ("aiohttp.client_exceptions.ServerFingerprintMismatch", (OF_AIOHTTP,), None),
        ("aiohttp.client_exceptions.InvalidURL", (ValueError,), None),
        ("botocore.exceptions.ConnectionError", (), CONNECTION),
        ("botocore.exceptions.ConnectTimeoutError", (), TIMEOUT),
        ("botocore.exceptions.ReadTimeoutError", (), TIMEOUT),
        ("botocore.exceptions.ConnectionClosedError", (), CONNECTION),
        ("botocore.exceptions.ResponseStreamingError", (), CONNECTION),
        ("botocore.exceptions.IncompleteReadError", (), CONNECTION),
        ("botocore.exceptions.NoCredentialsError", (), None),
        ("openai.APIConnectionError", (), CONNECTION),
        ("openai.APITimeoutError", (made("openai.APIConnectionError"),), TIMEOUT),
        ("openai.RateLimitError", (), RATE),
        ("openai.InternalServerError", (), "a server error"),
        ("openai.BadRequestError", (), None),
        ("anthropic.APIConnectionError", (), CONNECTION),
        ("anthropic.APITimeoutError", (), TIMEOUT),
        ("anthropic.RateLimitError", (), RATE),
        ("anthropic.InternalServerError", (), "a server error"),
        ("groq.APIConnectionError", (), CONNECTION),
        ("mine.ConnectionError", (), None),
        ("mine.Timeout", (), None),
        ("requestsish.exceptions.ConnectionError", (), None),
    ],
)
def test_the_errors_of_libraries_are_known_by_name(
    path: str, bases: tuple[type, ...], expected: str | None
) -> None:
    cls = made(path, *bases)
    assert is_transient(cls("no")) == expected
    assert is_transient(made("mine.Own", cls)("no")) == expected


SSL_WRAPPERS = [
    made("requests.exceptions.SSLError", made("requests.exceptions.ConnectionError", OSError)),
    made("urllib3.exceptions.SSLError"),
    made("botocore.exceptions.SSLError", made("botocore.exceptions.ConnectionError")),
    made("aiohttp.client_exceptions.ClientSSLError", made("aiohttp.client_exceptions.ClientConnectionError")),
]
CONNECTION_WRAPPERS = [
    made("requests.exceptions.ConnectionError", OSError),
    made("httpx.ConnectError", made("httpx.NetworkError")),
    made("urllib3.exceptions.NewConnectionError"),
    made(
        "aiohttp.client_exceptions.ClientConnectorError",
        made("aiohttp.client_exceptions.ClientConnectionError"),
    ),
    made("botocore.exceptions.EndpointConnectionError", made("botocore.exceptions.ConnectionError")),
    made("openai.APIConnectionError"),
]


@pytest.mark.parametrize("cls", [*SSL_WRAPPERS, *CONNECTION_WRAPPERS], ids=repr)
@pytest.mark.parametrize("cause", HOPELESS, ids=named)
def test_a_connection_error_because_of_a_certificate_or_a_name_is_not_tried_again(
    cls: Any, cause: BaseException
) -> None:
    between = made("urllib3.exceptions.MaxRetryError")("no")
    assert is_transient(caused(cls("no"), cause)) is None
    assert is_transient(during(cause, cls("no"))) is None
    assert is_transient(during(caused(between, cause), cls("no"))) is None
    assert is_transient(during(having(between, reason=cause), cls("no"))) is None


@pytest.mark.parametrize("cls", SSL_WRAPPERS, ids=repr)
def test_encryption_that_broke_off_is_tried_again(cls: Any) -> None:
    assert is_transient(cls("no")) is None
    assert is_transient(caused(cls("no"), ssl.SSLEOFError(8, "EOF"))) == CONNECTION
    assert is_transient(caused(cls("no"), TimeoutError("The handshake operation timed out"))) == TIMEOUT


def test_a_connection_error_while_something_else_was_handled_is_tried_again() -> None:
    for handled in (KeyError("not cached"), answered(404), ValueError(), FatalError("no")):
        assert (
            is_transient(during(handled, made("requests.exceptions.ConnectionError", OSError)()))
            == CONNECTION
        )


PASSING = [408, 425, 429, 500, 502, 503, 504, 506, 507, 508, 509, 510, 511, 520, 522, 524, 529, 599]
LASTING = [400, 401, 403, 404, 405, 407, 409, 410, 413, 422, 423, 424, 426, 428, 431, 451, 499, 501, 505]
NEITHER = [-1, 0, 100, 200, 204, 301, 302, 304, 399, 600, 999]


@pytest.mark.parametrize("status", [*PASSING, *LASTING, *NEITHER])
def test_the_status_of_the_response_decides(status: int) -> None:
    expected = f"HTTP {status}" if status in PASSING else None
    own = [having(Exception("no"), **{name: status}) for name in ("status_code", "status", "code")]
    told = [http_error(status), botocore_error("Other", status), answered(status), answered(status, "status")]
    for error in (*own, *told):
        assert is_transient(error) == expected
        assert is_transient(caused(ValueError("no"), error)) == expected
        error.__context__ = ConnectionError()
        assert is_transient(error) == (CONNECTION if status in NEITHER else expected)
    assert is_transient(answered(http.HTTPStatus.BAD_GATEWAY)) == "HTTP 502"


def test_a_status_counts_more_than_a_class_or_a_message() -> None:
    assert is_transient(having(made("anthropic.InternalServerError")(), status_code=501)) is None
    assert is_transient(having(made("openai.RateLimitError")("rate limit"), status_code=402)) is None
    assert is_transient(having(ValueError("no rate limit"), status_code=400)) is None


def test_a_falsy_response_is_a_response() -> None:
    response = type("Response", (), {"status_code": 503, "headers": {}, "__bool__": lambda _: False})()
    assert is_transient(having(Exception(), response=response)) == "HTTP 503"


@pytest.mark.filterwarnings("error")
def test_a_deprecated_attribute_is_not_touched() -> None:
    def code(_: object) -> int:
        raise AssertionError("was read")

    cls = made("aiohttp.client_exceptions.ClientResponseError", code=property(code))
    assert is_transient(having(cls(), status=503)) == "HTTP 503"
    assert is_transient(having(cls(), status=0)) is None


@pytest.mark.parametrize(
    "code",
    [
        "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "SlowDown",
        "RequestThrottledException", "TooManyRequestsException", "ProvisionedThroughputExceededException",
        "TransactionInProgressException", "RequestLimitExceeded", "BandwidthLimitExceeded",
        "LimitExceededException", "PriorRequestNotComplete", "EC2ThrottledException", "RequestTimeout",
        "RequestTimeoutException", "ServiceUnavailable", "InternalError", "serviceUnavailableException",
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", [400, 503, None])
def test_the_code_of_an_aws_service_counts_more_than_its_status(code: str, status: int | None) -> None:
    assert is_transient(botocore_error(code, status)) == code


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchKey", "ExpiredToken", "RequestTimeTooSkewed", "404"])
def test_other_codes_of_aws_services_are_left_to_the_status(code: str) -> None:
    assert is_transient(botocore_error(code, 403)) is None
    assert is_transient(botocore_error(code, None)) is None
    assert is_transient(botocore_error(code, 500)) == "HTTP 500"


@pytest.mark.parametrize(
    "text",
    [
        "rate limit", "Rate Limit reached for gpt", "RATE LIMIT", "rate-limit", "ratelimit",
        "rate_limit_error", "RateLimitExceeded", "ApiRateLimit", "API rate limits", "Too Many Requests",
        "429 too many requests",
    ],
)  # fmt: skip
def test_a_message_that_speaks_of_a_rate_limit_is_tried_again(text: str) -> None:
    assert is_transient(RuntimeError(text)) == RATE
    assert is_transient(TypeError(text)) is None
    assert is_transient(answered(429)) == "HTTP 429"


@pytest.mark.parametrize("text", ["a separate limit", "accurate limits", "rate of limiting", "the limit", ""])
def test_other_limits_are_not(text: str) -> None:
    assert is_transient(RuntimeError(text)) is None


@pytest.mark.parametrize("code", ["insufficient_quota", "enforced_spend_limit_reached"])
def test_a_quota_that_is_used_up_is_not_tried_again(code: str) -> None:
    assert is_transient(openai_error(429, "rate_limit_exceeded")) == "HTTP 429"
    assert is_transient(openai_error(429, code)) is None
    assert is_transient(caused(RuntimeError("no"), openai_error(429, code))) is None
    assert is_transient(having(made("openai.RateLimitError")("no"), code=code, status_code=429)) is None
    assert is_transient(RuntimeError(f"rate limit: {code}")) is None


def test_the_retries_of_urllib3_that_gave_up_tell_the_status() -> None:
    for status, expected in ((503, "HTTP 503"), (404, None)):
        reason = made("urllib3.exceptions.ResponseError")(f"too many {status} error responses")
        error = having(made("urllib3.exceptions.MaxRetryError")("no"), reason=reason)
        assert is_transient(during(error, made("requests.exceptions.RetryError", OSError)("no"))) == expected
    assert is_transient(made("urllib3.exceptions.ResponseError")("too many redirects")) is None


def test_what_an_error_carries_is_looked_at() -> None:
    lost = made("boto3.exceptions.RetriesExceededError")("no")
    assert is_transient(having(lost, last_exception=TimeoutError())) == TIMEOUT
    assert is_transient(caused(RuntimeError("no", TimeoutError()), None)) == TIMEOUT
    carrying = made("httpcore.ConnectError", made("httpcore.NetworkError"))
    assert is_transient(caused(carrying(ConnectionRefusedError()), None)) == CONNECTION
    for cause in HOPELESS:
        assert is_transient(caused(carrying(cause), None)) is None


class FlakyError(TransientError):
    """What a notebook defines."""


class BrokenError(FatalError):
    """What a notebook defines."""


def test_a_transient_error_is_always_tried_again() -> None:
    both = type("Both", (TransientError, KeyError), {})
    for error in (TransientError("no"), FlakyError("no"), both("no"), caused(FlakyError(), TypeError())):
        assert is_transient(error) == "TransientError"
        assert is_transient(caused(ValueError(), error)) == "TransientError"


def test_a_fatal_error_is_never_tried_again() -> None:
    for cls in (FatalError, BrokenError):
        for error in (
            caused(cls("no"), ConnectionError()),
            caused(TransientError("no"), cls("no")),
            caused(ConnectionError(), caused(ValueError(), cls("no"))),
            caused(ConnectionError(), ExceptionGroup("no", [cls("no")])),
            during(cls("no"), RuntimeError("no")),
        ):
            assert is_transient(error) is None
    assert is_transient(type("Both", (TransientError, FatalError), {})("no")) is None
    assert is_transient(during(FatalError("no"), ConnectionError())) == CONNECTION


def test_a_timeout_that_asyncio_made_of_a_cancellation_is_a_timeout() -> None:
    async def slow() -> None:
        async with asyncio.timeout(0):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError) as caught:
        asyncio.run(slow())
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)
    assert is_transient(caught.value) == TIMEOUT


class TestChains:
    def test_what_an_error_was_raised_from_decides(self) -> None:
        assert is_transient(caused(ValueError(), answered(503))) == "HTTP 503"
        assert is_transient(caused(RuntimeError(), caused(OSError(), TimeoutError()))) == TIMEOUT
        assert is_transient(during(ConnectionError(), RuntimeError())) == CONNECTION

    def test_a_cause_counts_and_not_what_was_being_handled(self) -> None:
        error = caused(RuntimeError(), ValueError())
        error.__context__ = ConnectionError()
        assert is_transient(error) is None

    def test_from_none_hides_what_was_being_handled(self) -> None:
        error = caused(RuntimeError(), None)
        error.__context__ = ConnectionError()
        assert is_transient(error) is None

    def test_the_nearest_that_says_anything_decides(self) -> None:
        assert is_transient(caused(answered(404), ConnectionError())) is None
        assert is_transient(caused(answered(503), answered(404))) == "HTTP 503"
        assert is_transient(caused(ValueError(), caused(KeyError(), ConnectionError()))) is None

    def test_circles_end(self) -> None:
        one, two = ValueError(1), ValueError(2)
        one.__cause__, two.__cause__ = two, one
        three = ValueError(3)
        three.__context__ = three
        for error in (one, two, three):
            assert is_transient(error) is None
            assert is_transient(error, ["KeyError"]) is None
            assert retry_after(error, NOW) is None
        two.__cause__ = TimeoutError()
        assert is_transient(one) == TIMEOUT

    def test_a_group_in_its_own_leaf_ends(self) -> None:
        leaf = ValueError()
        group = ExceptionGroup("no", [leaf, TimeoutError()])
        leaf.__cause__ = group
        for error in (leaf, group, caused(RuntimeError(), group)):
            assert is_transient(error) is None
            assert retry_after(error, NOW) is None

    def test_long_ones_are_walked(self) -> None:
        error: BaseException = TimeoutError()
        for _ in range(5_000):
            outer = ValueError()
            outer.__cause__, error = error, outer
        assert is_transient(error) == TIMEOUT
        while (inner := error.__cause__) is not None:
            error.__cause__, error = None, inner  # freeing them in one go would recurse


class TestGroups:
    def test_every_leaf_has_to_be_transient(self) -> None:
        inner = ExceptionGroup("no", [TimeoutError(), caused(ValueError(), ConnectionError())])
        assert (
            is_transient(ExceptionGroup("no", [answered(503), inner]))
            == "HTTP 503, a timeout, a connection error"
        )
        assert is_transient(ExceptionGroup("no", [TimeoutError(), TimeoutError()])) == TIMEOUT
        for other in (ValueError(), KeyError(), answered(404), FatalError("no")):
            assert is_transient(ExceptionGroup("no", [TimeoutError(), ExceptionGroup("no", [other])])) is None

    def test_a_group_is_looked_through(self) -> None:
        group = ExceptionGroup("no", [TimeoutError(), ConnectionError()])
        assert is_transient(caused(RuntimeError(), group)) == "a timeout, a connection error"
        assert is_transient(caused(RuntimeError(), ExceptionGroup("no", [group, ValueError()]))) is None

    def test_its_causes_do_not_make_up_for_a_leaf(self) -> None:
        assert is_transient(caused(ExceptionGroup("no", [ValueError()]), ConnectionError())) is None

    def test_an_interrupt_among_the_leaves_is_an_interrupt(self) -> None:
        for stop in (KeyboardInterrupt(), SystemExit(), asyncio.CancelledError()):
            group = BaseExceptionGroup("no", [TimeoutError(), stop])
            assert is_transient(group) is None
            assert is_transient(group, ["BaseExceptionGroup", "BaseException"]) is None

    def test_leaves_may_share_a_cause(self) -> None:
        shared = ConnectionError()
        leaves = [caused(ValueError(n), shared) for n in range(3)]
        assert is_transient(BaseExceptionGroup("no", leaves)) == CONNECTION

    def test_deep_ones_are_walked(self) -> None:
        error: Exception = TimeoutError()
        for _ in range(500):
            error = ExceptionGroup("no", [error])
        assert is_transient(error) == TIMEOUT


class GateError(Exception):
    """What a notebook defines."""


class TestRetryOn:
    ASKED = "asked for by --retry-on"

    @pytest.mark.parametrize(
        ("error", "name"),
        [
            (GateError(), "GateError"),
            (GateError(), f"{__name__}.GateError"),
            (made("__main__.Other")(), "Other"),
            (made("__main__.Other")(), "__main__.Other"),
            (made("pkg.sub.Error")(), "pkg.sub.Error"),
            (made("mine.Own", made("pkg.sub.Error"))(), "pkg.sub.Error"),
            (ValueError(), "ValueError"),
            (ValueError(), "builtins.ValueError"),
            (json.JSONDecodeError("no", "", 0), "json.JSONDecodeError"),
            (json.JSONDecodeError("no", "", 0), "json.decoder.JSONDecodeError"),
            (json.JSONDecodeError("no", "", 0), "ValueError"),
            (ssl.SSLCertVerificationError(1, "no"), "ssl.CertificateError"),
            (TimeoutError(), "socket.timeout"),
            (answered(404), "Exception"),
            (KeyError(), "LookupError"),
            (OSError(errno.ENOSPC, "no"), "OSError"),
            (TypeError(), "TypeError"),
        ],
    )
    def test_a_class_that_the_user_names_is_tried_again(self, error: BaseException, name: str) -> None:
        for also in ([name], ["No", name], (name, "no.No")):
            assert is_transient(error, also) == self.ASKED
            assert is_transient(caused(RuntimeError(), error), also) == self.ASKED
            assert is_transient(caused(KeyError(), error), also) == self.ASKED
            assert is_transient(ExceptionGroup("no", [TimeoutError(), error, error]), also) is not None  # type: ignore[list-item]

    @pytest.mark.parametrize(
        "name", ["Other", "pkg.Error", "sub.Error", "pkg", "", ".", "pkg.sub.", ".Error", "no.Error"]
    )
    def test_other_classes_are_not(self, name: str) -> None:
        assert is_transient(made("pkg.sub.Error")(), [name]) is None

    def test_a_mistake_while_such_an_error_was_handled_is_a_mistake(self) -> None:
        assert is_transient(during(GateError(), KeyError()), ["GateError"]) is None
        assert is_transient(during(GateError(), RuntimeError()), ["GateError"]) == self.ASKED

    @pytest.mark.parametrize("error", ABSOLUTELY_NEVER, ids=named)
    def test_an_interrupt_and_a_fatal_error_cannot_be_asked_for(self, error: BaseException) -> None:
        also = ["BaseException", type(error).__name__, "Exception", "CancelledError", "TransientError"]
        assert is_transient(error, also) is None
        assert is_transient(caused(error, GateError()), [*also, "GateError"]) is None
        assert is_transient(caused(RuntimeError(), error), [type(error).__name__]) is None

    def test_a_fatal_error_among_the_causes_is_final_too(self) -> None:
        assert is_transient(caused(GateError(), FatalError("no")), ["GateError"]) is None


def raises(*_: object) -> Any:
    raise RuntimeError("strange")


STRANGE = [
    {
        name: property(raises)
        for name in ("response", "status_code", "status", "code", "headers", "retry_after")
    },
    {"__getattribute__": raises},
    {"__getattr__": raises},
    {"__str__": raises, "__repr__": raises},
    {"__class__": property(raises)},
    {
        "__cause__": property(raises),
        "__context__": property(raises),
        "__suppress_context__": property(raises),
    },
    {"__eq__": raises, "__hash__": None},
    {"__bool__": raises, "__len__": raises},
    {"__module__": None},
    {"__dict__": property(raises)},
    {
        "response": type(
            "Response", (), {"__getattr__": raises, "__getitem__": raises, "__class__": property(raises)}
        )()
    },
    {
        "response": {"Error": None, "ResponseMetadata": {"HTTPStatusCode": "503", "HTTPHeaders": 7}},
        "headers": 7,
    },
    {"response": [], "status_code": "503", "status": 503.0, "code": lambda: 503, "retry_after": "7"},
    {"headers": type("Headers", (), {"items": raises})(), "reason": 7, "last_exception": "no"},
    {"headers": {1: 2, None: None, b"retry-after": b"7"}},
]


@pytest.mark.parametrize("attributes", STRANGE, ids=" ".join)
def test_strange_errors_are_survived(attributes: dict[str, Any]) -> None:
    strange = type("Strange", (Exception,), attributes)
    error = strange("no")
    assert is_transient(error) is None
    assert is_transient(error, ["ValueError"]) is None
    assert is_transient(error, ["Strange"]) is not None
    assert retry_after(error, NOW) is None
    outer = RuntimeError("no")
    outer.__cause__ = error
    assert is_transient(outer) is None
    assert is_transient(ExceptionGroup("no", [error, TimeoutError()])) is None


@pytest.mark.parametrize("attribute", ["exceptions", "__getattribute__"])
def test_strange_groups_are_survived(attribute: str) -> None:
    strange = type("Strange", (ExceptionGroup,), {attribute: property(raises)})
    assert is_transient(strange("no", [TimeoutError()])) is None
    assert retry_after(strange("no", [TimeoutError()]), NOW) is None


def test_an_http_error_without_a_file_is_survived() -> None:
    assert is_transient(http_error(503)) == "HTTP 503"


def test_no_library_is_imported() -> None:
    code = """
import sys
from durable_nb.engine import transient
transient.is_transient(ValueError(), ["requests.ConnectionError", "openai.RateLimitError"])
libraries = {"requests", "httpx", "urllib3", "aiohttp", "botocore", "openai", "anthropic"}
print(sorted(libraries & sys.modules.keys()))
"""
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout == "[]\n"


UNKNOWN = st.builds(
    lambda cls: cls("no"),
    st.sampled_from([ValueError, RuntimeError, OSError, GateError, EOFError, Exception]),
)
FROM = st.sampled_from([caused, lambda error, cause: during(cause, error)])


class TestProperties:
    @given(
        st.sampled_from([*NETWORK, *TIMEOUTS, answered(503), FlakyError()]),
        st.lists(st.tuples(UNKNOWN, FROM), max_size=5),
    )
    def test_wrapping_changes_nothing(self, error: BaseException, layers: Any) -> None:
        outer = error
        for wrapper, chained in layers:
            outer = chained(wrapper, outer)
        assert is_transient(outer) == is_transient(error)

    @given(st.sampled_from(NEVER), st.lists(st.tuples(UNKNOWN, FROM), max_size=5), st.sampled_from(NETWORK))
    def test_a_mistake_on_the_way_ends_it(
        self, mistake: BaseException, layers: Any, cause: BaseException
    ) -> None:
        outer = caused(mistake, cause)
        for wrapper, chained in layers:
            outer = chained(wrapper, outer)
        assert is_transient(outer) is None

    @given(
        st.lists(st.sampled_from([*NETWORK, *TIMEOUTS, *OTHERS, *NEVER, *HOPELESS]), min_size=1, max_size=5)
    )
    def test_a_group_is_as_good_as_its_worst_leaf(self, leaves: list[Exception]) -> None:
        assert (is_transient(ExceptionGroup("no", leaves)) is None) == any(
            is_transient(e) is None for e in leaves
        )

    @given(st.integers())
    def test_any_number_can_be_a_status(self, status: int) -> None:
        good = status in {408, 425, 429} or (500 <= status < 600 and status not in {501, 505})
        assert is_transient(answered(status)) == (f"HTTP {status}" if good else None)

    @given(st.text())
    def test_any_text_can_be_a_message(self, text: str) -> None:
        assert is_transient(RuntimeError(text)) in {None, RATE}
        assert is_transient(TypeError(text)) is None

    @given(st.data())
    def test_any_web_of_errors_is_walked(self, data: st.DataObject) -> None:
        nodes: list[BaseException] = [ValueError(n) for n in range(4)]
        nodes += [TimeoutError(), KeyError(), ConnectionError()]
        some = st.lists(st.sampled_from(nodes), min_size=1, max_size=3)
        nodes += [BaseExceptionGroup("no", data.draw(some)) for _ in range(2)]
        for node in nodes:
            node.__cause__ = data.draw(st.none() | st.sampled_from(nodes))
            node.__context__ = data.draw(st.none() | st.sampled_from(nodes))
            node.__suppress_context__ = data.draw(st.booleans())
        for node in nodes:
            assert is_transient(node) is None or not isinstance(node, KeyError)
            assert is_transient(node, ["EOFError"]) == is_transient(node)
            assert retry_after(node, NOW) is None

    @given(
        st.text()
        | st.integers().map(str)
        | st.floats().map(str)
        | st.datetimes().map(email.utils.format_datetime)
    )
    def test_a_wait_is_never_negative_nor_endless(self, value: str) -> None:
        for headers in ({"Retry-After": value}, {"retry-after-ms": value}):
            wait = retry_after(having(Exception(), headers=headers), NOW)
            assert wait is None or 0 <= wait < float("inf")

    @given(st.integers() | st.floats() | st.booleans() | st.text() | st.none())
    def test_nor_is_one_that_an_attribute_tells(self, value: object) -> None:
        wait = retry_after(having(Exception(), retry_after=value), NOW)
        assert wait is None or 0 <= wait < float("inf")

    @given(st.integers(0, 10**6), st.integers(0, 2**11 - 1))
    def test_the_case_of_a_header_is_of_no_matter(self, seconds: int, capitals: int) -> None:
        letters = "retry-after"
        name = "".join(c.upper() if capitals >> i & 1 else c for i, c in enumerate(letters))
        error = having(Exception(), headers={"X": "y", name: str(seconds)})
        assert retry_after(error, NOW) == seconds

    @given(st.integers(-(10**8), 10**8))
    def test_a_date_is_waited_for(self, ahead: int) -> None:
        date = email.utils.formatdate(NOW + ahead, usegmt=True)
        assert retry_after(http_error(503, {"Retry-After": date}), NOW) == max(0, ahead)


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("headers", "expected"),
        [
            ({"Retry-After": "7"}, 7.0),
            ({"Retry-After": " 7 "}, 7.0),
            ({"Retry-After": "1.5"}, 1.5),
            ({"Retry-After": "0"}, 0.0),
            ({"retry-after": 7}, 7.0),
            ({"retry-after-ms": "250"}, 0.25),
            ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
            ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
            ({"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT"}, 30.0),
            ({"Retry-After": "Wednesday, 21-Oct-26 07:28:30 GMT"}, 30.0),
            ({"Retry-After": "Wed Oct 21 07:28:30 2026"}, 30.0),
            ({"Retry-After": "Wed, 21 Oct 2026 09:28:30 +0200"}, 30.0),
            ({"Retry-After": "Wed, 21 Oct 2020 07:28:30 GMT"}, 0.0),
            ({"Retry-After": "-7"}, None),
            ({"Retry-After": "nan"}, None),
            ({"Retry-After": "inf"}, None),
            ({"Retry-After": "1e3"}, None),
            ({"Retry-After": "9" * 400}, None),
            ({"Retry-After": "soon"}, None),
            ({"Retry-After": ""}, None),
            ({"Retry-After": None}, None),
            ({"Retry-After": "Wed, 99 Oct 2026 07:28:30 GMT"}, None),
            ({"X-Other": "7"}, None),
            ({}, None),
            (None, None),
        ],
    )
    def test_the_header_tells(self, headers: Any, expected: float | None) -> None:
        of_error = having(Exception(), headers=headers)
        of_response = having(Exception(), response=SimpleNamespace(headers=headers))
        meta = {"ResponseMetadata": {"HTTPHeaders": headers}}
        for error in (of_error, of_response, having(Exception(), response=meta)):
            assert retry_after(error, NOW) == expected
            assert retry_after(caused(ValueError(), error), NOW) == expected
            assert retry_after(during(error, ValueError()), NOW) == expected

    def test_an_http_error_of_urllib_has_headers(self) -> None:
        assert retry_after(http_error(429, {"RETRY-AFTER": "7"}), NOW) == 7.0
        assert retry_after(urllib.error.URLError(http_error(429, {"Retry-After": "7"})), NOW) == 7.0

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (7, 7.0),
            (1.5, 1.5),
            (0, 0.0),
            (-1, None),
            (float("nan"), None),
            (float("inf"), None),
            ("7", None),
            (10**400, None),
            (lambda: 7, None),
        ],
    )
    def test_an_attribute_tells(self, value: object, expected: float | None) -> None:
        assert retry_after(having(Exception(), retry_after=value), NOW) == expected

    def test_the_nearest_counts(self) -> None:
        near, far = (having(Exception(), headers={"Retry-After": n}) for n in ("1", "2"))
        assert retry_after(caused(near, far), NOW) == 1.0
        assert retry_after(having(near, retry_after=3), NOW) == 1.0

    def test_of_a_group_the_longest_counts(self) -> None:
        one, two = (having(Exception(), headers={"Retry-After": n}) for n in ("1", "2"))
        group = ExceptionGroup("no", [one, ExceptionGroup("no", [two, ValueError()])])
        assert retry_after(group, NOW) == 2.0
        assert retry_after(caused(ValueError(), group), NOW) == 2.0
        assert retry_after(ExceptionGroup("no", [ValueError()]), NOW) is None


def test_a_403_is_tried_again_only_where_it_is_a_rate_limit() -> None:
    limited, forbidden = (type("HTTPError", (Exception,), {"status": 403})(text) for text in (
        "403 rate limit exceeded for url", "403 Forbidden",
    ))  # fmt: skip
    assert is_transient(limited) == "HTTP 403"
    assert is_transient(forbidden) is None
