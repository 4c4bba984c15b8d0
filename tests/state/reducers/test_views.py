"""What shows other objects shows those that came back."""

from __future__ import annotations

import array
import collections
import functools
import itertools
import os
import types
import warnings
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from conftest import Again, Keep, Trip

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # files stay open, as in notebooks


class Thing:
    """Something to refer to."""

    def __init__(self, *held: Any) -> None:
        self.held = list(held)

    def method(self) -> list[Any]:
        return self.held


def test_a_weak_reference_refers_to_what_came_back(trip: Trip) -> None:
    thing = Thing(1)
    back = trip(
        thing=thing,
        ref=weakref.ref(thing),
        dead=weakref.ref(Thing()),
        method=weakref.WeakMethod(thing.method),
        proxy=weakref.proxy(thing),
        values=weakref.WeakValueDictionary({"a": thing}),
        keys=weakref.WeakKeyDictionary({thing: "a"}),
        things=weakref.WeakSet([thing]),
    )
    assert type(back.thing) is Thing
    assert back.thing is not thing
    assert back.ref() is back.thing
    assert back.dead() is None
    assert back.method()() is back.thing.held
    assert type(back.proxy) is weakref.ProxyType
    assert back.proxy.held is back.thing.held
    assert dict(back.values) == {"a": back.thing}
    assert dict(back.keys) == {back.thing: "a"}
    assert set(back.things) == {back.thing}
    back.thing = None
    assert back.ref() is None
    assert back.method() is None
    assert not back.values
    assert not back.keys
    assert not back.things


def test_a_weak_reference_in_what_it_refers_to_and_its_callback(trip: Trip) -> None:
    called: list[Any] = []
    parent = Thing()
    child = Thing()
    parent.held, child.held = [child], [weakref.ref(parent)]
    for first in ("parent", "child"):
        values = {"parent": parent, "child": child}
        back = trip(**{first: values[first], **values})
        assert back.child.held[0]() is back.parent
        assert back.parent.held[0] is back.child
    thing = Thing()
    back = trip(called=called, thing=thing, ref=weakref.ref(thing, called.append))
    ref, back.thing = back.ref, None
    assert back.called == [ref]
    assert called == []


def test_functions_with_single_dispatch_come_back(again: Again) -> None:
    @functools.singledispatch
    def shape(value: Any) -> str:
        return f"{value}"

    shape.register(int)(lambda value: f"int {value}")
    assert (shape(1), shape("a")) == ("int 1", "a")  # this fills its weak cache
    back = again(shape)
    assert (back(1), back("a")) == ("int 1", "a")


def test_views_of_dictionaries_show_what_came_back(trip: Trip, again: Again) -> None:
    table: dict[str, Any] = {"a": 1}
    ordered = collections.OrderedDict(b=2)
    table["own"] = table.values()
    back = trip(
        keys=table.keys(), table=table, values=table.values(), items=ordered.items(), ordered=ordered,
        shown=types.MappingProxyType(table),
    )  # fmt: skip
    back.table["new"] = 3
    back.ordered["c"] = 4
    assert list(back.keys) == ["a", "own", "new"]
    assert type(back.keys) is type(table.keys())
    assert list(back.values)[-1] == 3
    assert back.table["own"] is not table["own"]
    assert list(back.table["own"])[-1] == 3
    assert list(back.items) == [("b", 2), ("c", 4)]
    assert back.shown["new"] == 3
    assert type(back.shown) is types.MappingProxyType
    assert again(vars(Thing)) == vars(Thing)


BASES: dict[str, Callable[[], Any]] = {
    "bytearray": lambda: bytearray(b"abcdefgh"),
    "array": lambda: array.array("h", range(4)),
    "ndarray": lambda: np.arange(8, dtype="i2").reshape(2, 4),
    "bytes": lambda: bytes(range(8)),
}


LOOKS: dict[str, Callable[[memoryview], memoryview]] = {
    "whole": lambda view: view,
    "as bytes": lambda view: view.cast("B"),
    "part": lambda view: view.cast("B")[2:6],
    "read-only": lambda view: view.cast("B").toreadonly()[1:],
    "items": lambda view: view.cast("B")[4:8].cast("i"),
    "nothing": lambda view: view.cast("B")[3:3],
}


STEPS: dict[str, Callable[[memoryview], memoryview]] = {
    "steps": lambda view: view[1:7:3],
    "backwards": lambda view: view[::-1],
    "steps backwards": lambda view: view[6:1:-2],
    "steps to the start": lambda view: view[2::-1],
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("made", BASES)
def test_memory_is_shared_with_what_came_back(trip: Trip, made: str, look: str) -> None:
    base = BASES[made]()
    view = LOOKS[look](memoryview(base))
    back = trip(base=base, view=view)
    assert type(back.view) is memoryview
    assert back.view.obj is back.base
    assert (back.view.tolist(), back.view.format) == (view.tolist(), view.format)
    assert back.view.readonly == view.readonly
    if view.nbytes and not view.readonly:
        back.view.cast("B")[0] = 200
        assert 200 in bytes(back.base)
        assert 200 not in view.cast("B")


@pytest.mark.parametrize("look", STEPS)
@pytest.mark.parametrize("made", ["bytearray", "array"])
def test_memory_in_steps_is_shared_with_what_came_back(trip: Trip, made: str, look: str) -> None:
    base = BASES[made]()
    view = STEPS[look](memoryview(base))
    back = trip(base=base, view=view)
    assert back.view.tolist() == view.tolist()
    back.view[0] = 99
    assert 99 in list(back.base)


def test_memory_that_skips_parts_of_its_object_is_refused(again: Again) -> None:
    with pytest.raises(TypeError, match="skips parts"):
        again(memoryview(np.zeros((4, 4)))[::2])


def test_iterators_half_way_go_on_and_warn_of_nothing(trip: Trip) -> None:
    items = [1, 2, 3, 4]
    made = {
        "list": iter(items), "reversed": reversed(items), "zip": zip(items, "abcd", strict=True),
        "map": map(str, items), "filter": filter(None, items), "enumerate": enumerate(items),
        "keys": iter({1: 2, 3: 4}), "count": itertools.count(5), "cycle": itertools.cycle(items),
        "chain": itertools.chain(items, items), "slice": itertools.islice(items, 1, 3),
        "product": itertools.product(items, repeat=2), "accumulate": itertools.accumulate(items),
    }  # fmt: skip
    for iterator in made.values():
        next(iterator)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        back = trip(**made)
    for name, iterator in made.items():
        assert list(itertools.islice(getattr(back, name), 9)) == list(itertools.islice(iterator, 9)), name


def test_super_goes_on_at_the_same_place(trip: Trip) -> None:
    class Sub(Thing):
        def method(self) -> list[Any]:
            return ["sub"]

    Sub.__module__, Sub.__qualname__ = __name__, "Thing.Sub"
    Thing.Sub = Sub  # type: ignore[attr-defined]
    thing = Sub(1)
    back = trip(thing=thing, above=super(Sub, thing))
    assert back.above.method() is back.thing.held


def test_the_environment_is_never_copied(keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONLY_HERE", "ribbon-candle-7431")
    kept = keep(env=os.environ, raw=os.environb)
    assert b"ribbon-candle" not in kept.stream
    back = kept.load()
    assert back.env is os.environ
    assert back.raw is os.environb
