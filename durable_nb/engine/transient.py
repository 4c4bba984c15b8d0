"""Which errors are worth another try, and how long a server asks to wait before it.

An error and what it was raised from are looked at one after another; the first that says anything decides.
"""

from __future__ import annotations

import asyncio
import email.utils
import enum
import errno
import math
import re
import socket
import ssl
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Any, TypeVar, cast

from durable_nb.errors import FatalError, TransientError

T = TypeVar("T")


class _Kind(enum.StrEnum):
    TIMEOUT = "a timeout"
    CONNECTION = "a connection error"
    RATE_LIMIT = "rate limit"
    SERVER = "a server error"
    HOPELESS = enum.auto()
    """so is every error that only passes it on"""
    WRAPPER = enum.auto()
    """says nothing itself: what it was raised from does"""


_STOPS = (KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError)
_FINAL = (*_STOPS, FatalError)
_NEVER = (
    *_FINAL,
    SyntaxError, NameError, TypeError, KeyError, AttributeError, ImportError, AssertionError, MemoryError,
)  # fmt: skip

_KINDS = {
    "builtins.TimeoutError": _Kind.TIMEOUT,  # also socket.timeout and asyncio.TimeoutError
    "builtins.ConnectionError": _Kind.CONNECTION,
    "http.IncompleteRead": _Kind.CONNECTION,
    "urllib.ContentTooShortError": _Kind.CONNECTION,
    "ssl.SSLError": _Kind.HOPELESS,
    "ssl.SSLEOFError": _Kind.CONNECTION,
    "ssl.SSLZeroReturnError": _Kind.CONNECTION,
    "requests.ConnectTimeout": _Kind.TIMEOUT,
    "requests.Timeout": _Kind.TIMEOUT,
    "requests.ConnectionError": _Kind.CONNECTION,
    "requests.ChunkedEncodingError": _Kind.CONNECTION,
    "requests.SSLError": _Kind.WRAPPER,
    "urllib3.TimeoutError": _Kind.TIMEOUT,
    "urllib3.NewConnectionError": _Kind.CONNECTION,
    "urllib3.ProtocolError": _Kind.CONNECTION,
    "urllib3.ProxyError": _Kind.CONNECTION,
    "aiohttp.ServerTimeoutError": _Kind.TIMEOUT,
    "aiohttp.ClientConnectionError": _Kind.CONNECTION,
    "aiohttp.ClientPayloadError": _Kind.CONNECTION,
    "aiohttp.ClientSSLError": _Kind.WRAPPER,
    "aiohttp.ServerFingerprintMismatch": _Kind.HOPELESS,
    "botocore.ConnectTimeoutError": _Kind.TIMEOUT,
    "botocore.ReadTimeoutError": _Kind.TIMEOUT,
    "botocore.ConnectionError": _Kind.CONNECTION,
    "botocore.ConnectionClosedError": _Kind.CONNECTION,
    "botocore.ResponseStreamingError": _Kind.CONNECTION,
    "botocore.IncompleteReadError": _Kind.CONNECTION,
    "botocore.SSLError": _Kind.WRAPPER,
    "openai.InternalServerError": _Kind.SERVER,
    "anthropic.InternalServerError": _Kind.SERVER,
    # every SDK that is made like openai's has these
    "APITimeoutError": _Kind.TIMEOUT,
    "APIConnectionError": _Kind.CONNECTION,
    "RateLimitError": _Kind.RATE_LIMIT,
}
"""Top-level module and class, or the class alone; the nearest base class that is listed counts."""

for _library in ("httpx", "httpx2", "httpcore", "httpcore2"):
    _KINDS[f"{_library}.TimeoutException"] = _Kind.TIMEOUT
    _KINDS[f"{_library}.NetworkError"] = _Kind.CONNECTION
    _KINDS[f"{_library}.RemoteProtocolError"] = _Kind.CONNECTION

_UNREACHABLE = {errno.ENETDOWN, errno.ENETUNREACH, errno.ENETRESET, errno.EHOSTDOWN, errno.EHOSTUNREACH}
_FULL = {errno.ENOSPC, errno.EDQUOT}

_PERMANENT_5XX = {501, 505}
_TRANSIENT_4XX = {408, 425, 429}

_SERVICE_CODES = {
    # botocore's retries/standard.py
    "throttling", "throttlingexception", "throttledexception", "requestthrottledexception",
    "toomanyrequestsexception", "provisionedthroughputexceededexception", "transactioninprogressexception",
    "requestlimitexceeded", "bandwidthlimitexceeded", "limitexceededexception", "requestthrottled",
    "slowdown", "priorrequestnotcomplete", "ec2throttledexception", "requesttimeout",
    "requesttimeoutexception",
    # an error in the middle of an event stream has no status beside its code
    "internalerror", "internalfailure", "internalservererror", "internalserverexception",
    "serviceunavailable", "serviceunavailableexception",
}  # fmt: skip

_SPENT = re.compile("insufficient_quota|spend_limit_(reached|exceeded)")
"""Comes as 429, and lasts until somebody pays."""

_RATE_LIMIT = re.compile(r"(?:(?<![a-z])(?i:rate)|Rate)[\s_-]?(?i:limit)|(?i:too many requests)")
"""Not a "separate limit"."""

_GAVE_UP = re.compile(r"too many (\d{3}) error responses")
"""What urllib3 says when its own retries are used up; the responses are gone."""

_SECONDS = re.compile(r"\s*\d+(\.\d*)?\s*", re.ASCII)


def is_transient(error: BaseException, also: Sequence[str] = ()) -> str | None:
    """Why an error may be gone the next time, in a few words; None if it will not, or if nothing says so.

    Args:
        error: what the cell raised. Of a group, every leaf has to be transient.
        also: classes that the user takes for transient (`--retry-on`): `pkg.Error`, under any name by which
            the package has it, or `Error`.
    """
    return None if _is_final(error) else _why(error, also, set())


def retry_after(error: BaseException, now: float) -> float | None:
    """Seconds that a server asked to wait (RFC 9110, section 10.2.3); None if it did not, or not in earnest.

    Args:
        error: what the cell raised. Of a group, the longest wait counts.
        now: seconds since 1970, UTC.
    """
    return _wait(error, now, set())


def _why(error: BaseException, also: Sequence[str], seen: set[int]) -> str | None:
    if any(_is_asked_for(link, also) for link in _chain(error, seen.copy())):
        return "asked for by --retry-on"
    for link in _chain(error, seen):
        if _is(link, TransientError):
            return "TransientError"
        if _is(link, BaseExceptionGroup):
            reasons = [_why(leaf, also, seen.copy()) for leaf in _leaves(link)]
            return None if None in reasons else ", ".join(dict.fromkeys(filter(None, reasons))) or None
        if _is(link, _NEVER) or not _is(link, Exception):
            return None
        text = _text(link)
        own = _inside(_read(link, "__dict__", dict), "code")  # the attribute of aiohttp's errors warns
        if _SPENT.search(text) or (isinstance(own, str) and _SPENT.search(own)):
            return None
        code = _inside(_read(link, "response", object), "Error", "Code")
        if isinstance(code, str) and code.lower() in _SERVICE_CODES:
            return code
        status = _status(link, text)
        if 400 <= status < 600:
            limited = status == 403 and _RATE_LIMIT.search(text)  # as GitHub says it
            return f"HTTP {status}" if limited or _is_passing(status) else None
        kind = _kind(link, text)
        if kind is _Kind.HOPELESS:
            return None
        if kind is _Kind.CONNECTION:
            # Libraries have one class for a refused connection and for a wrong certificate.
            behind = {_kind(one, _text(one)) for one in _chain(link, set())}
            return None if _Kind.HOPELESS in behind else str(kind)
        if kind is not _Kind.WRAPPER:
            return str(kind)
    return None


def _is_final(error: BaseException) -> bool:
    """Whether it is never tried again, even if the user takes its class for transient."""
    if any(_is(leaf, _STOPS) for leaf in _leaves(error)):
        return True
    causes = _chain(error, set(), explicit=True)
    return any(_is(leaf, FatalError) for link in causes for leaf in _leaves(link))


def _is_asked_for(error: BaseException, also: Sequence[str]) -> bool:
    if _is(error, _FINAL):
        return False
    for cls in type(error).__mro__:
        known_as = {cls.__name__, cls.__qualname__, f"{cls.__module__}.{cls.__qualname__}"}
        for name in also:
            module, _, short = name.rpartition(".")
            there = _read(sys.modules.get(module), "__dict__", dict) or {}
            if name in known_as or there.get(short) is cls:
                return True
    return False


def _chain(error: BaseException | None, seen: set[int], *, explicit: bool = False) -> Iterator[BaseException]:
    """An error, what it was raised from, and so on; `seen` are ids of those not to come to again."""
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        cause = _read(error, "__cause__", BaseException)
        error = cause if explicit or cause is not None else _implied(error)


def _implied(error: BaseException) -> BaseException | None:
    """What an error carries (of urllib3, s3transfer; httpcore drops the cause), or was raised while handling.

    A mistake in a handler is a mistake, whatever was being handled.
    """
    attributes = (_read(error, name, BaseException) for name in ("reason", "last_exception"))
    for carried in (*attributes, *(_read(error, "args", tuple) or ())):
        if issubclass(type(carried), BaseException):
            return cast("BaseException", carried)
    if _is(error, _NEVER) or _read(error, "__suppress_context__", bool):
        return None
    return _read(error, "__context__", BaseException)


def _leaves(error: BaseException) -> list[BaseException]:
    """What a group consists of; any other error is its own leaf."""
    found, pending = [], [error]
    while pending:
        one = pending.pop()
        if _is(one, BaseExceptionGroup):
            pending.extend(reversed(_read(one, "exceptions", tuple) or ()))
        else:
            found.append(one)
    return found


def _kind(error: BaseException, text: str) -> _Kind:
    """What the class, the error number or the message say; `WRAPPER` if nothing."""
    number = _read(error, "errno", int)
    if _is(error, socket.gaierror):
        # AGAIN: the name server could not be asked. NONAME is its answer: retrying mends no typing error.
        return _Kind.CONNECTION if number == socket.EAI_AGAIN else _Kind.HOPELESS
    if _is(error, ssl.SSLError) and "timed out" in text:
        return _Kind.TIMEOUT
    if _is(error, OSError) and number in _FULL:
        return _Kind.HOPELESS
    if _is(error, OSError) and (number in _UNREACHABLE or "Connect call failed" in text):
        return _Kind.CONNECTION  # asyncio puts the errors of several addresses into one message
    for cls in type(error).__mro__:
        top = str(cls.__module__).partition(".")[0]
        kind = _KINDS.get(f"{top}.{cls.__name__}") or _KINDS.get(cls.__name__)
        if kind is not None:
            return kind
    return _Kind.RATE_LIMIT if _RATE_LIMIT.search(text) else _Kind.WRAPPER


def _is_passing(status: int) -> bool:
    return status in _TRANSIENT_4XX or (status >= 500 and status not in _PERMANENT_5XX)


def _status(error: BaseException, text: str) -> int:
    """The HTTP status that an error tells of; 0 if it does not."""
    response = _read(error, "response", object)
    found = _inside(response, "ResponseMetadata", "HTTPStatusCode")
    if isinstance(found, int):
        return found
    # `code` comes last: aiohttp's warns.
    for thing, name in (
        (response, "status_code"), (response, "status"),
        (error, "status_code"), (error, "status"), (error, "code"),
    ):  # fmt: skip
        status = _read(thing, name, int)
        if status is not None:
            return int(status)
    gave_up = _GAVE_UP.search(text)
    return int(gave_up[1]) if gave_up else 0


def _wait(error: BaseException, now: float, seen: set[int]) -> float | None:
    for link in _chain(error, seen):
        if _is(link, BaseExceptionGroup):
            waits = [_wait(leaf, now, seen.copy()) for leaf in _leaves(link)]
            return max((wait for wait in waits if wait is not None), default=None)
        response = _read(link, "response", object)
        places = (
            _read(response, "headers", object),
            _inside(response, "ResponseMetadata", "HTTPHeaders"),
            _read(link, "headers", object),
        )
        for place in places:
            headers = _headers(place)
            wait = _seconds(headers.get("retry-after-ms", ""), unit=1e-3)
            if wait is None:
                wait = _seconds(headers.get("retry-after", ""))
            if wait is None:
                wait = _until(headers.get("retry-after", ""), now)
            if wait is not None:
                return wait
        for kind in (float, int):
            number = _read(link, "retry_after", kind)
            if number is not None and 0 <= number <= sys.float_info.max:
                return float(number)
    return None


def _headers(headers: Any) -> dict[str, str]:
    try:
        return {str(name).lower(): str(value) for name, value in headers.items()}
    except Exception:  # an error's own classes may raise anything, and no headers is an answer
        return {}


def _seconds(value: str, unit: float = 1.0) -> float | None:
    if not _SECONDS.fullmatch(value):
        return None
    seconds = float(value) * unit
    return seconds if math.isfinite(seconds) else None


def _until(date: str, now: float) -> float | None:
    try:
        when = email.utils.parsedate_to_datetime(date)
        # A date of HTTP without a zone is in UTC.
        return max(0.0, (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now)
    except Exception:  # the date is somebody else's text
        return None


def _read(thing: object, name: str, kind: type[T]) -> T | None:
    """An attribute, if it can be read and is of this kind: what users define may raise anything."""
    try:
        value = getattr(thing, name, None)
        return value if isinstance(value, kind) else None
    except Exception:  # see above
        return None


def _is(error: BaseException, kinds: type | tuple[type, ...]) -> bool:
    """Like isinstance(), which also reads `__class__`."""
    return issubclass(type(error), kinds)


def _inside(thing: Any, *path: str) -> Any:
    """What lies in mappings within mappings, as in botocore's `response`."""
    try:
        for key in path:
            thing = thing[key]
    except Exception:  # it may be no mapping, or one of the user's
        return None
    return thing


def _text(error: BaseException) -> str:
    try:
        return str(error)[:10_000]
    except Exception:  # a `__str__` of the user's
        return ""
