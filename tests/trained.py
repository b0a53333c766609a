"""Tiny models as if trained: running statistics, bounds and thresholds that are not the initial ones."""

from typing import Any

import torch

from anomalib_stmem import STMem
from anomalib_stmem.model.autoencoder import Decoder
from anomalib_stmem.model.scoring import MEASUREMENTS


@torch.no_grad()
def awaken(network: torch.nn.Module, times: float = 1.0) -> None:
    """Let an untrained network predict something; a new one predicts zeros, whatever it sees."""
    for module in network.modules():
        if isinstance(module, Decoder):
            module.to_frame.reset_parameters()
            module.to_frame.weight.mul_(times)


def calibrated(**options: Any) -> STMem:
    """A model of 2 channels with a threshold amid its scores."""
    defaults = {"image_size": (16, 16), "width": 2, "stem": 1, "memory_items": 3, "precision": "float32"}
    model = STMem(**(defaults | options)).eval()
    torch.manual_seed(options.get("seed", 0))
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 1.5)
        # Predictions as large as the frames, and bounds as wide as what is measured: scores tell any difference.
        awaken(model, times=30)
        distance = torch.tensor([name.startswith("distance") for name in MEASUREMENTS])
        model.model.head.lower.copy_(torch.where(distance, 0.0, -10.0))
        model.model.head.upper.copy_(torch.where(distance, 0.2, 10.0))
        network = model.model
        if network.appearance is not None:
            network.appearance.set_grid(8, 2)
            network.appearance.keep(torch.randn_like(network.appearance.items[:5]))
        if network.head.fusion is not None:  # no source drowns the others
            size = network.appearance.image_size if network.appearance else (16, 16)
            normal = network.judge(torch.rand(4, 8, network.channels, *size) * 2 - 1).measurements
            normal[..., MEASUREMENTS.index("changed")] = 0  # noise changes as a whole, and would not be judged
            network.head.fusion.calibrate(network.head.by_source(normal.flatten(0, 1)))
            network.head.fusion.peak.copy_(torch.tensor([0.5, 2.0, 5.0])[: len(network.head.sources)])
        processor = model.post_processor
        processor._image_threshold.fill_(0.7)
        processor.image_min.fill_(0.2)
        processor._pixel_threshold.fill_(0.3)
        processor.pixel_min.fill_(0.1)
    return model
