"""What runs where the model runs is right on every device: it mixes no devices, and needs no float64."""

from types import SimpleNamespace

import fake_device
import numpy as np
import pytest
import torch
from trained import calibrated

from anomalib_stmem import CalibratedPostProcessor
from anomalib_stmem.evaluation.controls import control_scores
from anomalib_stmem.evaluation.event_metrics import FalseAlarmsPerHour
from anomalib_stmem.evaluation.frame_metrics import EqualErrorRate, VideoAUROC
from anomalib_stmem.evaluation.pixel_metrics import AUPRO, PixelAUROC
from anomalib_stmem.evaluation.region_metrics import RBDC, TBDC
from anomalib_stmem.model.scoring import MEASUREMENTS
from anomalib_stmem.runtime.step import StreamStep
from anomalib_stmem.runtime.torch_backend import TorchBackend
from anomalib_stmem.shell.batch import JudgedBatch
from anomalib_stmem.shell.run_report import frame_rows


def judged(seed: int = 0) -> JudgedBatch:
    generator = torch.Generator().manual_seed(seed)
    count = 12
    masks = torch.zeros(count, 16, 16, dtype=torch.bool)
    masks[6:, 4:9, 4:9] = True
    batch = JudgedBatch(
        image=torch.rand(count, 2, 3, 16, 16, generator=generator),
        gt_label=masks.any(dim=(1, 2)),
        gt_mask=masks,
        video_name=["a"] * 6 + ["b"] * 6,
        frames=torch.arange(5, 5 + count),
        frame_rate=torch.full((count,), 10.0),
        share=torch.ones(count),
        mask_known=torch.ones(count, dtype=torch.bool),
    )
    return batch.update(
        pred_score=torch.rand(count, generator=generator),
        pred_label=torch.rand(count, generator=generator) > 0.5,
        anomaly_map=torch.rand(count, 1, 16, 16, generator=generator),
        measurements=torch.rand(count, len(MEASUREMENTS), generator=generator),
    )


def moved(batch: JudgedBatch, device: torch.device) -> SimpleNamespace:
    found = SimpleNamespace(**{name: value for name, value in vars(batch).items() if not name.startswith("_")})
    for name, value in vars(found).items():
        if torch.is_tensor(value):  # as a plain tensor: those of torchvision wrap no other subclass
            setattr(found, name, value.as_subclass(torch.Tensor).to(device))
    return found


def test_the_device_fails_as_a_real_one_would() -> None:
    with fake_device.present() as device:
        there = torch.ones(3).to(device)
        with pytest.raises(TypeError, match="float64"):
            there.double()
        with pytest.raises(RuntimeError, match="one device"):
            there + torch.ones(3)
        with pytest.raises(RuntimeError, match="numpy"):
            there.numpy()
        assert (2 * there).cpu().tolist() == [2, 2, 2]


@pytest.mark.parametrize("metric", [VideoAUROC, EqualErrorRate, FalseAlarmsPerHour, PixelAUROC, AUPRO, RBDC, TBDC])
def test_metrics_give_there_what_they_give_here(metric: type) -> None:
    here, there = metric(), metric()
    here.update(judged())
    with fake_device.present() as device:
        there = there.to(device)
        there.update(moved(judged(), device))
        found = float(there.compute())
    assert found == pytest.approx(float(here.compute()), abs=1e-6)


def test_calibration_in_validation() -> None:
    def validate(batch: object, module: object, post: CalibratedPostProcessor) -> None:
        trainer = SimpleNamespace(sanity_checking=False)
        post.on_validation_batch_end(trainer, module, batch)
        post.on_validation_epoch_end(trainer, module)

    normal = judged()
    normal.gt_label = None
    here, there = CalibratedPostProcessor(), CalibratedPostProcessor()
    validate(normal, calibrated(), here)
    with fake_device.present() as device:
        there = there.to(device)
        module = calibrated().to(device)
        validate(moved(normal, device), module, there)
        found = {name: value.cpu() for name, value in there.state_dict().items()}
        assert module.model.head.lower.device == device
    for name, value in here.state_dict().items():
        torch.testing.assert_close(found[name], value, equal_nan=True, msg=name)


def test_rows_of_the_report() -> None:
    with fake_device.present() as device:
        batch, network = moved(judged(), device), calibrated().model.to(device)
        rows = frame_rows(batch, network)
        controls = control_scores(batch.image, batch.frames)
        assert all(score.device == device for score in controls.values())
    expected = frame_rows(judged(), calibrated().model)
    np.testing.assert_allclose(rows.score, expected.score, rtol=1e-5)


@pytest.mark.parametrize("measures", [False, True])
def test_stream_step_hands_numpy_back(measures: bool) -> None:
    """`stmem calibrate` measures where the step runs and calibrates on the CPU; on CUDA it crashed at its end."""
    frames = np.random.default_rng(0).random((6, 1, 3, 16, 16), np.float32)
    answers = []
    for device in ("cpu", fake_device.DEVICE):
        with fake_device.present():
            backend = TorchBackend(StreamStep(calibrated().trained, measures), "float32", device=device)
            state = {name: backend.to_state(np.zeros((1, *shape))) for name, shape in backend.info.state.items()}
            for frame in frames:
                answer, state = backend.run(frame, state)
            assert all(part.device == torch.device(device) for part in state.values())
            assert all(isinstance(backend.to_array(part), np.ndarray) for part in state.values())
        answers.append(answer)
    for one, other in zip(*answers, strict=True):
        assert isinstance(other, np.ndarray)
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_fingerprint_does_not_depend_on_the_device() -> None:
    model = calibrated()
    here = model.trained.fingerprint()
    with fake_device.present() as device:
        assert model.to(device).trained.fingerprint() == here
