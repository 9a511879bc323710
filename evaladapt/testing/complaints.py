"""What the checks of a model complain of, and how its author is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from evaladapt.errors import EvaladaptError

Complaints = Iterator[str]
WHERE = "evaladapt.model.backend says what each part has to do; plugins/MODELS.md shows a family"


class ModelFailsCheck(AssertionError):
    """A model does not do what the engine relies on; the message has every complaint."""


def told(check: Callable[..., Complaints], *arguments: object) -> Complaints:
    """What a check complains of, and what it raises."""
    try:
        yield from check(*arguments)
    except EvaladaptError as error:
        yield f"{check.__name__.strip('_')}: {error}"
    except Exception as error:  # a stranger's module may raise anything, and the author wants to know where
        yield f"{check.__name__.strip('_')}: {type(error).__name__}: {error}"


def refuse(model: object, complaints: Sequence[str]) -> None:
    """Raises :class:`ModelFailsCheck` where there are complaints."""
    if complaints:
        said = "\n".join(f"- {one}" for one in complaints)
        raise ModelFailsCheck(f"{type(model).__name__} cannot be relied on:\n{said}\n{WHERE}.")
