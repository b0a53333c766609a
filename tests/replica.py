"""One of several processes that update a memory together; a module of its own, because spawned processes import it."""

import os
from pathlib import Path

import torch
from torch import Tensor

from anomalib_stmem.model.autoencoder import Architecture
from anomalib_stmem.model.loss import stream_loss
from anomalib_stmem.model.memory import PrototypeMemory
from anomalib_stmem.model.scoring import ScoreHead
from anomalib_stmem.model.torch_model import STMemModel, frame_differences


def update_memory(rank: int, folder: Path, features: list[Tensor], options: dict) -> None:
    """Join a group of two, update three times with this rank's features, and save the memory."""
    _join(rank, folder)
    torch.manual_seed(0)
    memory = PrototypeMemory(channels=6, num_items=4, **options)
    for _ in range(3):
        memory.update(memory(features[rank]))
    torch.save(memory.state_dict(), folder / f"{rank}.pt")
    torch.distributed.barrier()  # or who is done leaves the other waiting (gloo of torch 2.6)
    torch.distributed.destroy_process_group()


def measure_frames(rank: int, folder: Path, shares: list[tuple]) -> None:
    """Join a group of two, measure this rank's frames, and save the value."""
    from anomalib_stmem.evaluation.frame_metrics import _VideoAUROC

    _join(rank, folder)
    metric = _VideoAUROC(average="macro", smoothing="causal")
    metric.update(*shares[rank])
    torch.save(metric.compute(), folder / f"{rank}.pt")
    torch.distributed.barrier()  # or who is done leaves the other waiting (gloo of torch 2.6)
    torch.distributed.destroy_process_group()


def measure_regions(rank: int, folder: Path, shares: list[dict]) -> None:
    """Join a group of two, measure this rank's regions, and save the value."""
    from anomalib_stmem.evaluation.region_metrics import _TBDC

    _join(rank, folder)
    metric = _TBDC()
    metric.update(*shares[rank].values())
    torch.save(metric.compute(), folder / f"{rank}.pt")
    torch.distributed.barrier()  # or who is done leaves the other waiting (gloo of torch 2.6)
    torch.distributed.destroy_process_group()


class _Training(torch.nn.Module):
    """What DistributedDataParallel wraps: a forward that gives the loss."""

    def __init__(self) -> None:
        from trained import awaken  # with anomalib, whose import takes longer than the other tests here

        super().__init__()
        torch.manual_seed(0)
        architecture = Architecture(channels=1, width=2, stem=1, memory_items=4, memory_momentum=0.9, memory_restart=2)
        self.network = STMemModel(architecture, ScoreHead("frame", "temporal", 1.0), precision="float32")
        awaken(self.network)

    def forward(self, clips: Tensor) -> Tensor:
        expected = self.network.expect(clips)
        spatial, *_ = stream_loss(expected.spatial, clips[:, 4:], 0.1)
        temporal, *_ = stream_loss(expected.temporal, frame_differences(clips)[:, 4:], 0.1)
        return spatial + temporal


def train_model(rank: int, folder: Path, clips: list[Tensor]) -> None:
    """Join a group of two, train three steps on this rank's clips without broadcasting buffers, and save the state."""
    _join(rank, folder)
    training = torch.nn.parallel.DistributedDataParallel(_Training(), broadcast_buffers=False)
    optimizer = torch.optim.Adam([p for p in training.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        training(clips[rank]).backward()
        optimizer.step()
    torch.save(training.module.network.state_dict(), folder / f"{rank}.pt")
    torch.distributed.barrier()  # or who is done leaves the other waiting (gloo of torch 2.6)
    torch.distributed.destroy_process_group()


def _join(rank: int, folder: Path) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", GLOO_SOCKET_IFNAME="lo")
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
