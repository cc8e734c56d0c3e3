"""Disorder: processes killed and stopped, clients that vanish or dawdle, signals without end.

What must hold: a dead worker takes along the answer it held and nothing else; nobody hangs, nothing
is left behind, and nothing grows. TEND_TEST_LONG makes 100 000 connections of the 20 000.
"""

import collections
import os
import random
import re
import resource
import signal
import time

import pytest

import pools
import tend
from pools import EVENTED, KINDS, SECOND, ask, close_all, pid_of, start_pool, visit, wait_for_workers
from tend import eventually

LONG = bool(os.environ.get('TEND_TEST_LONG'))
MANY = 100_000 if LONG else 20_000

# What a process may hold more after them than before: pages that are first touched now.
# What a burst on a busy machine needed is kept: the stacks of fibers above all, 8 to 12 KiB each.
SLACK_BYTES = 512 * 1024

# Those whose child has more than one client.
MANY_CLIENTS = [*pools.MULTIPLEX, 'Thread']

WORKERS = 6
KILL_EVERY = 0.4
KILLS = 10
SERVED_BETWEEN = 20


@pytest.fixture(params=[*tend.PERSONALITIES, EVENTED])
def personality(request):
    """As everywhere, and Multiplex in both moods."""
    return request.param


class Tormentor(pools.Background):
    """Does something to a process every so often; counts the deeds.

    A deed that fails is the last one, and kept in `failed`.
    """

    def __init__(self, every, deed):
        super().__init__()
        self.every = every
        self.deed = deed
        self.done = 0
        self.failed = None

    def run(self):
        due = time.monotonic()
        try:
            while not self.over.is_set():
                self.done += bool(self.deed())
                due += self.every
                self.over.wait(max(0, due - time.monotonic()))
        except (AssertionError, OSError) as e:
            self.failed = e


def send(pid, signo):
    """Whether there was anybody to get it."""
    try:
        os.kill(pid, signo)
        return True
    except ProcessLookupError:
        return False


class Killer:
    """Each deed kills a random child, when enough clients were served since the last one.

    Under Fork the chosen one may have ended by itself just before: `victims` are those that were
    chosen, killed() those that died of it.
    """

    def __init__(self, server, seed):
        self.server = server
        self.pick = random.Random(seed)
        self.victims = []

    def served(self):
        with self.server.client() as c:
            return pools.board(c)[2]

    def deed(self):
        enough = self.served() + SERVED_BETWEEN
        eventually(lambda: self.served() >= enough, what='others are served on')
        children = self.server.children()
        if not children:
            return False
        self.victims.append(self.pick.choice(children))
        return send(self.victims[-1], signal.SIGKILL)

    def killed(self):
        return [int(pid) for pid in
                re.findall(r'Child (\d+) was killed by signal 9', self.server.log())]


def lost(result):
    """Clients without their answer; those that had it when the worker died count as served."""
    return result['connections'] - result['ok']


# ---- kill -9 ----

@pytest.mark.parametrize('personality', ['Fork', *KINDS])
def test_killing_costs_what_the_child_held_and_no_more(start, personality):
    """NS-PF-30, NS-PF-25, NS-PFS-13: kill -9 of a random child every 0.4 s, under load. That is one
    answer, or where a child has many clients those of all clients in the worst case."""
    server = start_pool(start, personality, WORKERS, 'max_requests', 0)
    killer = Killer(server, personality)
    with pools.Storm(server, '--hold', 0.01, concurrency=WORKERS) as storm:
        with Tormentor(KILL_EVERY, killer.deed) as torment:
            eventually(lambda: torment.failed or len(killer.killed()) >= KILLS, 6 * tend.DEADLINE,
                       what=f'{KILLS} children were killed')
        result = storm.finish()
    assert torment.failed is None
    if personality == 'Fork':
        eventually(lambda: not server.children(), what='every child is gone')
    else:
        wait_for_workers(server, WORKERS, SECOND)
    pools.expect_no_zombie(server)
    killed = killer.killed()
    assert len(set(killed)) == len(killed) and set(killed) <= set(killer.victims)
    if personality != 'Fork':
        assert len(killed) == len(killer.victims)
    assert result['timeout'] == result['refused'] == 0, result
    assert lost(result) <= len(killed) * (WORKERS if personality in MANY_CLIENTS else 1), result
    visit(server)


def test_killing_every_worker_again_and_again_ends_nothing(start):
    """A pool that is wiped out ten times in a row serves on, and so does its board."""
    server = start_pool(start, 'PreFork', 4)
    for _ in range(10):
        for pid in server.children():
            send(pid, signal.SIGKILL)
        visit(server)
    pids = wait_for_workers(server, 4, 2 * SECOND)
    with server.client() as c:
        assert pid_of(c) in pids
        # One that was killed last may just have been reaped, and its successor not be counted yet.
        children, busy, served = eventually(lambda: (b := pools.board(c))[:2] == (4, 1) and b,
                                            what='four children, one of them busy')
        assert served >= 11


# ---- nothing grows ----

def usage(server):
    """{pid: (descriptors, bytes of its own)} of the master and its workers."""
    return {pid: (server.fds(pid), server.private(pid)) for pid in [server.pid, *server.children()]}


def has_client(pid):
    """Whether it has a socket beside the one that it listens on, as the one of a client is."""
    return sum('socket:' in link for link in tend.links_of(pid)) > 1


def settled(server, workers):
    """The usage once nobody is being served any more."""
    wait_for_workers(server, workers or 0)
    serving = server.children() or [server.pid]
    eventually(lambda: not any(has_client(pid) for pid in serving), what='every client is gone')
    eventually(lambda: len({server.fds(pid) for pid in serving}) == 1, what='all are alike')
    return usage(server)


# With few requests a worker, the master is what is watched: it starts thousands of workers.
FLAT = [('Single', 0), ('Fork', 0), *[(kind, 0) for kind in KINDS], ('PreFork', 20)]


@pytest.mark.parametrize('personality, max_requests', FLAT)
def test_descriptors_and_memory_stay_flat(start, personality, max_requests):
    """Over 20 000 connections, or 100 000 with TEND_TEST_LONG, after a warm-up."""
    # So few threads that all of them are there soon.
    few = ['max_servers', 4] if personality == 'Thread' else []
    server = start_pool(start, personality, 3, 'max_requests', max_requests, *few)
    workers = 3 if personality in KINDS else None
    pools.storm(server, connections=MANY // 10, concurrency=8)
    before = settled(server, workers)
    pools.storm(server, connections=MANY, concurrency=8)
    after = settled(server, workers)
    if max_requests == 0:
        assert set(before) == set(after), 'the same processes'
    for pid in set(before) & set(after):
        assert after[pid][0] <= before[pid][0], f'descriptors of {pid}: {before} {after}'
        if not tend.SANITIZED:
            assert after[pid][1] <= before[pid][1] + SLACK_BYTES, f'memory: {before} {after}'
    if max_requests:
        # A worker of the thousands has what the first ones had.
        assert most_descriptors(server, after) <= most_descriptors(server, before)
    pools.expect_no_zombie(server)


def most_descriptors(server, seen):
    return max(fds for pid, (fds, _) in seen.items() if pid != server.pid)


# ---- harmless signals ----

ANNOYANCES = 120

def test_signals_without_end_lose_nothing(start, personality):
    """NS-SIG-03, NS-SIG-22, NS-ACP-03: harmless ones every 2 ms to master and children."""
    server = start_pool(start, personality, 4, 'max_requests', 200)
    pick = random.Random(personality)
    targets = collections.deque([server.pid])

    def annoy():
        if not targets:
            targets.extend([server.pid, *server.children()])
        return send(targets.popleft(),
                    pick.choice([signal.SIGUSR2, signal.SIGCHLD, signal.SIGCONT]))

    with Tormentor(0.002, annoy) as annoyance:
        for long_answer in (False, True):
            # The long line goes in and out in several pieces, each a chance to be interrupted.
            with pools.Storm(server, concurrency=4, line='x' * 4000 if long_answer else 'y') as storm:
                enough = annoyance.done + ANNOYANCES
                eventually(lambda: annoyance.done >= enough, 3 * tend.DEADLINE,
                           what=f'{ANNOYANCES} signals were sent')
                result = storm.finish()
            assert result['ok'] == result['connections'] > 0, result
    assert server.is_alive()
    assert 'was killed' not in server.log()


@pytest.mark.parametrize('kind', pools.POOLS)
def test_idle_workers_ignore_signals(start, kind):
    """NS-SIG-22: hundreds of signals to workers that wait; the same workers then serve at once."""
    server = start_pool(start, kind, 2)
    workers = server.children()
    for i in range(600):
        send(workers[i % 2], [signal.SIGUSR2, signal.SIGCHLD, signal.SIGCONT][i % 3])
    watch = tend.Stopwatch()
    assert visit(server) in workers
    assert watch.taken() < SECOND
    assert server.children() == workers


# ---- a worker that stands still ----

@pytest.mark.parametrize('kind', pools.POOLS)
def test_others_serve_while_one_worker_is_stopped(start, kind):
    """No wake-up is spent on a process that cannot run."""
    server = start_pool(start, kind, 3)
    workers = server.children()
    for stopped in workers:
        send(stopped, signal.SIGSTOP)
        eventually(lambda: tend.process(stopped).state == 'T', what='it stands still')
        assert stopped not in {visit(server) for _ in range(40)}
        send(stopped, signal.SIGCONT)
    # Each of them serves again: three clients at once need all three.
    clients = pools.busy_clients(server, 3)
    try:
        assert {pid_of(c) for c in clients} == set(workers)
    finally:
        close_all(clients)


@pytest.mark.parametrize('kind', KINDS)
def test_client_of_a_stopped_worker_is_served_when_it_continues(start, kind):
    """Under load, and nobody loses an answer. The others are served meanwhile."""
    server = start_pool(start, kind, 3)
    with pools.Storm(server, concurrency=4) as storm, server.client() as c:
        pid = pid_of(c)
        send(pid, signal.SIGSTOP)
        eventually(lambda: tend.process(pid).state == 'T', what='it stands still')
        c.send_line('later')
        assert pid not in {visit(server) for _ in range(40)}
        send(pid, signal.SIGCONT)
        assert c.recv_line() == 'later'
        result = storm.finish()
    assert result['ok'] == result['connections'] > 0, result
    assert pid in server.children()


def test_server_with_stopped_workers_can_be_ended(start):
    """NS-SHD-07: a process that stands still is killed in the end."""
    server = start_pool(start, 'PreForkSimple', 2, 'stop_timeout', 0.3)
    for pid in server.children():
        send(pid, signal.SIGSTOP)
    assert server.stop() == 0


# ---- the wall clock jumps ----

YEAR = 365 * 86400

def test_wall_clock_may_be_set_a_year_ahead_and_back(start, directory, personality):
    """No limit of time goes by it: nobody is cut off, and no child is taken for stuck."""
    wall = directory / 'wall'

    def set_clock(seconds):
        (directory / 'wall.new').write_text(str(seconds))
        os.replace(directory / 'wall.new', wall)

        def is_told():
            visit(server)
            today = time.strftime('%Y/%m/%d', time.localtime(time.time() + seconds))
            return server.log().rstrip().rpartition('\n')[2].startswith(today)

        # Under Single there is one at a time.
        if personality == 'Single':
            c.close()
        eventually(is_told, what='the log goes by it')

    server = start_pool(start, personality, 3, 'idle_timeout', 600, 'connection_timeout', 600,
                        'busy_timeout', 600, 'log_level', 3, environment={'LD_PRELOAD': tend.find_program('wall.so'),
                                                     'TEND_WALL_FILE': str(wall)})
    workers = server.children() if personality in KINDS else []
    c = server.client()
    assert ask(c, 'before') == 'before'
    for seconds in (YEAR, -YEAR, 0):
        set_clock(seconds)
        if personality != 'Single':
            assert ask(c, 'still there') == 'still there'
        pools.storm(server, connections=100)
    c.close()
    assert server.children() == workers if workers else server.is_alive()
    assert server.stop() == 0


# ---- clients that do not behave ----

def vanish(server, how):
    """One client that leaves with a reset, at one of several moments."""
    c = server.client()
    if how == 1:
        c.send(b'half a li')
    elif how == 2:
        c.send(b'x' * 40000 + b'\n' + b'y' * 20000)
    elif how == 3:
        ask(c, 'one line')
        c.send_line('an answer that nobody takes')
    c.reset()


def test_thousand_vanishing_clients_do_no_harm(start, personality):
    """NS-CIO-10: no process dies of them, no descriptor stays."""
    server = start_pool(start, personality, 3, 'max_requests', 0)
    workers = 3 if personality in KINDS else None
    visit(server)
    for i in range(8):
        vanish(server, i % 4)
    before = settled(server, workers)
    for i in range(1000):
        vanish(server, i % 4)
    pools.storm(server, '--abort', connections=300, concurrency=6)
    after = settled(server, workers)
    assert {pid: fds for pid, (fds, _) in before.items()} == \
        {pid: fds for pid, (fds, _) in after.items()}
    visit(server)
    assert 'was killed' not in server.log() and 'ended with status' not in server.log()


@pytest.mark.parametrize('personality', ['Fork', *pools.POOLS])
def test_slow_clients_hold_nobody_but_their_own_workers(start, personality):
    """NS-SGL-01 for those with several: one byte now and then is no business of the others."""
    server = start_pool(start, personality, 4)
    slow = [server.client() for _ in range(3)]
    line = b'this takes a while\n'
    try:
        with pools.Storm(server, seconds=1, concurrency=2) as storm:
            for byte in line:
                for c in slow:
                    c.send(bytes([byte]))
                pools.pause(0.05)
            result = storm.expect_all_served()
        assert result['max_ms'] < 1000 * SECOND
        assert [c.recv_until(b'\n') for c in slow] == [line] * 3
    finally:
        close_all(slow)


# ---- descriptors run out while the server runs ----

def starve(pid):
    """Lowers the limit to the lowest free number: nothing can be opened any more."""
    used = tend.open_descriptors(pid)
    set_limit(pid, next(n for n in range(len(used) + 1) if n not in used))


def set_limit(pid, limit):
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(limit, hard), hard))


@pytest.mark.parametrize('kind', pools.POOLS)
def test_pool_recovers_when_its_master_has_no_descriptors(start, kind):
    """NS-TST-65, NS-PFS-19: workers inherit the limit and cannot begin; those that live go on."""
    server = start_pool(start, kind, 3)
    workers = server.children()
    # What is open stays open: a worker that is born now can open nothing.
    set_limit(server.pid, 3)
    send(workers[0], signal.SIGKILL)
    server.wait_log('Workers die as soon as they start|Cannot start a child', count=2)
    lines = len(server.log().splitlines())
    watch = tend.Stopwatch()
    assert server.cpu_share(1.0) < 0.3
    # A batch that fails says so with a few lines, and there are ever fewer batches.
    assert len(server.log().splitlines()) - lines < 12 * watch.elapsed()
    assert {visit(server) for _ in range(10)} <= set(workers[1:])
    set_limit(server.pid, 1024)
    wait_for_workers(server, 3, 2 * tend.DEADLINE)
    assert set(workers[1:]) <= set(server.children())
    visit(server)


@pytest.mark.parametrize('personality', ['Single', 'Fork', 'PreFork'])
def test_starved_process_says_so_once_a_second_and_goes_on(start, personality):
    """NS-TST-65, NS-ACP-02, NS-FRK-17, NS-FIX-16"""
    server = start_pool(start, personality, 1)
    pid = server.children()[0] if personality in pools.POOLS else server.pid
    visit(server)
    if personality == 'Fork':
        wait_for_workers(server, 0)
    starve(pid)
    with server.client() as c:
        c.send_line('patient')
        server.wait_log('Cannot accept on TCP port .*; clients wait in the queue')
        watch = tend.Stopwatch()
        assert server.cpu_share(1.2) < 0.3
        assert len(server.log().split('Cannot accept on')) - 1 <= 2 + watch.elapsed()
        set_limit(pid, 1024)
        assert c.recv_line() == 'patient'
    visit(server)
    assert pid in [server.pid, *server.children()]
