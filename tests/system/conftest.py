"""Children that run the code they are given."""

import pytest


@pytest.fixture
def start(server, tmp_path):
    """``start(code, keep)``: a fork of the test's ``server``, ended with the test."""
    started = []

    def call(code, keep=()):
        started.append(server.start(keep, tmp_path, [code]))
        return started[-1]

    yield call
    for child in started:
        child.end()
