"""Numbers of the system calls that the seal's filters name, from the kernel's own tables (asm/unistd.h)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Architecture:
    """An architecture by its number in audit and seccomp; a call that it lacks has no number."""

    audit: int
    numbers: Mapping[str, int]
    has_x32: bool = False


def _numbers(*lines: str) -> dict[str, int]:
    pairs = (pair.split("=") for line in lines for pair in line.split())
    return {name: int(number) for name, number in pairs}


X86_64 = _numbers(
    "accept=43 accept4=288 add_key=248 arch_prctl=158 bind=49 bpf=321 brk=12 chroot=161 clock_getres=229",
    "clock_gettime=228 clock_nanosleep=230 clone=56 clone3=435 close=3 connect=42 delete_module=176 epoll_ctl=233",
    "epoll_pwait=281 epoll_wait=232 execve=59 execveat=322 exit=60 exit_group=231 fcntl=72 finit_module=313",
    "futex=202 futex_waitv=449 getcpu=309 getegid=108 geteuid=107 getgid=104 getpid=39 getppid=110 getrandom=318",
    "getrusage=98 getsockopt=55 gettid=186 gettimeofday=96 getuid=102 init_module=175 io_uring_enter=426",
    "io_uring_register=427 io_uring_setup=425 kcmp=312 kexec_load=246 keyctl=250 kill=62 listen=50 madvise=28",
    "membarrier=324 memfd_create=319 mmap=9 mount=165 mprotect=10 mq_open=240 mremap=25 msgget=68 munmap=11",
    "name_to_handle_at=303 nanosleep=35 open_by_handle_at=304 perf_event_open=298 personality=135 pidfd_getfd=438",
    "pidfd_open=434 pidfd_send_signal=424 pivot_root=155 poll=7 ppoll=271 prctl=157 process_madvise=440",
    "process_vm_readv=310 process_vm_writev=311 pselect6=270 ptrace=101 read=0 readv=19 reboot=169 recvfrom=45",
    "recvmsg=47 request_key=249 restart_syscall=219 rseq=334 rt_sigaction=13 rt_sigprocmask=14",
    "rt_sigqueueinfo=129 rt_sigreturn=15 rt_tgsigqueueinfo=297 sched_getaffinity=204 sched_setaffinity=203",
    "sched_setscheduler=144 sched_yield=24 seccomp=317 select=23 semget=64 sendmsg=46 sendto=44",
    "set_robust_list=273 set_tid_address=218 setns=308 setpgid=109 setpriority=141 setsid=112 shmat=30 shmctl=31",
    "shmget=29 sigaltstack=131 socket=41 socketpair=53 swapoff=168 swapon=167 syslog=103 time=201 times=100",
    "tgkill=234 tkill=200 umount2=166 uname=63 unshare=272 userfaultfd=323 wait4=61 write=1 writev=20",
    "access=21 faccessat=269 fstat=5 getcwd=79 getdents64=217 lseek=8 newfstatat=262 pread64=17 readlink=89",
    "readlinkat=267 statx=332",
)

AARCH64 = _numbers(
    "accept=202 accept4=242 add_key=217 bind=200 bpf=280 brk=214 chroot=51 clock_getres=114 clock_gettime=113",
    "clock_nanosleep=115 clone=220 clone3=435 close=57 connect=203 delete_module=106 epoll_ctl=21 epoll_pwait=22",
    "execve=221 execveat=281 exit=93 exit_group=94 fcntl=25 finit_module=273 futex=98 futex_waitv=449 getcpu=168",
    "getegid=177 geteuid=175 getgid=176 getpid=172 getppid=173 getrandom=278 getrusage=165 getsockopt=209",
    "gettid=178 gettimeofday=169 getuid=174 init_module=105 io_uring_enter=426 io_uring_register=427",
    "io_uring_setup=425 kcmp=272 kexec_load=104 keyctl=219 kill=129 listen=201 madvise=233 membarrier=283",
    "memfd_create=279 mmap=222 mount=40 mprotect=226 mq_open=180 mremap=216 msgget=186 munmap=215",
    "name_to_handle_at=264 nanosleep=101 open_by_handle_at=265 perf_event_open=241 personality=92 pidfd_getfd=438",
    "pidfd_open=434 pidfd_send_signal=424 pivot_root=41 ppoll=73 prctl=167 process_madvise=440",
    "process_vm_readv=270 process_vm_writev=271 pselect6=72 ptrace=117 read=63 readv=65 reboot=142 recvfrom=207",
    "recvmsg=212 request_key=218 restart_syscall=128 rseq=293 rt_sigaction=134 rt_sigprocmask=135",
    "rt_sigqueueinfo=138 rt_sigreturn=139 rt_tgsigqueueinfo=240 sched_getaffinity=123 sched_setaffinity=122",
    "sched_setscheduler=119 sched_yield=124 seccomp=277 semget=190 sendmsg=211 sendto=206 set_robust_list=99",
    "set_tid_address=96 setns=268 setpgid=154 setpriority=140 setsid=157 shmat=196 shmctl=195 shmget=194",
    "sigaltstack=132 socket=198 socketpair=199 swapoff=225 swapon=224 syslog=116 times=153 tkill=130",
    "tgkill=131 umount2=39",
    "uname=160 unshare=97 userfaultfd=282 wait4=260 write=64 writev=66",
    "faccessat=48 fstat=80 getcwd=17 getdents64=61 lseek=62 newfstatat=79 pread64=67 readlinkat=78 statx=291",
)

ARCHITECTURES: Mapping[str, Architecture] = {
    "x86_64": Architecture(0xC000003E, X86_64, has_x32=True),
    "aarch64": Architecture(0xC00000B7, AARCH64),
}
"""By what ``platform.machine()`` says."""
