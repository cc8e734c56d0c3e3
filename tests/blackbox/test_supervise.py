"""What supervisors hear of a server and give to it: sd_notify, the watchdog, s6, sockets.

The tests are the supervisor: a datagram socket for NOTIFY_SOCKET, pipes and listening sockets that the
server inherits. restarting.c is the service.
"""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from signal import SIGHUP, SIGTERM

import pytest

import tend
from pools import ask, wait_for_workers
from tend import EX_CONFIG, Client, eventually, find_program

FEW = ['max_servers', 3]


class Supervisor:
    """Hears what is sent to NOTIFY_SOCKET."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(tend.DEADLINE)
        self.socket.bind(path)
        self.name = path.replace('\0', '@')

    def hear(self):
        """One message, as a dictionary."""
        return dict(line.split('=', 1) for line in self.socket.recv(4096).decode().split('\n'))

    def hear_until(self, key):
        """The message that has this key, and those before it."""
        heard = []
        while not heard or key not in heard[-1]:
            heard.append(self.hear())
        return heard


@pytest.fixture
def supervisor(directory):
    one = Supervisor(str(directory / 'notify'))
    yield one
    one.socket.close()


@pytest.fixture
def supervised(start, supervisor):
    """Starts the service with the supervisor in its environment."""
    def start_supervised(*words, environment=None, **options):
        return start(*FEW, *words, program=find_program('restarting'),
                     environment={'NOTIFY_SOCKET': supervisor.name, **(environment or {})}, **options)

    return start_supervised


def say(server, line):
    with server.client() as c:
        return ask(c, line)


# ---- ready, reloading, stopping ----

def test_life_of_a_server_is_told(supervised, supervisor, personality):
    """NS-DMN-06, NS-TST-30: ready when it serves, reloading and ready again around a restart, stopping."""
    server = supervised('server_type', personality, 'port', '127.0.0.1:0')
    ready = supervisor.hear()
    assert ready['READY'] == '1' and ready['MAINPID'] == str(server.pid) and ready['STATUS']
    assert say(server, 'env NOTIFY_SOCKET') == 'not set'
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    server.signal(SIGHUP)
    reloading = supervisor.hear()
    assert reloading['RELOADING'] == '1' and int(reloading['MONOTONIC_USEC']) >= before
    heard = supervisor.hear_until('READY')
    assert 'RELOADING' not in heard[-1] and heard[-1]['MAINPID'] == str(server.pid)
    server.signal(SIGTERM)
    assert supervisor.hear_until('STOPPING')[-1]['STOPPING'] == '1'
    assert server.wait() == 0


def test_refused_restart_ends_the_reload(supervised, supervisor, directory):
    """A supervisor that waits for the end of a reload is told, and why."""
    conf = directory / 'conf'
    conf.write_text('port 127.0.0.1:0\n')
    server = supervised('server_type', 'PreFork', 'conf_file', conf)
    supervisor.hear_until('READY')
    conf.write_text('port 127.0.0.1:0\nlisten many\n')
    server.signal(SIGHUP)
    heard = supervisor.hear_until('READY')
    assert 'RELOADING' in heard[0] and 'refused' in heard[-1]['STATUS']


def test_replacing_workers_is_a_reload(supervised, supervisor):
    """NS-FIX-50: a supervisor that has sent HUP waits until the new ones are there."""
    server = supervised('server_type', 'PreFork', 'port', '127.0.0.1:0', 'hup', 'workers')
    supervisor.hear_until('READY')
    before = set(wait_for_workers(server, 3))
    server.signal(SIGHUP)
    heard = supervisor.hear_until('READY')
    assert 'RELOADING' in heard[0] and heard[-1]['STATUS'] == 'Serving'
    eventually(lambda: not before & set(server.children()), what='the old ones are gone')


@pytest.mark.parametrize('words', [('PreFork', 'ignore'), ('Fork', 'workers')])
def test_reload_of_which_nothing_comes_ends(supervised, supervisor, words):
    """NS-FIX-50"""
    server = supervised('server_type', words[0], 'port', '127.0.0.1:0', 'hup', words[1])
    supervisor.hear_until('READY')
    server.signal(SIGHUP)
    heard = supervisor.hear_until('READY')
    assert 'RELOADING' in heard[0] and heard[-1]['STATUS'].startswith('Serving as before')


def test_failed_start_is_not_ready(supervised, supervisor, directory):
    server = supervised('port', directory / 'no' / 'where|unix', listeners=0)
    assert server.wait() != 0
    assert all('READY' not in message for message in supervisor.hear_until('STOPPING'))


def test_abstract_socket_and_background(start, directory):
    """The pid is told, which is not the one that was started."""
    supervisor = Supervisor(f'\0tend-test-{os.getpid()}')
    server = start(*FEW, 'server_type', 'PreFork', 'port', '127.0.0.1:0', 'background', 1, 'pid_file',
                   directory / 'pid', program=find_program('restarting'), listeners=0,
                   environment={'NOTIFY_SOCKET': supervisor.name})
    assert server.wait() == 0
    pid = int((directory / 'pid').read_text())
    server.adopt(pid)
    assert supervisor.hear()['MAINPID'] == str(pid)
    supervisor.socket.close()


@pytest.mark.parametrize('value', ['relative', '@', '/' + 'x' * 200])
def test_bad_notify_socket_is_an_error_of_the_start(start, value):
    server = start('port', '127.0.0.1:0', program=find_program('restarting'), listeners=0,
                   environment={'NOTIFY_SOCKET': value})
    assert server.wait() == EX_CONFIG
    assert 'NOTIFY_SOCKET' in server.log()


def test_supervisor_that_does_not_listen_is_no_harm(start, directory):
    server = start(*FEW, 'port', '127.0.0.1:0', program=find_program('restarting'),
                   environment={'NOTIFY_SOCKET': str(directory / 'nobody')})
    assert say(server, 'hello') == 'hello'


# ---- the watchdog ----

def test_watchdog_is_fed_while_there_is_progress(supervised, supervisor, personality):
    """NS-DMN-06: also by a new image."""
    server = supervised('server_type', personality, 'port', '127.0.0.1:0',
                        environment={'WATCHDOG_USEC': '150000'})
    for _ in range(3):
        supervisor.hear_until('WATCHDOG')
    server.signal(SIGHUP)
    supervisor.hear_until('RELOADING')
    supervisor.hear_until('READY')
    for _ in range(3):
        supervisor.hear_until('WATCHDOG')


def test_watchdog_is_not_fed_by_a_master_without_workers(supervised, supervisor, directory):
    """A loop that turns is not enough."""
    refuse = directory / 'refuse'
    server = supervised('server_type', 'PreForkSimple', 'port', '127.0.0.1:0', 'refuse', refuse,
                        environment={'WATCHDOG_USEC': '100000'})
    supervisor.hear_until('WATCHDOG')
    refuse.write_text('one child_start')
    for pid in wait_for_workers(server, 3):
        os.kill(pid, 9)
    server.wait_log('Workers die as soon as they start', count=5)
    # Workers are there for a moment at each try: so it is fed now and then, but not regularly.
    eventually(lambda: is_silent(supervisor, 0.4), what='the watchdog is left hungry')


def is_silent(supervisor, seconds):
    supervisor.socket.settimeout(seconds)
    try:
        supervisor.socket.recv(4096)
        return False
    except TimeoutError:
        return True
    finally:
        supervisor.socket.settimeout(tend.DEADLINE)


def test_watchdog_of_another_process_is_not_fed(supervised, supervisor):
    server = supervised('port', '127.0.0.1:0', environment={'WATCHDOG_USEC': '50000', 'WATCHDOG_PID': '1'})
    supervisor.hear_until('READY')
    assert is_silent(supervisor, 0.3)
    assert server.is_alive()


# ---- s6 ----

def test_newline_for_s6(start):
    """The option notify_fd: once, when it serves; then the descriptor is closed, also in children."""
    out, inherited = os.pipe()
    server = start(*FEW, 'server_type', 'PreFork', 'port', '127.0.0.1:0', 'notify_fd', inherited,
                   program=find_program('restarting'), pass_fds=[inherited])
    os.close(inherited)
    assert os.read(out, 10) == b'\n'
    assert os.read(out, 10) == b''
    os.close(out)
    server.signal(SIGHUP)
    server.wait_log('Restarted:')
    assert say(server, 'hello') == 'hello'


def test_closed_notify_fd_is_an_error_of_the_start(start):
    server = start('port', '127.0.0.1:0', 'notify_fd', 99, program=find_program('restarting'), listeners=0)
    assert server.wait() == EX_CONFIG
    assert 'descriptor 99 is not open' in server.log() and 'notify_fd' in server.log()


# ---- sockets ----

@pytest.fixture
def activate(start):
    """Starts the service with listening sockets from descriptor 3 on, as systemd does."""
    def start_activated(sockets, *words, names=None, **options):
        def arrange():
            # Out of the way first: one of them may have another's number.
            copies = [os.dup2(s.fileno(), 100 + i, False) for i, s in enumerate(sockets)]
            for i, copy in enumerate(copies):
                os.dup2(copy, 3 + i)

        # The pid is known only to the process itself.
        line = 'export LISTEN_PID=$$; exec "$0" "$@"'
        environment = {'LISTEN_FDS': str(len(sockets))}
        if names:
            environment['LISTEN_FDNAMES'] = names
        return start('-c', line, find_program('restarting'), *FEW, *words, program='/bin/sh',
                     environment=environment, before_exec=arrange, close_fds=False, **options)

    return start_activated


def listen_on(where):
    if isinstance(where, (str, Path)):
        s = socket.socket(socket.AF_UNIX)
        s.bind(str(where))
    else:
        s = socket.socket()
        s.bind(where)
    s.listen(100)
    return s


@pytest.mark.parametrize('personality', ['Single', 'Fork', 'PreFork'])
def test_passed_sockets_are_served_where_no_port_is_configured(activate, directory, personality):
    """NS-BND-09: also after a restart; their files stay when the server ends."""
    tcp, local = listen_on(('127.0.0.1', 0)), listen_on(directory / 'socket')
    server = activate([tcp, local], 'server_type', personality, listeners=2)
    for _ in range(2):
        for address in (tcp.getsockname(), str(directory / 'socket')):
            with Client(address) as c:
                assert ask(c, 'env LISTEN_FDS') == 'not set'
        server.signal(SIGHUP)
        server.wait_log('Restarted: 2 sockets taken over, 0 opened, 0 closed')
    server.stop()
    assert (directory / 'socket').exists()
    # The supervisor still has them: a client waits for the next server.
    with Client(tcp.getsockname()):
        pass


def test_passed_sockets_are_matched_by_address_and_by_name(activate, directory):
    """NS-BND-09: what nobody configured is said and closed, the rest is bound."""
    tcp, named, stray = (listen_on(('127.0.0.1', 0)) for _ in range(3))
    server = activate([tcp, named, stray], 'server_type', 'PreFork',
                      'port', '127.0.0.1:%d' % tcp.getsockname()[1],
                      'port', f'{directory}/own|unix', 'port', '127.0.0.1:0',
                      names='web:0:stray', listeners=3)
    server.wait_log('Descriptor 3 of the supervisor, web is for TCP port')
    server.wait_log('Descriptor 4 of the supervisor, 0 is for TCP port')
    server.wait_log('Descriptor 5 of the supervisor, stray is for no endpoint')
    for s in (tcp, named):
        with Client(s.getsockname()) as c:
            assert ask(c, 'hello') == 'hello'
    with Client(str(directory / 'own')) as c:
        assert ask(c, 'hello') == 'hello'
    server.stop()
    assert not (directory / 'own').exists()


def test_sockets_for_another_process_are_left_alone(start):
    server = start(*FEW, 'port', '127.0.0.1:0', program=find_program('restarting'),
                   environment={'LISTEN_PID': '1', 'LISTEN_FDS': '5'})
    assert say(server, 'env LISTEN_FDS') == 'not set'
    assert 'supervisor' not in server.log()


# ---- packaging ----

@pytest.mark.skipif(not shutil.which('systemd-analyze'), reason='there is no systemd-analyze')
def test_units_are_sound(directory):
    """With the program where they expect it, systemd has nothing to say about them."""
    for name in ('tend@.service', 'tend@.socket'):
        text = (tend.ROOT / 'packaging' / name).read_text()
        (directory / name).write_text(text.replace('/usr/bin/tend', find_program()))
    found = subprocess.run(['systemd-analyze', 'verify', '--man=no', str(directory / 'tend@.socket')],
                           capture_output=True, text=True, timeout=tend.DEADLINE * 6)
    mine = [line for line in (found.stdout + found.stderr).splitlines() if 'tend@' in line]
    assert mine == []
