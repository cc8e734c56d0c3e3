"""Where a server listens: IP versions, names, pairs of lists, ports in use, unix sockets."""

import os
import re
import selectors
import signal
import socket
import stat
import subprocess

import pytest

import tend
from daemons import (Daemon, as_root, ask, free_port, greeting, is_free, launch,
                     listening, needs_ipv6, target)
from tend import eventually

MODES = [[], ['background', '1'], ['setsid', '1']]
MODE_NAMES = ['foreground', 'background', 'setsid']


def single(start, *words, **options):
    return start('Single', *words, **options)


def peer_seen(host, port):
    """The address by which the talkative echo knows a client that comes to `host`."""
    with tend.Client((host, port)) as c:
        greeting(c)
        return ask(c, 'peeraddr')


def is_refused(host, port):
    try:
        tend.Client((host, port)).close()
    except ConnectionRefusedError:
        return True
    return False


# ---- IP versions ----

@needs_ipv6
def test_ipv_4_listens_on_ipv4_alone(start):
    """NS-TST-01, NS-IPV-03"""
    server = single(start, 'port', '0', 'host', '*', 'ipv', '4')
    assert listening(server.pid) == [('0.0.0.0', server.port)]
    assert is_refused('::1', server.port)
    assert peer_seen('127.0.0.1', server.port) == '127.0.0.1'


@needs_ipv6
def test_ipv_6_listens_on_ipv6_alone(start):
    """NS-TST-02, NS-TST-08, NS-IPV-03, NS-IPV-07"""
    server = single(start, 'port', '0', 'host', '*', 'ipv', '6')
    assert listening(server.pid) == [('::', server.port)]
    assert is_refused('127.0.0.1', server.port)
    assert peer_seen('::1', server.port) == '::1'


@needs_ipv6
@pytest.mark.parametrize('words', [['ipv', '*'], []], ids=['asked', 'default'])
def test_ipv_any_is_one_listener_for_both(start, words):
    """NS-TST-03, NS-TST-08, NS-TST-45, NS-IPV-05, NS-IPV-06"""
    server = single(start, 'port', '0', *words)
    assert listening(server.pid) == [('::', server.port)]
    assert peer_seen('127.0.0.1', server.port) == '::ffff:127.0.0.1'
    assert peer_seen('::1', server.port) == '::1'
    server.wait_log(r'covered: 0\.0\.0\.0')


@needs_ipv6
def test_no_ipv6_in_the_environment_leaves_ipv4(start):
    """NS-TST-04, NS-IPV-12"""
    server = single(start, 'port', '0', environment={'NO_IPV6': '1'})
    assert listening(server.pid) == [('0.0.0.0', server.port)]
    assert is_refused('::1', server.port)
    assert peer_seen('127.0.0.1', server.port) == '127.0.0.1'
    server.wait_log('NO_IPV6')


def test_no_ipv6_that_is_empty_means_nothing(start):
    """NS-IPV-12"""
    server = single(start, 'port', '0', environment={'NO_IPV6': ''})
    assert 'NO_IPV6' not in server.log()


def test_ipv6_is_refused_when_the_environment_forbids_it():
    """NS-IPV-12"""
    done = tend.run('Single', 'port', '0', 'ipv', '6', environment={'NO_IPV6': '1'})
    assert done.returncode in (tend.EX_CONFIG, tend.EX_UNAVAILABLE)
    assert 'NO_IPV6' in done.stderr and not tend.BOUND.search(done.stderr)


TWO_SOCKETS = {
    'v4v6': ['port', '{0}', 'ipv', 'v4v6'],
    '46': ['port', '{0}', 'ipv', '46'],
    'suffixes': ['port', '{0}/IPv4/IPv6'],
    'two ports': ['port', '{0}/IPv4', 'port', '{0}/IPv6'],
}


@needs_ipv6
@pytest.mark.parametrize('words', TWO_SOCKETS.values(), ids=TWO_SOCKETS.keys())
def test_both_versions_asked_for_are_two_listeners(start, words):
    """NS-TST-05, NS-TST-06, NS-TST-07, NS-IPV-03, NS-PRT-10f"""
    port = free_port()
    server = single(start, *(word.format(port) for word in words), listeners=2)
    assert listening(server.pid) == [('0.0.0.0', port), ('::', port)]
    assert peer_seen('127.0.0.1', port) == '127.0.0.1'
    assert peer_seen('::1', port) == '::1'


@needs_ipv6
@pytest.mark.parametrize('words', [['port', '0/IPv4/IPv6'], ['port', '0', 'ipv', 'v6v4']],
                         ids=['suffixes', 'option'])
def test_port_0_is_one_port_for_both_versions(start, words):
    """NS-IPV-13"""
    server = single(start, *words, listeners=2)
    assert server.ports[0] == server.ports[1] != 0
    assert listening(server.pid) == [('0.0.0.0', server.port), ('::', server.port)]


@pytest.mark.parametrize('value', ['4', 'IPv4', 'v4'])
def test_ipv_of_the_environment_is_the_default(start, value):
    """NS-IPV-02, NS-IPV-12"""
    server = single(start, 'port', '0', environment={'IPV': value})
    assert listening(server.pid) == [('0.0.0.0', server.port)]


@needs_ipv6
def test_ipv_option_is_stronger_than_the_environment(start):
    """NS-IPV-02, NS-IPV-12"""
    server = single(start, 'port', '0', 'ipv', '6', environment={'IPV': '4'})
    assert listening(server.pid) == [('::', server.port)]


@needs_ipv6
@pytest.mark.parametrize('port', ['[::1]:0', '::1 0', '[::1]:0/IPv4'])
def test_literal_ipv6_address(start, port):
    """NS-IPV-08, NS-PRT-10j, NS-PRT-10k"""
    server = single(start, 'port', port)
    assert listening(server.pid) == [('::1', server.port)]
    assert peer_seen('::1', server.port) == '::1'
    assert is_refused('127.0.0.1', server.port)


@pytest.mark.parametrize('words', [['port', '127.0.0.1:0/IPv6'],
                                   ['port', '0', 'host', '127.0.0.1', 'ipv', '6'],
                                   ['port', '0', 'host', '127.0.0.1', 'ipv', '46']], ids=str)
def test_literal_ipv4_address_with_ipv6_is_refused(words):
    """NS-IPV-09"""
    done = tend.run('Single', *words)
    assert done.returncode == tend.EX_CONFIG
    assert '127.0.0.1' in done.stderr and 'IPv6' in done.stderr


@needs_ipv6
def test_mapped_literal_is_the_ipv4_address(start):
    """NS-IPV-10"""
    server = single(start, 'port', '[::ffff:127.0.0.1]:0')
    assert listening(server.pid) == [('127.0.0.1', server.port)]


def test_client_learns_where_it_came_to(start, personality):
    """NS-BND-04"""
    server = start(personality, 'port', '127.0.0.1:0')
    with server.client() as c:
        greeting(c)
        assert ask(c, 'sockaddr') == '127.0.0.1'
        assert ask(c, 'sockport') == str(server.port)
        assert ask(c, 'peerport') == str(c.sock.getsockname()[1])


# ---- names ----

def with_hosts(directory, text):
    """argv that runs the command where /etc/hosts reads so; skips where that cannot be."""
    hosts = directory / 'hosts'
    hosts.write_text(text)
    script = f'mount --bind {hosts} /etc/hosts && exec "$@"'
    argv = ['-m', 'sh', '-c', script, 'sh']
    try:
        if subprocess.run(['unshare', *argv, 'true'], capture_output=True).returncode == 0:
            return argv
    except FileNotFoundError:
        pass
    pytest.skip('cannot give a process its own /etc/hosts here')


@needs_ipv6
@pytest.mark.parametrize('names', ['127.0.0.1 localhost\n::1 localhost\n',
                                   '::1 localhost\n127.0.0.1 localhost\n'], ids=['4-6', '6-4'])
def test_name_with_two_addresses_shares_port_0(start, directory, names):
    """NS-IPV-04, NS-IPV-13"""
    argv = with_hosts(directory, names)
    server = start(*argv, tend.find_program(), 'Single', 'port', 'localhost:0', listeners=2,
                   program='unshare')
    assert listening(server.pid) == [('127.0.0.1', server.port), ('::1', server.port)]
    assert peer_seen('127.0.0.1', server.port) == '127.0.0.1'
    assert peer_seen('::1', server.port) == '::1'
    server.wait_log('one port is chosen')


@needs_ipv6
def test_name_with_an_address_twice_is_bound_once(start, directory):
    """NS-PRT-32, NS-PRT-33"""
    argv = with_hosts(directory, '127.0.0.1 localhost\n127.0.0.1 localhost twin\n::1 localhost\n')
    port = free_port()
    server = start(*argv, tend.find_program(), 'Single', 'port', f'localhost:{port}/IPv4',
                   'port', f'twin:{port}', program='unshare')
    assert listening(server.pid) == [('127.0.0.1', port)]
    server.wait_log('duplicate.*skipped')


def test_service_name_is_resolved_and_told(start):
    """NS-BND-03, NS-PRT-10m"""
    names = ['http-alt', 'mysql', 'postgresql', 'xmpp-client', 'sip', 'nfs', 'socks', 'openvpn']
    for name in names:
        try:
            port = socket.getservbyname(name, 'tcp')
        except OSError:
            continue
        if is_free(port):
            break
    else:
        pytest.skip('no service of /etc/services is free here')
    server = single(start, 'port', f'127.0.0.1:{name}')
    assert listening(server.pid) == [('127.0.0.1', port)]
    assert re.search(rf'Bound to TCP port {port} .*{name}', server.log())


def test_port_0_says_what_was_asked_for_and_given(start):
    """NS-BND-03"""
    server = single(start, 'port', '127.0.0.1:0')
    assert listening(server.pid) == [('127.0.0.1', server.port)]
    server.wait_log(rf'Bound to TCP port {server.port} on 127\.0\.0\.1 \(port 0 ')


# ---- lists ----

SAME_PORT = {
    'the same string': ['127.0.0.1:{0}', '127.0.0.1:{0}'],
    'two spellings': ['127.0.0.1:{0}', '127.0.0.1|{0}|TCP'],
    'name and address': ['localhost:{0}/IPv4', '127.0.0.1:{0}/tcp'],
}


@pytest.mark.parametrize('ports', SAME_PORT.values(), ids=SAME_PORT.keys())
def test_port_named_twice_is_bound_once(start, ports):
    """NS-TST-46 (tcp), NS-PRT-32, NS-PRT-33"""
    port = free_port()
    words = [word for text in ports for word in ('port', text.format(port))]
    server = single(start, *words)
    assert listening(server.pid) == [('127.0.0.1', port)]
    server.wait_log('duplicate.*skipped')


def test_port_0_is_never_a_duplicate(start):
    """NS-PRT-32"""
    server = single(start, 'port', '127.0.0.1:0', 'port', '127.0.0.1:0', listeners=2)
    assert len(set(server.ports)) == 2 == len(listening(server.pid))


def test_hosts_pair_with_ports_and_the_last_serves_the_rest(start):
    """NS-OPT-45, NS-PRT-30, NS-PRT-35"""
    port = free_port()
    server = single(start, 'port', str(port), 'port', str(port), 'port', '0',
                    'host', '127.0.0.1', 'host', '127.0.0.2', listeners=3)
    assert listening(server.pid) == sorted([('127.0.0.1', port), ('127.0.0.2', port),
                                            ('127.0.0.2', server.ports[2])])


def test_protos_pair_with_ports(start, directory):
    """NS-OPT-46, NS-PRT-10s, NS-TST-25"""
    server = single(start, 'port', '0', 'port', f'{directory}/socket', 'host', '127.0.0.1',
                    'proto', 'tcp', 'proto', 'unix', listeners=2)
    assert [proto for proto, _ in server.endpoints] == ['TCP', 'UNIX']
    for which in (0, 1):
        with server.client(which) as c:
            greeting(c)


@needs_ipv6
def test_versions_pair_with_ports_that_expand(start):
    """NS-OPT-47, NS-PRT-30: a port that becomes two listeners does not shift the others."""
    first, second = free_port(), free_port(range(12000, 20000))
    server = single(start, 'port', f'{first}/IPv4/IPv6', 'port', str(second),
                    'host', '*', 'host', '127.0.0.1', listeners=3)
    assert listening(server.pid) == sorted([('0.0.0.0', first), ('::', first),
                                            ('127.0.0.1', second)])


ONE_AT_A_TIME = {
    'Single': ['Single'],
    'a worker': ['PreForkSimple', 'max_servers', '1'],
    'a worker with turns': ['PreForkSimple', 'max_servers', '1', 'serialize', 'flock'],
}


@pytest.mark.parametrize('words', ONE_AT_A_TIME.values(), ids=ONE_AT_A_TIME.keys())
def test_listeners_are_served_in_turn(start, directory, words):
    """NS-BND-07: each listener has a queue, and none of them waits for the other to be empty."""
    server = start(*words, 'port', '127.0.0.1:0', 'port', f'{directory}/socket|unix', listeners=2)
    order = []
    with server.client() as first, selectors.DefaultSelector() as selector:
        greeting(first)
        for which in (0, 1):
            for _ in range(10):
                selector.register(server.client(which).sock, selectors.EVENT_READ, which)
        first.close()
        while selector.get_map():
            ready = selector.select(tend.DEADLINE)
            assert ready, order
            for key, _ in ready:
                selector.unregister(key.fileobj)
                order.append(key.data)
                key.fileobj.close()
    assert sorted(order) == [0] * 10 + [1] * 10
    assert {0, 1} == set(order[:8]), order


def test_one_process_serves_tcp_and_unix_at_once(start, directory, personality):
    """NS-TST-25, NS-BND-11: the handler can tell the listeners apart by the peer."""
    server = start(personality, 'port', '127.0.0.1:0', 'port', f'{directory}/socket|unix',
                   listeners=2)
    for which, peer in ((0, '127.0.0.1'), (1, ''), (0, '127.0.0.1'), (1, '')):
        with server.client(which) as c:
            greeting(c)
            assert ask(c, 'peeraddr') == peer


# ---- ports in use ----

@pytest.fixture
def taken():
    """A port at which somebody else listens."""
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        s.listen()
        yield s.getsockname()[1]


@pytest.mark.parametrize('log', [False, True], ids=['no-log', 'log'])
@pytest.mark.parametrize('mode', MODES, ids=MODE_NAMES)
def test_port_in_use_is_told_to_the_caller(start, directory, taken, mode, log):
    """NS-TST-47, NS-BND-01, NS-DMN-05, NS-DMN-38"""
    words = ['log_file', directory / 'log'] if log else []
    status, said = launch(start, 'Fork', 'port', f'127.0.0.1:{taken}', *mode, *words,
                          'pid_file', directory / 'pid')
    assert status == tend.EX_UNAVAILABLE
    reasons = [line for line in said.splitlines() if 'in use' in line]
    assert len(reasons) == 1, said
    assert '127.0.0.1' in reasons[0] and str(taken) in reasons[0]
    assert not (directory / 'pid').exists()
    if log:
        assert 'in use' in (directory / 'log').read_text()


@pytest.mark.parametrize('mode', MODES, ids=MODE_NAMES)
def test_failed_start_gives_back_what_it_had(start, directory, taken, mode):
    """NS-BND-01, NS-SHD-16: the first port, the socket file and the pid file are gone at once."""
    port = free_port()
    words = [*mode, 'port', f'127.0.0.1:{port}', 'port', f'{directory}/socket|unix',
             'port', f'127.0.0.1:{taken}', 'pid_file', directory / 'pid']
    for _ in range(3):
        status, said = launch(start, 'PreFork', *words)
        assert status == tend.EX_UNAVAILABLE, said
        assert str(taken) in said
        assert not tend.listens(('127.0.0.1', port))
        assert not (directory / 'socket').exists()
        assert not (directory / 'pid').exists()


@pytest.mark.parametrize('mode', MODES, ids=MODE_NAMES)
def test_live_socket_file_is_told_to_the_caller(start, directory, mode):
    """NS-TST-47, NS-TST-68, NS-UNX-02"""
    where = f'{directory}/socket|unix'
    server = start('Single', 'port', where)
    before = (directory / 'socket').stat()
    status, said = launch(start, 'Single', 'port', where, *mode)
    assert status == tend.EX_UNAVAILABLE
    assert len([line for line in said.splitlines() if 'in use' in line]) == 1, said
    assert os.path.samestat(before, (directory / 'socket').stat())
    with server.client() as c:
        greeting(c)


def test_port_is_free_again_at_once(start):
    """NS-BND-02: address reuse, although old connections are not forgotten yet."""
    port = free_port()
    for _ in range(3):
        server = start('Single', 'port', f'127.0.0.1:{port}')
        c = server.client()
        greeting(c)
        # Ours is the side that closes first, so the server's side of it lingers in the kernel.
        c.send_line('exit')
        c.is_cut()
        assert server.wait() == 0
        c.close()


@as_root
def test_privileged_port_is_bound_before_root_is_given_up(start):
    """NS-BND-06"""
    port = free_port(range(600, 1023))
    server = start('Fork', 'port', f'127.0.0.1:{port}', 'user', 'nobody')
    with server.client() as c:
        greeting(c)


# ---- unix sockets ----

@pytest.mark.parametrize('mask', [0o022, 0o077, 0o007, 0])
def test_mode_of_a_socket_file_is_that_of_the_umask(start, directory, mask):
    """NS-TST-68, NS-UNX-03"""
    server = start('Single', 'port', f'{directory}/socket|unix', before_exec=lambda: os.umask(mask))
    found = os.stat(server.path)
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o777 & ~mask


def test_missing_directory_of_a_socket_file(start, directory):
    """NS-TST-68"""
    status, said = launch(start, 'Single', 'port', f'{directory}/absent/socket|unix')
    assert status in (tend.EX_CANTCREAT, tend.EX_UNAVAILABLE, tend.EX_NOINPUT)
    assert f'{directory}/absent' in said


def make_directory(path):
    path.mkdir()
    (path / 'inside').write_text('precious')


def make_link_to_file(path):
    path.with_name('precious').write_text('precious')
    path.symlink_to(path.with_name('precious'))


IN_THE_WAY = {
    'file': lambda path: path.write_text('precious'),
    'directory': make_directory,
    'fifo': os.mkfifo,
    'link to a file': make_link_to_file,
}


@pytest.mark.parametrize('make', IN_THE_WAY.values(), ids=IN_THE_WAY.keys())
@pytest.mark.parametrize('mode', [[], ['setsid', '1']], ids=['foreground', 'setsid'])
def test_what_is_no_socket_is_not_replaced(start, directory, make, mode):
    """NS-TST-68, NS-UNX-02"""
    path = directory / 'socket'
    make(path)
    before = path.lstat()
    status, said = launch(start, 'Single', 'port', f'{path}|unix', *mode)
    assert status in (tend.EX_CANTCREAT, tend.EX_UNAVAILABLE), said
    assert str(path) in said
    assert path.lstat() == before
    if path.is_file():
        assert path.read_text() == 'precious'


def test_socket_file_of_a_killed_server_is_replaced(start, directory):
    """NS-TST-68, NS-UNX-02"""
    where = f'{directory}/socket|unix'
    first = start('PreFork', 'port', where)
    first.signal(signal.SIGKILL)
    first.wait()
    eventually(lambda: not first.leftovers(), what='the workers of a killed parent have left')
    assert (directory / 'socket').is_socket()
    with start('PreFork', 'port', where).client() as c:
        greeting(c)


@pytest.mark.parametrize('signo', [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT],
                         ids=['TERM', 'INT', 'QUIT'])
def test_socket_file_is_removed_by_every_stop(start, personality, directory, signo):
    """NS-TST-68, NS-UNX-04, NS-SHD-14"""
    server = start(personality, 'port', f'{directory}/socket|unix')
    with server.client() as c:
        greeting(c)
    assert server.stop(signo) == 0
    assert not (directory / 'socket').exists()


@pytest.mark.parametrize('server_type', ['Fork', 'PreFork'])
def test_child_does_not_remove_the_socket_file(start, directory, server_type):
    """NS-UNX-04"""
    server = start(server_type, 'port', f'{directory}/socket|unix')
    with server.client() as c:
        os.kill(greeting(c), signal.SIGTERM)
        c.is_cut()
    with server.client() as c:
        greeting(c)


def test_socket_file_of_another_is_not_removed(start, directory):
    """NS-UNX-04: the path was taken away from us, so what is there now is not ours."""
    path = directory / 'socket'
    first = start('Single', 'port', f'{path}|unix')
    path.unlink()
    second = start('Single', 'port', f'{path}|unix')
    assert first.stop() == 0
    assert path.is_socket()
    with second.client() as c:
        greeting(c)


@pytest.mark.parametrize('name', ['socket', 'with blank and (more), 100%', './socket', 'a/b'])
def test_relative_path_belongs_to_the_start_directory(start, directory, name):
    """NS-UNX-05, NS-UNX-09"""
    (directory / 'a').mkdir()
    server = start('Single', 'port', name, 'proto', 'unix', cwd=directory, listeners=0)
    eventually(lambda: (directory / name).is_socket(), what=f'{name} is bound\n{server.log()}')
    eventually(lambda: tend.BOUND.search(server.log()), what='it listens')
    with tend.Client(directory / name) as c:
        greeting(c)
    assert server.stop() == 0
    assert not (directory / name).exists()


def test_unix_client_has_no_address(start, directory, personality):
    """NS-UNX-06"""
    server = start(personality, 'port', f'{directory}/socket|unix')
    with server.client() as c:
        greeting(c)
        assert ask(c, 'peeraddr') == ''
        assert ask(c, 'peerport') == '0'


# ---- of daemons ----

def test_relative_socket_file_of_a_daemon(start, directory):
    """NS-UNX-09, NS-DMN-03: it stays in the directory of the launcher, and removes its file."""
    daemon = Daemon(start, directory, 'Fork', 'setsid', '1', 'port', 'socket|unix', cwd=directory)
    assert target(daemon.pid, 'cwd') == str(directory)
    with tend.Client(directory / 'socket') as c:
        greeting(c)
    daemon.stop()
    assert not (directory / 'socket').exists()


def test_daemon_of_several_listeners(start, directory):
    """NS-BND-01: each is bound when the launcher returns."""
    words = ['port', '127.0.0.1:0', 'port', '127.0.0.1:0', 'port', f'{directory}/socket|unix']
    daemon = Daemon(start, directory, 'Fork', 'background', '1', *words)
    assert len(daemon.launcher.endpoints) == 3
    for which in range(3):
        with daemon.client(which) as c:
            greeting(c)


