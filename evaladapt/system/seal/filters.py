"""The two system-call filters of the seal, written as classic BPF for x86-64 and aarch64.

A filter sees the number of a system call and its plain arguments. Every refusal is an error that the caller gets
(``EPERM``), not a kill, so that a strategy that tries something is told so by Python like anybody.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence

from evaladapt.system.seal.calls import Architecture

Instruction = tuple[int, int, int, int]
"""code, jump if true, jump if false, operand."""

LOAD, EQUAL, AND, GREATER_EQUAL, RETURN = 0x20, 0x15, 0x54, 0x35, 0x06
ALLOW, REFUSE, KILL, ASK = 0x7FFF0000, 0x00050000, 0x80000000, 0x7FC00000
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16
X32_BIT = 0x40000000

MAP_KIND, MAP_PRIVATE = 0x03, 0x02


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FORK_FLAGS = 0x01200011
"""CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | SIGCHLD: a fork as glibc makes it, sharing nothing with its parent."""
THREAD_FLAGS = 0x003D0F00
"""Memory, files, signals and thread group shared: a thread as glibc makes it."""
ADVICE = (4, 8, 14, 15)
"""MADV_DONTNEED, FREE, HUGEPAGE, NOHUGEPAGE: never DOFORK, by which forks would have the answer segment."""
PRCTL = (1, 15, 16, 0x53564D41)
"""PR_SET_PDEATHSIG, PR_SET_NAME, PR_GET_NAME, PR_SET_VMA."""
FCNTL = (1, 3)
"""F_GETFD and F_GETFL. Setting flags is refused: they belong to a description that a fork would share."""

FUTEX = tuple(what | flags for what in (0, 1, 3, 4, 5, 9, 10) for flags in (0, 128, 256, 384))
"""FUTEX_WAIT, WAKE, REQUEUE, CMP_REQUEUE, WAKE_OP and the two by bits, private or not, by either clock. Those that lend
priority look an owner up by its number, and so tell whether another process has such a thread."""
ITSELF = (0,)
"""Of a thread, for the same reason."""

CLOCKS = tuple(range(12))
"""The system's own. Others are a process's, by its number: a player's time would tell its twin something."""

ONLY: Mapping[str, tuple[int, tuple[int, ...]]] = {
    "clone": (0, (FORK_FLAGS, THREAD_FLAGS)),
    "madvise": (2, ADVICE),
    "prctl": (0, PRCTL),
    "fcntl": (1, FCNTL),
    "futex": (1, FUTEX),
    "sched_getaffinity": (0, ITSELF),
    "clock_gettime": (0, CLOCKS),
    "clock_getres": (0, CLOCKS),
    "clock_nanosleep": (0, CLOCKS),
}
"""Calls that are allowed for some values of one argument."""

PLAIN = _names(
    "read write readv writev close poll ppoll select pselect6 mprotect munmap mremap brk rt_sigaction "
    "rt_sigprocmask rt_sigreturn sigaltstack restart_syscall futex_waitv set_robust_list rseq "
    "set_tid_address membarrier sched_yield getcpu arch_prctl "
    "nanosleep gettimeofday time times getrusage getpid gettid getppid getuid geteuid getgid "
    "getegid uname getrandom wait4 exit exit_group"
)

LOOKING = _names("access faccessat fstat getcwd getdents64 lseek newfstatat pread64 readlink readlinkat statx sendmsg")
"""What loading does all the time, and what lets nobody tell anybody anything: it is not asked about."""

TO_JOIN_PROCESSES = _names("sendto recvfrom sendmsg recvmsg epoll_wait epoll_pwait epoll_ctl getsockopt")
"""What gloo needs on connections that stand: for several players that compute one run together."""

STRANGERS_MAY_NOT = _names(
    "execve execveat socket socketpair connect bind listen accept accept4 ptrace process_vm_readv "
    "process_vm_writev process_madvise pidfd_open pidfd_getfd pidfd_send_signal kill tkill tgkill rt_sigqueueinfo "
    "rt_tgsigqueueinfo kcmp bpf userfaultfd io_uring_setup io_uring_enter io_uring_register perf_event_open "
    "open_by_handle_at name_to_handle_at shmget shmat shmctl mq_open msgget semget memfd_create setns unshare "
    "mount umount2 pivot_root chroot keyctl add_key request_key sched_setaffinity sched_setscheduler setpriority "
    "setpgid setsid personality syslog swapon swapoff reboot init_module finit_module delete_module kexec_load"
)


def deny_list(architecture: Architecture, more: Sequence[str] = (), otherwise: int = ALLOW) -> list[Instruction]:
    """Everything but ``STRANGERS_MAY_NOT``; a thread or process can be made only in the two usual ways.

    With another answer ``otherwise`` (``ASK``), that is given for what :func:`allow_list` refuses, and only ``LOOKING``
    and sending are allowed beside it.
    """
    program = _opening(architecture)
    for name in STRANGERS_MAY_NOT:
        program += _answer(architecture, name, _refused(errno.EPERM))
    program += _made_visible(architecture)
    program += _one_of(architecture, "clone", *ONLY["clone"])
    if otherwise != ALLOW:
        for name in (*PLAIN, *LOOKING, *more):
            program += _answer(architecture, name, ALLOW)
        for name, (argument, values) in ONLY.items():
            program += _one_of(architecture, name, argument, values, otherwise) if name != "clone" else []
        program += _private_memory(architecture, otherwise)
    return [*program, (RETURN, 0, 0, otherwise)]


def allow_list(architecture: Architecture, more: Sequence[str] = ()) -> list[Instruction]:
    """Nothing but ``PLAIN``, ``ONLY``, private memory and ``more``."""
    program = _opening(architecture)
    for name in (*PLAIN, *more):
        program += _answer(architecture, name, ALLOW)
    program += _made_visible(architecture)
    for name, (argument, values) in ONLY.items():
        program += _one_of(architecture, name, argument, values)
    program += _private_memory(architecture)
    return [*program, (RETURN, 0, 0, _refused(errno.EPERM))]


def _opening(architecture: Architecture) -> list[Instruction]:
    """Another architecture's calls end the process; x32's, whose numbers nobody lists, are refused."""
    program: list[Instruction] = [
        (LOAD, 0, 0, ARCHITECTURE_AT),
        (EQUAL, 1, 0, architecture.audit),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER_AT),
    ]
    if architecture.has_x32:
        program += [(GREATER_EQUAL, 0, 1, X32_BIT), (RETURN, 0, 0, _refused(errno.ENOSYS))]
    return program


def _answer(architecture: Architecture, name: str, action: int) -> list[Instruction]:
    if name not in architecture.numbers:
        return []
    return [(EQUAL, 0, 1, architecture.numbers[name]), (RETURN, 0, 0, action)]


def _made_visible(architecture: Architecture) -> list[Instruction]:
    """``clone3`` hides its flags in memory, where no filter looks; told that there is none, glibc uses ``clone``."""
    return _answer(architecture, "clone3", _refused(errno.ENOSYS))


def _one_of(
    architecture: Architecture, name: str, argument: int, values: Sequence[int], otherwise: int = REFUSE | errno.EPERM
) -> list[Instruction]:
    """Allow a call for these values of an argument, of which the upper half must be zero; refuse it for others."""
    low, high = ARGUMENTS_AT + 8 * argument, ARGUMENTS_AT + 8 * argument + 4
    body: list[Instruction] = [(LOAD, 0, 0, high), (EQUAL, 0, 2 * len(values) + 1, 0), (LOAD, 0, 0, low)]
    for value in values:
        body += [(EQUAL, 0, 1, value), (RETURN, 0, 0, ALLOW)]
    body.append((RETURN, 0, 0, otherwise))
    return [(EQUAL, 0, len(body), architecture.numbers[name]), *body]


def _private_memory(architecture: Architecture, otherwise: int = REFUSE | errno.EPERM) -> list[Instruction]:
    """``mmap`` of private memory only."""
    body: list[Instruction] = [
        (LOAD, 0, 0, ARGUMENTS_AT + 8 * 3),
        (AND, 0, 0, MAP_KIND),
        (EQUAL, 0, 1, MAP_PRIVATE),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, otherwise),
    ]
    return [(EQUAL, 0, len(body), architecture.numbers["mmap"]), *body]


def _refused(error: int) -> int:
    return REFUSE | error
