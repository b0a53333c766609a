import pytest
import reference
import torch

from anomalib_stmem.model.autoencoder import StreamPrediction
from anomalib_stmem.model.loss import prediction_loss, separation_loss, stream_loss
from anomalib_stmem.model.memory import PrototypeMemory, Recall

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
