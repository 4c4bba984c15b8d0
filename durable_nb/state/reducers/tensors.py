"""Torch tensors: those over one memory keep it in common, and gradients are kept.

Torch's own reducers make a new storage for each tensor, in the stream, and leave gradients out.
"""

from __future__ import annotations

import ctypes
import importlib
import pickle
from typing import Any
from weakref import WeakValueDictionary

from durable_nb.state.reducers.reduce import Table


class Memory:
    """Stands for the bytes of a storage while tensors over it are pickled."""

    __slots__ = ("__weakref__", "storage")

    def __init__(self, storage: Any) -> None:
        self.storage = storage

    def __reduce__(self) -> Any:
        size = self.storage.nbytes()
        if not size:
            return memory, (b"",)
        view: Any = (ctypes.c_ubyte * size).from_address(self.storage.data_ptr())
        view.owner = self.storage
        return memory, (pickle.PickleBuffer(memoryview(view).cast("B")),)


_SEEN: WeakValueDictionary[tuple[int, int], Memory] = WeakValueDictionary()
"""By address and size; the pickler's memo keeps them alive, so each stream has its own"""


def memory(data: Any) -> Any:
    """A storage over bytes, without a copy."""
    torch = importlib.import_module("torch")
    view = memoryview(data)
    if not view.nbytes:
        return torch.UntypedStorage(0)
    return torch.frombuffer(bytearray(view) if view.readonly else view, dtype=torch.uint8).untyped_storage()


def tensor(
    storage: Any, dtype: Any, size: tuple[int, ...], stride: tuple[int, ...], offset: int, parameter: bool
) -> Any:
    """A tensor or parameter over a storage."""
    torch = importlib.import_module("torch")
    made = torch.empty(0, dtype=dtype).set_(storage, offset, size, stride)
    return torch.nn.Parameter(made, requires_grad=False) if parameter else made


def set_tensor(target: Any, state: tuple[bool, Any, Any, dict[str, Any]]) -> None:
    """What hangs on a tensor: whether it is learned, its gradient, its hooks, its attributes."""
    requires_grad, gradient, hooks, attributes = state
    target.requires_grad_(requires_grad)
    if gradient is not None:
        target.grad = gradient
    if hooks is not None:
        target._backward_hooks = hooks
    vars(target).update(attributes)


def _tensor(value: Any) -> Any:
    torch = importlib.import_module("torch")
    plain = value.layout is torch.strided and value.device.type == "cpu" and not value.is_quantized
    if not plain or value.is_conj() or value.is_neg() or value.is_inference():
        return value.__reduce_ex__(5)
    storage = value.untyped_storage()
    key = (storage.data_ptr(), storage.nbytes())
    held = _SEEN.get(key)
    if held is None or not key[0]:
        held = _SEEN[key] = Memory(storage)
    args = (
        held,
        value.dtype,
        tuple(value.size()),
        value.stride(),
        value.storage_offset(),
        type(value) is not torch.Tensor,
    )
    gradient = value.grad if value.is_leaf else None
    state = (value.requires_grad, gradient, value._backward_hooks, dict(vars(value)))
    return tensor, args, state, None, None, set_tensor


def torch(module: Any) -> Table:
    """Of torch."""
    return {module.Tensor: _tensor, module.nn.Parameter: _tensor}
