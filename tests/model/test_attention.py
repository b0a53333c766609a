import pytest
import torch

from anomalib_stmem.model.attention import ResidualChannelAttention


def test_module_follows_equations_2_to_4() -> None:
    module = ResidualChannelAttention(channels=4, reduction=2).eval()
    norm = module.convolution[1]
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    q = torch.randn(3, 4, 6, 5)
    leaky = torch.nn.functional.leaky_relu
    for i in range(len(q)):
        convolved = module.convolution[0](q[i][None])[0]
        for c in range(4):
            spread = (norm.running_var[c] + norm.eps).sqrt()
            convolved[c] = (convolved[c] - norm.running_mean[c]) / spread * norm.weight[c] + norm.bias[c]
        u = module.convolution[3](leaky(convolved, 0.2)[None])[0]
        z = torch.stack([u[c].sum() / u[c].numel() for c in range(4)])
        w3, w4 = module.weigh[1], module.weigh[3]
        narrow = leaky(w3.weight[:, :, 0, 0] @ z + w3.bias, 0.2)
        s = 1 / (1 + (-(w4.weight[:, :, 0, 0] @ narrow + w4.bias)).exp())
        expected = torch.stack([q[i, c] + u[c] * s[c] for c in range(4)])
        torch.testing.assert_close(module(q)[i], expected)


@pytest.mark.parametrize(("channels", "narrow"), [(64, 4), (16, 1), (8, 1)])
def test_reduction_leaves_at_least_one_channel(channels: int, narrow: int) -> None:
    assert ResidualChannelAttention(channels).weigh[1].out_channels == narrow
