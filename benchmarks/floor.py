"""What this machine can do at best, and what a network asks of it: the floor that ``speed.py`` compares with."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Times:
    """Seconds of repeated runs."""

    seconds: list[float]

    @property
    def median(self) -> float:
        """Half of the runs took no longer."""
        return statistics.median(self.seconds)

    @property
    def p95(self) -> float:
        """19 of 20 runs took no longer."""
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(0.95 * len(self.seconds)))]


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(work: Callable[[], object], device: torch.device, budget: float = 2.0, warm_up: int = 3) -> Times:
    """Run until ``budget`` seconds are over, five times at least, after a warm-up; synchronised on both sides."""
    for _ in range(warm_up):
        work()
    seconds: list[float] = []
    while sum(seconds) < budget or len(seconds) < 5:
        synchronise(device)
        begin = time.perf_counter()
        work()
        synchronise(device)
        seconds.append(time.perf_counter() - begin)
    return Times(seconds)


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations per second of a large matrix product."""
    side = 2048 if device.type == "cpu" else 8192
    one = torch.randn(side, side, device=device).to(dtype)
    return 2 * side**3 / min(timed(lambda: one @ one, device).seconds)


def copy_rate(device: torch.device) -> float:
    """Bytes read and written per second by a copy that fits no cache."""
    source = torch.zeros(64 * 2**20, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / min(timed(lambda: target.copy_(source), device).seconds)


@torch.no_grad()
def operations(work: Callable[[], object]) -> int:
    """Floating-point operations of the convolutions and matrix products."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


@torch.no_grad()
def conv_bytes(network: nn.Module, work: Callable[[], object], element_size: int) -> int:
    """Bytes that the convolutions must read and write: their inputs, weights and outputs, each once."""
    total = 0

    def count(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        nonlocal total
        weights = sum(parameter.numel() for parameter in module.parameters())
        total += (inputs[0].numel() + weights + output.numel()) * element_size

    hooks = [
        module.register_forward_hook(count)
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
    ]
    work()
    for hook in hooks:
        hook.remove()
    return total
