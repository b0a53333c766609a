import itertools

import numpy as np
import pytest
import reference
import torch
from torch._dynamo.testing import CompileCounter
from trained import awaken

from anomalib_stmem.model.appearance import Appearance
from anomalib_stmem.model.autoencoder import Architecture
from anomalib_stmem.model.memory import Recall
from anomalib_stmem.model.scoring import MEASUREMENTS, ScoreHead, error_maps
from anomalib_stmem.model.torch_model import STMemModel, frame_differences

REGION = np.arange(16 * 32).reshape(16, 32) % 32 >= 12  # the left part is left out


def build(  # noqa: ANN201
    streams: str = "both",
    relative: bool = False,
    sources: bool = False,
    region: bool = False,
    **options,  # noqa: ANN003
):
    defaults = {"channels": 1, "width": 4, "stem": 1, "memory_items": 5}
    torch.manual_seed(0)
    head = ScoreHead("patch", "sum", 0.8, relative, perspective=sources, speed=sources, looks=sources)
    appearance = Appearance(3, (16, 32)) if sources else None
    network = STMemModel(Architecture(**(defaults | options)), head, streams, "float32", appearance)
    if appearance is not None:
        appearance.keep(torch.randn(3, 112))
        appearance.set_grid(cell=4, every=1)
        appearance.still.fill_(0.2)
        head.perspective.slope.normal_()
        head.perspective.centre.fill_(0.4)
    if region:
        network.exemptions.narrow(REGION)
    awaken(network)
    for module in network.modules():  # running statistics that are not the identity
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


def clips(frames: int, batch: int = 2, channels: int = 1) -> torch.Tensor:
    return torch.rand(batch, frames, channels, 16, 32) * 2 - 1


ABLATIONS = [
    {},
    {"rtsm": False},
    {"shift_fraction": 0.0},
    {"rcam": False},
    {"memory": "none"},
    {"memory": "bottleneck"},
    {"skips": False},
    {"skips": False, "memory": "none"},
    {"memory_fusion": "read"},
    {"memory_temperature": 0.05},
    {"streams": "spatial"},
    {"streams": "temporal"},
    {"channels": 3},
    {"stem": 2},
    {"window": 3},
    {"window": 4},
    {"window": 7},
    {"residual": False},
    {"relative": True},
    {"sources": True},
    {"sources": True, "channels": 3, "streams": "temporal"},
    {"sources": True, "region": True},
]


@pytest.mark.parametrize("options", ABLATIONS, ids=str)
@torch.no_grad()
def test_window_and_clip_give_the_same_numbers(options: dict) -> None:
    network = build(**options)
    t = network.window
    long = clips(frames=t + 5, channels=options.get("channels", 1))
    together = network.judge(long)
    apart = [network.judge(long[:, start : start + t + 1]) for start in range(5)]
    for field in ("prediction", "measurements", "score", "anomaly_map"):
        joined = torch.cat([getattr(window, field) for window in apart], dim=1)
        torch.testing.assert_close(getattr(together, field), joined, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("options", ABLATIONS, ids=str)
@torch.no_grad()
def test_stream_expects_what_the_clip_expects(options: dict) -> None:
    """What is expected of each frame, and how far the memories were from it, not only the score that follows."""
    network = build(**options)
    network.head.error, network.head.prediction_weight = "both", 0.5  # so that both sub-networks run
    t, long = network.window, clips(frames=network.window + 5, channels=options.get("channels", 1))
    expected, judged = network.expect(long), network.judge(long)
    state = network.empty_state(len(long), long.shape[-2:])
    for frame in range(long.shape[1]):
        if frame >= t:
            step = frame - t
            for name, clip_side in (("spatial", expected.spatial), ("temporal", expected.temporal)):
                if clip_side is not None:
                    place = step + 1 if name == "spatial" else step
                    torch.testing.assert_close(state[name], clip_side.frames[:, place], atol=1e-5, rtol=1e-4)
                    column = MEASUREMENTS.index(f"distance_{name}")
                    torch.testing.assert_close(state[f"distance_{name}"], judged.measurements[:, step, column])
            if "sum" in state:
                torch.testing.assert_close(state["sum"], expected.final[:, step], atol=1e-5, rtol=1e-4)
        if network.appearance is not None:
            state |= network.look(long[:, frame], state["frame"])._asdict()
        measurements, anomaly_map, state = network.step(long[:, frame], state)
        if frame >= t:
            torch.testing.assert_close(network.head(measurements), judged.score[:, frame - t], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(anomaly_map, judged.anomaly_map[:, frame - t, None], atol=1e-6, rtol=1e-4)


@torch.no_grad()
def test_what_is_left_out_is_no_part_of_map_and_score() -> None:
    network, long = build(sources=True, region=True), clips(frames=7)
    expected, judged = network.expect(long), network.judge(long)
    errors = {name: error * torch.from_numpy(REGION) for name, error in expected.errors.items()}
    maps = {name: network.head.in_perspective(name, one) for name, one in error_maps(errors).items()}
    psnr = -10 * maps["sum"].mean(dim=(-2, -1)).log10()
    torch.testing.assert_close(judged.measurements[..., MEASUREMENTS.index("psnr_frame_sum")], psnr)
    before, elsewhere = long.clone(), long.clone()
    elsewhere[:, -1, :, :, :8] = 1 - elsewhere[:, -1, :, :, :8]  # farther from the rest than a patch and a look reach
    for name in ("psnr_frame_sum", "psnr_patch_temporal", "motion"):
        now, then = (network.judge(one).measurements[:, -1, MEASUREMENTS.index(name)] for one in (elsewhere, before))
        torch.testing.assert_close(now, then)
    with pytest.raises(ValueError, match="Nothing of the picture is left"):
        network.exemptions.narrow(~REGION)


@torch.no_grad()
def test_each_look_serves_until_the_next_wherever_a_clip_begins() -> None:
    network = build(sources=True)
    network.appearance.set_grid(cell=4, every=3)
    long, t = clips(frames=14), network.window
    whole = network.judge(long)
    place = MEASUREMENTS.index("looks")
    for start in range(14 - t):
        window = network.judge(long[:, start : start + t + 1], [start, start])
        torch.testing.assert_close(window.score[:, 0], whole.score[:, start], atol=1e-5, rtol=1e-5)
        due = start + t - (start + t) % 3
        looked = network.look(long[:, due], long[:, due - 1])
        torch.testing.assert_close(whole.measurements[:, start, place], looked.surprise.amax(dim=(1, 2)))


@pytest.mark.parametrize("streams", ["both", "spatial", "temporal"])
@torch.no_grad()
def test_distances_are_those_of_the_features_behind_the_final_frame(streams: str) -> None:
    """Eq. (15) of the map that each part of Y_hat was decoded from, found again by judging every window alone."""
    network = build(streams=streams)
    t, long = network.window, clips(frames=network.window + 3, batch=1)
    judged = network.judge(long)
    for step in range(3):
        frame = t + step  # the one that is judged
        if streams != "temporal":
            # Of the sum, I_hat_{f-1} is decoded after frame f-2; alone, I_hat_f after frame f-1.
            last = frame - 2 if streams == "both" else frame - 1
            recall = network.spatial(long[:, last - t + 2 : last + 1]).recalls[3]
            expected = reference.distance(_map(recall), recall.items)
            found = judged.measurements[0, step, MEASUREMENTS.index("distance_spatial")]
            assert float(found) == pytest.approx(expected, abs=1e-5)
        if streams != "spatial":
            recall = network.temporal(frame_differences(long)[:, frame - t : frame - 1]).recalls[3]
            found = judged.measurements[0, step, MEASUREMENTS.index("distance_temporal")]
            assert float(found) == pytest.approx(reference.distance(_map(recall), recall.items), abs=1e-5)


def _map(recall: Recall) -> torch.Tensor:
    """The map ``(c, h, w)`` that asked a memory last."""
    rows = recall.features[-1]
    return rows.T.unflatten(1, recall.read.shape[-2:])


@pytest.mark.parametrize(
    ("options", "lacking"),
    [
        ({}, []),
        ({"streams": "temporal"}, ["both", "distance_spatial", "spatial"]),
        ({"streams": "spatial"}, ["both", "distance_temporal", "temporal"]),
        ({"memory": "none"}, ["distance_spatial", "distance_temporal"]),
    ],
    ids=str,
)
def test_network_says_which_measurements_it_takes(options: dict, lacking: list[str]) -> None:
    left_out = set(MEASUREMENTS) - set(build(**options).measured)
    kinds = {name if name.startswith("distance") else name.split("_")[-1] for name in left_out}
    assert sorted(kinds - {"speed", "looks", "changed"}) == lacking


@pytest.mark.parametrize("options", [{}, {"window": 3}, {"window": 7}], ids=str)
def test_prediction_sees_its_window_and_nothing_else(options: dict) -> None:
    network = build(streams="spatial", **options)
    t = network.window
    long = clips(frames=t + 4, batch=1).requires_grad_()
    network.spatial(long[:, :-1]).frames[:, -1].sum().backward()
    seen = long.grad.abs().sum(dim=(0, 2, 3, 4)) > 0
    shifts = min(3, t - 2)
    expected = [False] * (t + 4)
    for frame in range(t + 2 - shifts, t + 3):
        expected[frame] = True
    assert seen.tolist() == expected
    assert sum(expected) <= t - 1


def test_final_frame_and_errors_speak_about_the_judged_frame() -> None:
    network = build()
    clip = clips(frames=9)
    expected = network.expect(clip)
    for s, f in enumerate(range(5, 9)):
        past = clip[:, f - 5 : f]  # I_{f-5} .. I_{f-1}
        before_last = past[:, -2] + network.spatial(past[:, :-1]).frames[:, -1]  # I_hat_{f-1}
        last = past[:, -1] + network.spatial(past[:, 1:]).frames[:, -1]  # I_hat_f
        change = network.temporal(frame_differences(past)).frames[:, -1]  # X_hat_{f-1}
        torch.testing.assert_close(expected.final[:, s], before_last + change, atol=1e-4, rtol=1e-4)
        close = {"atol": 1e-4, "rtol": 1e-4}
        torch.testing.assert_close(expected.errors["sum"][:, s], before_last + change - clip[:, f], **close)
        torch.testing.assert_close(expected.errors["spatial"][:, s], last - clip[:, f], **close)
        torch.testing.assert_close(expected.errors["temporal"][:, s], change - (clip[:, f] - clip[:, f - 1]), **close)


def test_single_streams_judge_the_same_frames_as_both() -> None:
    clip = clips(frames=8)
    shapes = {name: build(streams=name).judge(clip).measurements.shape for name in ("both", "spatial", "temporal")}
    assert set(shapes.values()) == {(2, 3, len(MEASUREMENTS))}
    temporal = build(streams="temporal")
    expected = temporal.expect(clip)
    torch.testing.assert_close(expected.errors["sum"], expected.errors["temporal"], atol=1e-6, rtol=0)


def test_forward_judges_every_frame_clip_by_clip() -> None:
    network = build()
    clip = clips(frames=9)
    inferred, judged = network(clip), network.judge(clip)
    torch.testing.assert_close(inferred.pred_score, judged.score.flatten())
    torch.testing.assert_close(inferred.anomaly_map, judged.anomaly_map.view(8, 1, 16, 32))
    assert network(clip[:, :6]).pred_score.shape == (2,)


def test_repeated_frames_score_finite() -> None:
    still = clips(frames=1).expand(-1, 6, -1, -1, -1)
    assert torch.isfinite(build().judge(still).score).all()


def test_memory_learns_from_decoded_steps_only() -> None:
    """A change in the oldest frame, which no full window of the finest scale decodes, must not reach its memory."""
    clip = clips(frames=6, batch=1)
    items = []
    for change in (0.0, 0.5):
        network = build().train()
        changed = clip.clone()
        changed[:, 0] += change
        with torch.no_grad():
            network.spatial.encoder.eval()
            network.spatial(changed[:, :-1])
        items.append(network.spatial.memories["0"].items.detach().clone())
    torch.testing.assert_close(items[0], items[1])


@pytest.mark.parametrize(
    ("shape", "complaint"),
    [
        ((1, 5, 1, 16, 16), r"clips of at least 6 frames.*clip_length_in_frames 6"),
        ((1, 6, 1, 20, 16), "multiples of 8.*20x16.*image_size"),
        ((6, 1, 16, 16), "clips of at least 6 frames"),
    ],
)
def test_impossible_clip_is_refused(shape: tuple[int, ...], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        build().judge(torch.zeros(shape))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"window": 2}, "window"),
        ({"channels": 2}, "channels"),
        ({"width": 0}, "width"),
        ({"stem": 3}, "stem must be 1, 2 or 4"),
        ({"shift_fraction": 2.0}, "shift"),
    ],
)
def test_impossible_architecture_is_refused(options: dict, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Architecture(**options)


def test_bfloat16_stays_close_and_predicts_float32() -> None:
    exact = build()
    coarse = build()
    coarse.precision = "bf16"
    clip = clips(frames=7)
    one, other = exact.judge(clip), coarse.judge(clip)
    assert other.prediction.dtype == torch.float32
    torch.testing.assert_close(other.prediction, one.prediction, atol=0.05, rtol=0)


@pytest.mark.parametrize(
    ("streams", "error", "scored"),
    [
        ("both", "both", "both"),
        ("both", "spatial", "spatial"),
        ("temporal", "both", "sum"),
        ("temporal", "spatial", "sum"),
        ("temporal", "temporal", "temporal"),
    ],
)
def test_error_that_a_single_stream_lacks_is_scored_as_that_of_the_sum(streams: str, error: str, scored: str) -> None:
    network = build(streams)
    network.head.error = error
    assert network.scored_error == scored
    assert scored in error_maps(network.expect(clips(frames=6)).errors)


def test_looks_are_seen_in_the_networks_precision() -> None:
    network = build(sources=True)
    frames, before = clips(frames=2)[:, 1], clips(frames=2)[:, 0]
    exact = network.look(frames, before).surprise
    network.precision = "bf16"
    coarse = network.look(frames, before).surprise
    assert not torch.equal(coarse, exact)
    torch.testing.assert_close(coarse, exact, atol=0, rtol=0.05)


@pytest.mark.slow
def test_compiles_whole_and_once_for_all_lengths() -> None:
    """Without a graph break (``fullgraph``); by dynamo alone, because building code for a CPU takes minutes."""
    counter = CompileCounter()
    torch._dynamo.reset()
    plain, network = build().train(), build().train()
    network.compile_streams(fullgraph=True, backend=counter)
    for number, frames in ((4, 12), (4, 9), (5, 10), (4, 15)):  # 16 maps and more: torch guards conv2d there on CPUs
        clip = clips(frames, number)
        torch.testing.assert_close(network.expect(clip).final, plain.expect(clip).final)
    assert counter.frame_count == 1  # which both sub-networks share
    torch._dynamo.reset()


def test_options_of_the_ablations_change_the_network() -> None:
    sizes = [sum(p.numel() for p in build(**options).parameters()) for options in ABLATIONS[:9]]
    assert all(a != b for a, b in itertools.pairwise(sizes[3:9]))
    assert sizes[1] < sizes[0]
    assert sizes[2] == sizes[0]  # a shift of nothing keeps the parameters
