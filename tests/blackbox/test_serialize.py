"""Taking turns at accept: flock, semaphore, pipe, and none, which leaves it to the kernel.

Whatever happens to the worker whose turn it is, the others go on.
"""

import os
import signal
from pathlib import Path

import pytest

import pools
import tend
from pools import SECOND, pid_of, start_pool, visit, wait_for_workers
from tend import eventually

TURNS = ['flock', 'semaphore', 'pipe']
METHODS = [*TURNS, 'none']

WORKERS = 4


@pytest.fixture(params=METHODS)
def method(request):
    return request.param


@pytest.fixture(params=pools.POOLS)
def kind(request):
    return request.param


@pytest.fixture
def pool(start, directory):
    """Starts a pool that takes turns; its temporary files are in `directory`."""
    def start_it(kind, method, *words, **options):
        options.setdefault('environment', {'TMPDIR': directory})
        return start_pool(start, kind, WORKERS, 'serialize', method, *words, **options)
    return start_it


def semaphores():
    """The ids of all System V semaphores."""
    lines = Path('/proc/sysvipc/sem').read_text().splitlines()[1:]
    return {int(line.split()[1]) for line in lines}


def lock_files(directory):
    return sorted(directory.glob('tend-accept-*'))


def holder_of_lock(path):
    """The pid that has the flock of a file, or None."""
    inode = os.stat(path).st_ino
    for line in Path('/proc/locks').read_text().splitlines():
        fields = line.split()
        if '->' not in fields and fields[1] == 'FLOCK' and fields[5].endswith(f':{inode}'):
            return int(fields[4])
    return None


# ---- service ----

def test_every_method_serves_a_storm(pool, kind, method):
    """NS-TST-60, NS-SER-05, NS-PFS-05"""
    server = pool(kind, method, 'max_requests', 100, 'log_level', 3)
    server.wait_log(rf'Workers take turns at accept by: {method} \(option serialize\)')
    pools.storm(server, connections=1000, concurrency=8)
    wait_for_workers(server, WORKERS)
    assert 'serialize' not in server.log().replace('option serialize', '')
    assert 'was killed' not in server.log() and 'ended with status' not in server.log()


def test_turn_is_not_held_while_serving(pool, method):
    """NS-SER-07: every worker gets a client, each of which stays."""
    server = pool('PreForkSimple', method)
    clients = pools.busy_clients(server, WORKERS)
    try:
        assert {pid_of(c) for c in clients} == set(server.children())
        # The next one waits in the queue, and is served by whoever is free first.
        with server.client() as late:
            late.send_line('pid')
            pid = pid_of(clients[2])
            clients[2].close()
            assert int(late.recv_line()) == pid
    finally:
        pools.close_all(clients)


def test_two_listeners_are_both_served(pool, directory, method):
    """NS-SER-04: with "none" as well; the kernel wakes for each."""
    path = directory / 'socket'
    server = pool('PreForkSimple', method, 'port', f'{path}|unix', listeners=2)
    for _ in range(10):
        assert visit(server, 0) in server.children()
        assert visit(server, 1) in server.children()
    tcp = pools.Storm(server, connections=400, concurrency=3)
    unix = pools.Storm(server, connections=400, concurrency=3, target=path)
    with tcp, unix:
        tcp.expect_all_served()
        unix.expect_all_served()


def test_word_is_taken_in_any_case(start):
    """NS-PFS-05"""
    server = start_pool(start, 'PreForkSimple', 2, 'serialize', 'Pipe', 'log_level', 3)
    server.wait_log('Workers take turns at accept by: pipe')
    visit(server)


# ---- the worker whose turn it is ----

@pytest.mark.parametrize('signo', [signal.SIGHUP, signal.SIGKILL])
def test_service_continues_without_the_holder_of_the_turn(pool, kind, method, signo):
    """NS-TST-60, NS-SER-01, NS-SER-02, NS-SER-03: each worker in turn is the one that ends."""
    server = pool(kind, method)
    for pid in server.children():
        os.kill(pid, signo)
        assert visit(server) != pid or signo == signal.SIGHUP
        eventually(lambda: not tend.is_alive(pid), timeout=3 * SECOND, what=f'{pid} leaves')
    assert visit(server) in wait_for_workers(server, WORKERS)


def test_whoever_holds_the_lock_can_be_killed(pool, directory):
    """NS-SER-01: the kernel says who it is."""
    server = pool('PreForkSimple', 'flock')
    lock = eventually(lambda: lock_files(directory))[0]
    killed = set()
    for _ in range(12):
        pid = eventually(lambda: holder_of_lock(lock), what='somebody has the turn')
        os.kill(pid, signal.SIGKILL)
        killed.add(pid)
        assert visit(server) not in killed
    wait_for_workers(server, WORKERS)


@pytest.mark.parametrize('signo', [signal.SIGHUP, signal.SIGKILL])
def test_all_workers_can_go_at_once(pool, method, signo):
    """NS-SER-03, NS-FIX-17: in the reference, HUP to idle workers leaves the server dead."""
    server = pool('PreForkSimple', method)
    for _ in range(3):
        before = server.children()
        for pid in before:
            os.kill(pid, signo)
        eventually(lambda: not set(before) & set(server.children()), what='they leave')
        visit(server)
    wait_for_workers(server, WORKERS)


def test_killing_under_load_costs_one_answer_each(pool, method):
    """NS-TST-60: kill -9 in the middle of everything, the turn included."""
    server = pool('PreForkSimple', method, 'max_requests', 0)
    kills = 0
    with pools.Storm(server, concurrency=WORKERS + 2) as storm:
        while kills < 8:
            victim = eventually(server.children, what='workers')[kills % WORKERS:][:1]
            for pid in victim:
                os.kill(pid, signal.SIGKILL)
            kills += len(victim)
            pools.pause(0.1)
        result = storm.finish()
    assert result['timeout'] == result['refused'] == 0, result
    assert result['connections'] - result['ok'] <= kills, result
    wait_for_workers(server, WORKERS)
    visit(server)


@pytest.mark.parametrize('signo', [signal.SIGTERM, signal.SIGQUIT])
def test_end_is_prompt_with_workers_waiting_for_their_turn(pool, method, signo):
    """NS-SIG-03, NS-SHD-05"""
    server = pool('PreForkSimple', method)
    visit(server)
    watch = tend.Stopwatch()
    assert server.stop(signo) == 0
    assert watch.taken() < 2 * SECOND


# ---- what is left behind ----

def test_given_lock_file_stays(pool, directory):
    """NS-SER-01, NS-PFS-06"""
    lock = directory / 'the-lock'
    server = pool('PreForkSimple', 'flock', 'lock_file', lock)
    visit(server)
    eventually(lambda: holder_of_lock(lock) in server.children(), what='a worker has the lock')
    assert lock_files(directory) == []
    assert server.stop() == 0
    assert lock.exists()
    # And it may be there already, with whatever is in it.
    lock.write_text('mine')
    server = pool('PreForkSimple', 'flock', 'lock_file', lock)
    visit(server)
    assert server.stop() == 0
    assert lock.read_text() == 'mine'


def test_automatic_lock_file_is_removed(pool, directory):
    """NS-SER-01"""
    server = pool('PreForkSimple', 'flock')
    visit(server)
    assert len(lock_files(directory)) == 1
    assert lock_files(directory)[0].stat().st_mode & 0o077 == 0
    assert server.stop() == 0
    assert lock_files(directory) == []


def test_lock_file_that_is_gone_disturbs_nobody(pool, directory):
    """NS-SER-01: workers that are started later lock the same file, by descriptor."""
    server = pool('PreForkSimple', 'flock', 'max_requests', 2)
    for path in eventually(lambda: lock_files(directory)):
        path.unlink()
    pools.storm(server, connections=60, concurrency=6)
    assert 'was killed' not in server.log() and 'ended with status' not in server.log()
    assert server.stop() == 0


@pytest.mark.parametrize('method', ['semaphore', 'pipe', 'none'])
def test_no_file_is_made_where_none_is_locked(pool, directory, method):
    server = pool('PreForkSimple', method)
    visit(server)
    assert lock_files(directory) == []


def test_lock_file_that_cannot_be_had_ends_the_start(directory):
    """NS-PFS-19: in the parent, once, and not in each worker."""
    done = tend.run('echo', 'server_type', 'PreForkSimple', 'port', '127.0.0.1:0', 'serialize',
                    'flock', 'lock_file', directory / 'nowhere' / 'lock')
    assert done.returncode == tend.EX_CANTCREAT, done.stderr
    assert f'{directory}/nowhere/lock' in done.stderr
    assert done.stderr.count('lock_file') == 1


def test_semaphore_is_removed(pool):
    """NS-SER-02"""
    before = semaphores()
    server = pool('PreForkSimple', 'semaphore')
    visit(server)
    made = semaphores() - before
    assert made, 'a semaphore of System V'
    for pid in server.children()[:2]:
        os.kill(pid, signal.SIGKILL)
    visit(server)
    assert made & semaphores(), 'it stays while the server runs, whoever dies'
    assert server.stop() == 0
    # Servers of other tests may have made and removed theirs meanwhile.
    eventually(lambda: not made & semaphores(), what='the semaphore is gone')


# ---- wake-ups ----

def sleeps(pids):
    """How often the processes went to sleep of their own accord."""
    total = 0
    for pid in pids:
        for line in Path(f'/proc/{pid}/status').read_text().splitlines():
            if line.startswith('voluntary_ctxt_switches'):
                total += int(line.split()[1])
    return total


def connect_and_wait_for_the_end(server):
    try:
        with server.client() as c:
            assert c.is_cut()
    except ConnectionResetError:
        pass  # already, before connect() had returned


@pytest.mark.parametrize('method, most', [('none', 1.5), ('semaphore', 2.5)])
def test_a_connection_wakes_one_of_64_idle_workers(start, method, most):
    """NS-SER-06: no herd. With turns the next holder is woken as well, and then waits for the
    connection after this one. (flock and pipe wake many of those that wait for their turn.)"""
    server = start_pool(start, 'PreForkSimple', 64, 'serialize', method, 'curt', 'yes',
                        'max_requests', 0, 'idle_period', 0)
    workers = server.children()
    for _ in range(100):
        connect_and_wait_for_the_end(server)
    eventually_asleep(workers)
    before = sleeps(workers)
    for _ in range(400):
        connect_and_wait_for_the_end(server)
    eventually_asleep(workers)
    woken = (sleeps(workers) - before) / 400
    assert server.children() == workers
    assert woken >= 1, 'whoever accepted had been asleep'
    assert woken <= most, f'{woken} wake-ups a connection'


def eventually_asleep(pids):
    eventually(lambda: all(tend.process(pid).state == 'S' for pid in pids), what='all sleep')
