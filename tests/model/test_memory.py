from pathlib import Path

import pytest
import reference
import replica
import torch
import torch.multiprocessing as mp
from torch import Tensor, nn

from anomalib_stmem.model.memory import PrototypeMemory, memory_health


@pytest.fixture
def memory() -> PrototypeMemory:
    return PrototypeMemory(channels=6, num_items=4)


def learn(memory: PrototypeMemory, features: Tensor) -> None:
    """What a training step does with a memory."""
    memory.update(memory(features))


def features_of(*vectors: Tensor) -> Tensor:
    """One map of height 1, a vector per pixel."""
    return torch.stack(vectors, dim=1)[None, :, None]


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_read_follows_equations_5_and_6(temperature: float) -> None:
    memory = PrototypeMemory(channels=6, num_items=4, temperature=temperature).eval()
    features = torch.randn(2, 6, 3, 2)
    read = memory(features).read
    expected = [reference.read(query, memory.items.detach(), temperature) for query in reference.queries_of(features)]
    torch.testing.assert_close(read.permute(0, 2, 3, 1).reshape(-1, 6), torch.stack(expected))


@pytest.mark.parametrize("momentum", [None, 0.0, 0.9])
def test_update_follows_equations_7_and_8(momentum: float | None) -> None:
    memory = PrototypeMemory(channels=6, num_items=4, momentum=momentum)
    features = torch.randn(2, 6, 3, 2)
    expected = reference.updated_items(memory.items.detach().clone(), features, momentum)
    learn(memory, features)
    torch.testing.assert_close(memory.items.detach(), expected)


@pytest.mark.parametrize("training", [False, True])
def test_reading_changes_nothing(memory: PrototypeMemory, training: bool) -> None:
    before = {name: value.clone() for name, value in memory.state_dict().items()}
    memory.train(training)(torch.randn(2, 6, 3, 3))
    for name, value in memory.state_dict().items():
        torch.testing.assert_close(value, before[name])


@pytest.mark.parametrize("learned", [False, True])
def test_backward_works_after_the_update(learned: bool) -> None:
    memory = PrototypeMemory(channels=6, num_items=4, learn_items=learned)
    features = torch.randn(2, 6, 3, 3, requires_grad=True)
    recall = memory(features)
    memory.update(recall)
    (recall.read.square().sum() + recall.similarity.sum()).backward()
    assert features.grad is not None
    assert (memory.items.grad is not None) == learned


def test_update_builds_no_graph(memory: PrototypeMemory) -> None:
    learn(memory, torch.randn(1, 6, 2, 2, requires_grad=True))
    assert not memory.items.requires_grad
    assert memory.items.grad_fn is None


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_zero_features_and_layouts_are_read_alike(memory: PrototypeMemory, layout: torch.memory_format) -> None:
    features = torch.randn(2, 6, 3, 3)
    features[0, :, 1, 1] = 0
    recall = memory(features.to(memory_format=layout))
    torch.testing.assert_close(recall.read, memory(features).read)
    torch.testing.assert_close(recall.similarity[0, 4], torch.zeros(4))


def test_items_keep_unit_norm(memory: PrototypeMemory) -> None:
    for _ in range(5):
        learn(memory, 5 * torch.randn(2, 6, 3, 3))
    torch.testing.assert_close(memory.items.norm(dim=1), torch.ones(4))


def test_item_nobody_chose_stays_where_it_was(memory: PrototypeMemory) -> None:
    unchosen = memory.items[1:].detach().clone()
    learn(memory, features_of(memory.items[0].detach() * 3))
    torch.testing.assert_close(memory.items[1:].detach(), unchosen)
    assert memory.idle.tolist() == [0, 1, 1, 1]


def test_idle_item_restarts_on_the_worst_explained_query() -> None:
    memory = PrototypeMemory(channels=4, num_items=3, momentum=0.99, restart_after=2)
    with torch.no_grad():
        memory.items.copy_(torch.eye(4)[:3])
    stranger = torch.tensor([0.0, 0.1, 0.0, 1.0])
    crowd = features_of(torch.eye(4)[0], torch.eye(4)[1], stranger)
    learn(memory, crowd)
    torch.testing.assert_close(memory.items[2].detach(), torch.eye(4)[2])
    learn(memory, crowd)
    torch.testing.assert_close(memory.items[2].detach(), reference.unit(stranger))
    assert memory.idle[2] == 0


def test_state_is_in_the_checkpoint(memory: PrototypeMemory) -> None:
    learn(memory, torch.randn(1, 6, 2, 2))
    other = PrototypeMemory(channels=6, num_items=4)
    other.load_state_dict(memory.state_dict())
    torch.testing.assert_close(other.items, memory.items)
    assert set(memory.state_dict()) == {"items", "idle"}


def test_autocast_leaves_similarity_and_items_in_float32(memory: PrototypeMemory) -> None:
    features = torch.randn(2, 6, 3, 3).bfloat16().float()
    exact = memory.eval()(features)
    with torch.autocast("cpu", torch.bfloat16):
        recall = memory.eval()(features.bfloat16())
        memory.update(recall)
    assert recall.read.dtype == torch.bfloat16
    assert recall.similarity.dtype == memory.items.dtype == torch.float32
    torch.testing.assert_close(recall.similarity, exact.similarity)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"num_items": 2}, "at least 3"),
        ({"temperature": 0.0}, "above 0"),
        ({"momentum": 1.0}, r"\[0, 1\)"),
    ],
)
def test_impossible_option_is_named(options: dict, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        PrototypeMemory(channels=4, **options)


def test_literal_read_is_nearly_the_mean_of_all_items() -> None:
    """The bound that makes temperature an option: no weight of 20 can exceed e / (e + 19 / e) = 0.28."""
    memory = PrototypeMemory(channels=64, num_items=20).eval()
    recall = memory(torch.randn(2, 64, 8, 8))
    assert recall.similarity.softmax(dim=2).max() < 0.28
    assert memory_health(recall).read_entropy > 0.99
    sharp = PrototypeMemory(channels=64, num_items=20, temperature=0.05).eval()
    assert memory_health(sharp(torch.randn(2, 64, 8, 8))).read_entropy < 0.9


def test_health_of_a_collapsed_memory() -> None:
    memory = PrototypeMemory(channels=4, num_items=3).eval()
    with torch.no_grad():
        memory.items.copy_(torch.eye(4)[:1].expand(3, 4))
    health = memory_health(memory(features_of(torch.eye(4)[0])))
    torch.testing.assert_close(torch.stack(health), torch.tensor([1 / 3, 1.0, 1.0]))


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9, "restart_after": 1}])
def test_two_replicas_update_like_one_device(tmp_path: Path, options: dict) -> None:
    """Uneven shares of the features included."""
    features = torch.randn(5, 6, 3, 3)
    mp.spawn(replica.update_memory, (tmp_path, [features[:2], features[2:]], options), nprocs=2)
    torch.manual_seed(0)
    alone = PrototypeMemory(channels=6, num_items=4, **options)
    for _ in range(3):
        learn(alone, features)
    for rank in range(2):
        state = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(state["items"], alone.items.detach(), atol=1e-6, rtol=0)
        torch.testing.assert_close(state["idle"], alone.idle)


def test_items_are_no_buffer_that_ddp_would_overwrite(memory: PrototypeMemory) -> None:
    assert isinstance(memory.items, nn.Parameter)
