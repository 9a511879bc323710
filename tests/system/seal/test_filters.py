"""The seal's two filters as bytes, for both architectures, by what they answer to system calls."""

import errno
import itertools

import pytest

from evaladapt.system.seal import filters
from evaladapt.system.seal.calls import ARCHITECTURES
from evaladapt.system.seal.filters import allow_list, deny_list
from tests.system.bpf import ALLOW, ERROR, KILL, answer

EVERY = pytest.mark.parametrize("machine", sorted(ARCHITECTURES))
BOTH = [deny_list, allow_list]
REFUSED = ERROR | errno.EPERM
FORK, THREAD = 0x01200011, 0x003D0F00
CLONE_VM, CLONE_FILES, CLONE_NEWUSER, CLONE_PARENT = 0x100, 0x400, 0x10000000, 0x8000
MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE, MAP_ANONYMOUS = 1, 2, 3, 0x20
# From asm/unistd.h, once more and by hand, so that a slip in the table of numbers is seen.
OPENING = {
    "x86_64": {"open": 2, "openat": 257, "openat2": 437, "creat": 85, "pipe": 22, "pipe2": 293, "dup": 32, "dup2": 33,
               "dup3": 292, "eventfd2": 290, "signalfd4": 289, "timerfd_create": 283, "inotify_init1": 294,
               "epoll_create1": 291, "memfd_secret": 447, "socket": 41, "socketpair": 53, "execve": 59,
               "execveat": 322, "vfork": 58, "fork": 57, "kill": 62, "tgkill": 234, "tkill": 200, "ptrace": 101,
               "pidfd_open": 434, "pidfd_getfd": 438, "process_vm_readv": 310, "shmget": 29, "shmat": 30,
               "memfd_create": 319, "io_uring_setup": 425, "userfaultfd": 323, "bpf": 321, "setsid": 112,
               "sendfile": 40, "splice": 275, "lseek": 8, "flock": 73, "stat": 4, "readlink": 89, "getdents64": 217,
               "ioctl": 16, "seccomp": 317, "setrlimit": 160, "prlimit64": 302, "set_robust_list_x": 10**6,
               "process_mrelease": 448, "landlock_create_ruleset": 444, "sched_setaffinity": 203, "unshare": 272,
               "recvmsg": 47, "sendmsg": 46, "setitimer": 38, "timer_create": 222, "alarm": 37, "mlock": 149,
               "msync": 26, "remap_file_pages": 216, "kcmp": 312, "waitid": 247},
    "aarch64": {"openat": 56, "openat2": 437, "pipe2": 59, "dup": 23, "dup3": 24, "eventfd2": 19, "socket": 198,
                "socketpair": 199, "execve": 221, "execveat": 281, "kill": 129, "tgkill": 131, "ptrace": 117,
                "process_vm_readv": 270, "shmget": 194, "shmat": 196, "memfd_create": 279, "pidfd_open": 434,
                "pidfd_getfd": 438, "io_uring_setup": 425, "bpf": 280, "setsid": 157, "lseek": 62, "ioctl": 29,
                "seccomp": 277, "unshare": 97, "recvmsg": 212, "sendmsg": 211, "statx": 291, "getdents64": 61},
}  # fmt: skip
COMPUTING = {
    "x86_64": {"read": 0, "write": 1, "close": 3, "munmap": 11, "mprotect": 10, "brk": 12, "futex": 202,
               "clock_gettime": 228, "sched_yield": 24, "getpid": 39, "wait4": 61, "exit": 60, "exit_group": 231,
               "rt_sigprocmask": 14, "getrandom": 318, "set_robust_list": 273, "rseq": 334, "poll": 7},
    "aarch64": {"read": 63, "write": 64, "close": 57, "munmap": 215, "mprotect": 226, "brk": 214, "futex": 98,
                "clock_gettime": 113, "sched_yield": 124, "getpid": 172, "wait4": 260, "exit": 93, "exit_group": 94,
                "rt_sigprocmask": 135, "getrandom": 278, "set_robust_list": 99, "rseq": 293, "ppoll": 73},
}  # fmt: skip


class Filter:
    """One program on one architecture."""

    def __init__(self, machine, make, more=()):
        self.architecture = ARCHITECTURES[machine]
        self.program = make(self.architecture, *([more] if more else []))

    def __call__(self, call, *arguments):
        number = call if isinstance(call, int) else self.architecture.numbers[call]
        return answer(self.program, self.architecture.audit, number, *arguments)


@EVERY
@pytest.mark.parametrize("make", BOTH)
def test_a_program_is_one_that_the_kernel_takes(machine, make):
    """No jump out of it, no operand beyond 32 bits, at most 4,096 instructions, and its end is a return."""
    program = Filter(machine, make).program
    assert len(program) <= 4096
    assert program[-1][0] == filters.RETURN
    for at, (code, when_true, when_false, operand) in enumerate(program):
        assert 0 <= when_true < 256
        assert 0 <= when_false < 256
        assert 0 <= operand < 1 << 32
        if code in (filters.EQUAL, filters.GREATER_EQUAL):
            assert at + 1 + max(when_true, when_false) < len(program)


@EVERY
@pytest.mark.parametrize("make", BOTH)
def test_calls_of_another_architecture_end_the_process(machine, make):
    filter_ = Filter(machine, make)
    for audit in {one.audit for one in ARCHITECTURES.values()} | {0x40000003, 0x40000028, 0}:
        expected = {KILL} if audit != filter_.architecture.audit else {ALLOW}
        assert answer(filter_.program, audit, filter_.architecture.numbers["read"]) in expected


@pytest.mark.parametrize("make", BOTH)
def test_x32_calls_are_refused_whatever_they_are(make):
    filter_ = Filter("x86_64", make)
    for number in (0, 1, 2, 56, 59, 257, 520, 545):
        assert filter_(0x40000000 | number) == ERROR | errno.ENOSYS
    assert filter_(0xFFFFFFFF) == ERROR | errno.ENOSYS


@EVERY
def test_a_sealed_process_is_allowed_what_computing_needs_and_nothing_else(machine):
    filter_ = Filter(machine, allow_list)
    for name, number in COMPUTING[machine].items():
        assert filter_(number) == ALLOW, name
    for name, number in OPENING[machine].items():
        assert filter_(number) == REFUSED, name
    allowed = {number for number in range(600) if filter_(number) == ALLOW}
    with_zero = {name for name, (_, values) in filters.ONLY.items() if 0 in values}
    assert allowed == {
        filter_.architecture.numbers[one] for one in {*filters.PLAIN, *with_zero} if one in filter_.architecture.numbers
    }


@EVERY
def test_no_call_has_the_number_of_another(machine):
    numbers = ARCHITECTURES[machine].numbers
    assert len(set(numbers.values())) == len(numbers)
    for name, number in {**OPENING[machine], **COMPUTING[machine]}.items():
        assert numbers.get(name, number) == number, name


@EVERY
def test_while_strangers_are_imported_files_are_left_to_landlock_and_the_rest_is_refused(machine):
    filter_ = Filter(machine, deny_list)
    numbers = OPENING[machine]
    assert filter_(numbers["openat"]) == ALLOW
    for name in ("socket", "socketpair", "execve", "execveat", "ptrace", "kill", "tgkill", "memfd_create", "shmget",
                 "bpf", "io_uring_setup", "process_vm_readv", "pidfd_open", "pidfd_getfd", "setsid"):  # fmt: skip
        assert filter_(numbers[name]) == REFUSED, name
    for name in filters.STRANGERS_MAY_NOT:
        if name in filter_.architecture.numbers:
            assert filter_(name) == REFUSED, name


@EVERY
@pytest.mark.parametrize("make", BOTH)
def test_processes_and_threads_are_made_in_the_two_usual_ways_only(machine, make):
    filter_ = Filter(machine, make)
    assert filter_("clone", FORK) == filter_("clone", THREAD) == ALLOW
    assert filter_("clone3") == ERROR | errno.ENOSYS
    for flags in (17, FORK | CLONE_VM, FORK | CLONE_FILES, FORK | CLONE_PARENT, FORK | CLONE_NEWUSER, THREAD | 1,
                  THREAD & ~CLONE_VM, 0, FORK | 1 << 32, THREAD | 1 << 63):  # fmt: skip
        assert filter_("clone", flags) == REFUSED, hex(flags)


@EVERY
def test_memory_is_private(machine):
    filter_ = Filter(machine, allow_list)
    for kind, more in itertools.product((0, 1, 2, 3), (0, MAP_ANONYMOUS, 0x10, 0x100000)):
        expected = ALLOW if kind == MAP_PRIVATE else REFUSED
        assert filter_("mmap", 0, 4096, 3, kind | more) == expected
    assert filter_("mmap", 0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, 2**32 - 1) == ALLOW


@EVERY
def test_advice_flags_and_names_that_would_share_something_are_refused(machine):
    filter_ = Filter(machine, allow_list)
    dontfork, dofork, wipe, keep, mergeable = 10, 11, 18, 19, 12
    for advice in (dontfork, dofork, wipe, keep, mergeable, 9, 100):
        assert filter_("madvise", 0, 4096, advice) == REFUSED
    assert filter_("madvise", 0, 4096, 4) == ALLOW
    getfd, setfd, getfl, setfl, dupfd, setown, setlk, addseals = 1, 2, 3, 4, 0, 8, 6, 1033
    assert [filter_("fcntl", 0, one) for one in (getfd, getfl)] == [ALLOW, ALLOW]
    for command in (setfd, setfl, dupfd, setown, setlk, addseals, 1030):
        assert filter_("fcntl", 0, command) == REFUSED
    assert filter_("prctl", 1) == filter_("prctl", 15) == ALLOW
    for option in (22, 38, 4, 36, 23, 0x59616D61):
        assert filter_("prctl", option) == REFUSED
    assert filter_("prctl", 1 | 1 << 32) == REFUSED  # the upper half is not passed over


@EVERY
def test_no_call_tells_whether_another_process_has_a_thread(machine):
    """By such calls a player's twin would be told bits by the threads that the player made, or did not."""
    filter_ = Filter(machine, allow_list)
    assert filter_("sched_getaffinity", 0, 128) == ALLOW
    assert filter_("sched_getaffinity", 4711, 128) == REFUSED
    lock, unlock, trylock, wait_requeue, requeue, lock2 = 6, 7, 8, 11, 12, 13
    for what, flags in itertools.product((lock, unlock, trylock, wait_requeue, requeue, lock2), (0, 128, 256, 384)):
        assert filter_("futex", 0, what | flags) == REFUSED
    for what in (0, 1, 128, 129, 9 | 128 | 256, 9 | 256, 9 | 128, 10 | 128, 3 | 128, 4 | 128, 5 | 128):
        assert filter_("futex", 0, what) == ALLOW


@EVERY
def test_what_joined_processes_need_is_allowed_where_it_was_asked_for(machine):
    filter_ = Filter(machine, allow_list, filters.TO_JOIN_PROCESSES)
    numbers = OPENING[machine]
    assert filter_(numbers["sendmsg"]) == filter_(numbers["recvmsg"]) == ALLOW
    assert filter_(numbers["socket"]) == REFUSED


@EVERY
def test_every_call_that_a_filter_names_is_in_the_table(machine):
    """A name without a number would be left out in silence; what an architecture does not have is listed here."""
    lacking = {"x86_64": set(), "aarch64": {"poll", "select", "arch_prctl", "time", "epoll_wait"}}
    named = {*filters.PLAIN, *filters.ONLY, *filters.TO_JOIN_PROCESSES, *filters.STRANGERS_MAY_NOT, "mmap", "clone3"}
    assert named - set(ARCHITECTURES[machine].numbers) == lacking[machine]
