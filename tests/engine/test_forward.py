"""Reading rows: what is asked for is what the model says of the whole row, however rows are taken together."""

import pytest
import torch

from evaladapt.contract.views import Window
from evaladapt.engine import forward
from evaladapt.engine.parts import block_parts, step_parts
from evaladapt.engine.windows import Batch
from tests.tiny import VOCABULARY, tiny_model

BATCH = Batch(0, (Window(0, 5, 9), Window(2, 9, 12), Window(6, 12, 17)))
INPUTS = torch.randint(VOCABULARY, (3, 10), generator=torch.Generator().manual_seed(0))


class OnlyStates:
    """A stranger's model, which offers nothing but what every model must."""

    def __init__(self):
        self.hidden = tiny_model().hidden


@pytest.mark.parametrize("model", [tiny_model(), OnlyStates()])
@pytest.mark.parametrize("together", [1, 20, 10_000])
@pytest.mark.parametrize("first", [0, 7])
def test_whole_rows_are_read_a_few_at_a_time(model, together, first, monkeypatch):
    monkeypatch.setattr(forward, "TOKENS_TOGETHER", together)
    (part,) = block_parts(BATCH)
    found = forward.forward_for(model, "block").hidden(part, INPUTS, first)
    assert torch.allclose(found, tiny_model().hidden(INPUTS)[:, first:], atol=1e-6)


def test_a_continued_row_has_the_states_that_were_read():
    continued = forward.forward_for(tiny_model(), "step")
    row = INPUTS[:1]
    for part in list(step_parts(BATCH))[:4]:
        found = continued.hidden(part, row, 3)
        known = part.spans[0].stop - 1
        assert torch.allclose(found[:, : known - 3], tiny_model().hidden(row)[:, 3:known], atol=1e-6)
