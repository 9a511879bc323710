"""The transformer written out token by token and head by head, in the weights' own precision; slow, and differentiable.

Shares no code with the model. Reads weights by name and features from the configuration.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from evaladapt.model.config import ModelConfig


def rms_norm(x: Tensor) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + torch.finfo(x.dtype).eps).sqrt()


@dataclass(frozen=True)
class NaiveTransformer:
    config: ModelConfig
    weights: Mapping[str, Tensor]

    def logits(self, tokens: list[int]) -> Tensor:
        """[S,V]."""
        cap = self.config.logit_softcap
        return torch.stack([cap * torch.tanh(self.weights["embedding"] @ x / cap) for x in self.states(tokens)])

    def states(self, tokens: list[int]) -> list[Tensor]:
        inputs = self.inputs(tokens)
        order = self.order()
        half = len(order) // 2
        outputs: list[list[Tensor]] = []
        states = inputs
        for place, layer in enumerate(order):
            if self.config.unet_skips and half <= place < 2 * half:
                gain, source = self.weights["skips.gain"][place - half], outputs[2 * half - 1 - place]
                states = [x + gain * y for x, y in zip(states, source, strict=True)]
            states = self.layer(layer, states, inputs, tokens)
            outputs.append(states)
        return [rms_norm(x) for x in states]

    def order(self) -> list[int]:
        config, order = self.config, []
        for layer in range(config.layers):
            order.append(layer)
            if config.loop_times > 1 and layer == config.loop_stop - 1:
                order += list(range(config.loop_start, config.loop_stop)) * (config.loop_times - 1)
        return order

    def inputs(self, tokens: list[int]) -> list[Tensor]:
        alone = []
        for place, token in enumerate(tokens):
            x = self.weights["embedding"][token]
            if self.config.bigram_buckets:
                row = self.weights["bigram_embedding.table"][self.bucket(tokens, place)]
                x = x + self.weights["bigram_embedding.projection"] @ row * self.weights["bigram_embedding.scale"]
            alone.append(rms_norm(x))
        if not self.config.smear_gate:
            return alone
        share = 1 / (1 + torch.exp(-self.weights["smear.gate"]))
        nothing = torch.zeros_like(share)
        before = [nothing if self.opens(tokens, place) else alone[place - 1] for place in range(len(tokens))]
        return [(1 - share) * x + share * y for x, y in zip(alone, before, strict=True)]

    def opens(self, tokens: list[int], place: int) -> bool:
        return place == 0 or tokens[place] == self.config.bos_id

    def bucket(self, tokens: list[int], place: int) -> int:
        last = self.config.bigram_buckets - 1
        return last if self.opens(tokens, place) else ((36313 * tokens[place]) ^ (27191 * tokens[place - 1])) % last

    def layer(self, layer: int, states: list[Tensor], inputs: list[Tensor], tokens: list[int]) -> list[Tensor]:
        config = self.config
        own = {name.removeprefix(f"blocks.{layer}."): weight for name, weight in self.weights.items()}
        scale = 1 / math.sqrt(layer + 1) if config.depth_scale else 1.0
        mixed = states
        if config.residual_mix:
            keep, add = own["resid_mix"]
            mixed = [keep * x + add * e for x, e in zip(states, inputs, strict=True)]
        read = [rms_norm(x) * scale for x in mixed]
        attended = self.attention(layer, own, read, tokens)
        after = [x + own["attn_scale"] * y for x, y in zip(mixed, attended, strict=True)]
        if layer < config.layers - config.parallel_layers:
            read = [rms_norm(x) * scale for x in after]
        ups = [own["mlp.up"] @ x for x in read]
        downs = [own["mlp.down"] @ torch.where(up > 0, up, 0.5 * up).square() for up in ups]
        return [x + own["mlp_scale"] * y for x, y in zip(after, downs, strict=True)]

    def attention(self, layer: int, own: dict[str, Tensor], read: list[Tensor], tokens: list[int]) -> list[Tensor]:
        config, width = self.config, self.config.head_width
        values = [own["attention.value"] @ x for x in read]
        if layer in config.value_embedding_layers:
            gain = self.weights["value_embedding.gain"][config.value_embedding_layers.index(layer)]
            rows = [self.weights["value_embedding.table"][token] for token in tokens]
            values = [
                v + gain * (self.weights["value_embedding.projection"] @ r) for v, r in zip(values, rows, strict=True)
            ]
        queries = [(own["attention.query"] @ x).view(-1, width) for x in read]
        keys = [(own["attention.key"] @ x).view(-1, width) for x in read]
        split = [v.view(-1, width) for v in values]
        results = []
        for place in range(len(read)):
            heads = []
            for head in range(config.heads):
                group = head // (config.heads // config.kv_heads)
                q = self.turn(rms_norm(queries[place][head]), place) * own["attention.gain"][head]
                past = torch.stack([self.turn(rms_norm(keys[j][group]), j) for j in range(place + 1)])
                shares = torch.softmax(past @ q / math.sqrt(width), dim=0)
                y = shares @ torch.stack([split[j][group] for j in range(place + 1)])
                v = split[place][group]
                if layer >= config.layers - config.xsa_layers:
                    y = y - (y @ v) / (v @ v) * v
                heads.append(y)
            results.append(own["attention.out"] @ torch.cat(heads))
        return results

    def turn(self, x: Tensor, position: int) -> Tensor:
        """Rotates pairs (i, i + n/2) of the first n numbers; angles rounded to float32 as the model keeps them."""
        width = self.config.rope_width or self.config.head_width
        half = width // 2
        angles = position * self.config.rope_base ** (-torch.arange(half, dtype=torch.float64) / half)
        cos, sin = angles.cos().float().to(x.dtype), angles.sin().float().to(x.dtype)
        first, second, rest = x[:half], x[half:width], x[width:]
        return torch.cat((first * cos - second * sin, first * sin + second * cos, rest))
