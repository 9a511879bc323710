"""What ``plugins/MODELS.md`` says, held against the code: an author has nothing else to go by."""

import re
from pathlib import Path

import torch

from evaladapt.data.tokenizers.raw_bytes import RawBytes
from evaladapt.model import roles
from evaladapt.model.families import open_model
from evaladapt.model.family import FAMILY_PARTS, FrozenModel, Opened
from evaladapt.testing import check_model

README = (Path(__file__).resolve().parents[2] / "plugins" / "MODELS.md").read_text(encoding="utf-8")


def test_every_part_of_a_family_stands_there():
    rows = re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)
    assert rows == list(FAMILY_PARTS)


def test_every_role_stands_there():
    said = README[README.index("Roles are") :]
    known = {v for n, v in vars(roles).items() if n.isupper() and isinstance(v, str) and not n.startswith("_")}
    for role in known - {roles.OTHER}:
        assert role in said or role.partition(".")[2] in said


def test_what_is_shown_packs_the_module_shown():
    module, packing = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[:2]
    shown = {"FrozenModel": FrozenModel, "RawBytes": RawBytes}
    exec(module + packing, shown)
    opened = Opened(*shown["load"]()[:1], RawBytes(), ())
    frozen = shown["freeze"](None, opened)
    tokens = torch.arange(8)[None]
    thawed = shown["thaw"](None, frozen.config, frozen.tensors)
    assert torch.equal(thawed(tokens), opened.backend(tokens))
    assert shown["thaw_tokenizer"](None, frozen.config, frozen.tokenizer).sha256 == opened.tokenizer.sha256


def test_the_module_shown_opens_and_can_be_relied_on(tmp_path):
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL).group(1)
    (tmp_path / "mine.py").write_text(code)
    opened = open_model(f"python:{tmp_path}/mine.py:load", torch.device("cpu"))
    check_model(opened.backend, opened.tokenizer)
    assert not opened.backend.states_are_logits
