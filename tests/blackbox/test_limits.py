"""Limits that all processes of a server share, seen by clients of many addresses.

All of 127.0.0.0/8 is this machine, and each of its addresses a source. limits.c says farewell to
those who are refused, and why. What the table of sources does is unit/sources_test.c's.
"""

import os
import re
import signal
import socket

import pytest

import pools
import tend
from daemons import from_address, needs_ipv6
from pools import ask, close_all, pid_of
from tend import eventually, is_alive

FORKING = ['Fork', 'PreForkSimple', 'PreFork']
WORKERS = 6


@pytest.fixture
def limited(start):
    """Starts limits.c with workers enough: limited('Fork', 'max_per_source', 2)."""
    def start_it(personality, *words, port='127.0.0.1:0', **options):
        server = start('server_type', personality, 'port', port, *words,
                       *pools.words(personality, WORKERS),
                       program=tend.find_program('limits'), **options)
        if personality in pools.POOLS:
            pools.wait_for_workers(server, WORKERS)
        return server

    return start_it


def come(server, source='127.0.0.1', host='127.0.0.1'):
    return from_address(source, (host, server.port))


def is_in(client):
    """Whether the client is served; one that is refused sees a farewell, and then the end."""
    client.send_line('hello')
    line = client.recv_line()
    if line == 'hello':
        return True
    assert line.startswith('farewell '), line
    client.expect_end()
    return False


def enter(server, source='127.0.0.1'):
    """A client that is served."""
    client = come(server, source)
    assert is_in(client), server.log()
    return client


def refuse(server, source='127.0.0.1'):
    """A client that is refused; returns its farewell."""
    with come(server, source) as c:
        line = c.recv_line()
        c.expect_end()
    return line


def leave(server, client):
    """The server closes it, so that its place is free when the client sees the end."""
    client.send_line('bye')
    client.expect_end()
    client.close()


# ---- how many at once ----

@pytest.mark.parametrize('personality', FORKING)
def test_all_connections_are_limited_together(limited, personality):
    server = limited(personality, 'max_connections', 3)
    clients = [enter(server, f'127.0.0.{n}') for n in (2, 3, 4)]
    assert refuse(server, '127.0.0.5') == 'farewell 127.0.0.5: connections'
    server.wait_log(r'Refused a connection of 127\.0\.0\.5: more than 3 connections at once '
                    r'\(option max_connections\)')
    leave(server, clients.pop())
    clients.append(enter(server, '127.0.0.5'))
    refuse(server, '127.0.0.5')
    close_all(clients)


@pytest.mark.parametrize('personality', FORKING)
def test_each_source_is_limited_by_itself(limited, personality):
    server = limited(personality, 'max_per_source', 2)
    clients = [enter(server, '127.0.0.2') for _ in range(2)]
    assert refuse(server, '127.0.0.2') == 'farewell 127.0.0.2: source'
    clients.append(enter(server, '127.0.0.3'))
    server.wait_log(r'Refused a connection of 127\.0\.0\.2: more than 2 connections at once of one '
                    r'source \(option max_per_source\)')
    leave(server, clients.pop(0))
    clients.append(enter(server, '127.0.0.2'))
    refuse(server, '127.0.0.2')
    close_all(clients)


@pytest.mark.parametrize('personality', FORKING)
def test_one_client_after_another_is_never_one_too_many(limited, personality):
    """A place is free before its client can see the end."""
    server = limited(personality, 'max_per_source', 1, 'max_connections', 1)
    for _ in range(50):
        leave(server, enter(server))
    assert 'Refused' not in server.log()


@pytest.mark.parametrize('personality', FORKING)
def test_killed_child_gives_its_places_back(limited, personality):
    server = limited(personality, 'max_per_source', 2)
    for _ in range(4):
        clients = [enter(server, '127.0.0.2') for _ in range(2)]
        refuse(server, '127.0.0.2')
        for pid in {pid_of(c) for c in clients}:
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: not is_alive(pid))
        assert all(c.is_cut() for c in clients)
        close_all(clients)
        # The master has to hear of it before it can know.
        eventually(lambda: not server.children() or pools_are_there(server, personality))
        with eventually_in(server, '127.0.0.2') as c:
            leave(server, c)


def pools_are_there(server, personality):
    return personality == 'Fork' or len(server.children()) == WORKERS


def eventually_in(server, source):
    """A client that is let in at last."""
    def try_it():
        client = come(server, source)
        if is_in(client):
            return client
        client.close()
        return None

    return eventually(try_it, what='a client is let in')


@pytest.mark.parametrize('personality', FORKING)
def test_client_that_vanishes_gives_its_place_back(limited, personality):
    server = limited(personality, 'max_per_source', 1)
    enter(server, '127.0.0.2').reset()
    eventually_in(server, '127.0.0.2').close()


# ---- how many within a time ----

@pytest.mark.parametrize('personality', tend.PERSONALITIES)
def test_source_that_is_too_fast_is_held(limited, personality):
    server = limited(personality, 'source_rate', '3/600', 'source_hold', 600)
    for _ in range(3):
        leave(server, enter(server, '127.0.0.2'))
    for _ in range(3):
        assert refuse(server, '127.0.0.2') == 'farewell 127.0.0.2: rate'
    leave(server, enter(server, '127.0.0.3'))
    server.wait_log(r'Refused a connection of 127\.0\.0\.2: more than 3 new connections of one '
                    r'source within 600 s \(option source_rate\); it is held for 600 s \(option '
                    r'source_hold\)')


def test_hold_comes_to_an_end(limited):
    server = limited('PreFork', 'source_rate', '1/0.05', 'source_hold', 0.2)
    leave(server, enter(server, '127.0.0.2'))
    eventually(lambda: visit_is_refused(server, '127.0.0.2'))
    leave(server, eventually_in(server, '127.0.0.2'))


def visit_is_refused(server, source):
    client = come(server, source)
    if not is_in(client):
        client.close()
        return True
    leave(server, client)
    return False


# ---- who is a source ----

def test_sources_can_be_made_wider(limited):
    server = limited('PreFork', 'max_per_source', 1, 'source_prefix_v4', 24)
    with enter(server, '127.0.7.2'):
        refuse(server, '127.0.7.99')
        server.wait_log(r'Refused a connection of 127\.0\.7\.0/24: ')
        enter(server, '127.0.8.2').close()


def test_mapped_address_is_the_same_source(limited):
    """A socket for both versions sees IPv4 clients with mapped addresses."""
    server = limited('PreFork', 'max_per_source', 1, port='0')
    with enter(server, '127.0.0.2'):
        assert refuse(server, '127.0.0.2').endswith(': source')
        server.wait_log(r'Refused a connection of 127\.0\.0\.2: ')


@needs_ipv6
def test_ipv6_network_is_one_source(limited):
    server = limited('PreFork', 'max_per_source', 1, port='[::1]:0')
    with from_address('::1', ('::1', server.port)) as first:
        assert is_in(first)
        with from_address('::1', ('::1', server.port)) as second:
            assert not is_in(second)
    server.wait_log(r'Refused a connection of ::/64: ')


def test_exempt_networks_are_never_refused(limited):
    server = limited('PreFork', 'max_per_source', 1, 'max_connections', 2, 'source_rate', '1/600',
                     'limit_exempt', '127.0.9.0/24', 'limit_exempt', '10.0.0.0/8')
    clients = [enter(server, '127.0.9.1') for _ in range(4)]
    assert refuse(server, '127.0.0.2').endswith(': connections')
    close_all(clients)


def test_unix_clients_count_for_no_source(limited, directory):
    server = limited('PreFork', 'max_per_source', 1, 'source_rate', '1/600', 'max_connections', 3,
                     port=f'{directory}/socket|unix')
    clients = [server.client() for _ in range(3)]
    assert all(is_in(c) for c in clients)
    with server.client() as c:
        assert c.recv_line() == 'farewell : connections'
    server.wait_log(r'Refused a connection of a local client: more than 3 connections at once')
    close_all(clients)


# ---- how it is refused ----

@pytest.mark.parametrize('personality', FORKING)
def test_farewell_reaches_a_client_that_is_sending(limited, personality):
    """What it has sent already does not turn the farewell into a reset."""
    server = limited(personality, 'max_per_source', 1)
    with enter(server):
        for _ in range(10):
            with come(server) as c:
                c.send(b'x' * 20000)
                assert c.recv_line() == 'farewell 127.0.0.1: source'
                c.expect_end()


@pytest.mark.parametrize('personality', FORKING)
def test_service_without_a_farewell_just_closes(start, personality):
    server = start('echo', 'server_type', personality, 'port', '127.0.0.1:0', 'max_per_source', 1,
                   *pools.words(personality, 3))
    with server.client() as first:
        first.send_line('hello')
        first.expect('hello')
        for _ in range(5):
            with server.client() as c:
                c.expect_end()
    server.wait_log('Refused a connection of 127.0.0.1')


def test_fork_refuses_without_a_child(limited):
    server = limited('Fork', 'max_per_source', 1, 'log_level', 4)
    with enter(server):
        for _ in range(5):
            refuse(server)
    assert len(re.findall('Started child', server.log())) == 1


def test_fork_tells_max_servers_from_the_others(limited):
    server = limited('Fork', 'max_servers', 2, 'full', 'refuse', 'max_per_source', 2)
    clients = [enter(server, '127.0.0.2'), enter(server, '127.0.0.3')]
    assert refuse(server, '127.0.0.2') == 'farewell 127.0.0.2: servers'
    close_all(clients)


def test_refused_clients_do_not_wear_a_worker_out(limited):
    """They are no requests, and the signals of the server are heard among them."""
    server = limited('PreFork', 'max_per_source', 1, 'max_requests', 5, 'log_level', 4)
    pids = server.children()
    with enter(server):
        for _ in range(60):
            refuse(server)
    assert server.children() == pids
    assert server.stop() == 0


def test_refused_client_is_closed_for_the_service_too(limited):
    server = limited('PreFork', 'max_per_source', 1, 'log_level', 3)
    with enter(server, '127.0.0.2'):
        refuse(server, '127.0.0.2')
    server.wait_log(r'Closed 127\.0\.0\.2: source')
    assert len(re.findall(r'CONNECT', server.log())) == 1


# ---- what is told ----

@pytest.mark.parametrize('personality', FORKING)
def test_refused_clients_are_counted_by_reason(limited, personality):
    server = limited(personality, 'max_per_source', 2, 'max_connections', 3, 'source_rate', '5/600')
    clients = [enter(server, '127.0.0.2'), enter(server, '127.0.0.2')]
    for _ in range(4):
        refuse(server, '127.0.0.2')
    clients.append(enter(server, '127.0.0.3'))
    for n in range(10, 15):
        refuse(server, f'127.0.0.{n}')
    leave(server, clients.pop())
    for _ in range(4):
        leave(server, enter(server, '127.0.0.3'))
    for _ in range(3):
        refuse(server, '127.0.0.3')
    assert ask(clients[0], 'refused').split() == ['servers=0', 'connections=5', 'source=4', 'rate=3']
    close_all(clients)


def test_flood_is_one_line_of_log(limited):
    """The first is told at once, the others together; here when the server ends."""
    server = limited('PreFork', 'max_per_source', 1)
    clients = [enter(server, f'127.0.0.{n}') for n in (2, 3)]
    for _ in range(30):
        refuse(server, '127.0.0.2')
    for _ in range(10):
        refuse(server, '127.0.0.3')
    assert len(re.findall('Refused', server.log())) == 1
    close_all(clients)
    assert server.stop() == 0
    lines = re.findall(r'Refused .*', server.log())
    assert len(lines) == 2
    assert re.match(r'Refused 39 connections of [12] sources or more within \d+ s, the latest of '
                    r'127\.0\.0\.3: more than 1 connection at once of one source \(option '
                    r'max_per_source\)|Refused 39 connections of 127\.0\.0\.3 within', lines[1])


@pytest.mark.parametrize('personality', FORKING)
def test_what_is_untold_is_told_after_a_while(limited, personality):
    """By the master, though nobody else is refused."""
    server = limited(personality, 'max_per_source', 1, 'limit_report', 0.3, 'check_for_spawn', 0.1)
    with enter(server):
        for _ in range(20):
            refuse(server)
        eventually(lambda: told(server) == 20)


def told(server):
    """How many refused clients the log has told of."""
    numbers = re.findall(r'Refused (a|\d+) connections?', server.log())
    return sum(1 if n == 'a' else int(n) for n in numbers)


# ---- options ----

@pytest.mark.parametrize('words, complaint', [
    (['source_rate', '20'], "source_rate: '20' is not NUMBER/SECONDS, as 20/10"),
    (['source_rate', '0/10'], "source_rate: '0/10' is not NUMBER/SECONDS"),
    (['source_rate', '20/'], "source_rate: '20/' is not NUMBER/SECONDS"),
    (['source_rate', '20/-1'], "source_rate: '20/-1' is not NUMBER/SECONDS"),
    (['source_rate', '20/10/5'], "source_rate: '20/10/5' is not NUMBER/SECONDS"),
    (['source_rate', 'x' * 100], "source_rate: 'x"),
    (['limit_exempt', '127.0.0.0/33'], "limit_exempt: '127.0.0.0/33' has a bad prefix length"),
    (['source_prefix_v6', '129'], 'option source_prefix_v6'),
    (['max_connections', '1000001'], 'option max_connections'),
    (['max_per_source', '-1'], 'option max_per_source'),
])
def test_bad_options_are_refused(words, complaint):
    done = tend.run('check', 'echo', *words)
    assert done.returncode in (tend.EX_USAGE, tend.EX_CONFIG)
    assert complaint in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize('words', [['source_rate', '20/10'], ['source_rate', '1/0.5'],
                                   ['source_rate', '0'], ['source_rate', ''],
                                   ['limit_exempt', '192.0.2.1, 2001:db8::/32']])
def test_good_options_are_accepted(words):
    done = tend.run('check', 'echo', *words)
    assert (done.returncode, done.stderr) == (0, '')


def test_prefix_is_settled_once_it_counts(limited):
    server = limited('Single', 'max_per_source', 5)
    with enter(server) as c:
        assert ask(c, 'set source_prefix_v4 24') == 'Device or resource busy'
        assert ask(c, 'set max_per_source 1') == 'done'
        assert ask(c, 'set source_rate 1/600') == 'done'
        assert ask(c, 'set source_rate nonsense') == 'Invalid argument'
    eventually(lambda: visit_is_refused(server, '127.0.0.2'))


# ---- together ----

def test_limit_holds_against_many_at_once(limited):
    """Forty at the same moment, of which five may come in: five come in."""
    server = limited('PreFork', 'max_per_source', 5, 'max_connections', 100)
    clients = [come(server, '127.0.0.2') for _ in range(40)]
    for c in clients:
        c.send_line('hello')
    answers = [c.recv_line() for c in clients]
    assert answers.count('hello') == 5
    assert answers.count('farewell 127.0.0.2: source') == 35
    close_all(clients)
    eventually(lambda: len(server.children()) == WORKERS)


def test_no_limit_costs_no_memory(start):
    """Nothing is mapped that nobody asked for."""
    def shared(server):
        with open(f'/proc/{server.pid}/maps') as maps:
            lines = [line.split() for line in maps if '/dev/zero' in line]
        return sum(int(a, 16) - int(b, 16) for b, a in (line[0].split('-') for line in lines))

    plain = start('echo', 'port', '127.0.0.1:0')
    limiting = start('echo', 'port', '127.0.0.1:0', 'max_connections', 100)
    assert shared(plain) < 128 * 1024 < shared(limiting) < 4 * 1024 * 1024


def test_listener_is_not_starved_by_refused_clients(limited):
    """Single: it hears TERM in the middle of a flood."""
    server = limited('Single', 'source_rate', '1/600')
    leave(server, enter(server))
    for _ in range(100):
        refuse(server)
    with socket.create_connection(server.address) as pending:
        pending.settimeout(tend.DEADLINE)
        assert server.stop() == 0
