"""INET: the connection is on descriptors 0 and 1 already, as a super-server leaves it there."""

import signal
import socket
import subprocess

import pytest

import tend
from tend import Client


def accepted_pair(family=socket.AF_INET, host='127.0.0.1'):
    """(client, the server's end) of a TCP connection."""
    with socket.socket(family) as listener:
        listener.bind((host, 0))
        listener.listen()
        ours = socket.create_connection(listener.getsockname()[:2])
        theirs, _ = listener.accept()
    return Client(sock=ours), theirs


def unix_pair():
    ours, theirs = socket.socketpair()
    return Client(sock=ours), theirs


@pytest.fixture(params=['tcp', 'unix'])
def pair(request):
    return accepted_pair if request.param == 'tcp' else unix_pair


@pytest.fixture
def inet(start):
    """Starts tend as a super-server does; returns (server, client)."""
    clients = []

    def spawn(*words, pair=accepted_pair, **options):
        client, theirs = pair()
        clients.append(client)
        with theirs:
            server = start(*words, listeners=0, stdin=theirs, stdout=theirs, **options)
        return server, client

    yield spawn
    for client in clients:
        client.close()


def test_banner_and_exit(inet, pair):
    """NS-TST-15, NS-INE-01"""
    server, c = inet('INET', *tend.CONTROL, pair=pair)
    assert c.expect(r'Welcome to "tend" \((\d+)\)').group(1) == str(server.pid)
    c.send(b'exit\n')
    c.expect(rf'tend:{server.pid}: You said "exit"')
    c.expect_end()
    assert server.wait() == 0


def test_one_connection_then_exit_0(inet, pair):
    """NS-INE-01"""
    server, c = inet('INET', pair=pair)
    c.recv_line()
    c.send(b'quit\n')
    c.recv_line()
    c.expect_end()
    assert server.wait() == 0


def test_client_that_leaves_ends_the_process(inet, pair):
    """NS-INE-01"""
    server, c = inet('INET', pair=pair)
    c.recv_line()
    c.close()
    assert server.wait() == 0


def test_client_that_vanishes_ends_the_process(inet):
    """NS-INE-01, NS-CIO-10"""
    server, c = inet('INET')
    c.recv_line()
    c.reset()
    assert server.wait() == 0


def test_same_echo_handler_under_inet(inet, pair):
    """One handler, any personality."""
    server, c = inet('echo', 'server_type', 'INET', pair=pair)
    data = bytes(range(256)) * 2000
    assert c.exchange(data, half_close=True) == data
    c.expect_end()
    assert server.wait() == 0


def test_endpoints_are_accepted_and_ignored(inet):
    """NS-INE-02"""
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        server, c = inet('INET', 'port', taken.getsockname()[1], 'host', '127.0.0.1',
                         'proto', 'tcp', 'ipv', '4')
        c.expect(r'Welcome to "tend" \(\d+\)')
        c.send(b'quit\n')
        assert server.wait() == 0


def test_log_has_no_start_connect_or_bind_line(inet):
    """NS-INE-02"""
    server, c = inet('INET', 'log_level', '4')
    c.recv_line()
    c.send(b'quit\n')
    assert server.wait() == 0
    log = server.log()
    assert 'CONNECT' not in log
    assert 'starting' not in log.lower()
    assert not tend.BOUND.search(log)


def test_log_never_goes_to_the_client(inet):
    """NS-INE-03"""
    server, c = inet('INET', 'log_level', '4')
    c.expect(r'Welcome to "tend" \(\d+\)')
    c.send(b'quit\n')
    c.expect(r'tend:\d+: You said "quit"')
    c.expect_end()
    assert server.wait() == 0


@pytest.mark.parametrize('rules', [
    ['cidr_deny', '127.0.0.0/8'],
    ['cidr_allow', '192.0.2.0/24'],
], ids=' '.join)
def test_denied_client_gets_nothing(inet, rules):
    """NS-INE-05"""
    server, c = inet('INET', *rules)
    c.expect_end()
    assert server.wait() == 0


def test_rules_see_the_address_of_the_socket(inet):
    """NS-INE-04"""
    server, c = inet('INET', 'cidr_allow', '127.0.0.0/8')
    c.expect(r'Welcome to "tend" \(\d+\)')
    c.send(b'quit\n')
    assert server.wait() == 0


def test_pipes_serve_as_well(start):
    """NS-INE-04: descriptors 0 and 1 need not be sockets."""
    server = start('INET', listeners=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    out, _ = server.popen.communicate(b'hello\nquit\n', tend.DEADLINE)
    assert out == (b'Welcome to "tend" (%d)\r\n'
                   b'tend:%d: You said "hello"\r\n'
                   b'tend:%d: You said "quit"\r\n') % ((server.pid,) * 3)
    assert server.wait() == 0


@pytest.mark.parametrize('signo', [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT],
                         ids=['TERM', 'INT', 'QUIT'])
def test_stop_signal_ends_with_status_0(inet, signo):
    """NS-INE-07, NS-SIG-01"""
    server, c = inet('INET')
    c.recv_line()
    assert server.stop(signo) == 0
    c.is_cut()


def test_hup_does_not_restart(inet):
    """NS-INE-07"""
    server, c = inet('INET')
    c.recv_line()
    server.signal(signal.SIGHUP)
    c.send(b'still there\n')
    c.expect(rf'tend:{server.pid}: You said "still there"')
    c.send(b'quit\n')
    assert server.wait() == 0
