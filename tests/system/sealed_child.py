"""A process that seals itself, tries what it must not be able to do, and says what came of it, as JSON."""

import ctypes
import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
from functools import partial
from multiprocessing import shared_memory
from pathlib import Path

from evaladapt.system.seal.seal import after_loading, before_strangers, restrict_files
from evaladapt.system.seal.supervisor import hand_over

PARENT = os.getppid()
STANDING = ("/usr/lib", "/lib", "/lib64", "/etc/ld.so.cache", "/proc/self", "/proc/cpuinfo", "/proc/meminfo",
            "/sys/devices/system", "/dev/null", "/dev/urandom")  # fmt: skip


def secret() -> Path:
    """The file that nobody listed. Asked for late: the test imports this room for its names."""
    return Path(sys.argv[1])


TRIED_BEFORE_STRANGERS = {
    "read a file that is not listed": lambda: secret().read_text(),
    "list a folder that is not listed": lambda: os.listdir(secret().parent),
    "write a file": lambda: secret().with_name("written").write_text("x"),
    "make a socket": socket.socket,
    "make a pair of sockets": socket.socketpair,
    "start a program": lambda: subprocess.run(["true"], check=True),
    "kill": lambda: os.kill(PARENT, 0),
    "make memory with a name": lambda: os.memfd_create("x"),
    "leave the session": os.setsid,
    "open another process": lambda: os.pidfd_open(PARENT),
}
TRIED_SEALED = {
    **TRIED_BEFORE_STRANGERS,
    "read any file": lambda: Path(os.__file__).read_text(),
    "read through torch": lambda: sys.modules["torch"].from_file(str(secret()), size=1),
    "open by the C library": lambda: _checked(ctypes.CDLL(None, use_errno=True).open(bytes(secret()), 0)),
    "import a module": lambda: __import__("antigravity"),
    "make a pipe": os.pipe,
    "share memory": lambda: mmap.mmap(-1, 4096),
    "name shared memory": lambda: shared_memory.SharedMemory(create=True, size=16),
    "duplicate a descriptor": lambda: os.dup(1),
    "set a descriptor's flags": lambda: os.set_blocking(1, False),
    "seek": lambda: os.lseek(0, 0, os.SEEK_SET),
    "signal itself": lambda: signal.raise_signal(signal.SIGUSR1),
    "signal a thread": lambda: signal.pthread_kill(threading.get_ident(), signal.SIGUSR1),
    "look at a path": lambda: os.stat("/"),
}


def _checked(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")


def outcome(action) -> str:
    """``done``, or the kind of error."""
    try:
        action()
    except BaseException as error:
        return type(error).__name__
    return "done"


def computes() -> str:
    """Forward, backward, four threads, and a fork that computes."""
    torch = sys.modules["torch"]
    torch.set_num_threads(4)
    weight = torch.randn(300, 300, requires_grad=True)
    (torch.randn(300, 300) @ weight).log_softmax(-1).sum().backward()
    heard = []
    thread = threading.Thread(target=lambda: heard.append(float(torch.ones(9).sum())))
    thread.start()
    thread.join()
    private = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    private[:2] = b"ok"
    pid = os.fork()
    if pid == 0:
        torch.set_num_threads(1)
        os._exit(0 if weight.grad is not None and bool(torch.isfinite(weight @ weight).all()) else 1)
    status = os.waitpid(pid, 0)[1]
    return f"{heard} {bytes(private[:2])} {status}"


def main() -> None:
    import torch  # as players have it: forked from a program that imported it, and torch imports what else there is

    said = {}
    standing = [Path(place) for place in (sys.prefix, sys.base_prefix, *STANDING)]
    waiting = threading.Event()
    early = threading.Thread(target=lambda: (waiting.wait(), said.update(early=outcome(os.pipe))))
    files = restrict_files(standing)
    line = socket.socket(fileno=int(sys.argv[2]))
    first = before_strangers(partial(hand_over, line))
    torch.ones(8, 8, requires_grad=True).sum().backward()
    said["before strangers"] = {name: outcome(action) for name, action in TRIED_BEFORE_STRANGERS.items()}
    early.start()
    second = after_loading()
    said["sealed"] = {name: outcome(action) for name, action in TRIED_SEALED.items()}
    waiting.set()
    early.join()
    said |= {"mechanisms": [files.mechanisms, first.mechanisms, second.mechanisms], "computes": computes()}
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main()
