import torch

from evaladapt.model.rope import rotary_table, rotate
from tests.tiny import tiny_model

CPU = torch.device("cpu")


def test_a_position_is_rotated_the_same_in_every_window_length() -> None:
    short, long = rotary_table(8, 32, 10_000.0, CPU), rotary_table(4096, 32, 10_000.0, CPU)
    assert torch.equal(short.cos, long.cos[:8])
    assert torch.equal(short.sin, long.sin[:8])


def test_rotation_matches_complex_multiplication() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 5, 8, dtype=torch.float64)
    table = rotary_table(5, 8, 10_000.0, CPU)
    turned = torch.complex(x[..., :4], x[..., 4:]) * torch.complex(table.cos.double(), table.sin.double())
    assert torch.allclose(rotate(x, table), torch.cat((turned.real, turned.imag), dim=-1), atol=1e-12)


def test_scores_depend_on_distance_alone() -> None:
    torch.manual_seed(0)
    table = rotary_table(20, 16, 10_000.0, CPU)
    q, k = torch.randn(16), torch.randn(16)
    queries, keys = rotate(q.expand(1, 1, 20, 16), table)[0, 0], rotate(k.expand(1, 1, 20, 16), table)[0, 0]
    scores = queries @ keys.T
    assert torch.allclose(scores.diagonal(-3), scores[3, 0].expand(17), atol=1e-5)
    assert not torch.allclose(scores[3, 0], scores[12, 0], atol=1e-1)


def test_a_table_made_in_inference_mode_serves_training_too() -> None:
    model = tiny_model().requires_grad_()
    tokens = torch.zeros(1, 4, dtype=torch.long)
    with torch.inference_mode():
        model(tokens)
    model(tokens).sum().backward()
    assert model.embedding.grad is not None
