import os
import socket
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaladapt.system.wire import HEAD, Wire, WireClosed, WireError, WireSilent


class Ends:
    """Both ends of a connection."""

    def __init__(self):
        self.sockets = socket.socketpair()
        self.ours, self.theirs = (Wire(one.fileno()) for one in self.sockets)

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        for one in self.sockets:
            one.close()

    def leave(self):
        self.sockets[1].close()


MESSAGES = st.lists(st.tuples(st.integers(0, 255), st.lists(st.binary(max_size=300), max_size=3)), max_size=5)


@given(MESSAGES)
def test_messages_arrive_whole_and_in_order(messages):
    with Ends() as ends:
        for kind, pieces in messages:
            ends.theirs.send(kind, *pieces)
        for kind, pieces in messages:
            assert ends.ours.receive({kind: 1000}) == (kind, b"".join(pieces))


@given(st.binary(min_size=1, max_size=400), st.data())
def test_a_message_torn_anywhere_is_an_error_and_no_message(content, data):
    whole = HEAD.pack(7, len(content)) + content
    cut = data.draw(st.integers(0, len(whole) - 1))
    with Ends() as ends:
        os.write(ends.theirs.descriptor, whole[:cut])
        ends.leave()
        with pytest.raises(WireClosed):
            ends.ours.receive({7: 1000}, patience=5)


@given(st.binary(max_size=200))
def test_no_bytes_at_all_make_more_than_an_error_or_a_message_that_was_due(content):
    with Ends() as ends:
        os.write(ends.theirs.descriptor, content)
        ends.leave()
        try:
            kind, found = ends.ours.receive({1: 50, 2: 0}, patience=5)
        except WireError:
            return
        assert len(found) <= {1: 50, 2: 0}[kind]
        assert content.startswith(HEAD.pack(kind, len(found)) + found)


@given(st.integers(0, 255), st.integers(0, 1 << 63))
def test_what_nobody_asked_for_is_refused_before_a_byte_of_it_is_read(kind, length):
    with Ends() as ends:
        os.write(ends.theirs.descriptor, HEAD.pack(kind, length))
        if kind == 9 and length <= 10:
            return
        with pytest.raises(WireError, match="nobody had asked" if kind != 9 else "at most 10 were due"):
            ends.ours.receive({9: 10}, patience=5)


def test_silence_ends_after_the_time_that_was_given():
    with Ends() as ends:
        with pytest.raises(WireSilent):
            ends.ours.receive({1: 10}, patience=0.05)
        os.write(ends.theirs.descriptor, HEAD.pack(1, 10) + b"half")
        with pytest.raises(WireSilent):
            ends.ours.receive({1: 10}, patience=0.05)


def test_a_drip_of_bytes_does_not_buy_more_time():
    with Ends() as ends:
        stop = threading.Event()

        def drip():
            os.write(ends.theirs.descriptor, HEAD.pack(1, 1 << 20))
            while not stop.wait(0.01):
                os.write(ends.theirs.descriptor, b".")

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            with pytest.raises(WireSilent):
                ends.ours.receive({1: 1 << 20}, patience=0.2)
        finally:
            stop.set()
            dripping.join()


def test_others_are_listened_to_meanwhile_until_they_have_gone():
    heard = []
    with Ends() as ends, Ends() as printed:

        def serve():
            heard.append(os.read(printed.ours.descriptor, 100))

        def act():
            os.write(printed.theirs.descriptor, b"first")
            while not heard:
                time.sleep(0.001)
            printed.leave()
            time.sleep(0.02)
            ends.theirs.send(3, b"word")

        acting = threading.Thread(target=act)
        acting.start()
        assert ends.ours.receive({3: 10}, 20, {printed.ours.descriptor: serve}) == (3, b"word")
        acting.join()
    assert heard[0] == b"first"
    assert set(heard[1:]) <= {b""}


def test_large_messages_cross_and_nobody_waits_for_one_who_has_gone():
    content = os.urandom(5 << 20)
    with Ends() as ends:
        sending = threading.Thread(target=ends.theirs.send, args=(1, content))
        sending.start()
        assert ends.ours.receive({1: len(content)}, 30)[1] == content
        sending.join()
        ends.leave()
        with pytest.raises(WireClosed):
            ends.ours.send(1, content)
