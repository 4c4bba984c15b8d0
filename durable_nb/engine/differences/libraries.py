"""Arrays, tensors, networks, estimators: what libraries for numbers and models make."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from durable_nb.engine.differences import arrays as numeric
from durable_nb.engine.differences import objects
from durable_nb.engine.differences.change import Change, Fact, Sign, both
from durable_nb.engine.differences.containers import types
from durable_nb.engine.differences.texts import renamed, share
from durable_nb.state.texts import attributes, mro, named, shape

if TYPE_CHECKING:
    from durable_nb.engine.differences.walk import Walk


def arrays(walk: Walk, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    """Two arrays of NumPy."""
    yield from types(before, after, path)
    numpy = sys.modules["numpy"]
    a, b = (numpy.ndarray.view(array, numpy.ndarray) for array in (before, after))
    if a.dtype.hasobject or b.dtype.hasobject:
        yield from _of_objects(walk, a, b, path, depth)
    else:
        facts = tuple(numeric.facts(a, b))
        if facts:
            yield Change(Sign.CHANGED, path, facts)
    if type(before) is not numpy.ndarray and type(after) is not numpy.ndarray:
        yield from objects.attributed(walk, before, after, path, depth)


def _of_objects(walk: Walk, a: Any, b: Any, path: str, depth: int) -> Iterator[Change]:
    texts = {"shape": [shape(x.shape) for x in (a, b)], "dtype": [str(x.dtype) for x in (a, b)]}
    facts = tuple(Fact(what, *pair) for what, pair in texts.items() if pair[0] != pair[1])
    if facts:
        yield Change(Sign.CHANGED, path, facts)
        return
    items = a.reshape(-1).tolist(), b.reshape(-1).tolist()
    count = sum(not walk.same(x, y, depth + 1) for x, y in zip(*items, strict=True))
    if count:
        yield Change(Sign.CHANGED, path, (Fact(note=share(count, a.size, "element")),))
        if a.ndim == 1:
            yield from walk.values(*items, path, depth + 1)


def masked(walk: Walk, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    """Two masked arrays: what is visible, and what is masked."""
    ma = sys.modules["numpy"].ma
    yield from types(before, after, path)
    yield from walk.values(*both(_visible, before, after), path, depth + 1)
    yield from walk.values(*both(ma.getmaskarray, before, after), f"{path}.mask", depth + 1)


def _visible(array: Any) -> Any:
    """Its data; what lies below a mask is nobody's value."""
    ma = sys.modules["numpy"].ma
    data = ma.getdata(array, subok=False)
    if data.dtype.hasobject or data.dtype.kind == "V":
        return data
    return ma.filled(ma.array(data, mask=ma.getmaskarray(array)), data.dtype.type())


def tensors(walk: Walk, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    """Two tensors of torch."""
    yield from types(before, after, path)
    facts = [
        Fact(name, str(getattr(before, name)), str(getattr(after, name)))
        for name in ("dtype", "device", "requires_grad", "layout")
        if getattr(before, name) != getattr(after, name)
    ]
    if facts:
        yield Change(Sign.CHANGED, path, tuple(facts))
    yield from walk.values(*both(_as_array, before, after), path, depth + 1)


def _as_array(tensor: Any) -> Any:
    torch = sys.modules["torch"]
    plain = tensor.detach().to("cpu")
    if plain.layout is not torch.strided:
        plain = plain.to_dense()
    if plain.is_quantized:
        plain = plain.dequantize()
    if plain.dtype in (torch.bfloat16, *(getattr(torch, n) for n in _SMALL if hasattr(torch, n))):
        plain = plain.float()
    return plain.resolve_conj().resolve_neg().numpy()


_SMALL = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")


def networks(walk: Walk, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    """Two modules of torch: parameters, buffers and modules by name, as in `state_dict`; then the rest."""
    yield from types(before, after, path)
    held = [attributes(module) for module in (before, after)]
    for group in ("_parameters", "_buffers", "_modules"):
        parts: list[Mapping[str, Any]] = [attributes_of.get(group, {}) for attributes_of in held]
        yield from objects.named_parts(walk, parts[0], parts[1], path, depth)
    rest = [{k: v for k, v in h.items() if k not in _GROUPS} for h in held]
    yield from objects.named_parts(walk, rest[0], rest[1], path, depth)


_GROUPS = frozenset({"_parameters", "_buffers", "_modules"})


def optimizers(walk: Walk, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    """Two optimizers of torch."""
    yield from types(before, after, path)
    yield from walk.values(before.state_dict(), after.state_dict(), f"{path}.state_dict()", depth + 1)


def estimators(walk: Walk, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    """Two estimators made like those of scikit-learn: parameters, then what was fitted."""
    if renamed(type(before), type(after)):
        yield walk.replaced(before, after, path)
        return
    params = [dict(model.get_params(deep=True)) for model in (before, after)]
    shown = [{k: _own(v) for k, v in held.items() if not _holds_models(v)} for held in params]
    yield from objects.named_parts(walk, shown[0], shown[1], path, depth)
    inner = [{k: v for k, v in held.items() if is_estimator(v)} for held in params]
    for name, model in inner[0].items():
        other = inner[1].get(name)
        if other is not None and not renamed(type(model), type(other)):
            yield from _fitted(walk, model, other, f"{path}.{name}", depth)
    yield from _fitted(walk, before, after, path, depth)


def _fitted(walk: Walk, before: Any, after: Any, path: str, depth: int) -> Iterator[Change]:
    held = []
    for model in (before, after):
        params = model.get_params(deep=False)
        held.append({k: v for k, v in attributes(model).items() if k not in params})
    yield from objects.named_parts(walk, held[0], held[1], path, depth)


def is_estimator(value: Any) -> bool:
    """Whether a value has parameters as scikit-learn's models do."""
    kind = type(value)
    return not issubclass(kind, type) and any("get_params" in vars(base) for base in mro(kind))


def _own(value: Any) -> Any:
    """A parameter; of a model, which has parameters of its own, the name of its class."""
    return named(type(value)) if is_estimator(value) else value


def _holds_models(value: Any) -> bool:
    if type(value) not in (list, tuple):
        return False
    return any(is_estimator(part) for item in value for part in (item if type(item) is tuple else (item,)))
