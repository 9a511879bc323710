"""The cache of a transformers model: one piece of memory for a row, whatever is added to it."""

import torch

from evaladapt.model.families import open_model


def test_a_row_stays_where_it_is_while_it_grows(folder_of):
    model = open_model(f"hf:{folder_of('llama')[0]}", torch.device("cpu")).backend
    tokens = torch.randint(300, (2, 20), generator=torch.Generator().manual_seed(0))
    cache = model.start_cache(2, 20)
    places, states = set(), []
    with torch.no_grad():
        for piece in (tokens[:, :7], *tokens[:, 7:].split(1, dim=1)):
            states.append(model.extend(piece, cache))
            places.add(tuple(layer.keys.data_ptr() for layer in cache.layers))
        assert torch.allclose(torch.cat(states, 1), model.hidden(tokens), atol=1e-5)
    assert len(places) == 1
    assert cache.get_seq_length() == 20
