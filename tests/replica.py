"""One of several processes that update a memory together; a module of its own, because spawned processes import it."""

import os
from pathlib import Path

import torch
from torch import Tensor

from anomalib_stmem.model.memory import PrototypeMemory


def update_memory(rank: int, folder: Path, features: list[Tensor], options: dict) -> None:
    """Join a group of two, update three times with this rank's features, and save the memory."""
    os.environ.update(MASTER_ADDR="127.0.0.1", GLOO_SOCKET_IFNAME="lo")
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    torch.manual_seed(0)
    memory = PrototypeMemory(channels=6, num_items=4, **options)
    for _ in range(3):
        memory(features[rank])
    torch.save(memory.state_dict(), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()
