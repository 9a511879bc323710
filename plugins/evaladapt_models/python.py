"""Any torch module of the user's own: ``python:FILE.py:FUNCTION`` or ``python:MODULE:FUNCTION``.

The function takes no arguments, or the device, and returns a model and its tokenizer:

    from evaladapt.model.wrapped import wrap

    def load(device):
        module = MyModel.from_checkpoint("model.safetensors").to(device)
        return wrap(module, context=1024, hidden=module.trunk, head=module.lm_head), "tokenizer.json"

The model is what ``wrap`` makes of a module, or anything that keeps ``evaladapt.model.backend.Backend``. The tokenizer
is a path (``.model`` of sentencepiece, or ``tokenizer.json``), the word ``bytes``, or an object of your own that keeps
``evaladapt.data.tokenizer.Tokenizer``. Paths are relative to the file of the function. A third value may list the files
that were read, so that the model's identity and size are theirs; without it they are those of the code alone.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaladapt.errors import EvaladaptError, ModelError
from evaladapt.model.family import Opened, Placed

if TYPE_CHECKING:
    import torch

    from evaladapt.data.tokenizer import Tokenizer


class PythonFamily:
    """``python:FILE.py:FUNCTION``."""

    summary = "any torch module of your own, from a Python function (python:FILE.py:FUNCTION)"
    wants = "python:FILE.py:FUNCTION or python:MODULE:FUNCTION, a function that returns a model and its tokenizer"
    tokenizer_is_ours = False

    def claims(self, where: str) -> bool:
        """Never: code is run only where it is named as such."""
        return False

    def placed(self, where: str) -> Placed:
        """The function's file, and its folder with what stands beside it; a module is found as Python finds it."""
        place, _, name = where.rpartition(":")
        path = Path(place).expanduser()
        if not place.endswith(".py") or not path.is_file():
            return Placed(where, ())
        return Placed(f"{path.resolve()}:{name}", (path.resolve().parent,))

    def open(self, where: str, device: torch.device) -> Opened:
        """Call the function."""
        from evaladapt.data.tokenizers.given import tokenizer_given
        from evaladapt.model.backend import Backend

        function, source = _function(where)
        returned = _called(function, where, device)
        if not isinstance(returned, tuple) or len(returned) not in (2, 3):
            raise ModelError(f"python:{where} returns {type(returned).__name__}; return a model and its tokenizer.")
        model, tokenizer, *named = returned
        if not isinstance(model, Backend):
            raise ModelError(
                f"python:{where} returns a {type(model).__name__}, which is no backend. Make it one:"
                " evaladapt.model.wrapped.wrap(module, context=TOKENS, hidden=..., head=...)"
            )
        files = [source.parent / path for path in named[0]] if named else []
        tokenizer, read = tokenizer_given(tokenizer, source.parent, model.vocab_size)
        return Opened(model, tokenizer, (source, *read, *files))

    def open_tokenizer(self, where: str) -> Tokenizer:
        """Opened beside the model only, because it is made by the user's code."""
        raise ModelError(f"python:{where}: its tokenizer is opened together with the model.")


def _function(where: str) -> tuple[Callable[..., Any], Path]:
    place, colon, name = where.rpartition(":")
    if not colon or not place or not name:
        raise ModelError(f"python:{where} names no function: python:FILE.py:FUNCTION or python:MODULE:FUNCTION")
    try:
        module = _from_file(Path(place).expanduser()) if place.endswith(".py") else importlib.import_module(place)
    except EvaladaptError:
        raise
    except Exception as error:  # whatever the user's module raises while it is imported
        hint = "" if place.endswith(".py") else ". A module has to be importable; a file may be named as FILE.py"
        what = f"{type(error).__name__}: {error}{hint}"
        raise ModelError(f"python:{where}: importing {place} failed with {what}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise ModelError(f"python:{where}: {place} has no function {name!r}.")
    return function, Path(str(module.__file__))


def _from_file(path: Path) -> Any:
    if not path.is_file():
        raise ModelError(f"{path}: there is no such file.")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # last, so that what stands beside the file hides nothing
    name = f"evaladapt_python_{path.stem}"
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # dataclasses and pickles look their module up by name
    specification.loader.exec_module(module)
    return module


def _called(function: Callable[..., Any], where: str, device: torch.device) -> Any:
    try:
        return function(device) if inspect.signature(function).parameters else function()
    except EvaladaptError:
        raise
    except Exception as error:  # whatever the user's function raises
        raise ModelError(f"python:{where} failed with {type(error).__name__}: {error}") from error
