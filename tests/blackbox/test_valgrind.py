"""A server under valgrind: it works there, and valgrind has nothing to say of it."""

import re
import shutil
from signal import SIGTERM

import pytest

import tend

VALGRIND = shutil.which('valgrind')
KINDS = {
    'single': ['server_type', 'Single'],
    'fork': ['server_type', 'Fork'],
    'prefork': ['server_type', 'PreFork', 'min_servers', 1, 'max_servers', 2,
                'min_spare_servers', 0, 'max_spare_servers', 1],
    'thread': ['server_type', 'Thread'],
    'fibers': ['server_type', 'Multiplex'],
    'fibers, poll': ['server_type', 'Multiplex', 'poller', 'poll'],
}


@pytest.mark.skipif(VALGRIND is None, reason='valgrind is not installed')
@pytest.mark.skipif(tend.SANITIZED, reason='sanitizers and valgrind exclude each other')
@pytest.mark.parametrize('kind', KINDS)
def test_serves_under_valgrind(start, kind):
    server = start('-q', '--error-exitcode=99', tend.find_program(), 'echo', *KINDS[kind], 'port',
                   '127.0.0.1:0', program=VALGRIND)
    for _ in range(2):
        with server.client() as c:
            c.send_line('hello')
            assert c.recv_line() == 'hello'
            c.send(b'x' * 100000)
            assert c.recv_exactly(100000) == b'x' * 100000
    assert server.stop(SIGTERM) == 0
    assert not re.findall(r'^==\d+==.*', server.log(), re.MULTILINE)
