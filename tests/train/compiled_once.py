"""Prints, as JSON, the loss and its gradient as they are and as torch.compile makes them."""

import json
from dataclasses import replace

import torch

from evaladapt.train.compiling import loss_for
from tests.model.features import PLAIN, stirred_model

if __name__ == "__main__":
    tokens = torch.randint(2, PLAIN.vocab_size, (2, 17), generator=torch.Generator().manual_seed(5))
    model = stirred_model(replace(PLAIN, layers=1))
    found = {}
    for wanted in ("off", "on"):
        loss = loss_for(torch.device("cpu"), wanted)(model, tokens[:, :-1], tokens[:, 1:])
        gradient = torch.autograd.grad(loss, list(model.parameters()))
        found[wanted] = {"loss": loss.item(), "gradient": torch.cat([one.flatten() for one in gradient]).tolist()}
    print(json.dumps(found))
