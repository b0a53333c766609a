import pytest
import reference
import torch

from anomalib_stmem.model.autoencoder import Architecture, StreamPrediction
from anomalib_stmem.model.loss import Weights, objective, prediction_loss, separation_loss, stream_loss
from anomalib_stmem.model.memory import PrototypeMemory, Recall
from anomalib_stmem.model.scoring import ScoreHead
from anomalib_stmem.model.torch_model import STMemModel, frame_differences

FEATURES = torch.randn(3, 5, 2, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def recall() -> Recall:
    return PrototypeMemory(channels=5, num_items=6).eval()(FEATURES)


def test_prediction_loss_follows_equation_9() -> None:
    predicted, actual = torch.randn(2, 3, 1, 4, 4), torch.randn(2, 3, 1, 4, 4)
    norms = [
        sum(float(x - y) ** 2 for x, y in zip(predicted[i, j].ravel(), actual[i, j].ravel(), strict=True))
        for i in range(2)
        for j in range(3)
    ]
    assert float(prediction_loss(predicted, actual, "sum")) == pytest.approx(sum(norms) / 6, rel=1e-5)
    assert float(prediction_loss(predicted, actual, "mean")) == pytest.approx(sum(norms) / 6 / 16, rel=1e-5)


@pytest.mark.parametrize(("a", "b"), [(2.0, 1.0), (0.1, 0.5), (0.0, 0.0)])
def test_separation_loss_follows_equation_10(recall: Recall, a: float, b: float) -> None:
    by_map = [
        sum(reference.separation_terms(query, recall.items, a, b) for query in reference.queries_of(one[None]))
        for one in FEATURES
    ]
    assert float(separation_loss(recall, a, b, "sum")) == pytest.approx(sum(by_map) / 3, rel=1e-4)
    assert float(separation_loss(recall, a, b, "mean")) == pytest.approx(sum(by_map) / 24, rel=1e-4)


def test_stream_loss_follows_equations_11_and_12(recall: Recall) -> None:
    frames, actual = torch.randn(3, 1, 1, 4, 4), torch.randn(3, 1, 1, 4, 4)
    other = PrototypeMemory(channels=5, num_items=6).eval()(torch.randn(3, 5, 2, 4))
    prediction = StreamPrediction(frames, {0: recall, 3: other})
    loss, predicted, separation = stream_loss(prediction, actual, 0.1, 2.0, 1.0)
    expected = (separation_loss(recall, 2, 1) + separation_loss(other, 2, 1)) / 2
    torch.testing.assert_close(separation, expected)
    torch.testing.assert_close(loss, predicted + 0.1 * expected)


def test_no_memory_and_no_weight_leave_the_prediction_loss(recall: Recall) -> None:
    frames, actual = torch.randn(3, 1, 1, 4, 4), torch.randn(3, 1, 1, 4, 4)
    for prediction, weight in ((StreamPrediction(frames, {}), 0.1), (StreamPrediction(frames, {3: recall}), 0.0)):
        loss, predicted, separation = stream_loss(prediction, actual, weight)
        assert float(separation) == 0
        torch.testing.assert_close(loss, predicted)


def test_weights_of_the_streams_do_not_matter_to_adam() -> None:
    """Table II varies gamma; but the streams share no weights, and Adam does not see the scale of a loss."""
    trained = []
    for gamma in (0.2, 0.8):
        torch.manual_seed(0)
        head = ScoreHead("frame", "sum", 1.0)
        network = STMemModel(Architecture(channels=1, width=4, stem=1), head, precision="float32")
        optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=1e-3)
        for _ in range(5):
            clips = torch.rand(2, 7, 1, 16, 16) * 2 - 1
            expected = network.expect(clips)
            spatial, *_ = stream_loss(expected.spatial, clips[:, 4:], 0.1)
            temporal, *_ = stream_loss(expected.temporal, frame_differences(clips)[:, 4:], 0.1)
            optimizer.zero_grad()
            (gamma * spatial + (1 - gamma) * temporal).backward()
            optimizer.step()
        trained.append(network.eval().expect(clips).final)
    torch.testing.assert_close(*trained, atol=1e-3, rtol=1e-2)
    assert trained[0].abs().max() > 0.01


@pytest.mark.parametrize("streams", ["both", "spatial", "temporal"])
def test_objective_follows_equation_13(streams: str) -> None:
    torch.manual_seed(0)
    architecture = Architecture(channels=1, width=2, stem=1, memory_items=4)
    network = STMemModel(architecture, ScoreHead("frame", "sum", 1.0), streams, "float32").eval()
    clips = torch.rand(2, 7, 1, 16, 16) * 2 - 1
    expected, t = network.expect(clips), network.window
    total, parts = objective(expected, clips, t, Weights(spatial=0.3, separation=0.1))
    losses = {}
    if expected.spatial is not None:
        losses["spatial"] = stream_loss(expected.spatial, clips[:, t - 1 :], 0.1)[0]
    if expected.temporal is not None:
        losses["temporal"] = stream_loss(expected.temporal, (clips[:, 1:] - clips[:, :-1])[:, t - 1 :], 0.1)[0]
    weights = {"spatial": 0.3, "temporal": 0.7} if streams == "both" else {streams: 1.0}
    torch.testing.assert_close(total, sum(weights[name] * loss for name, loss in losses.items()))
    assert set(parts) == {f"{name}_{part}_loss" for name in losses for part in ("prediction", "separation")}
