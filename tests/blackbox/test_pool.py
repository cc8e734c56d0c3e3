"""PreFork and PreForkSimple: how many workers there are, when, and what becomes of lost ones.

The service is pool.c. What Fork shares with the pools (fork failures, the board) is here as well.
"""

import os
import re
import signal
import socket
import time

import pytest

import looking
import pools
import tend
from pools import SECOND, ask, board, busy_clients, close_all, pid_of, start_pool, visit
from pools import wait_for_workers
from tend import EX_CONFIG, eventually

FORKING = ['Fork', *pools.POOLS]


@pytest.fixture(params=pools.POOLS)
def kind(request):
    return request.param


@pytest.fixture
def prefork(start):
    """PreFork with pool.c."""
    def start_it(*words, **options):
        return start('server_type', 'PreFork', 'port', '127.0.0.1:0', *words,
                     program=tend.find_program('pool'), **options)
    return start_it


@pytest.fixture
def rules(directory):
    """A file that refuse.so follows; rules.write(...) takes effect at once."""
    return RefusedCalls(directory / 'refused')


class RefusedCalls:
    def __init__(self, path):
        self.path = path
        self.environment = {'LD_PRELOAD': tend.find_program('refuse.so'), 'TEND_REFUSE_FILE': path,
                            'ASAN_OPTIONS': 'verify_asan_link_order=0'}

    def write(self, text):
        beside = self.path.with_suffix('.new')
        beside.write_text(text)
        beside.rename(self.path)


# ---- limits ----

@pytest.mark.parametrize('words, workers', [
    ([], 5),
    (['max_servers', 1], 1),
    (['max_servers', 3], 3),
    (['min_servers', 2, 'max_servers', 4], 2),
    (['max_spare_servers', 1], 5),
    (['min_servers', 1, 'max_servers', 4, 'min_spare_servers', 0], 1),
    (['min_servers', 0, 'max_servers', 4, 'min_spare_servers', 0], 1),
    (['min_servers', 3, 'min_spare_servers', 3, 'max_spare_servers', 3], 3),
])
def test_consistent_limits_start_with_the_minimum(prefork, words, workers):
    """NS-TST-56, NS-PF-01 to -04, NS-PF-12, NS-PF-32, NS-FIX-12"""
    server = prefork(*words)
    wait_for_workers(server, workers)
    assert visit(server) in server.children()


@pytest.mark.parametrize('words, named', [
    (['min_servers', 5, 'max_servers', 4], ('min_servers (5)', 'max_servers (4)')),
    (['max_servers', 4, 'max_spare_servers', 4], ('max_spare_servers (4)', 'max_servers (4)')),
    (['max_servers', 1, 'max_spare_servers', 1], ('max_spare_servers (1)', 'max_servers (1)')),
    (['min_servers', 2, 'min_spare_servers', 3], ('min_spare_servers (3)', 'min_servers (2)')),
    (['min_spare_servers', 4, 'max_spare_servers', 2],
     ('min_spare_servers (4)', 'max_spare_servers (2)')),
])
def test_inconsistent_limits_are_told_in_one_line(words, named):
    """NS-TST-56, NS-PF-11, NS-PF-12, NS-FLW-05: before anything is bound, with both values."""
    done = tend.run('echo', 'server_type', 'PreFork', 'port', '127.0.0.1:0', *words)
    assert done.returncode == EX_CONFIG, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert all(name in done.stderr for name in named), done.stderr
    assert 'Bound to' not in done.stderr


# ---- growth and decay ----

# Everything that shrinks the pool, quick enough to be watched, or switched off.
QUICK = ['check_for_waiting', 0.2, 'min_child_ttl', 0.2, 'dismiss_interval', 0.2]
NO_DECAY = ['check_for_waiting', 0, 'idle_to_minimum', 0]


def test_pool_grows_with_its_clients_and_never_beyond_the_maximum(prefork):
    """NS-TST-57, NS-PF-33, NS-PF-42: each busy worker has another started while few wait."""
    server = prefork('min_servers', 2, 'max_servers', 6, 'min_spare_servers', 1,
                     'max_spare_servers', 4, *NO_DECAY)
    wait_for_workers(server, 2)
    clients = []
    with pools.Sampler(server) as sampled:
        try:
            for busy in range(1, 6):
                clients += busy_clients(server, 1)
                wait_for_workers(server, max(2, busy + 1))
            clients += busy_clients(server, 1)
            # Two more than there may be workers: they wait, and are served as others leave.
            late = [server.client(), server.client()]
            clients += late
            for c in late:
                c.send_line('late')
            assert len({pid_of(c) for c in clients[:6]}) == 6
            close_all(clients[:2])
            assert sorted(c.recv_line() for c in late) == ['late', 'late']
            eventually(lambda: 6 in sampled.values)
        finally:
            close_all(clients)
    assert max(sampled.values) == 6
    wait_for_workers(server, 6)


def test_burst_is_answered_with_a_batch(prefork):
    """NS-PF-43: the pool does not grow by one worker a second."""
    server = prefork('min_servers', 1, 'max_servers', 40, 'min_spare_servers', 1,
                     'max_spare_servers', 10, *NO_DECAY)
    clients = [server.client() for _ in range(30)]
    try:
        watch = tend.Stopwatch()
        for c in clients:
            c.send_line('pid')
        assert len({int(c.recv_line()) for c in clients}) == 30
        assert watch.taken() < 3 * SECOND
    finally:
        close_all(clients)


def peak(server, busy):
    """Makes so many workers busy for a moment; returns how many workers there were then."""
    close_all(busy_clients(server, busy))
    return len(server.children())


def test_surplus_above_max_spare_goes_when_the_load_has_gone(prefork):
    """NS-TST-57, NS-PF-05, NS-PF-34, NS-PF-40, NS-PF-42"""
    server = prefork('min_servers', 2, 'max_servers', 8, 'min_spare_servers', 1,
                     'max_spare_servers', 3, 'idle_to_minimum', 0, 'log_level', 3, *QUICK)
    for _ in range(2):
        assert peak(server, 6) >= 6
        wait_for_workers(server, 3)
    server.wait_log(r'Retiring \d+ workers?\b', count=2)
    # What waits is no more than max_spare: it stays.
    pools.pause(0.6)
    wait_for_workers(server, 3)
    # Those that left did so by themselves, and nobody was told of a death.
    assert 'was killed' not in server.log() and 'ended with status' not in server.log()


def test_idle_pool_returns_to_its_minimum(prefork):
    """NS-TST-57, NS-PF-36, NS-PF-44"""
    server = prefork('min_servers', 2, 'max_servers', 8, 'min_spare_servers', 1,
                     'max_spare_servers', 7, 'idle_to_minimum', 1, *QUICK)
    assert peak(server, 5) >= 5
    last_client = tend.Stopwatch()
    wait_for_workers(server, 2)
    assert last_client.elapsed() > 0.8, 'not before it has been idle for so long'
    pools.pause(0.4)
    wait_for_workers(server, 2)


def test_busy_workers_are_not_dismissed(prefork):
    """NS-PF-40: only those that wait are told to leave."""
    server = prefork('min_servers', 1, 'max_servers', 8, 'min_spare_servers', 0,
                     'max_spare_servers', 1, 'idle_to_minimum', 0.5, *QUICK)
    clients = busy_clients(server, 1)
    try:
        clients += busy_clients_at_least(server, 5)
        busy = {pid_of(c) for c in clients}
        wait_until_idle_ones_are_gone(server, busy)
        assert {pid_of(c) for c in clients} == busy
    finally:
        close_all(clients)
    wait_for_workers(server, 1)


def busy_clients_at_least(server, count):
    """As busy_clients; with min_spare_servers 0 the pool does not grow, so TTIN makes it."""
    clients = []
    for _ in range(count):
        before = len(server.children())
        server.signal(signal.SIGTTIN)
        wait_for_workers(server, before + 1)
        clients += busy_clients(server, 1)
    for _ in range(count):
        server.signal(signal.SIGTTOU)
        pools.pause(0.01)  # several of one signal that wait at once are one
    return clients


def wait_until_idle_ones_are_gone(server, busy):
    pools.pause(1.0)
    eventually(lambda: set(server.children()) == busy, what='the busy workers, and no other')


@pytest.mark.parametrize('ttl', [0.2, 1.5])
def test_nobody_is_dismissed_soon_after_a_start(prefork, ttl):
    """NS-PF-07, NS-PF-34: min_child_ttl."""
    server = prefork('min_servers', 1, 'max_servers', 6, 'min_spare_servers', 1,
                     'max_spare_servers', 1, 'idle_to_minimum', 0, 'check_for_waiting', 0.1,
                     'min_child_ttl', ttl, 'dismiss_interval', 0)
    clients = busy_clients(server, 3)
    wait_for_workers(server, 4)
    watch = tend.Stopwatch()
    close_all(clients)
    eventually(lambda: len(server.children()) < 4, what='the first is dismissed')
    # The last start was a moment before it was seen.
    assert watch.elapsed() > ttl - 0.2
    assert watch.taken() < ttl + 0.1 + SECOND
    wait_for_workers(server, 1)


def test_dismissals_keep_their_distance(prefork):
    """NS-PF-40, NS-PF-44: dismiss_interval."""
    server = prefork('min_servers', 1, 'max_servers', 6, 'min_spare_servers', 1,
                     'max_spare_servers', 1, 'idle_to_minimum', 0, 'check_for_waiting', 0.1,
                     'min_child_ttl', 0, 'dismiss_interval', 1, 'log_level', 3)
    times = []
    for round_ in (1, 2):
        close_all(busy_clients(server, 3))
        server.wait_log(r'Retiring \d+', count=round_)
        times.append(time.monotonic())
        wait_for_workers(server, 1)
    # Where the first was seen late the second seems to come early.
    assert times[1] - times[0] > 0.5


# ---- a constant number ----

def test_simple_pool_has_exactly_max_servers_workers(start):
    """NS-PFS-01, NS-PFS-11, NS-PFS-13: under load, and never one too many."""
    server = start_pool(start, 'PreForkSimple', 4, 'max_requests', 50, 'log_level', 3)
    server.wait_log(r'Starting 4 workers\b')
    with pools.Sampler(server) as sampled:
        pools.storm(server, connections=2000, concurrency=8)
    assert max(sampled.values) == 4
    assert wait_for_workers(server, 4, SECOND)


# ---- TTIN and TTOU ----

def test_ttin_and_ttou_change_the_simple_pool(start, directory):
    """NS-PFS-16, NS-SIG-07, NS-SIG-08, NS-FIX-15"""
    path = f'{directory}/control'
    server = start_pool(start, 'PreForkSimple', 2, 'log_level', 3, 'control', path)
    for count in (3, 4):
        server.signal(signal.SIGTTIN)
        wait_for_workers(server, count)
    for count in (3, 2, 1):
        server.signal(signal.SIGTTOU)
        wait_for_workers(server, count)
        server.wait_log(rf'{count} workers from now on')
    for _ in range(3):
        server.signal(signal.SIGTTOU)
        visit(server)
    # It has taken the signals before it answers. Two at a time it would take by number.
    with looking.Control(path) as control:
        control.status()
    assert wait_for_workers(server, 1)
    server.signal(signal.SIGTTIN)
    wait_for_workers(server, 2)


def test_ttou_takes_an_idle_worker_first(start):
    """NS-PFS-16"""
    server = start_pool(start, 'PreForkSimple', 3)
    clients = busy_clients(server, 2)
    try:
        busy = {pid_of(c) for c in clients}
        server.signal(signal.SIGTTOU)
        assert set(wait_for_workers(server, 2)) == busy
        # With nobody idle a busy one goes, once it has served its client.
        server.signal(signal.SIGTTOU)
        assert [ask(c, 'still') for c in clients] == ['still', 'still']
        close_all(clients)
        wait_for_workers(server, 1)
        visit(server)
    finally:
        close_all(clients)


def test_ttin_and_ttou_move_minimum_and_maximum_of_prefork(prefork):
    """NS-PF-45, NS-SIG-08, NS-FIX-15"""
    server = prefork('min_servers', 2, 'max_servers', 3, 'min_spare_servers', 1,
                     'max_spare_servers', 1, 'idle_to_minimum', 0.3, 'log_level', 3, *QUICK)
    wait_for_workers(server, 2)
    server.signal(signal.SIGTTIN)
    wait_for_workers(server, 3)
    server.wait_log('3 to 4 workers from now on')
    for low, high in ((2, 3), (1, 2), (1, 1)):
        server.signal(signal.SIGTTOU)
        server.wait_log(f'{low} to {high} workers from now on')
    # Idle for long, and yet there is somebody left.
    wait_for_workers(server, 1)
    server.signal(signal.SIGTTOU)
    pools.pause(0.6)
    visit(server)
    # As many of the one undo as many of the other, whatever limit was met on the way.
    for low, high in ((1, 2), (2, 3)):
        server.signal(signal.SIGTTIN)
        eventually(lambda: f'{low} to {high} workers' in last_resize(server), what=f'{low}')
    wait_for_workers(server, 2)


def last_resize(server):
    return (re.findall(r'\d+ to \d+ workers from now on', server.log()) or [''])[-1]


def test_pool_still_grows_after_it_was_made_small_and_large_again(prefork):
    """NS-PF-45, NS-SIG-08: it gets to its maximum when clients ask for it."""
    server = prefork('min_servers', 1, 'max_servers', 3, 'min_spare_servers', 1,
                     'max_spare_servers', 2, 'log_level', 3, *NO_DECAY)
    for signo, maximum in ((signal.SIGTTOU, 2), (signal.SIGTTOU, 1), (signal.SIGTTIN, 2),
                           (signal.SIGTTIN, 3), (signal.SIGTTIN, 4)):
        server.signal(signo)
        eventually(lambda: f'to {maximum} workers' in last_resize(server), what=f'{maximum}')
    clients = []
    try:
        clients = [server.client() for _ in range(4)]
        for c in clients:
            c.send_line('pid')
        assert len({int(c.recv_line()) for c in clients}) == 4
    finally:
        close_all(clients)


# ---- max_requests ----

def test_worker_is_replaced_after_max_requests(start, kind):
    """NS-TST-59, NS-PFS-02, NS-PFS-14, NS-PFS-15"""
    server = start_pool(start, kind, 1, 'max_requests', 2, 'log_level', 4)
    pids = [visit(server) for _ in range(5)]
    assert pids[0] == pids[1] and pids[2] == pids[3]
    assert len(set(pids)) == 3
    server.wait_log(r'\(option max_requests\)', count=2)
    wait_for_workers(server, 1)


def test_connection_that_reaches_max_requests_is_served_to_its_end(start, kind):
    """NS-PFS-15"""
    server = start_pool(start, kind, 1, 'max_requests', 1)
    with server.client() as c:
        pid = pid_of(c)
        with server.client() as next_one:
            next_one.send_line('pid')
            for i in range(200):
                assert ask(c, f'line {i}') == f'line {i}'
            c.half_close()
            c.expect_end()
            assert int(next_one.recv_line()) != pid


def test_jitter_spreads_the_ends_of_workers(start):
    """NS-PF-49: max_requests_jitter."""
    server = start_pool(start, 'PreForkSimple', 1, 'max_requests', 2, 'max_requests_jitter', 8)
    pids = [visit(server) for _ in range(110)]
    # The last worker has not come to its end.
    order = list(dict.fromkeys(pids))
    served = [pids.count(pid) for pid in order[:-1]]
    assert all(2 <= n <= 10 for n in served), served
    assert len(set(served)) > 2, served


# ---- lost workers, lost master ----

def test_killed_worker_is_logged_and_replaced(start, kind):
    """NS-TST-58, NS-PF-30, NS-PFS-13"""
    server = start_pool(start, kind, 3)
    before = server.children()
    os.kill(before[0], signal.SIGKILL)
    after = eventually(lambda: [pid for pid in server.children() if pid not in before],
                       timeout=SECOND, what='another worker')
    assert len(after) == 1
    server.wait_log(rf'Child {before[0]} was killed by signal 9 \(KILL\)')
    assert set(wait_for_workers(server, 3)) == {*before[1:], *after}
    visit(server)


@pytest.mark.parametrize('signo, name', [(signal.SIGSEGV, 'SEGV'), (signal.SIGABRT, 'ABRT'),
                                         (signal.SIGBUS, 'BUS')])
def test_signal_that_killed_a_worker_is_named(start, signo, name):
    """NS-PF-30"""
    if tend.SANITIZED:
        pytest.skip('a sanitizer handles these signals itself')
    server = start_pool(start, 'PreForkSimple', 1)
    pid = server.children()[0]
    os.kill(pid, signo)
    server.wait_log(rf'Child {pid} was killed by signal {int(signo)} \({name}\)')


def test_all_workers_killed_at_once_are_back_within_a_second(start, kind):
    """NS-TST-58, NS-PFS-13: all at once."""
    server = start_pool(start, kind, 8)
    before = server.children()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: len(set(server.children()) - set(before)) == 8, timeout=SECOND,
               what='eight new workers')
    pools.expect_no_zombie(server)
    visit(server)


def port_is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(('127.0.0.1', port))
            s.listen(1)
            return True
        except OSError:
            return False


def kill_master(server):
    server.popen.kill()
    server.popen.wait()


@pytest.mark.parametrize('serialize', ['none', 'flock', 'pipe'])
def test_idle_workers_leave_when_their_master_was_killed(start, kind, serialize):
    """NS-TST-58, NS-SIG-24, NS-FIX-28"""
    server = start_pool(start, kind, 4, 'serialize', serialize, 'log_level', 3)
    kill_master(server)
    eventually(lambda: not server.leftovers(), timeout=2 * SECOND, what='no worker is left')
    server.wait_log('The parent process is gone; leaving', count=4)
    assert port_is_free(server.port)


def test_busy_worker_of_a_killed_master_finishes_its_client(start, kind):
    """NS-TST-58, NS-SIG-24: idle ones leave at once, this one after its client."""
    server = start_pool(start, kind, 4)
    with server.client() as c:
        pid = pid_of(c)
        kill_master(server)
        eventually(lambda: server.leftovers() == [pid], timeout=2 * SECOND,
                   what='only the busy worker is left')
        assert ask(c, 'still there?') == 'still there?'
        c.half_close()
        c.expect_end()
    eventually(lambda: not server.leftovers(), timeout=2 * SECOND, what='it leaves as well')
    assert port_is_free(server.port)


def test_orphans_leave_when_the_holder_of_the_turn_died_with_the_master(start):
    """NS-SIG-24, NS-SER-03: nobody is there to pass on the turn of a killed worker."""
    for _ in range(3):
        server = start_pool(start, 'PreForkSimple', 3, 'serialize', 'pipe')
        workers = server.children()
        os.kill(server.pid, signal.SIGSTOP)
        # One of two is the holder, or the third is.
        os.kill(workers[0], signal.SIGKILL)
        os.kill(workers[1], signal.SIGKILL)
        kill_master(server)
        eventually(lambda: not server.leftovers(), timeout=2 * SECOND, what='no worker is left')


# ---- crashes ----

def births(server):
    return len(re.findall(r'Started child \d+', server.log()))


@pytest.mark.parametrize('how', ['refuse', 'abort', 'exit'])
def test_crash_loop_is_slowed_down_and_ends_with_its_cause(start, kind, directory, how):
    """NS-PFS-18, NS-PFS-19: clients wait in the queue meanwhile."""
    if how == 'abort' and tend.SANITIZED:
        pytest.skip('a sanitizer reports the abort')
    crash = directory / 'crash'
    crash.write_text(f'{how} 1')
    server = start('server_type', kind, 'port', '127.0.0.1:0', *pools.words(kind, 2),
                   'crash', crash, 'log_level', 4, program=tend.find_program('pool'))
    server.wait_log('Workers die as soon as they start', count=3)
    first = births(server)
    watch = tend.Stopwatch()
    assert server.cpu_share(0.7) < 0.3
    # After the third pause of 0.4 s comes one of 0.8 s: at most two batches of two.
    assert births(server) - first <= 4 * (1 + int(watch.elapsed()))
    with server.client() as c:
        c.send_line('patient')
        crash.unlink()
        assert c.recv_line() == 'patient'
    wait_for_workers(server, 2)
    pools.expect_no_zombie(server)
    if how == 'refuse':
        assert 'told to crash' in server.log()


def test_crashing_server_obeys_term_at_once(start, kind, directory):
    """NS-PFS-18, NS-SIG-03"""
    crash = directory / 'crash'
    crash.write_text('exit 1')
    server = start('server_type', kind, 'port', '127.0.0.1:0', *pools.words(kind, 2),
                   'crash', crash, program=tend.find_program('pool'))
    server.wait_log('Workers die as soon as they start', count=3)
    watch = tend.Stopwatch()
    assert server.stop() == 0
    assert watch.taken() < SECOND


def test_pool_in_which_some_crash_keeps_serving(start, kind, directory):
    """NS-PFS-18"""
    crash = directory / 'crash'
    crash.write_text('exit 2')
    server = start('server_type', kind, 'port', '127.0.0.1:0', *pools.words(kind, 4),
                   'crash', crash, program=tend.find_program('pool'))
    pools.storm(server, connections=500, concurrency=6)
    assert 'ended with status 7' in server.log()
    crash.unlink()
    wait_for_workers(server, 4)


def test_worker_that_dies_serving_is_no_crash_loop(start, kind):
    """NS-PF-46, NS-PFS-18: one that has served is replaced at once, however young."""
    server = start_pool(start, kind, 2)
    watch = tend.Stopwatch()
    for _ in range(12):
        with server.client() as c:
            c.send_line('die')
            assert c.is_cut()
    assert watch.taken() < 3 * SECOND
    server.wait_log(r'was killed by signal 6', count=12)
    assert 'die as soon as they start' not in server.log()
    wait_for_workers(server, 2)


# ---- forks that fail ----

def test_pool_goes_on_while_workers_cannot_be_started(start, kind, rules):
    """NS-PFS-17"""
    server = start_pool(start, kind, 3, environment=rules.environment)
    rules.write('fork:EAGAIN:*')
    dead = server.children()[0]
    os.kill(dead, signal.SIGKILL)
    server.wait_log('Cannot start a child: resource temporarily unavailable; trying again in 0.',
                    count=2)
    assert server.cpu_share(0.5) < 0.3
    assert len(server.children()) == 2
    visit(server)
    rules.path.unlink()
    wait_for_workers(server, 3)
    assert len(re.findall('Cannot start a child', server.log())) < 10


def test_pool_that_cannot_start_any_worker_recovers(start, kind):
    """NS-PFS-17: at the start, when there is nobody yet."""
    server = start('server_type', kind, 'port', '127.0.0.1:0', *pools.words(kind, 3),
                   program=tend.find_program('pool'), environment=dict(
                       tend.refusing('fork:EAGAIN:3'), ASAN_OPTIONS='verify_asan_link_order=0'))
    visit(server)
    wait_for_workers(server, 3)
    server.wait_log('Cannot start a child', count=3)


def test_fork_goes_on_when_a_child_cannot_be_had(start, rules):
    """NS-FRK-16: that client sees the end; the server listens on and serves those after it."""
    server = start_pool(start, 'Fork', 0, environment=rules.environment)
    visit(server)
    rules.write('fork:EAGAIN:*')
    with server.client() as c:
        assert c.is_cut()
    server.wait_log('Cannot start a child')
    assert tend.listens(server.address)
    # During a pause clients wait for better times.
    with server.client() as c:
        c.send_line('patient')
        rules.path.unlink()
        try:
            assert c.recv() in (b'patient\n', b'')
        except ConnectionResetError:
            pass  # it was accepted between two pauses, and paid for the attempt
    watch = tend.Stopwatch()
    visit(server)
    assert watch.taken() < SECOND
    assert server.is_alive()


# ---- the board ----

@pytest.mark.parametrize('personality', FORKING)
def test_board_counts_children_busy_and_served(start, personality):
    """NS-PF-20, NS-PF-48"""
    server = start_pool(start, personality, 4)
    pool = personality != 'Fork'
    clients = busy_clients(server, 3)
    try:
        assert board(clients[0]) == (4 if pool else 3, 3, 3)
        clients.pop().close()
        eventually(lambda: board(clients[0])[1] == 2, what='two are busy')
        for _ in range(5):
            visit(server)
        eventually(lambda: board(clients[0]) == (4 if pool else 2, 2, 8), what='eight were served')
    finally:
        close_all(clients)


@pytest.mark.parametrize('personality', FORKING)
def test_board_forgets_killed_children(start, personality):
    """NS-PF-20, NS-PF-25: slots of the dead are sound and used again."""
    server = start_pool(start, personality, 3)
    pool = personality != 'Fork'
    with server.client() as watcher:
        ask(watcher, 'here')
        for _ in range(20):
            with server.client() as c:
                os.kill(pid_of(c), signal.SIGKILL)
                assert c.is_cut()
        eventually(lambda: board(watcher) == (3 if pool else 1, 1, 21), timeout=2 * SECOND,
                   what='one is busy, 21 were served')
        assert set(wait_for_workers(server, 3 if pool else 1)) >= {pid_of(watcher)}
