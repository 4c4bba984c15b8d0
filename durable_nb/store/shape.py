"""What a stranger wrote may have any shape: it is looked at before anything relies on it."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import Any

_Shape = Mapping[str, type | tuple[type, ...]]
_LATEST = 1e11

_RECORD: _Shape = {
    "execution": str,
    "epoch": int,
    "number": int,
    "parent": str,
    "time": (int, float),
    "kind": str,
    "body": dict,
    "bases": list,
    "opened": str,
    "intents": int,
}
_EPOCH: _Shape = {
    "execution": str,
    "epoch": int,
    "time": (int, float),
    "owner": dict,
    "notebook": (str, NoneType),
    "parent": (str, NoneType),
    "meta": dict,
}
_OWNER: _Shape = {
    "pid": int,
    "start_time": (int, float),
    "boot_id": str,
    "host": str,
    "pid_namespace": str,
    "user": str,
}
_BODY: _Shape = {
    "state": dict,
    "cell": (str, NoneType),
    "packs": list,
    "description": (str, NoneType),
    "node": (str, NoneType),
    "pinned": bool,
    "pin": list,
    "unpin": list,
    "retire": list,
    "forget": dict,
    "describe": dict,
    "attempt": (dict, NoneType),
    "status": str,
}
_STATE: _Shape = {
    "parent": (int, NoneType),
    "set": dict,
    "del": list,
    "root": str,
    "full": (str, NoneType),
}


def check_record(raw: Mapping[str, Any], *, signed: bool) -> None:
    """Raises KeyError, TypeError or ValueError. The body of one that this user signed is not looked into."""
    _check(raw, _RECORD)
    _check_time(raw["time"])
    bases = raw["bases"]
    _check_items(bases, int)
    if len(bases) != raw["epoch"] or sorted([*bases, raw["number"]]) != [*bases, raw["number"]]:
        raise ValueError("its epochs are out of order")
    if signed:
        return
    body = raw["body"]
    _check(body, {name: kind for name, kind in _BODY.items() if name in body})
    for marks in ("pin", "unpin", "retire"):
        _check_items(body.get(marks, []), int)
    _check_items(body.get("packs", []), str)
    _check_items([s for pair in body.get("describe", {}).items() for s in pair], str)
    forget = body.get("forget", {})
    for names in forget.values():
        _check_items(names, str)
    state = body.get("state")
    if state is not None:
        _check(state, _STATE)
        _check_items([*state["set"], *state["set"].values(), *state["del"]], str)
        if state["parent"] is not None and not 0 < state["parent"] < raw["number"]:
            raise ValueError("it follows a later version")


def check_epoch(raw: Mapping[str, Any]) -> None:
    """Raises KeyError, TypeError or ValueError."""
    _check(raw, _EPOCH)
    _check(raw["owner"], _OWNER)
    _check_time(raw["time"])


def _check(raw: Mapping[str, Any], shape: _Shape) -> None:
    for name, kind in shape.items():
        if not isinstance(raw[name], kind):
            raise TypeError(f"its {name} is a {type(raw[name]).__name__}")


def _check_items(values: Any, kind: type) -> None:
    if not isinstance(values, list) or not all(isinstance(value, kind) for value in values):
        raise TypeError(f"a list of {kind.__name__} is something else")


def _check_time(time: float) -> None:
    if not 0 <= time < _LATEST:
        raise ValueError(f"its time is {time}")
