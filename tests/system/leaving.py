"""One of several processes that use the group, import the compiler meanwhile, and leave; prints whose threads stay."""

import importlib
import sys
from pathlib import Path

import torch

from evaladapt.system.processes import joined


def threads() -> set[str]:
    """Names of the threads of this process (Linux)."""
    return {(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()}


def main(how: str) -> None:
    torch.set_num_threads(1)
    try:
        with joined(torch.device("cpu")) as processes:
            processes.average([torch.ones(8)])
            importlib.import_module("torch._dynamo")  # as the first step of an optimiser does
            if how == "raises":
                raise InterruptedError("left in the middle")
    except InterruptedError as error:
        print(error)
    print(*sorted(name for name in threads() if "gloo" in name or "tcpstore" in name))


if __name__ == "__main__":
    main(sys.argv[1])
