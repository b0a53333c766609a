"""Tiny models as if trained: running statistics, bounds and thresholds that are not the initial ones."""

from typing import Any

import torch

from anomalib_stmem import STMem


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
        model.model.head.lower.fill_(0.1)
        model.model.head.upper.fill_(20.0)
        processor = model.post_processor
        processor._image_threshold.fill_(0.7)
        processor.image_min.fill_(0.2)
        processor._pixel_threshold.fill_(0.3)
        processor.pixel_min.fill_(0.1)
    return model
