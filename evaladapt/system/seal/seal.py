"""The seal: what a process can no longer ask of the system, for good, in all of its threads, root included.

Two stages. :func:`restrict_files` and :func:`before_strangers` come before a stranger's code is imported: no new
programs, no sockets, no looking into other processes, and, where the kernel has Landlock, files outside the installed
program cannot be read.
:func:`after_loading` is an allow list: reading and writing on the descriptors that exist, private memory, threads,
forks, clocks. No file, pipe, socket or shared memory can be made or opened any more.

The filters are classic BPF programs (seccomp, Linux, x86-64 and aarch64); ``filters`` writes them.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaladapt.system.seal.calls import ARCHITECTURES, Architecture
from evaladapt.system.seal.filters import ASK, Instruction, allow_list, deny_list

PR_SET_NO_NEW_PRIVS = 38
SECCOMP_SET_MODE_FILTER = 1
SECCOMP_FILTER_FLAG_TSYNC = 1
TSYNC_AND_LISTENER = 1 << 0 | 1 << 3 | 1 << 4
"""SECCOMP_FILTER_FLAG_TSYNC, NEW_LISTENER, and TSYNC_ESRCH, without which the first two exclude each other."""
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
LANDLOCK_CREATE_RULESET_VERSION = 1
LANDLOCK_RULE_PATH_BENEATH = 1
EXECUTE, READ_FILE, READ_DIR = 1 << 0, 1 << 2, 1 << 3
FILE_RIGHTS_OF_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
"""All rights over files that a version of Landlock knows; from version 5 on ioctl on devices is one too."""
FILE_RIGHTS_FROM_5 = (1 << 16) - 1

SECCOMP, LANDLOCK, NO_DESCRIPTORS = "seccomp", "landlock", "rlimit"


@dataclass(frozen=True)
class Seal:
    """What holds a process.

    Attributes:
        mechanisms: names of what is in force, ``seccomp`` first.
        open: what is not closed on this system, for the record; empty where nothing is known to be.
    """

    mechanisms: tuple[str, ...]
    open: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether a sealed process cannot get at a file, a socket or another process."""
        return SECCOMP in self.mechanisms

    def and_then(self, later: Seal) -> Seal:
        """Both, what came later first."""
        names = dict.fromkeys((*later.mechanisms, *self.mechanisms))
        return Seal(tuple(names), (*later.open, *self.open))


def restrict_files(readable: Sequence[Path], listable: Sequence[Path] = ()) -> Seal:
    """From now on no file can be read that is not beneath ``readable``, and none written, where there is Landlock.

    Names beneath ``listable`` can be listed too: installed distributions are found by them.
    Must be called while the process has one thread: Landlock binds the caller and what it starts.
    """
    if _architecture() is not None:
        _refuse_new_privileges()
        if _restrict_files(readable, listable):
            return Seal((LANDLOCK,))
    return Seal((), ("no Landlock: while they are imported, strategies can read files of the machine",))


def before_strangers(hand_over: Callable[[int | None], None], more: Sequence[str] = ()) -> Seal:
    """Refuse new programs, sockets and other processes, and have the parent asked about what the second stage refuses.

    Args:
        hand_over: gives the parent the descriptor that it is asked by, or None; see
            :mod:`evaladapt.system.seal.supervisor`.
        more: calls that the second stage allows too.
    """
    architecture = _architecture()
    if architecture is not None:
        listener = _install_asking(architecture, deny_list(architecture, more, otherwise=ASK))
        hand_over(listener)
        if listener is not None or _install(architecture, deny_list(architecture)):
            return Seal((SECCOMP,))
    else:
        hand_over(None)
    return Seal((), ("no seccomp: while they are imported, strategies can start programs and open connections",))


def after_loading(more: Sequence[str] = ()) -> Seal:
    """Allow from now on what computing needs, the calls in ``more``, and nothing that reaches out of the process."""
    architecture = _architecture()
    if architecture is not None and _install(architecture, allow_list(architecture, more)):
        return Seal((SECCOMP,))
    limit = max(map(int, os.listdir("/dev/fd")), default=2) if os.path.isdir("/dev/fd") else 0
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    return Seal(
        (NO_DESCRIPTORS,),
        (f"no seccomp on this {sys.platform}: no new descriptors beyond {limit}, but paths can be looked at",),
    )


def _refuse_new_privileges() -> None:
    _libc().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _architecture() -> Architecture | None:
    return ARCHITECTURES.get(platform.machine()) if sys.platform == "linux" else None


def _install(architecture: Architecture, program: Sequence[Instruction]) -> bool:
    """Put a filter on all threads; False where the kernel takes none."""
    return _seccomp(architecture, program, SECCOMP_FILTER_FLAG_TSYNC) == 0


def _install_asking(architecture: Architecture, program: Sequence[Instruction]) -> int | None:
    """The same for one that asks: the descriptor to answer by; None where the kernel has none."""
    found = _seccomp(architecture, program, TSYNC_AND_LISTENER)
    return found if found >= 0 else None


def _seccomp(architecture: Architecture, program: Sequence[Instruction], flags: int) -> int:
    code = b"".join(struct.pack("<HBBI", *one) for one in program)
    buffer = ctypes.create_string_buffer(code, len(code))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    prog, libc = Program(len(program), ctypes.cast(buffer, ctypes.c_void_p)), _libc()
    _refuse_new_privileges()
    return int(libc.syscall(architecture.numbers["seccomp"], SECCOMP_SET_MODE_FILTER, flags, ctypes.byref(prog)))


def _restrict_files(readable: Sequence[Path], listable: Sequence[Path]) -> bool:
    """Landlock: files can be read beneath ``readable`` and nowhere else, and written nowhere."""
    libc = _libc()
    version = libc.syscall(LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_CREATE_RULESET_VERSION)
    if version < 1:
        return False
    rights = ctypes.c_uint64(FILE_RIGHTS_OF_ABI.get(version, FILE_RIGHTS_FROM_5))
    ruleset = libc.syscall(LANDLOCK_CREATE_RULESET, ctypes.byref(rights), ctypes.sizeof(rights), 0)
    if ruleset < 0:
        return False
    try:
        for path in readable:
            _allow(ruleset, path, READ_FILE | READ_DIR | EXECUTE if path.is_dir() else READ_FILE | EXECUTE)
        for path in listable:
            _allow(ruleset, path, READ_DIR)
        return int(libc.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0)) == 0
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there need not be readable
    try:
        rule = struct.pack("<Qi", rights, place)
        _libc().syscall(LANDLOCK_ADD_RULE, ruleset, LANDLOCK_RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(place)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
