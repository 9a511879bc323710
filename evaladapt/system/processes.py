"""Several processes at one task: who takes which rows, and what they tell each other.

Started by ``torchrun``, which says in the environment how many there are; gloo carries the messages on CPUs, nccl on
CUDA. Every process makes the same calls in the same order, so a call here is a meeting that all of them attend. The
engine and the trainer use it; a process that works alone meets nobody.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from evaladapt.errors import EvaladaptError, UsageError

PATIENCE = timedelta(minutes=10)
"""How long a process waits for the others before it gives up."""
BUCKET_NUMBERS = 1 << 22
"""Numbers that are reduced in one message; small tensors share one, so that few messages carry many."""


class ProcessLost(EvaladaptError):
    """Another process of the task ended or stopped answering."""


@dataclass(frozen=True)
class Rows:
    """Rows ``[first, stop)`` that a process works on; where they are not its ``own``, another one answers for them."""

    first: int
    stop: int
    own: bool = True


def rows_of(rank: int, processes: int, rows: int) -> Rows:
    """The rows of one process: neighbours, as equal a number for everybody as can be.

    A process for which none is left goes along with the last row, so that it makes the same calls as the others. The
    first process always has the first row: what it reads there is what state shared by all rows is fitted to.
    """
    first, stop = -(-rows * rank // processes), -(-rows * (rank + 1) // processes)
    if first < stop:
        return Rows(first, stop)
    return Rows(max(0, rows - 1), rows, own=False)


class Processes(Protocol):
    """The processes of a task as one of them sees them."""

    @property
    def rank(self) -> int:
        """Number of this process, from 0; the first one writes files and prints."""

    @property
    def count(self) -> int:
        """How many there are."""

    def join(self, values: Tensor, sizes: Sequence[int]) -> Tensor:
        """Put everybody's first ``sizes[rank]`` columns of ``values`` [...,n] side by side: [...,sum(sizes)]."""

    def add(self, values: Tensor) -> None:
        """Replace ``values`` by the sum over all processes."""

    def largest(self, value: float) -> float:
        """The largest of everybody's values."""

    def from_process(self, rank: int, values: Tensor) -> None:
        """Replace ``values`` by those of process ``rank``."""

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace every tensor by its mean over all processes, many tensors to a message."""


class Alone:
    """The only process."""

    rank = 0
    count = 1

    def join(self, values: Tensor, sizes: Sequence[int]) -> Tensor:
        """Nothing to add."""
        return values

    def add(self, values: Tensor) -> None:
        """The sum is what is there."""

    def largest(self, value: float) -> float:
        """It is the largest."""
        return value

    def from_process(self, rank: int, values: Tensor) -> None:
        """They are there already."""

    def average(self, tensors: Sequence[Tensor]) -> None:
        """The mean is what is there."""


ALONE = Alone()


class Group:
    """One of several processes, joined by ``torch.distributed``."""

    def __init__(self) -> None:
        self.rank = dist.get_rank()
        self.count = dist.get_world_size()

    def join(self, values: Tensor, sizes: Sequence[int]) -> Tensor:
        """Gather; messages have equal sizes, so the shorter ones are padded and cut again."""
        widest = max(sizes)
        if widest == 0:
            return values[..., :0]
        message = values.new_zeros(*values.shape[:-1], widest)
        message[..., : sizes[self.rank]] = values[..., : sizes[self.rank]]
        received = [torch.empty_like(message) for _ in sizes]
        with self._meeting():
            dist.all_gather(received, message)
        return torch.cat([one[..., :size] for one, size in zip(received, sizes, strict=True)], dim=-1)

    def add(self, values: Tensor) -> None:
        """Reduce."""
        with self._meeting():
            dist.all_reduce(values)

    def largest(self, value: float) -> float:
        """Reduce a single number."""
        held = torch.tensor([value], dtype=torch.float64, device=self._device)
        with self._meeting():
            dist.all_reduce(held, dist.ReduceOp.MAX)
        return float(held)

    def from_process(self, rank: int, values: Tensor) -> None:
        """Broadcast; the tensor may be empty."""
        if values.numel():
            message = values.contiguous()
            with self._meeting():
                dist.broadcast(message, rank)
            if message is not values:
                values.copy_(message)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Reduce bucket by bucket; all messages are on their way before the first is waited for."""
        buckets = [(bucket, torch.cat([one.flatten() for one in bucket])) for bucket in _buckets(tensors)]
        with self._meeting():
            for sent in [dist.all_reduce(flat, async_op=True) for _, flat in buckets]:
                sent.wait()
        for bucket, flat in buckets:
            means = torch.split(flat.div_(self.count), [one.numel() for one in bucket])
            for one, mean in zip(bucket, means, strict=True):
                one.copy_(mean.view(one.shape))

    def meet(self) -> None:
        """Wait until everybody is here, so that nobody leaves while another one still reads from it."""
        with self._meeting():
            dist.barrier()

    @property
    def _device(self) -> torch.device:
        return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")

    @contextmanager
    def _meeting(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise ProcessLost(
                f"process {self.rank} of {self.count} lost the others: one of them ended or did not answer for"
                f" {PATIENCE.seconds // 60} minutes; its own message says why ({str(error).splitlines()[0]})"
            ) from error


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbours of one type, up to ``BUCKET_NUMBERS`` together; a larger tensor is a bucket by itself."""
    bucket: list[Tensor] = []
    for one in tensors:
        together = sum(other.numel() for other in bucket) + one.numel()
        if bucket and (together > BUCKET_NUMBERS or one.dtype != bucket[0].dtype):
            yield bucket
            bucket = []
        bucket.append(one)
    if bucket:
        yield bucket


def own_device(device: torch.device) -> torch.device:
    """The device of this process: with several on one machine each takes a GPU of its own.

    Raises:
        UsageError: one GPU was named for all of them, or there are fewer GPUs than processes.
    """
    if device.type != "cuda" or _announced() == 1:
        return device
    if device.index is not None:
        raise UsageError(f"--device {device} names one GPU, but there are {_announced()} processes; use --device cuda")
    place, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if place >= there:
        raise UsageError(f"this machine has {there} GPUs for more processes; lower --nproc-per-node, or --device cpu")
    return torch.device("cuda", place)


def _announced() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def joined(device: torch.device, name: str = "", number: int = 0) -> Iterator[Processes]:
    """The processes that ``torchrun`` started, joined for the block; without it this process alone.

    ``device`` is where this process computes, as :func:`own_device` gives it. Where several groups are joined
    through the same ``torchrun``, each has a ``name`` of its own; where variables alone say where to meet, the first
    process of a group serves it, and groups that are there at once have each a ``number``: that many ports further.

    Raises:
        UsageError: the environment names several processes but not how to reach them.
        ProcessLost: one of them did not come.
    """
    if _announced() == 1:
        yield ALONE
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    _import_what_would_keep_the_group()
    _take_port(number)
    try:
        store, rank, count = next(rendezvous("env://", timeout=PATIENCE))
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=PrefixStore(name, store), rank=rank, world_size=count, timeout=PATIENCE)
    except ValueError as error:
        raise UsageError(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but the processes cannot be joined ({error}). Start them with:"
            " torchrun --nproc-per-node N -m evaladapt ..."
        ) from error
    except RuntimeError as error:
        raise ProcessLost(f"the processes could not be joined: {str(error).splitlines()[0]}") from error
    group = Group()
    try:
        yield group
        group.meet()
    except BaseException:
        # nccl would wait for the others to say goodbye; gloo does not.
        if dist.get_backend() == "gloo":
            dist.destroy_process_group()
        raise
    dist.destroy_process_group()


def _take_port(number: int) -> None:
    """A group that came to another one's server would be let in or not by chance: that one may be sealed by then."""
    port = os.environ.get("MASTER_PORT", "")
    if number and port.isdecimal() and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        os.environ["MASTER_PORT"] = str(int(port) + number)


def _import_what_would_keep_the_group() -> None:
    """Import ``torch.distributed.nn`` while there is no group.

    Its functions have the group of the moment as a default argument. Imported inside the block, as the compiler and
    the optimisers do, they would hold the group after it was destroyed, and with it gloo's threads: an interpreter
    that ends before its threads do is aborted.
    """
    importlib.import_module("torch.distributed.nn.functional")
