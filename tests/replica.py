"""One of several processes that update a memory together; a module of its own, because spawned processes import it."""

import os
from pathlib import Path

import torch
from torch import Tensor

from anomalib_stmem.model.memory import PrototypeMemory


def update_memory(rank: int, folder: Path, features: list[Tensor], options: dict) -> None:
    """Join a group of two, update three times with this rank's features, and save the memory."""
    _join(rank, folder)
    torch.manual_seed(0)
    memory = PrototypeMemory(channels=6, num_items=4, **options)
    for _ in range(3):
        memory.update(memory(features[rank]))
    torch.save(memory.state_dict(), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def measure_frames(rank: int, folder: Path, shares: list[tuple]) -> None:
    """Join a group of two, measure this rank's frames, and save the value."""
    from anomalib_stmem.evaluation.frame_metrics import _VideoAUROC

    _join(rank, folder)
    metric = _VideoAUROC(average="macro", smoothing="causal")
    metric.update(*shares[rank])
    torch.save(metric.compute(), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def measure_regions(rank: int, folder: Path, shares: list[dict]) -> None:
    """Join a group of two, measure this rank's regions, and save the value."""
    from anomalib_stmem.evaluation.region_metrics import _TBDC

    _join(rank, folder)
    metric = _TBDC()
    metric.update(*shares[rank].values())
    torch.save(metric.compute(), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def _join(rank: int, folder: Path) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", GLOO_SOCKET_IFNAME="lo")
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
