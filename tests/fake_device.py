"""A device that is not there: its tensors lie on the CPU, say that they are elsewhere, and have no float64, as on MPS.

Whatever mixes them with tensors of the CPU, takes them for NumPy arrays, or makes a float64 there, fails as it would on
the real device.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device("meta")  # the one device that every build of torch accepts


class Elsewhere(torch.Tensor):
    """A tensor of the device; ``held`` is what it really is."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls: type, held: torch.Tensor) -> "Elsewhere":  # noqa: PYI034
        if held.dtype == torch.float64:
            message = "Cannot convert a tensor to float64: the device does not support it."
            raise TypeError(message)
        made = torch.Tensor._make_wrapper_subclass(
            cls, held.shape, dtype=held.dtype, device=DEVICE, strides=held.stride(), requires_grad=held.requires_grad
        )
        made.held = held
        return made

    def tolist(self) -> Any:
        return self.held.tolist()

    def __repr__(self) -> str:
        return f"Elsewhere({self.held!r})"

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(function, args, kwargs or {})


class _Device(TorchDispatchMode):
    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(function, args, kwargs or {})


class _Literals(TorchFunctionMode):
    """``torch.tensor`` of numbers fills memory itself, past the dispatcher."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        device = kwargs.get("device")
        if function in {torch.tensor, torch.as_tensor} and device is not None and torch.device(device) == DEVICE:
            return function(*args, **(kwargs | {"device": "cpu"})).to(DEVICE)
        return function(*args, **kwargs)


def _run(function: Any, args: Any, kwargs: dict) -> Any:
    tensors = [part for part in tree_flatten((args, kwargs))[0] if isinstance(part, torch.Tensor)]
    asked = kwargs.get("device")
    copies = function is torch.ops.aten._to_copy.default or function is torch.ops.aten.copy_.default
    on_device = any(isinstance(tensor, Elsewhere) for tensor in tensors)
    if on_device and not copies:
        foreign = [t for t in tensors if not isinstance(t, Elsewhere) and t.dim() > 0]
        indices = "index" in str(function)  # which may lie on the CPU on every device
        if foreign and not indices:
            message = f"{function}: expected all tensors on one device, found {DEVICE} and cpu"
            raise RuntimeError(message)
    if asked is not None:
        on_device = torch.device(asked).type == DEVICE.type
        kwargs = kwargs | {"device": "cpu"}
    elif function is torch.ops.aten.copy_.default:
        on_device = isinstance(args[0], Elsewhere)
    bare_args, bare_kwargs = tree_map(lambda part: part.held if isinstance(part, Elsewhere) else part, (args, kwargs))
    result = function(*bare_args, **bare_kwargs)
    if str(function).split(".")[1].endswith("_") and isinstance(args[0], torch.Tensor):
        return args[0]
    if not on_device or function is torch.ops.aten._local_scalar_dense.default:
        return result
    return tree_map(lambda part: Elsewhere(part) if isinstance(part, torch.Tensor) else part, result)


@contextmanager
def present() -> Iterator[torch.device]:
    """Let the device be there for a block; tensors go to it as to any other."""
    autocast = torch.autocast
    try:
        torch.autocast = lambda *_, **__: nullcontext()  # which knows no such device
        with _Literals(), _Device():
            yield DEVICE
    finally:
        torch.autocast = autocast
