"""A stream gives the numbers of whole clips, whatever is pushed, saved, reset or refused on the way."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trained import calibrated

from anomalib_stmem import FrameStream, FrameStreams, STMem
from anomalib_stmem.model.normal_view import NormalView
from anomalib_stmem.model.torch_model import Judged
from anomalib_stmem.video.frame import planes

SIZE = (16, 24)


def video(frames: int, seed: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Frames as cv2 reads them, ``(n, h, w, 3)``."""
    drawn = np.random.default_rng(seed).integers(0, 256, (frames, *size, 3), np.uint8)
    return np.stack([mostly_still(frame) for frame in drawn])


def mostly_still(frame: np.ndarray) -> np.ndarray:
    """Keep a quarter of a frame, before a picture that is always the same."""
    still = np.random.default_rng(0).integers(0, 256, frame.shape, np.uint8)
    still[:, : frame.shape[1] // 4] = frame[:, : frame.shape[1] // 4]
    return still


@torch.no_grad()
def judged_as_clip(model: STMem, frames: np.ndarray, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores and maps of all frames from ``window`` on, by the network on one clip that begins at frame ``first``."""
    clip = np.stack([planes(frame, tuple(model.hparams.image_size)) for frame in frames])
    trained = model.trained
    raw = trained.network.judge(trained.preparation(torch.from_numpy(clip)[None].float() / 255), [first])
    judged = trained.calibrated(Judged(raw.score[0], None, raw.anomaly_map[0, :, None]))
    return judged.pred_score.numpy(), judged.anomaly_map[:, 0].numpy()


CONFIGURATIONS = st.fixed_dictionaries(
    {
        "streams": st.sampled_from(["both", "spatial", "temporal"]),
        "window": st.integers(3, 7),
        "channels": st.sampled_from([1, 3]),
        "stem": st.sampled_from([1, 2]),
        "rtsm": st.booleans(),
        "shift_fraction": st.sampled_from([0.0, 0.25, 1.0]),
        "rcam": st.booleans(),
        "skips": st.booleans(),
        "memory": st.sampled_from(["all", "bottleneck", "none"]),
        "memory_fusion": st.sampled_from(["concat", "read"]),
        "memory_temperature": st.sampled_from([1.0, 0.1]),
        "score_area": st.sampled_from(["frame", "patches", "patch"]),
        "score_error": st.sampled_from(["sum", "spatial", "temporal", "both"]),
        "prediction_weight": st.sampled_from([0.8, 1.0]),
    }
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(options=CONFIGURATIONS, data=st.data())
def test_window_clip_and_stream_agree(options: dict, data: st.DataObject) -> None:
    """Any configuration, video length, batch of cameras, order of pushes, and resets."""
    model = calibrated(image_size=SIZE if options["stem"] == 1 else (32, 16), **options)
    window = options["window"]
    cameras = list(range(data.draw(st.integers(1, 3))))
    streams = FrameStreams(model, cameras)
    since: dict[int, list[np.ndarray]] = {camera: [] for camera in cameras}
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    last = {}
    for _ in range(data.draw(st.integers(window + 1, window + 5))):
        present = [camera for camera in cameras if rng.random() < 0.9]
        if rng.random() < 0.05:
            camera = rng.choice(cameras)
            streams.reset(camera)
            since[camera] = []
        new = [rng.integers(0, 256, (20, 30, 3), np.uint8) for _ in present]
        # Sometimes the picture changes as a whole.
        frames = {
            camera: one if rng.random() < 0.1 else mostly_still(one) for camera, one in zip(present, new, strict=True)
        }
        for camera, verdict in streams.push(frames).items():
            since[camera].append(frames[camera])
            assert (verdict is None) == (len(since[camera]) <= window)
            last[camera] = verdict
    for camera in cameras:
        seen = np.array(since[camera])
        if len(seen) <= window:
            continue
        scores, maps = judged_as_clip(model, seen)
        scores_of_window, maps_of_window = judged_as_clip(model, seen[-window - 1 :], len(seen) - window - 1)
        np.testing.assert_allclose(scores[-1], scores_of_window[-1], atol=1e-4)
        np.testing.assert_allclose(maps[-1], maps_of_window[-1], atol=1e-4)
        assert last[camera].frame_index == len(seen) - 1
        np.testing.assert_allclose(last[camera].score, scores[-1], atol=1e-4)
        np.testing.assert_allclose(last[camera].anomaly_map, maps[-1], atol=1e-4)


@pytest.fixture(scope="module")
def model() -> STMem:
    return calibrated(image_size=SIZE, score_error="both", prediction_weight=0.8)


def scores(stream: FrameStream, frames: np.ndarray) -> list[float | None]:
    return [verdict and verdict.score for verdict in map(stream.push, frames)]


def test_stream_says_when_it_is_warm(model: STMem) -> None:
    stream = FrameStream(model)
    needed = []
    for frame in video(6):
        needed.append(stream.frames_needed)
        verdict = stream.push(frame)
    assert needed == [5, 4, 3, 2, 1, 0]
    assert verdict.frame_index == 5
    assert verdict.is_anomalous is False  # one frame is no alarm
    assert verdict.anomaly_map.shape == SIZE


def test_uncalibrated_model_has_no_label() -> None:
    stream = FrameStream(STMem(image_size=SIZE, width=2, memory_items=3, stem=1))
    assert [stream.push(frame) for frame in video(6)][-1].is_anomalous is None


def test_state_is_fixed_in_size(model: STMem) -> None:
    streams = FrameStreams(model, ["gate"])
    before = {name: part.nbytes for name, part in streams._state.items()}
    for frame in video(12):
        streams.push({"gate": frame})
    assert {name: part.untyped_storage().nbytes() for name, part in streams._state.items()} == before


def test_reset_forgets_everything(model: STMem) -> None:
    stream = FrameStream(model)
    scores(stream, video(8, seed=1))
    stream.reset()
    assert scores(stream, video(9)) == scores(FrameStream(model), video(9))


def test_saved_state_goes_on_in_another_stream(model: STMem, tmp_path) -> None:  # noqa: ANN001
    whole, frames = FrameStream(model), video(12)
    expected = scores(whole, frames)
    first = FrameStream(model)
    scores(first, frames[:7])
    np.savez(tmp_path / "state.npz", **first.save())
    first.push(frames[0])  # what was saved is a copy
    second = FrameStream(model)
    second.restore(np.load(tmp_path / "state.npz"))
    assert scores(second, frames[7:]) == expected[7:]


def test_state_of_another_model_is_refused_and_the_stream_goes_on(model: STMem) -> None:
    stream, frames = FrameStream(model), video(8)
    scores(stream, frames[:7])
    other = calibrated(image_size=SIZE, score_error="both", prediction_weight=0.8, seed=1)
    with pytest.raises(ValueError, match="saved from another model"):
        stream.restore(FrameStream(other).save())
    with pytest.raises(ValueError, match=r"state is of cameras \['a'\]"):
        stream.restore(FrameStreams(model, ["a"]).save())
    assert stream.push(frames[7]).score == scores(FrameStream(model), frames)[-1]


FAULTS = [
    (np.zeros((10, 10, 3), np.uint8), ValueError, r"Frame 7 of 'camera' is 10x10 pixels, the ones before 16x24.*reset"),
    (np.full((*SIZE, 3), np.nan, np.float32), ValueError, "values from nan to nan.*finite"),
    (np.full((*SIZE, 3), 255.0), ValueError, r"values from 255.0 to 255.0.*\[0, 1\]"),
    (np.zeros((*SIZE, 4), np.uint8), ValueError, r"shape \(16, 24, 4\).*\(h, w, 3\) or \(h, w\)"),
    (torch.zeros(*SIZE, 3), ValueError, r"shape \(16, 24, 3\).*\(3, h, w\) or \(1, h, w\)"),
    (np.zeros((2, *SIZE, 3), np.uint8), ValueError, "one frame at a time"),
    (np.zeros((0, 5, 3), np.uint8), ValueError, r"shape \(0, 5, 3\)"),
    (np.zeros((*SIZE, 3), np.int32), TypeError, "int32.*uint8, or floats"),
    (None, TypeError, "NoneType"),
]


@pytest.mark.parametrize(("frame", "kind", "complaint"), FAULTS)
def test_bad_frame_is_refused_and_the_stream_goes_on(
    model: STMem, frame: object, kind: type[Exception], complaint: str
) -> None:
    stream, frames = FrameStream(model), video(8)
    scores(stream, frames[:7])
    with pytest.raises(kind, match=complaint):
        stream.push(frame)
    assert stream.push(frames[7]).score == scores(FrameStream(model), frames)[-1]


def test_one_bad_camera_leaves_the_others_unchanged(model: STMem) -> None:
    streams = FrameStreams(model, ["gate", "yard"])
    with pytest.raises(ValueError, match="'yard'"):
        streams.push({"gate": video(1)[0], "yard": np.zeros((4, 4, 9), np.uint8)})
    assert streams.frames_needed("gate") == 5
    with pytest.raises(KeyError, match="no camera 'roof'"):
        streams.push({"roof": video(1)[0]})


def test_arrays_tensors_bytes_and_floats_are_the_same_picture(model: STMem) -> None:
    frames = video(7)
    expected = scores(FrameStream(model), frames)[-1]
    as_rgb = torch.from_numpy(frames[..., ::-1].copy()).permute(0, 3, 1, 2)
    assert scores(FrameStream(model), as_rgb)[-1] == expected
    assert scores(FrameStream(model), as_rgb.float() / 255)[-1] == pytest.approx(expected, abs=1e-5)
    assert scores(FrameStream(model), frames / 255)[-1] == pytest.approx(expected, abs=1e-5)
    grey = frames[..., 0]
    as_colour = np.repeat(grey[..., None], 3, axis=-1)
    assert scores(FrameStream(model), grey)[-1] == scores(FrameStream(model), as_colour)[-1]


@pytest.mark.parametrize("cameras", [[], ["a", "a"]])
def test_cameras_need_names_of_their_own(model: STMem, cameras: list[str]) -> None:
    with pytest.raises(ValueError, match="different names"):
        FrameStreams(model, cameras)


def test_an_alarm_begins_after_the_least_duration_and_goes_on_after_a_restart(model: STMem) -> None:
    """At an assumed 25 frames per second the level looks at 21 frames; every one is above a threshold of nothing."""
    model.post_processor._image_threshold.fill_(-9.0)
    first = {}
    for least in (0.0, 0.4):
        streams = FrameStreams(model, ["gate"], least_seconds=least)
        alarms = []
        for number, frame in enumerate(video(45)):
            if number == 20:
                saved = streams.save()
                streams = FrameStreams(model, ["gate"], least_seconds=least)
                streams.restore(saved)
            verdict = streams.push({"gate": frame})["gate"]
            alarms.append(verdict is not None and verdict.is_anomalous)
        first[least] = alarms.index(True)
    assert first == {0.0: 5 + 10, 0.4: 5 + 10 + 10}


def test_stream_is_silent_while_the_camera_fails_and_says_why(model: STMem) -> None:
    """A dark picture is no movement; when it has lasted it is told, and when it is over the stream judges again."""
    frames = video(30)
    trained = model.trained
    trained.normal = NormalView.learn(planes(frame, trained.image_size).astype(np.float32) / 255 for frame in frames)
    stream = FrameStream(trained)
    rate = round(stream.info.frame_rate or 25)
    dark = np.random.default_rng(0).integers(0, 6, (3 * rate, *SIZE, 3), np.uint8)
    again = video(4 * rate, seed=1)
    told = [(stream.push(frame) is None, stream.trouble) for frame in [*frames, *dark, *again]]
    assert told[:30] == [(True, None)] * 5 + [(False, None)] * 25
    late = rate // 5  # frames until the next check
    assert {silent for silent, _ in told[30 + late : 30 + 5 * rate - 1]} == {True}
    assert told[30 + rate][1] is None
    assert told[30 + late + 2 * rate][1] == told[30 + 5 * rate - 3][1] == "dark"
    assert told[-1] == (False, None)
    half, other = FrameStream(trained), FrameStream(trained)
    for frame in [*frames, *dark]:
        half.push(frame)
    other.restore(half.save())
    assert other.trouble == "dark"
