"""What a judge does with a player that says anything: a typed error, in bounded time, and nothing of it is believed."""

import json
import mmap
import os
import socket
import struct
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaladapt.engine.player.protocol import ANSWER, SEGMENT_BYTES, Kind, unpack_settled, unpack_text
from evaladapt.errors import ContractViolation, EvaladaptError, PluginError
from evaladapt.judge.charging import Charging, Rules
from evaladapt.judge.player.players import Player
from evaladapt.judge.session import Session
from evaladapt.system.wire import HEAD, Wire, WireError
from tests.tiny import VOCABULARY, random_stream

STREAM = random_stream((60, 40))
MEMORY = mmap.mmap(-1, SEGMENT_BYTES)
WINDOWS = [(0, 1, 17), (1, 17, 40)]
CLOSING = {"weights_digest": "0" * 64, "scalars": {}, "phases": {}, "strategies": {}}


class Other:
    """A player's side of the line, driven by hand."""

    def __init__(self, line):
        self.line = line
        self.memory = np.frombuffer(MEMORY, dtype="<f4")

    def windows(self, windows):
        self.line.send(Kind.WINDOWS, np.array(windows, dtype="<i8").tobytes())
        return self.line.receive({Kind.INPUTS: 1 << 20})[1]

    def put(self, rows, probability=None):
        probability = 1 / VOCABULARY if probability is None else probability
        with np.errstate(divide="ignore"):
            self.memory[: rows * VOCABULARY] = np.log(np.float32(probability))

    def answer(self, first, rows, left=0, probability=None):
        self.put(max(0, min(rows, 2000)), probability)
        self.line.send(Kind.ANSWER, ANSWER.pack(first, rows, left))
        return self.line.receive({Kind.SETTLED: 1 << 20, Kind.TOOK: 0})[1]

    def play(self, windows):
        self.windows(windows)
        first, stop = windows[0][1], windows[-1][2]
        return self.answer(first, stop - first)

    def done(self, **closing):
        self.line.send(Kind.DONE, json.dumps({**CLOSING, **closing}).encode())


class Silent:
    """The process that a player is, as far as a session looks at it."""

    def __init__(self):
        reads, self._writes = os.pipe()
        self.output = os.fdopen(reads, "rb")

    def close(self):
        self.output.close()
        os.close(self._writes)


@contextmanager
def player_that(acts, patience=20.0):
    """A player whose line has somebody else at its end."""
    ours, theirs = socket.socketpair()
    player = Player.__new__(Player)
    player.line, player.patience, player.child = Wire(ours.fileno()), patience, Silent()
    player._whose, player._passed_on, player._segment = "suspect", 0, MEMORY
    player._how_it_ended = lambda: "without a word"

    def act():
        other = Other(Wire(theirs.fileno()))
        try:
            other.told = unpack_text(other.line.receive({Kind.TEXT: 1 << 20})[1])
            acts(other)
        except (WireError, BrokenPipeError):
            pass  # the judge has heard enough
        finally:
            theirs.shutdown(socket.SHUT_WR)

    acting = threading.Thread(target=act)
    acting.start()
    try:
        yield player
    finally:
        ours.shutdown(socket.SHUT_RDWR)
        acting.join()
        ours.close()
        theirs.close()
        player.child.close()


def outcome(acts, rules=None, patience=20.0):
    with player_that(acts, patience) as player:
        charging = Charging(STREAM, rules or Rules(rows=4))
        return Session(player, charging, VOCABULARY).run()


def rest(other):
    """From target 40 on, as it should be."""
    other.play([(30, 40, 70)])
    other.play([(60, 70, STREAM.targets + 1)])
    other.done()


def test_an_honest_player_is_charged_what_it_said():
    def plays(other):
        (facts, starts, tokens, state), inputs = other.told, other.windows(WINDOWS)
        assert (facts["targets"], facts["name"], starts.tolist()) == (STREAM.targets, "the text", [0, 61])
        assert (len(tokens), state) == (0, b"")
        assert np.frombuffer(inputs, "<i4").tolist() == STREAM.tokens[1:39].tolist()
        snapshot, targets, charges = unpack_settled(other.answer(1, 39))
        assert not snapshot
        assert targets.tolist() == STREAM.tokens[1:40].tolist()
        assert charges == pytest.approx(-np.log(VOCABULARY))
        rest(other)

    found = outcome(plays)
    assert found.nats == pytest.approx((STREAM.targets - 1) * np.log(VOCABULARY), rel=1e-6)
    assert found.boundary_bits == 8


def test_an_answer_may_come_in_pieces_and_parts():
    def plays(other):
        other.windows(WINDOWS)
        assert other.answer(1, 10, left=5) == b""
        other.answer(11, 5)
        other.answer(16, 24)
        rest(other)

    assert outcome(plays).targets == STREAM.targets


def test_what_is_written_into_the_memory_after_an_answer_changes_nothing():
    with player_that(lambda other: None) as player:
        np.frombuffer(MEMORY, "<f4")[:48] = 1.0
        said = player.answer(2, VOCABULARY)
        np.frombuffer(MEMORY, "<f4")[:48] = 2.0
        assert (said == 1.0).all()


PLANS = {
    "the whole text and more as one batch": [(0, 1, 10**7)],
    "more rows than a batch has": [(0, one, one + 1) for one in range(1, 7)],
    "a gap": [(0, 1, 9), (4, 10, 12)],
    "a target twice": [(0, 1, 9), (4, 8, 12)],
    "not the next target": [(0, 2, 9)],
    "a window that begins after its span": [(5, 1, 9)],
    "a window without a past": [(1, 1, 9)],
    "an empty span": [(0, 1, 1)],
    "before the text": [(-4, 1, 9)],
    "beyond the text": [(0, 1, STREAM.targets + 2)],
}


@pytest.mark.parametrize("windows", PLANS.values(), ids=PLANS)
def test_a_plan_that_is_none_breaks_c4(windows):
    with pytest.raises(ContractViolation, match="clause C4") as caught:
        outcome(lambda other: other.windows(windows))
    assert caught.value.clause == "C4"


def test_a_batch_that_is_asked_for_again_breaks_c4():
    def plays(other):
        other.play(WINDOWS)
        other.windows(WINDOWS)

    with pytest.raises(ContractViolation, match="was to score target 40 next"):
        outcome(plays)


def test_who_ends_early_breaks_c4():
    def plays(other):
        other.play(WINDOWS)
        other.done()

    with pytest.raises(ContractViolation, match="39 of 101 targets were charged"):
        outcome(plays)


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0, np.nan, np.inf, (1 + 2e-5) / VOCABULARY])
def test_what_is_no_distribution_breaks_c2(probability):
    def plays(other):
        other.windows(WINDOWS)
        other.answer(1, 39, probability=probability)

    with pytest.raises(ContractViolation, match=r"of target 1 .* \(clause C2\)") as caught:
        outcome(plays)
    assert caught.value.positions == (1, 2, 3)


ANSWERS = {
    "too many rows": (1, 40, 0),
    "no rows": (1, 0, 0),
    "fewer than none": (1, -1, 0),
    "rows that no memory holds": (1, 1 << 40, 0),
    "more to come than is due": (1, 20, 20),
    "less than none to come": (1, 20, -1),
    "another target": (2, 38, 0),
    "a target before the text": (-1, 4, 0),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_of_another_shape_is_an_error(answer):
    def plays(other):
        other.windows(WINDOWS)
        other.line.send(Kind.ANSWER, ANSWER.pack(*answer))

    with pytest.raises(PluginError, match="where 1 was due in a batch that ends before 40"):
        outcome(plays)


SAID = {
    "a kind that was not due": lambda line: line.send(Kind.STATE, b""),
    "a twin's answer": lambda line: line.send(Kind.REPLY, bytes(96)),
    "more than is due": lambda line: line.send(Kind.ANSWER, bytes(25)),
    "less than is due": lambda line: line.send(Kind.ANSWER, bytes(23)),
    "a length without an end": lambda line: os.write(line.descriptor, HEAD.pack(Kind.ANSWER, 1 << 60)),
    "nothing, and it goes": lambda line: None,
    "half a message, and it goes": lambda line: os.write(line.descriptor, b"\x24\x18"),
}


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
def test_a_forged_message_is_an_error_that_names_the_strategy(said):
    def plays(other):
        other.windows(WINDOWS)
        said(other.line)

    with pytest.raises(PluginError):
        outcome(plays)


def test_silence_is_an_error_that_names_the_strategy():
    def plays(other):
        other.windows(WINDOWS)
        time.sleep(1)

    with pytest.raises(PluginError, match="suspect: the player did not answer for 0 s; it hangs"):
        outcome(plays, patience=0.2)


@pytest.mark.parametrize(
    "report",
    [b"", b"[]", b"{}", b"{" * 100_000, b'{"weights_digest": 1, "scalars": [], "phases": {}, "strategies": {}}'],
)
def test_a_last_report_that_cannot_be_read_is_an_error(report):
    def plays(other):
        other.play(WINDOWS)
        other.play([(30, 40, 70)])
        other.play([(60, 70, STREAM.targets + 1)])
        other.line.send(Kind.DONE, report)

    with pytest.raises(PluginError, match="report that cannot be read"):
        outcome(plays)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"[" * 60_000, b'{"message": 1}', b"\xff"])
def test_a_failure_that_cannot_be_read_is_a_failure(content):
    with pytest.raises(PluginError, match="did not say how"):
        outcome(lambda other: other.line.send(Kind.FAILED, content))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.builds(lambda kind, content: HEAD.pack(kind, len(content)) + content,
                      st.sampled_from([int(one) for one in Kind]), st.binary(max_size=80)),
            st.builds(lambda rows: HEAD.pack(Kind.WINDOWS, 24 * len(rows)) + b"".join(struct.pack("<qqq", *one)
                                                                                         for one in rows),
                      st.lists(st.tuples(*[st.integers(-2, 120)] * 3), max_size=3)),
            st.builds(lambda one: HEAD.pack(Kind.ANSWER, 24) + struct.pack("<qqq", *one),
                      st.tuples(*[st.integers(-2, 120)] * 3)),
            st.binary(max_size=40),
        ),
        max_size=6,
    )
)  # fmt: skip
def test_whatever_is_said_ends_in_an_error_of_ours(messages):
    def plays(other):
        for one in messages:
            os.write(other.line.descriptor, one)

    with pytest.raises(EvaladaptError):
        outcome(plays)
