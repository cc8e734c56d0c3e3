"""Datagrams under Multiplex: each is a client of its own, from the rules to the answer."""

import contextlib
import re
import signal
import socket
import threading

import pytest

import tend
from tend import eventually


@pytest.fixture(params=['hook', 'process'])
def kind(request):
    """What serves: the hook `datagram`, or the handler of all connections in a fiber."""
    return request.param


@pytest.fixture
def serve(start):
    """Starts the service of datagrams.c: serve('hook', '127.0.0.1:0/udp', 'workers', 2)."""
    def start_service(kind, port, *words, listeners=1, **options):
        return start(kind, 'port', port, 'server_type', 'Multiplex', 'log_level', 4, *words,
                     program=tend.find_program('datagrams'), listeners=listeners, **options)
    return start_service


@contextlib.contextmanager
def client(server, host='127.0.0.1', source=None):
    """A socket that is connected to the server's first endpoint, from an address of its own."""
    with socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(tend.DEADLINE)
        if source:
            s.bind((source, 0))
        s.connect((host, server.port))
        yield s


def ask(s, data):
    s.send(data)
    return s.recv(100000)


# ---- one datagram, one client ----

def test_each_datagram_is_answered_with_one(serve, kind):
    """MX-62, MX-65, MX-T23, NS-UDP-12: boundaries, none at all, the largest that there is"""
    server = serve(kind, '127.0.0.1:0/udp')
    with client(server) as s:
        for data in (b'x', b'hello\n\n', b'a' * 1400, b'z' * 65507):
            assert ask(s, data) == data
        assert ask(s, b'') == b'nothing'
        assert ask(s, b'pieces') == b'one datagram'
        # What is not answered is not answered: the next answer is that of the next question.
        s.send(b'silence')
        s.send(b'abort')
        assert ask(s, b'still here') == b'still here'
    assert server.stop() == 0


def test_answers_reach_their_own_senders(serve, kind):
    """MX-64, MX-T23"""
    server = serve(kind, '127.0.0.1:0/udp')
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(client(server)) for _ in range(100)]
        for turn in range(2):
            for i, s in enumerate(clients):
                s.send(b'%d.%d' % (i, turn))
        for i, s in enumerate(clients):
            assert {s.recv(100), s.recv(100)} == {b'%d.0' % i, b'%d.1' % i}


def test_handler_knows_both_addresses(serve, kind):
    """NS-UDP-13, NS-UDP-15: the answer leaves from the address that was asked, and that is known"""
    server = serve(kind, '0.0.0.0:0/udp')
    for host in ('127.0.0.2', '127.0.0.1'):
        with client(server, host) as s:
            mine = '%s:%d' % s.getsockname()
            assert ask(s, b'who').decode() == f'UDP {mine} {host}:{server.port}'
            server.wait_log(re.escape('CONNECT UDP Peer: "[%s]:%d"' % s.getsockname()))


def test_socket_for_both_families(serve, kind):
    """NS-UDP-16: IPv4 peers of a dual-stack socket"""
    server = serve(kind, '*:0/udp')
    with client(server, '127.0.0.2') as s:
        assert b'127.0.0.2' in ask(s, b'who')
    with client(server, '::1') as s:
        assert ask(s, b'who').decode() == f'UDP [::1]:{s.getsockname()[1]} [::1]:{server.port}'


def test_answer_that_is_too_long_is_told_of_and_not_sent(serve, kind):
    server = serve(kind, '127.0.0.1:0/udp')
    with client(server) as s:
        s.send(b'long')
        server.wait_log(r'The answer to 127\.0\.0\.1:\d+ is longer than the 65507 bytes')
        assert ask(s, b'next') == b'next'


def test_same_port_for_streams_and_datagrams(serve):
    """NS-PRT-35, NS-SGL-03, NS-TST-24: and what comes on each stays apart"""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    server = serve('process', f'127.0.0.1:{port}/udp', 'port', f'127.0.0.1:{port}/tcp', listeners=2)
    with client(server) as s, server.client(1) as c:
        assert ask(s, b'datagram') == b'datagram'
        assert c.exchange(b'stream', half_close=True) == b'stream'


def test_unix_datagrams(serve, kind, directory):
    """NS-UNX-07, NS-UNX-08: senders with a name are answered, others do no harm"""
    server = serve(kind, f'{directory}/socket|unixdgram')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as named, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nameless:
        named.settimeout(tend.DEADLINE)
        named.bind(f'{directory}/mine')
        for s in (nameless, named):
            s.connect(f'{directory}/socket')
        nameless.send(b'who?')
        assert ask(named, b'hello') == b'hello'
        assert ask(named, b'who').decode().startswith(f'UNIXDGRAM unix:{directory}/mine ')
    assert server.stop() == 0
    assert not (directory / 'socket').exists()


# ---- rules, limits and counts ----

def test_rules_are_for_datagrams_too(serve, kind):
    """MX-132, MX-T38, NS-TST-67: a denied sender reaches no handler"""
    server = serve(kind, '127.0.0.1:0/udp', 'cidr_deny', '127.0.0.2/32', 'cidr_allow', '127.0.0.0/8')
    with client(server, source='127.0.0.2') as s:
        assert ask(s, b'hello') == b'denied'
        server.wait_log(r'Denied 127\.0\.0\.2:%d' % s.getsockname()[1])
        server.wait_log('processed 0')
    with client(server, source='127.0.0.3') as s:
        assert ask(s, b'hello') == b'hello'
        server.wait_log('processed 1')


def test_hook_allow_is_asked(serve, kind):
    """MX-132"""
    server = serve(kind, '127.0.0.1:0/udp', 'refuse', 1)
    with client(server) as s:
        assert ask(s, b'hello') == b'denied'
    server.wait_log('refused by the service')


def test_rules_for_names_are_for_datagrams_too(serve, kind):
    """MX-132, NS-ACC-11: who is asked for his name is answered when it is known"""
    environment = {'LD_PRELOAD': tend.find_program('names.so'),
                   'TEND_NAMES': '127.0.0.2=good.example 127.0.0.3=bad.example 127.0.0.4=?hang',
                   'ASAN_OPTIONS': 'verify_asan_link_order=0'}
    server = serve(kind, '127.0.0.1:0/udp', 'reverse_lookups', 1, 'deny', r'bad\..*', 'allow', '.*',
                   environment=environment)
    with client(server, source='127.0.0.4') as slow, client(server, source='127.0.0.2') as good, \
            client(server, source='127.0.0.3') as bad:
        slow.send(b'nobody waits for me')
        assert ask(good, b'hello') == b'hello'
        assert ask(bad, b'hello') == b'denied'
        server.wait_log(r'CONNECT UDP Peer: "\[127\.0\.0\.3\]:\d+" \(bad\.example\)')


def test_datagrams_are_counted_and_closed(serve, kind):
    """MX-132, MX-T38, NS-UDP-10: counted, with those that were denied; `closed` on every path"""
    server = serve(kind, '127.0.0.1:0/udp', 'cidr_deny', '127.0.0.2/32', 'cidr_allow', '127.0.0.0/8')
    with client(server) as s, client(server, source='127.0.0.2') as other:
        for i in range(1, 4):
            assert ask(s, b'requests') == b'%d' % i
        assert ask(other, b'x') == b'denied'
        assert ask(s, b'requests') == b'5'
        server.wait_log(r'closed 127\.0\.0\.1:%d' % s.getsockname()[1], count=4)
        server.wait_log(r'closed 127\.0\.0\.2:%d' % other.getsockname()[1])


def test_worker_that_had_its_share_leaves_the_rest_to_others(serve, kind):
    """MX-132: max_requests; not one of the datagrams is lost with the worker"""
    server = serve(kind, '127.0.0.1:0/udp', 'max_requests', 5)
    with client(server) as s:
        for i in range(23):
            s.send(b'%d' % i)
        assert {s.recv(100) for _ in range(23)} == {b'%d' % i for i in range(23)}
    server.wait_log('Worker ends after 5 connections', count=4)


def test_rate_of_a_source_is_limited(serve, kind):
    server = serve(kind, '127.0.0.1:0/udp', 'source_rate', '3/600', 'limit_report', 0)
    with client(server) as s, client(server, source='127.0.0.2') as other:
        for _ in range(3):
            assert ask(s, b'hello') == b'hello'
        # TEND_REFUSAL_RATE
        assert ask(s, b'hello') == b'full 4'
        assert ask(other, b'hello') == b'hello'
    server.wait_log('Refused .*127.0.0.1.*source_rate')


def test_places_do_not_stay(serve, kind):
    """A datagram that was answered holds no place of max_per_source and max_connections"""
    server = serve(kind, '127.0.0.1:0/udp', 'max_per_source', 1, 'max_connections', 1)
    with client(server) as s:
        for i in range(50):
            assert ask(s, b'%d' % i) == b'%d' % i


# ---- waiting ----

def test_hook_never_waits(serve):
    server = serve('hook', '127.0.0.1:0/udp')
    with client(server) as s:
        assert ask(s, b'sleep') == b'slept -11'


def test_who_holds_up_the_others_is_told_of(serve, kind):
    server = serve(kind, '127.0.0.1:0/udp', 'stall_warning', 0.1)
    with client(server) as s:
        s.send(b'hold up')
        server.wait_log('Serving %s:%d held up all other clients' % s.getsockname())


def test_process_waits_without_holding_up_others(serve):
    server = serve('process', '127.0.0.1:0/udp', 'port', '127.0.0.1:0', listeners=2)
    listener = socket.create_server(('127.0.0.1', 0))
    with listener, client(server) as s, client(server) as other:
        assert ask(s, b'sleep') == b'slept 0'
        # Nothing more will come, and that is something to read.
        assert ask(s, b'wait') == b'waited 1'
        s.send(b'connect 127.0.0.1:%d' % listener.getsockname()[1])
        there, _ = listener.accept()
        with there:
            there.settimeout(tend.DEADLINE)
            assert there.recv(100) == b'hello\n'
            # In the meantime:
            assert ask(other, b'me too') == b'me too'
            with server.client(1) as c:
                assert c.exchange(b'stream', half_close=True) == b'stream'
            there.sendall(b'welcome\n')
            assert s.recv(100) == b'they say welcome'


def test_those_that_are_served_are_answered_before_the_end(serve):
    server = serve('process', '127.0.0.1:0/udp')
    listener = socket.create_server(('127.0.0.1', 0))
    with listener, client(server) as s:
        s.send(b'connect 127.0.0.1:%d' % listener.getsockname()[1])
        there, _ = listener.accept()
        with there:
            server.popen.send_signal(signal.SIGQUIT)
            server.wait_log('Stopping gracefully')
            there.sendall(b'welcome\n')
            assert s.recv(100) == b'they say welcome'
    assert server.wait() == 0


def test_handler_that_waits_hears_of_the_end(serve):
    server = serve('process', '127.0.0.1:0/udp')
    listener = socket.create_server(('127.0.0.1', 0))
    with listener, client(server) as s:
        s.send(b'connect 127.0.0.1:%d' % listener.getsockname()[1])
        there, _ = listener.accept()
        with there:
            assert server.stop() == 0


def test_port_stays_usable_across_restarts(serve, kind):
    """NS-UDP-18: the socket is handed on, and what waits in it"""
    server = serve(kind, '127.0.0.1:0/udp')
    with client(server) as s:
        for n in range(1, 4):
            server.signal(signal.SIGHUP)
            for i in range(20):
                assert ask(s, b'%d' % i) == b'%d' % i
            server.wait_log('The parent is ready', count=n + 1)
    assert server.stop() == 0


# ---- several workers, and others ----

def test_workers_share_the_socket(serve, kind):
    server = serve(kind, '127.0.0.1:0/udp', 'workers', 2)
    eventually(lambda: len(server.children()) == 2, what='two workers')
    with client(server) as s:
        for i in range(0, 300, 30):
            words = {b'%d' % n for n in range(i, i + 30)}
            for word in words:
                s.send(word)
            assert {s.recv(100) for _ in words} == words


def test_flood_does_not_starve_streams(serve, kind):
    server = serve(kind, '127.0.0.1:0/udp', 'port', '127.0.0.1:0', listeners=2)
    over = threading.Event()

    def flood():
        with client(server) as s:
            while not over.is_set():
                with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
                    s.send(b'flood')

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        server.wait_log('CONNECT UDP', count=1000)
        for _ in range(20):
            with server.client(1) as c:
                assert c.exchange(b'stream', half_close=True) == b'stream'
    finally:
        over.set()
        flooding.join()


# ---- what is refused ----

@pytest.mark.parametrize('port', ['0/udp', 'x.sock|unixdgram'])
@pytest.mark.parametrize('name', [name for name in tend.PERSONALITIES if name != 'Multiplex'])
def test_other_personalities_refuse_datagrams(name, port):
    done = tend.run('echo', 'server_type', name, 'port', port)
    assert done.returncode == tend.EX_CONFIG
    assert f'is served under server_type Multiplex only, and this is {name}' in done.stderr
    assert re.search(r"proto (udp|unixdgram) of port '(0|x\.sock)'", done.stderr)
    assert not tend.BOUND.search(done.stderr)



def test_nobody_serves_a_stream():
    """A service with the hook `datagram` alone has nothing for those who connect"""
    words = ['only', 'server_type', 'Multiplex', 'port', '127.0.0.1:0']
    done = tend.run(*words, program=tend.find_program('datagrams'))
    assert done.returncode == tend.EX_CONFIG
    assert 'no hook `readable` and no `process`' in done.stderr
