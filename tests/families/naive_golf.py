"""Parameter-golf's baseline written a second time, a position and a head after the other, and its containers."""

import io
import math
import zlib

import torch

HEADS, KV_HEADS, WIDTH, MLP, LAYERS = 4, 2, 32, 48, 5


def random_weights(vocabulary, tied=True, seed=0):
    """The state of a network by the names of the checkpoints."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape, around=0.0, spread=0.3):
        return around + spread * torch.randn(shape, generator=generator)

    weights = {"tok_emb.weight": draw(vocabulary, WIDTH), "skip_weights": draw(LAYERS // 2, WIDTH, around=1.0)}
    for layer in range(LAYERS):
        name = f"blocks.{layer}."
        weights |= {
            name + "attn.c_q.weight": draw(WIDTH, WIDTH),
            name + "attn.c_k.weight": draw(KV_HEADS * WIDTH // HEADS, WIDTH),
            name + "attn.c_v.weight": draw(KV_HEADS * WIDTH // HEADS, WIDTH),
            name + "attn.proj.weight": draw(WIDTH, WIDTH),
            name + "attn.q_gain": draw(HEADS, around=1.5),
            name + "mlp.fc.weight": draw(MLP, WIDTH),
            name + "mlp.proj.weight": draw(WIDTH, MLP),
            name + "attn_scale": draw(WIDTH, around=1.0),
            name + "mlp_scale": draw(WIDTH, around=1.0),
            name + "resid_mix": draw(2, WIDTH, around=0.5),
        }
    if not tied:
        weights["lm_head.weight"] = draw(vocabulary, WIDTH)
    return weights


def logits(weights, tokens, cap=30.0, base=10_000.0):
    """Float64 logits [S, V] of one row of tokens."""
    w = {name: tensor.double() for name, tensor in weights.items()}
    x = x0 = rms(w["tok_emb.weight"][tokens])
    outputs = []
    for layer in range(LAYERS):
        if layer >= LAYERS // 2 and layer - LAYERS // 2 < len(w["skip_weights"]):
            x = x + w["skip_weights"][layer - LAYERS // 2] * outputs[LAYERS // 2 - 1 - (layer - LAYERS // 2)]
        own = {name.removeprefix(f"blocks.{layer}."): one for name, one in w.items() if f"blocks.{layer}." in name}
        x = own["resid_mix"][0] * x + own["resid_mix"][1] * x0
        x = x + own["attn_scale"] * attention(own, rms(x), base)
        hidden = (rms(x) @ own["mlp.fc.weight"].T).clamp(min=0) ** 2
        x = x + own["mlp_scale"] * (hidden @ own["mlp.proj.weight"].T)
        outputs.append(x)
    scores = rms(x) @ w.get("lm_head.weight", w["tok_emb.weight"]).T
    return cap * torch.tanh(scores / cap)


def rms(x):
    return x / (x.pow(2).mean(-1, keepdim=True) + torch.finfo(torch.float32).eps).sqrt()


def attention(own, x, base):
    size, shared = WIDTH // HEADS, HEADS // KV_HEADS
    heads = []
    for head in range(HEADS):
        rows = slice(head * size, (head + 1) * size)
        kv_rows = slice(head // shared * size, (head // shared + 1) * size)
        q = turned(rms(x @ own["attn.c_q.weight"][rows].T), base) * own["attn.q_gain"][head]
        k = turned(rms(x @ own["attn.c_k.weight"][kv_rows].T), base)
        v = x @ own["attn.c_v.weight"][kv_rows].T
        rows_out = []
        for place in range(len(x)):
            share = torch.softmax(k[: place + 1] @ q[place] / math.sqrt(size), dim=0)
            rows_out.append(share @ v[: place + 1])
        heads.append(torch.stack(rows_out))
    return torch.cat(heads, dim=-1) @ own["attn.proj.weight"].T


def turned(x, base):
    """x1 cos + x2 sin, -x1 sin + x2 cos."""
    half = x.shape[-1] // 2
    out = torch.empty_like(x)
    for place in range(len(x)):
        for pair in range(half):
            angle = place * base ** (-pair / half)
            first, second = x[place, pair], x[place, half + pair]
            out[place, pair] = first * math.cos(angle) + second * math.sin(angle)
            out[place, half + pair] = -first * math.sin(angle) + second * math.cos(angle)
    return out


def saved(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def quantised(weights, keep_up_to=500):
    """The int8 container, and the weights that a reader should find in it."""
    content = {"__quant_format__": "int8_clean_per_row_v1", "quantized": {}, "scales": {}, "dtypes": {}, "qmeta": {}}
    content |= {"passthrough": {}, "passthrough_orig_dtypes": {}}
    found = {}
    for name, weight in weights.items():
        if any(part in name for part in ("scale", "mix", "gain", "skip")):
            content["passthrough"][name] = found[name] = weight
        elif weight.numel() <= keep_up_to:
            content["passthrough"][name] = weight.half()
            content["passthrough_orig_dtypes"][name] = "float32"
            found[name] = weight.half().float()
        else:
            scale = (weight.abs().amax(dim=1) / 127).half()
            codes = (weight / scale.float()[:, None]).round().clamp(-127, 127)
            content["quantized"][name], content["scales"][name] = codes.to(torch.int8), scale
            content["dtypes"][name], content["qmeta"][name] = "bfloat16", {"scheme": "per_row", "axis": 0}
            found[name] = (codes * scale.float()[:, None]).bfloat16().float()
    return zlib.compress(saved(content)), found
