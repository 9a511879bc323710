"""Calls of a child that wait for its parent: let through until it is sealed, and never again.

A strategy's code runs in the player before its second seal, and could put on another filter than the one that is due.
So the first filter, which stands before a stranger's code is imported, asks the judge about every call that the second
refuses (seccomp's user notification, Linux 5.7). Until the player says that it is sealed the judge lets them through;
then it closes its end, and from there on the kernel answers each with ``ENOSYS``, whatever other filters there are.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import select
import socket
import struct
import threading

RECEIVE, ANSWER = 0xC0502100, 0xC0182101
"""SECCOMP_IOCTL_NOTIF_RECV and SECCOMP_IOCTL_NOTIF_SEND."""
NOTIFICATION_BYTES = 80
LET_THROUGH = 1
"""SECCOMP_USER_NOTIF_FLAG_CONTINUE."""
HERE, NOBODY = b"L", b"N"
TICK = 10
"""Milliseconds after which it looks whether it should stop."""


class Supervisor:
    """Lets the calls of a child through in a thread, from when the listener comes on ``line`` until :meth:`stop`."""

    def __init__(self, line: socket.socket) -> None:
        self._line, self._stopped, self._there = line, threading.Event(), False
        self._thread = threading.Thread(target=self._serve, name="supervisor", daemon=True)
        self._thread.start()

    def stop(self) -> bool:
        """Close the listener, for good; returns whether there was one."""
        self._stopped.set()
        self._thread.join()
        return self._there

    def _serve(self) -> None:
        if not self._ready(self._line.fileno()):
            return
        content, listeners, *_ = socket.recv_fds(self._line, 1, 1)
        if content != HERE or not listeners:
            return
        self._there = True
        try:
            while self._ready(listeners[0]):
                _let_one_through(listeners[0])
        finally:
            os.close(listeners[0])

    def _ready(self, descriptor: int) -> bool:
        """Wait until there is something to read; False when it is over."""
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        while not self._stopped.is_set():
            events = poll.poll(TICK)
            if events:
                return bool(events[0][1] & select.POLLIN)
        return False


def hand_over(line: socket.socket, listener: int | None) -> None:
    """The child's side: give the listener to the parent, or say that there is none; the child keeps nothing of it."""
    if listener is None:
        line.send(NOBODY)
        return
    line.sendmsg([HERE], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [listener]))])
    os.close(listener)


def _let_one_through(listener: int) -> None:
    notification = bytearray(NOTIFICATION_BYTES)
    with contextlib.suppress(OSError):  # who asked has ended, or was interrupted and asks again
        fcntl.ioctl(listener, RECEIVE, notification)
        fcntl.ioctl(listener, ANSWER, bytearray(notification[:8] + struct.pack("<qiI", 0, 0, LET_THROUGH)))
