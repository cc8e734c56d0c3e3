"""Signals: stopping at once and gracefully, resizing, handing on, reopening the log.

The servers are the talkative echo, and examples/hooks.c where a signal has to be seen arriving.
"""

import os
import random
import re
import signal
import socket
import time

import pytest

import pools
import tend
from tend import Client, eventually
from traced import FORKING, POOLS, TWO
from traced import Trace, hooks, talk, visit  # noqa: F401 (a fixture)

# What is done "at once" takes milliseconds; stop_timeout is 8 s and must never be what ends it.
AT_ONCE = 3 * tend.SLOW


def say(client, line):
    """One exchange with the talkative echo; returns the pid that answers."""
    client.send_line(line)
    return int(client.expect(rf'tend:(\d+): You said "{re.escape(line)}"').group(1))


def greeted(server):
    """A client that is being served."""
    client = server.client()
    client.expect(r'Welcome to "tend" \(\d+\)')
    return client


def is_refused(address):
    """Whether nobody listens there any more."""
    try:
        Client(address).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return True
    except ConnectionResetError:
        pass  # The door was shut in our face: the next one finds it closed.
    return False


def is_not_served(client, seconds=0.2):
    client.sock.settimeout(seconds)
    with pytest.raises(socket.timeout):
        client.sock.recv(1)
    client.sock.settimeout(tend.DEADLINE)
    return True


@pytest.fixture(params=FORKING)
def forking(request):
    return request.param


@pytest.fixture(params=POOLS)
def pool(request):
    return request.param


# ---- stopping at once ----

@pytest.mark.parametrize('signo', [signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_stop_now_cuts_everybody_and_leaves_nothing(start, directory, personality, signo):
    """NS-TST-48, NS-SHD-01 to -03, -07, -14"""
    pid_file, path = directory / 'pid', directory / 'socket'
    server = start(personality, 'port', '127.0.0.1:0', 'port', f'{path}|unix', 'pid_file', pid_file,
                   *TWO, listeners=2)
    with greeted(server) as busy, server.client() as idle:
        say(busy, 'hello')
        assert pid_file.read_text().strip() == str(server.pid)
        assert server.stop(signo, timeout=AT_ONCE) == 0
        # The server outlives its children, not the other way round.
        assert server.leftovers() == []
        assert busy.is_cut() and idle.is_cut()
    assert is_refused(server.address)
    assert not pid_file.exists() and not path.exists()


# ---- stopping gracefully ----

def test_quit_refuses_new_clients_and_serves_the_others_to_their_end(start, where, personality):
    """NS-TST-49, NS-SHD-04 to -06; in Single too, where Net::Server cuts the client off."""
    server = start(personality, 'port', where, *TWO)
    with greeted(server) as busy:
        pid = say(busy, 'before')
        server.signal(signal.SIGQUIT)
        eventually(lambda: is_refused(server.address), what='new clients are refused')
        serving = [] if personality == 'Single' else [pid]
        eventually(lambda: server.children() == serving, what='idle workers leave at once')
        assert say(busy, 'after') == pid
        time.sleep(0.1)
        assert server.is_alive()
        busy.send_line('quit')
        busy.recv_all()
        assert server.wait(AT_ONCE) == 0


@pytest.mark.parametrize('kind', ['Fork', *pools.WORKERS])
def test_term_lets_children_finish_where_that_is_asked_for(start, kind):
    """NS-FIX-55: supervisors send TERM and nothing else."""
    server = start(kind, 'port', '127.0.0.1:0', 'child_stop', 'finish',
                   'stop_timeout', 3 * tend.DEADLINE, *TWO)
    with greeted(server) as busy:
        pid = say(busy, 'before')
        server.signal(signal.SIGTERM)
        eventually(lambda: is_refused(server.address), what='new clients are refused')
        assert say(busy, 'after') == pid
        busy.send_line('quit')
        busy.recv_all()
        assert server.wait(AT_ONCE) == 0


@pytest.mark.parametrize('signo', [signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_stop_now_ends_a_graceful_stop(start, personality, signo):
    """NS-TST-50, NS-SHD-08"""
    server = start(personality, 'port', '127.0.0.1:0', *TWO)
    with greeted(server) as c:
        server.signal(signal.SIGQUIT)
        eventually(lambda: is_refused(server.address), what='the graceful stop has begun')
        assert server.stop(signo, timeout=AT_ONCE) == 0
        assert c.is_cut()


def test_second_quit_changes_nothing(start, personality):
    """NS-SHD-08"""
    server = start(personality, 'port', '127.0.0.1:0', *TWO)
    with greeted(server) as c:
        for _ in range(3):
            server.signal(signal.SIGQUIT)
            eventually(lambda: is_refused(server.address), what='the graceful stop has begun')
            say(c, 'still there')
        c.send_line('quit')
        assert server.wait(AT_ONCE) == 0


def test_graceful_timeout_ends_the_wait(start, forking):
    """NS-SHD-09"""
    server = start(forking, 'port', '127.0.0.1:0', 'graceful_timeout', 0.3, *TWO)
    with greeted(server) as c:
        watch = tend.Stopwatch()
        assert server.stop(signal.SIGQUIT, timeout=0.3 + AT_ONCE) == 0
        assert watch.elapsed() > 0.25
        assert c.is_cut()
    server.wait_log(r'1 children? still serves? after 0\.3 s.*\(option graceful_timeout\)')


def test_stop_timeout_kills_who_does_not_listen(hooks, forking):
    """NS-SHD-07"""
    server = hooks('server_type', forking, 'stop_timeout', 0.3, *TWO)
    with server.client() as c:
        c.send('deaf\n')
        assert c.recv_line() == 'what?'
        watch = tend.Stopwatch()
        assert server.stop(timeout=0.3 + AT_ONCE) == 0
        assert watch.elapsed() > 0.25
        assert c.is_cut()
    server.wait_log(r'1 child\w* did not end within 0\.3 s.*\(option stop_timeout\)')
    assert server.leftovers() == []


def test_graceful_and_stop_timeout_add_up(hooks, forking):
    """NS-SHD-07, -09"""
    server = hooks('server_type', forking, 'graceful_timeout', 0.2, 'stop_timeout', 0.2, *TWO)
    with server.client() as c:
        c.send('deaf\n')
        c.recv_line()
        assert server.stop(signal.SIGQUIT, timeout=0.4 + AT_ONCE) == 0
    server.wait_log('option graceful_timeout')
    server.wait_log('option stop_timeout')


# ---- stopping at any moment ----

def test_every_stop_is_noticed_at_once(start, directory, personality):
    """NS-TST-78, NS-SIG-03: whatever the server is doing when the signal comes."""
    # Reproducible, and not the same for each personality.
    chance = random.Random(personality)
    for _ in range(20):
        server = start('echo', 'server_type', personality, 'port', f'{directory}/socket|unix', *TWO)
        with server.client() as c:
            c.send_line('hello')
            assert c.recv_line() == 'hello'
            time.sleep(chance.random() * 0.02)
            assert server.stop(timeout=AT_ONCE) == 0
        assert not os.path.exists(server.path)


def test_stop_during_the_start_leaves_nothing(directory, personality):
    """NS-TST-78, NS-SIG-06: before the server hears signals there is nothing to leave."""
    chance = random.Random(personality)
    pid_file, path = directory / 'pid', directory / 'socket'
    statuses = []
    for _ in range(15):
        server = tend.Server('echo', 'server_type', personality, 'port', f'{path}|unix', 'pid_file',
                             pid_file, *TWO, directory=directory, listeners=0)
        try:
            time.sleep(chance.random() * 0.015)
            statuses.append(server.stop(timeout=AT_ONCE))
            assert server.leftovers() == []
            if statuses[-1] == 0:
                assert not pid_file.exists() and not path.exists()
        finally:
            server.kill()
    assert set(statuses) <= {0, -signal.SIGTERM}


@pytest.mark.parametrize('signo', [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT],
                         ids=lambda s: s.name)
def test_stop_that_comes_during_the_start_ends_it_in_order(hooks, directory, personality, signo):
    """NS-SIG-06: exit 0, pid and socket files removed, nothing served."""
    pid_file, path = directory / 'pid', directory / 'socket'
    server = hooks('server_type', personality, 'port', f'{path}|unix', 'pid_file', pid_file,
                   'slow_start', 5, *TWO, listeners=2)
    server.trace.wait('bound')
    assert pid_file.exists()
    assert server.stop(signo, timeout=AT_ONCE) == 0
    assert not pid_file.exists() and not path.exists()
    assert [line.hook for line in server.trace.lines()] == [
        'configure', 'configured', 'bound', 'stopping', 'children_gone']


def test_hup_during_the_start_does_no_harm(hooks, personality):
    """NS-SIG-06, NS-FIX-03"""
    server = hooks('server_type', personality, 'slow_start', 0.2, *TWO)
    server.trace.wait('bound')
    for _ in range(3):
        server.signal(signal.SIGHUP)
    assert visit(server)[0] == 'bye\n'


# ---- more and fewer servers ----

def test_fork_serves_so_many_at_once_and_can_be_told_otherwise(start):
    """NS-TST-55, NS-FRK-10, -11, NS-SIG-07, -08"""
    server = start('Fork', 'port', '127.0.0.1:0', 'max_servers', 2, 'log_level', 3)
    first, second, third, fourth = (server.client() for _ in range(4))
    for c in (first, second):
        c.recv_line()
    assert is_not_served(third)
    assert len(server.children()) == 2
    first.send_line('quit')
    third.expect('Welcome.*')
    assert is_not_served(fourth)
    server.signal(signal.SIGTTIN)
    server.wait_log(r'At most 3 clients at once')
    fourth.expect('Welcome.*')
    for count in (2, 1):
        server.signal(signal.SIGTTOU)
        server.wait_log(f'At most {count} clients? at once')
    for _ in range(3):
        server.signal(signal.SIGTTOU)
        time.sleep(0.02)
    for c in (second, third, fourth):
        say(c, 'those who are served stay')
    fifth = server.client()
    for c in (second, third):
        c.close()
    assert is_not_served(fifth)
    fourth.close()
    fifth.expect('Welcome.*')
    assert set(re.findall(r'At most (\d+) client', server.log())) == {'3', '2', '1'}
    fifth.close()
    first.close()


def test_ttin_and_ttou_change_the_number_of_workers(start):
    """NS-PFS-16, NS-SIG-07, -08"""
    server = start('PreForkSimple', 'port', '127.0.0.1:0', 'max_servers', 2, 'log_level', 3)
    eventually(lambda: len(server.children()) == 2, what='2 workers')
    server.signal(signal.SIGTTIN)
    eventually(lambda: len(server.children()) == 3, what='3 workers')
    server.wait_log('3 workers from now on')
    with greeted(server) as busy:
        pid = say(busy, 'hello')
        for left in (2, 1):
            server.signal(signal.SIGTTOU)
            server.wait_log(f'{left} workers from now on')
            eventually(lambda: len(server.children()) == left, what=f'{left} workers')
        # The idle ones went.
        assert server.children() == [pid]
        for _ in range(3):
            server.signal(signal.SIGTTOU)
            time.sleep(0.02)
        assert say(busy, 'hello again') == pid
    greeted(server).close()
    assert len(server.children()) == 1
    assert '0 workers' not in server.log()


def test_ttou_lets_a_busy_worker_finish(start):
    """NS-PFS-16, NS-SIG-23"""
    server = start('PreForkSimple', 'port', '127.0.0.1:0', 'max_servers', 2)
    with greeted(server) as one, greeted(server) as other:
        pids = {say(one, 'hello'), say(other, 'hello')}
        server.signal(signal.SIGTTOU)
        time.sleep(0.1)
        assert {say(one, 'hello again'), say(other, 'hello again')} == pids
        one.send_line('quit')
        other.send_line('quit')
        eventually(lambda: len(server.children()) == 1, what='one worker')
    greeted(server).close()


def test_ttin_and_ttou_move_minimum_and_maximum_of_prefork(start):
    """NS-PF-45, NS-SIG-07, -08"""
    server = start('PreFork', 'port', '127.0.0.1:0', 'min_servers', 2, 'max_servers', 3,
                   'max_spare_servers', 2, 'min_spare_servers', 1, 'check_for_waiting', 0.1,
                   'min_child_ttl', 0.1, 'dismiss_interval', 0.1, 'log_level', 3)
    eventually(lambda: len(server.children()) == 2, what='2 workers')
    server.signal(signal.SIGTTIN)
    server.wait_log('3 to 4 workers from now on')
    eventually(lambda: len(server.children()) == 3, what='3 workers')
    for log in ('2 to 3', '1 to 2', '1 to 1'):
        server.signal(signal.SIGTTOU)
        server.wait_log(f'{log} workers from now on')
    for _ in range(3):
        server.signal(signal.SIGTTOU)
        time.sleep(0.02)
    eventually(lambda: len(server.children()) == 1, what='1 worker')
    for _ in range(3):
        greeted(server).close()
    assert len(re.findall('workers from now on', server.log())) == 4


def test_no_minimum_still_means_that_clients_are_served(start):
    """NS-PF-12"""
    server = start('PreFork', 'port', '127.0.0.1:0', 'min_servers', 0, 'max_servers', 3)
    for _ in range(3):
        greeted(server).close()


def test_a_storm_of_resizing_leaves_a_server_that_serves(start, forking):
    """NS-SIG-08"""
    server = start(forking, 'port', '127.0.0.1:0', 'max_servers', 2)
    for signo in [signal.SIGTTOU] * 30 + [signal.SIGTTIN] * 10 + [signal.SIGTTOU] * 30:
        server.signal(signo)
    for _ in range(3):
        greeted(server).close()
    eventually(lambda: len(server.children()) <= 12)


def test_resizing_signals_do_nothing_to_children(start, forking):
    """NS-SIG-21: their default would stop the process."""
    server = start(forking, 'port', '127.0.0.1:0', *TWO)
    with greeted(server) as c:
        pid = say(c, 'hello')
        for signo in (signal.SIGTTIN, signal.SIGTTOU):
            os.kill(pid, signo)
        assert say(c, 'hello again') == pid


# ---- a child ends the server ----

def test_exit_of_a_client_ends_the_server(start, directory, personality):
    """NS-TST-61, NS-SHD-10, -13"""
    pid_file = directory / 'pid'
    server = start(personality, 'port', '127.0.0.1:0', 'pid_file', pid_file, *TWO, *tend.CONTROL)
    with greeted(server) as c, server.client() as other:
        c.send_line('exit')
        c.is_cut()
        assert server.wait(AT_ONCE) == 0
        other.is_cut()
    assert server.leftovers() == [] and not pid_file.exists()
    assert is_refused(server.address)


def test_no_close_by_child_makes_exit_a_matter_of_the_child(start, directory, forking):
    """NS-TST-61, NS-SHD-12: listeners, pid file and the other clients stay."""
    pid_file = directory / 'pid'
    server = start(forking, 'port', '127.0.0.1:0', 'pid_file', pid_file, 'no_close_by_child', 1,
                   *TWO, *tend.CONTROL)
    with greeted(server) as c, greeted(server) as other:
        pid = say(c, 'exit')
        c.expect_end()
        eventually(lambda: not tend.is_alive(pid), what='the child ends')
        say(other, 'hello')
        greeted(server).close()
        assert server.is_alive() and pid_file.exists()


# ---- handing signals on ----

def assert_usr2_reaches_everybody(server):
    """The parent, a child that serves and, in a pool, one that waits."""
    with server.client() as c:
        c.send('hello\n')
        c.recv_line()
        born = server.trace.born()
        for pid in born if 'worker' in born.values() else []:
            server.trace.wait('before_accept', pid=pid)
        server.signal(signal.SIGUSR2)
        server.trace.wait('signal', str(int(signal.SIGUSR2)), pid=server.pid)
        for pid, kind in born.items():
            if not server.trace.lines('process', pid):
                server.trace.wait('signal', str(int(signal.SIGUSR2)), pid=pid)
        # One that serves finishes first.
        c.send('hello again\n')
        assert c.recv_line().endswith(' hello again')
        assert talk(c) == 'bye\n'
    for pid in born:
        server.trace.wait('signal', str(int(signal.SIGUSR2)), pid=pid)
        assert len(server.trace.lines('signal', pid)) == 1


@pytest.mark.parametrize('words', [
    ['sig_passthrough', 'USR2'], ['--sig_passthrough=SIGWINCH , usr2'],
    ['sig_passthrough', 'WINCH', 'sig_passthrough', 'USR2'],
], ids=['one', 'list', 'twice'])
def test_signals_are_handed_on_as_the_command_line_says(hooks, forking, words):
    """NS-TST-76, NS-SIG-04, -05"""
    server = hooks('server_type', forking, *TWO, *words)
    assert_usr2_reaches_everybody(server)


def test_signals_are_handed_on_as_the_conf_file_says(hooks, directory, forking):
    """NS-TST-76, NS-SIG-05"""
    conf = directory / 'conf'
    conf.write_text('sig_passthrough  WINCH, USR2\n')
    assert_usr2_reaches_everybody(hooks('server_type', forking, *TWO, 'conf_file', conf))


@pytest.mark.parametrize('signo', [signal.SIGUSR2, signal.SIGWINCH], ids=lambda s: s.name)
def test_signals_are_handed_on_as_the_code_says(start, forking, signo):
    """NS-TST-76, NS-SIG-04: with a line for each child."""
    server = start('port', '127.0.0.1:0', 'server_type', forking, 'log_level', 4, *TWO,
                   program=tend.find_program('passing'))
    with server.client() as c:
        c.send('hello\n')
        c.recv_line()
        children = server.children()
        server.signal(signo)
        server.wait_log(f'Signal {int(signo)} in the parent')
        c.half_close()
        c.expect_end()
        server.wait_log(f'Signal {int(signo)} in the child', count=len(children))
        for pid in children:
            server.wait_log(f'Passing signal {signo.name[3:]} to child {pid} ')


def test_without_being_asked_for_a_signal_stays_with_the_parent(hooks, forking):
    """NS-SIG-04"""
    server = hooks('server_type', forking, *TWO)
    server.signal(signal.SIGUSR2)
    server.trace.wait('signal', pid=server.pid)
    visit(server)
    assert len(server.trace.lines('signal')) == 1


def test_stop_signals_can_be_handed_on_and_still_stop(start, forking):
    """NS-SIG-04: first to the children, then whatever it meant before."""
    server = start(forking, 'port', '127.0.0.1:0', 'sig_passthrough', 'TERM', 'log_level', 4, *TWO)
    with greeted(server) as c:
        assert server.stop(timeout=AT_ONCE) == 0
        assert c.is_cut()
    server.wait_log('Passing signal TERM to child')


def test_signal_that_comes_to_a_waiting_worker_delays_nobody(hooks, pool):
    """NS-SIG-22"""
    server = hooks('server_type', pool, 'max_servers', 1, 'idle_period', 0, 'min_servers', 1,
                   'max_spare_servers', 0)
    worker = server.trace.wait('before_accept')[0].pid
    for _ in range(20):
        os.kill(worker, signal.SIGUSR2)
        watch = tend.Stopwatch()
        visit(server)
        assert watch.taken() < 0.5 * tend.SLOW
    assert server.trace.born() == {worker: 'worker'}


@pytest.mark.parametrize('name', ['USR3', 'frobnicate', '12'])
def test_unknown_signal_is_refused_at_once(name):
    """NS-SIG-05"""
    done = tend.run('Fork', 'port', '127.0.0.1:0', 'sig_passthrough', f'USR1,{name}')
    assert done.returncode == tend.EX_CONFIG
    assert re.fullmatch(f"tend: .*sig_passthrough.*{name}.*\n", done.stderr)


# ---- USR1, USR2, PIPE, CHLD ----

def test_usr1_opens_the_log_again(hooks, directory, personality):
    """NS-SIG-10: for all processes, and then the hook runs."""
    log = directory / 'log'
    server = hooks('server_type', personality, *TWO, 'log_file', log, 'log_level', 3, log_path=log)
    with server.client() as c:
        c.send('hello\n')
        c.recv_line()
        log.rename(directory / 'log.1')
        server.signal(signal.SIGUSR1)
        talk(c)
    server.trace.wait('signal', str(int(signal.SIGUSR1)), pid=server.pid)
    if personality in POOLS:
        for pid in server.trace.born():
            server.trace.wait('signal', str(int(signal.SIGUSR1)), pid=pid)
    before = (directory / 'log.1').read_text()
    with server.client() as c:
        port = c.sock.getsockname()[1]
        talk(c)
    server.wait_log(rf'CONNECT TCP Peer: "\[127\.0\.0\.1\]:{port}"')
    assert server.stop() == 0
    assert 'Server closing!' in log.read_text()
    assert (directory / 'log.1').read_text() == before


def test_usr1_that_cannot_open_the_log_keeps_the_old_one(hooks, directory, personality):
    """NS-SIG-10"""
    folder = directory / 'logs'
    folder.mkdir()
    server = hooks('server_type', personality, *TWO, 'log_file', folder / 'log', 'log_level', 3,
                   log_path=folder / 'log')
    folder.rename(directory / 'moved')
    server.log_path = directory / 'moved' / 'log'
    server.signal(signal.SIGUSR1)
    server.wait_log(r"log file '.*logs/log'.*still writing to the old file")
    assert visit(server)[0] == 'bye\n'
    server.wait_log('CONNECT')


def test_usr2_runs_the_hook(hooks, personality):
    server = hooks('server_type', personality, *TWO)
    for count in range(1, 4):
        server.signal(signal.SIGUSR2)
        server.trace.wait('signal', str(int(signal.SIGUSR2)), count=count)
    assert visit(server)[0] == 'bye\n'


def test_pipe_is_ignored(hooks, personality):
    """NS-SIG-01, -20, NS-CIO-10"""
    server = hooks('server_type', personality, *TWO)
    with server.client() as c:
        c.send('hello\n')
        pid = int(c.recv_line().split()[0])
        for victim in {server.pid, pid}:
            os.kill(victim, signal.SIGPIPE)
        c.send('large 5000000\n')
        c.recv_exactly(5000000)
    assert visit(server)[0] == 'bye\n'
    assert server.is_alive()


def test_ignored_chld_is_not_inherited(hooks, forking):
    """NS-SIG-09: whoever starts the server may ignore it; the server must hear of its children."""
    server = hooks('server_type', forking, *TWO,
                   before_exec=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    with server.client() as c:
        c.send('hello\n')
        pid = int(c.recv_line().split()[0])
        os.kill(pid, signal.SIGKILL)
        c.is_cut()
    server.trace.wait('child_died', f'{pid} 9$')
    assert visit(server)[0] == 'bye\n'
