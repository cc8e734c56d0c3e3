"""Transports of a service's own (tend/transport.h), under every personality: put on in the middle, as
STARTTLS does, or from the first byte on; what becomes of standard streams and programs; handshakes
that stall. test_conversation.py holds all of its conversations over one as well.
"""

import errno
import os
import subprocess

import pytest

import tend
from tend import eventually

KEY = bytes(byte ^ 0x80 for byte in range(256))

SERVERS = {
    **{name: ['server_type', name] for name in tend.PERSONALITIES if name != 'Multiplex'},
    'fibers': ['fibers', 'server_type', 'Multiplex'],
    'evented': ['server_type', 'Multiplex'],
}


def scrambled(text):
    return text.encode().translate(KEY)


@pytest.fixture(params=SERVERS)
def words(request):
    """The words that start the service in each of its moods."""
    return SERVERS[request.param]


def start_service(start, words, *more):
    return start(*words, 'port', '127.0.0.1:0', *more, program=tend.find_program('transports'))


def ask(client, line, answer):
    client.send_line(line)
    assert client.recv_line() == answer


def ask_scrambled(client, line, answer):
    client.send(scrambled(f'{line}\n'))
    assert client.recv_exactly(len(answer) + 1) == scrambled(f'{answer}\n')


# ---- in the middle ----

def test_transport_begins_and_ends_in_the_middle(start, words):
    """DS-89"""
    server = start_service(start, words)
    with server.client() as c:
        ask(c, 'plain', 'plain')
        ask(c, 'start', 'go ahead')
        assert c.recv_exactly(9) == scrambled('result 0\n')
        ask_scrambled(c, 'hello', 'hello')
        c.send(scrambled('stop\n'))
        assert c.recv_line() == 'result 0'
        ask(c, 'plain again', 'plain again')
        c.half_close()
        c.expect_end()


def test_what_was_sent_ahead_belongs_to_the_new_one(start, words):
    server = start_service(start, words)
    with server.client() as c:
        c.send(b'start\n' + scrambled('secret\n'))
        assert c.recv_line() == 'go ahead'
        assert c.recv_exactly(16) == scrambled('result 0\nsecret\n')


def test_plain_words_sent_ahead_are_not_heard(start, words):
    """Nobody who is in between slips in words of his own."""
    server = start_service(start, words)
    with server.client() as c:
        c.send(b'start\nfrom somebody else\n')
        assert c.recv_line() == 'go ahead'
        c.send(scrambled('\nhello\n'))
        c.half_close()
        heard = c.recv_all().translate(KEY)
        assert heard.startswith(b'result 0\n') and heard.endswith(b'\nhello\n')
        assert b'somebody' not in heard


# ---- from the first byte on ----

def test_transport_from_the_first_byte_on(start, words):
    server = start_service(start, words, 'at_once', 1)
    for _ in range(3):
        with server.client() as c:
            ask_scrambled(c, 'hello', 'hello')
            c.half_close()
            c.expect_end()


def test_client_that_is_denied_hears_so_through_it(start, words):
    server = start_service(start, words, 'at_once', 1, 'cidr_deny', '127.0.0.0/8')
    with server.client() as c:
        assert c.recv_all() == scrambled('denied\n')


def test_parent_that_waits_for_nobody_puts_none_on(start):
    """With accepted_in_parent the hook runs where no client may be waited for."""
    server = start_service(start, ['server_type', 'Fork'], 'at_once', 1, 'accepted_in_parent', 1)
    with server.client() as c:
        ask(c, 'plain', 'plain')
    server.wait_log(f'No transport: {os.strerror(errno.EAGAIN)}')


def test_transport_over_the_pipes_of_a_super_server(start):
    process = subprocess.Popen(
        [tend.find_program('transports'), 'server_type', 'INET', 'at_once', '1'],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    out, _ = process.communicate(scrambled('hello\n'), timeout=tend.DEADLINE)
    assert out == scrambled('hello\n')
    assert process.returncode == 0


# ---- who would go around it ----

@pytest.mark.parametrize('personality', tend.ONE_CLIENT)
def test_standard_output_goes_through_it_and_programs_have_none(start, personality):
    server = start_service(start, ['server_type', personality])
    with server.client() as c:
        ask(c, 'print', 'by printf')
        c.send_line('program')
        assert [c.recv_line(), c.recv_line()] == ['by a program', 'done']
        c.send_line('exec')
        assert c.recv_line() == 'by a program'
        ask(c, 'start', 'go ahead')
        assert c.recv_exactly(9) == scrambled('result 0\n')
        ask_scrambled(c, 'print', 'by printf')
        ask_scrambled(c, 'program', 'done')
        ask_scrambled(c, 'exec', f'result -{errno.EINVAL}')
        c.half_close()
        c.expect_end()
    # The next one finds nothing of it.
    with server.client() as c:
        ask(c, 'print', 'by printf')
        c.send_line('program')
        assert [c.recv_line(), c.recv_line()] == ['by a program', 'done']


# ---- handshakes ----

@pytest.mark.parametrize('name', tend.AWKWARD_ECHOES)
def test_handshake_that_stalls_is_given_up_and_holds_up_nobody(start, name):
    """DS-89, DS-T37: where a process has many clients the others are served meanwhile."""
    server = start(*tend.AWKWARD_ECHOES[name], 'port', '127.0.0.1:0', 'handshake_timeout', 0.5,
                   program=tend.find_program('awkward_echo'), client_type=tend.AwkwardClient)
    with tend.Client(server.address) as stalls:
        stalls.send(b'h')
        with server.client() as c:
            c.send(b'meanwhile\n')
            assert c.recv_until(b'\n') == b'meanwhile\n'
        assert stalls.is_cut()


@pytest.mark.parametrize('name', tend.AWKWARD_ECHOES)
def test_handshake_that_is_nonsense_ends_this_connection_only(start, name):
    server = start(*tend.AWKWARD_ECHOES[name], 'port', '127.0.0.1:0',
                   program=tend.find_program('awkward_echo'), client_type=tend.AwkwardClient)
    with tend.Client(server.address) as c:
        c.send(b'hx')
        assert c.is_cut()
    with server.client() as c:
        c.send(b'next\n')
        assert c.recv_until(b'\n') == b'next\n'


def test_stop_ends_a_handshake_that_stalls(start):
    for words in tend.AWKWARD_ECHOES.values():
        server = start(*words, 'port', '127.0.0.1:0', 'stop_timeout', 5,
                       program=tend.find_program('awkward_echo'))
        with tend.Client(server.address) as c:
            c.send(b'h')
            eventually(lambda: len(server.tree()) >= 1, what='it runs')
            assert server.stop() == 0
            assert c.is_cut()
