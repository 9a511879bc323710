"""A stranger's model family whose models can be packed: the smallest there is."""

from importlib.metadata import EntryPoint

import torch

from evaladapt.data.tokenizers.raw_bytes import RawBytes
from evaladapt.model import families
from evaladapt.model.family import FrozenModel, Opened, path_placed
from evaladapt.model.wrapped import wrap
from evaladapt.system.entry_points import MODELS, Listing


def network(context=16):
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Embedding(257, 8), torch.nn.Linear(8, 257))
    return wrap(module, context=context, hidden=module[0], head=module[1])


class Packing:
    summary, wants, tokenizer_is_ours = "pairs of bytes", "a file called *.mine", True
    placed = staticmethod(path_placed)

    def claims(self, where):
        return where.endswith(".mine")

    def open(self, where, device):
        return Opened(network().to(device), RawBytes(), ())

    def open_tokenizer(self, where):
        return RawBytes()

    def freeze(self, opened):
        return FrozenModel({"context": opened.backend.context}, dict(opened.backend.named_parameters()), b"bytes")

    def thaw(self, config, tensors):
        model = network(config["context"])
        model.load_state_dict(tensors)
        return model

    def thaw_tokenizer(self, config, content):
        return RawBytes()


def entry_point(place):
    """Of the family ``mine``."""
    return EntryPoint("mine", place, MODELS)


def install(monkeypatch, entry_point):
    """Pretend that another distribution brings the family ``mine``."""
    others = [*families.installed(), Listing("mine", "other", "1.0", entry_point)]
    monkeypatch.setattr(families, "installed", lambda: others)
