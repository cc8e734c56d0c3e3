"""The option log_trace: a line for each event, read, write and end of a connection (DS-119)."""

import re

import pytest

import tend
from looking import ctl, echo as served, start_watched
from tend import eventually

# A client that is in a line, and what happens to it.
LINE = r'trace: (127\.0\.0\.1:\d+|unix:): %s'

EVENTED = [name for name in tend.ECHOES if name.startswith(('Multiplex', 'evented'))]


def start_echo(start, name, *words):
    words = [*tend.ECHOES[name], 'port', '127.0.0.1:0', *words]
    if name.startswith('evented'):
        return start(*words, program=tend.find_program('evented_echo'))
    return start('echo', *words)


def converse(server):
    with server.client() as c:
        c.send(b'secret\n')
        assert c.recv_exactly(7) == b'secret\n'
        c.half_close()
        c.expect_end()


@pytest.mark.parametrize('name', tend.ECHOES)
def test_reads_writes_and_ends_have_a_line_each(start, name):
    """DS-119: in every mood, with sizes and the client's address, without its bytes."""
    server = start_echo(start, name, 'log_trace', 1, 'log_level', 4)
    converse(server)
    server.wait_log(LINE % r'read \d+: 7 of \d+')
    server.wait_log(LINE % r'write \d+: 7 of 7')
    server.wait_log(LINE % r'read \d+: the end')
    server.wait_log(LINE % r'close \d+( |$)')
    assert 'secret' not in server.log()


@pytest.mark.parametrize('name', EVENTED)
def test_events_of_a_loop_have_a_line_each(start, name):
    server = start_echo(start, name, 'log_trace', 1, 'log_level', 4)
    converse(server)
    server.wait_log(LINE % r'event \d+: read')


def test_why_a_connection_ended_is_told(start, personality):
    server = start_echo(start, personality, 'log_trace', 1, 'log_level', 4)
    c = server.client()
    c.send(b'hello\n')
    c.recv_exactly(6)
    c.reset()
    server.wait_log(LINE % r'close \d+: connection reset by peer')


def test_partial_write_shows_how_much_left(start):
    server = start_echo(start, 'evented', 'log_trace', 1, 'log_level', 4)
    with server.client() as c:
        data = b'x' * (4 << 20)
        assert c.exchange(data) == data

    def told():
        return sum(int(sent) for _, sent in re.findall(LINE % r'write \d+: (\d+) of \d+', server.log()))

    # A line comes after what it tells of.
    eventually(lambda: told() == len(data), what='the writes add up')


@pytest.mark.parametrize('words', [
    ['log_level', 4], ['log_level', 4, 'log_trace', 0], ['log_level', 3, 'log_trace', 1],
], ids=lambda words: ' '.join(map(str, words)))
def test_nothing_is_traced_unless_both_options_say_so(start, words):
    server = start_echo(start, 'Multiplex', *words)
    converse(server)
    assert server.stop() == 0
    assert 'trace' not in server.log()


@pytest.mark.parametrize('personality', ['PreFork', 'Thread', 'Multiplex'])
def test_trace_is_turned_on_and_off_while_a_client_is_served(start, directory, personality):
    """At once, in every process, as the level of the log."""
    server = start_watched(start, directory, personality, 'log_level', 4)
    with served(server) as c:
        assert 'trace:' not in server.log()
        assert ctl(server, 'set', 'log_trace', 1).returncode == 0
        c.send_line('two')
        assert c.recv_line() == 'two'
        server.wait_log(LINE % r'read \d+: 4 of \d+')
        assert ctl(server, 'set', 'log_trace', 0).returncode == 0
        before = len(re.findall(r'read \d+: 6', server.log()))
        c.send_line('three')
        assert c.recv_line() == 'three'
        assert len(re.findall(r'read \d+: 6', server.log())) == before
        assert ctl(server, 'get', 'log_trace').stdout == 'log_trace 0\n'
    eventually(server.is_alive, what='it goes on')


def test_word_that_is_neither_yes_nor_no_is_refused():
    done = tend.run('echo', 'port', '127.0.0.1:0', 'log_trace', 'loud')
    assert done.returncode == tend.EX_USAGE
    assert 'log_trace' in done.stderr and 'loud' in done.stderr
