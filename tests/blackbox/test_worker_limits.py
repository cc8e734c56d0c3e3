"""Workers that are replaced while the server serves: for their age, their memory, or by HUP.

NS-PF-49, NS-FIX-49: the options max_worker_age and max_worker_memory. NS-FIX-50: the option hup. The
services are worn.c, whose workers grow and tell when they come and go, and pool.c.
"""

import os
import re
from signal import SIGHUP, SIGQUIT

import pytest

import looking
import pools
import tend
from daemons import as_root
from pools import WORKERS, Storm, ask, is_served, pid_of, visit, wait_for_workers
from tend import EX_CONFIG, eventually

PORT = ['port', '127.0.0.1:0']
OLD = r'Worker {} is \d+ s old; replacing it \(option max_worker_age\)'
LARGE = r'Worker {} has \d+ MiB for itself, more than {}; replacing it \(option max_worker_memory\)'
REPLACED = r'Workers replaced; \d+ of before still finish their clients \(option hup\)'

# What a sanitizer wants where something is loaded before it.
UNHARMED = {'ASAN_OPTIONS': 'verify_asan_link_order=0:detect_leaks=0'}

# Where workers have many clients their successors come first; elsewhere there are never more.
CONSTANT = ['Multiplex', 'Thread']


@pytest.fixture(params=WORKERS)
def personality(request):
    """Each personality that has workers."""
    return request.param


@pytest.fixture
def begin(start, directory):
    """Starts worn.c with so many workers, whose beginnings and ends are traced."""
    def begin_worn(personality, count, *words):
        path = f'{directory}/control'
        server = start('server_type', personality, *PORT, *pools.words(personality, count),
                       'log_level', 3, 'control', path, 'trace', directory / 'trace', *words,
                       program=tend.find_program('worn'))
        server.control = path
        if personality in WORKERS:
            wait_for_workers(server, count)
            eventually(lambda: len(trace(directory)) >= count, what='every worker is up')
        return server

    return begin_worn


def trace(directory):
    """("up" or "down", pid) in the order in which it happened."""
    try:
        lines = (directory / 'trace').read_text().splitlines()
    except FileNotFoundError:
        return []
    return [(line.split()[0], int(line.split()[1])) for line in lines]


def fewest(directory, count):
    """How many workers there were at least, from when so many had come up."""
    there, least = 0, count
    for number, (what, _) in enumerate(trace(directory)):
        there += 1 if what == 'up' else -1
        if number >= count:
            least = min(least, there)
    return least


def wait_gone(pids):
    eventually(lambda: not any(tend.is_alive(pid) for pid in pids), what=f'{pids} end')


def hup(server):
    """HUP, and waits until the log says that every worker is replaced."""
    done = len(re.findall(REPLACED, server.log()))
    server.signal(SIGHUP)
    server.wait_log(REPLACED, count=done + 1)


# ---- age ----

def test_old_worker_is_replaced(begin, personality, directory):
    """NS-PF-49, NS-FIX-49: again and again, and nobody takes that for a crash."""
    server = begin(personality, 2, 'max_worker_age', 0.3)
    first = {pid for _, pid in trace(directory)[:2]}
    for pid in first:
        server.wait_log(OLD.format(pid))
    wait_gone(first)
    server.wait_log(OLD.format(r'\d+'), count=5)
    visit(server)
    assert 'die as soon as they start' not in server.log()
    assert server.stop(SIGQUIT) == 0


def test_clients_of_an_old_worker_stay(begin, personality):
    """It finishes with them; others are served by its successor meanwhile."""
    server = begin(personality, 1 if personality in CONSTANT else 2, 'max_worker_age', 1)
    with server.client() as c:
        pid = pid_of(c)
        server.wait_log(OLD.format(pid))
        eventually(lambda: visit(server) != pid, what='a successor serves')
        assert pid_of(c) == pid
        assert ask(c, 'still') == 'still'
        c.send_line('quit')
        c.expect_end()
    wait_gone([pid])


def test_no_client_is_lost_to_age(begin, personality):
    server = begin(personality, 3, 'max_worker_age', 0.2)
    with Storm(server) as s:
        server.wait_log(OLD.format(r'\d+'), count=9)
        s.stop()
        s.expect_all_served()


@pytest.mark.parametrize('kind', ['Single', 'Fork'])
def test_who_has_no_workers_does_not_age(begin, kind):
    """The one process, and a child for a client: connection_timeout and busy_timeout are for those."""
    server = begin(kind, 1, 'max_worker_age', 0.05, 'max_worker_memory', 1)
    with server.client() as c:
        pid = pid_of(c)
        pools.pause(0.3)
        assert pid_of(c) == pid
    visit(server)
    assert 'max_worker' not in server.log()


def test_workers_do_not_age_by_default():
    dump = tend.run('dump', 'echo').stdout
    assert re.search(r'^max_worker_age = 0 ', dump, re.MULTILINE)
    assert re.search(r'^max_worker_memory = 0 ', dump, re.MULTILINE)


def test_limits_can_change_at_work(begin, personality):
    server = begin(personality, 2)
    before = set(server.children())
    assert looking.ctl(server, 'set', 'max_worker_age', 0.2).returncode == 0
    server.wait_log(OLD.format(r'\d+'), count=2)
    assert looking.ctl(server, 'set', 'max_worker_age', 0).returncode == 0
    wait_gone(before)
    visit(server)


# ---- memory ----

def test_large_worker_is_replaced(begin, personality):
    """NS-PF-49, NS-FIX-49: after its client, and no other is."""
    server = begin(personality, 2, 'max_worker_memory', 48)
    others = set(server.children())
    with server.client() as c:
        pid = pid_of(c)
        assert ask(c, 'hoard 96') == 'hoarded'
        server.wait_log(LARGE.format(pid, 48))
        assert ask(c, 'still') == 'still'
        c.send_line('quit')
        c.expect_end()
    wait_gone([pid])
    eventually(lambda: len(server.children()) == 2, what='two workers')
    assert others - {pid} < set(server.children())
    visit(server)
    assert len(re.findall('option max_worker_memory', server.log())) == 1


def test_memory_of_the_first_process_is_not_held_against_workers(begin):
    """They begin with it, and so would those that take their places."""
    server = begin('PreForkSimple', 2, 'ballast', 96)
    pids = set(server.children())
    visit(server)
    assert looking.ctl(server, 'set', 'max_worker_memory', 48).returncode == 0
    server.wait_log(r'max_worker_memory \(48\) has no effect: the first process itself has more')
    assert looking.ctl(server, 'set', 'max_worker_memory', 4096).returncode == 0
    visit(server)
    assert set(server.children()) == pids
    assert 'replacing it' not in server.log()


def test_memory_that_cannot_be_seen_is_told_once(start, directory):
    """As where /proc shows nobody else's processes: the server goes on without the limit."""
    rules = directory / 'rules'
    server = start('echo', 'server_type', 'PreForkSimple', *PORT, 'max_servers', 2,
                   'max_worker_memory', 4096, environment={
                       'LD_PRELOAD': tend.find_program('refuse.so'), 'TEND_REFUSE_FILE': str(rules),
                       **UNHARMED})
    wait_for_workers(server, 2)
    with looking.echo(server), looking.echo(server):
        rules.with_suffix('.new').write_text('open:EACCES:*')
        rules.with_suffix('.new').rename(rules)
        server.wait_log(r'max_worker_memory \(4096\) has no effect: cannot see the memory of worker '
                        r'\d+: permission denied')
    looking.echo(server).close()
    assert len(re.findall('max_worker_memory', server.log())) == 1


def test_system_that_does_not_tell_memory_is_refused():
    """Others than Linux have no such file; where there are no workers nobody looks."""
    words = ['check', 'echo', *PORT, 'max_worker_memory', 64]
    options = {'environment': {**tend.refusing('open:ENOENT:*'), **UNHARMED}}
    done = tend.run(*words, 'server_type', 'PreFork', **options)
    assert done.returncode == EX_CONFIG
    assert done.stderr.strip().endswith('max_worker_memory (64) needs /proc to tell the memory of '
                                        'processes: no such file or directory')
    assert tend.run(*words, 'server_type', 'Fork', **options).returncode == 0


@as_root
def test_chroot_without_proc_is_refused(directory):
    """What cannot be seen cannot be limited; where there are no workers nobody looks."""
    words = ['check', 'echo', *PORT, 'chroot', directory, 'user', 'nobody', 'max_worker_memory', 64]
    done = tend.run(*words, 'server_type', 'PreFork')
    assert done.returncode == EX_CONFIG
    assert len(done.stderr.splitlines()) == 1
    assert 'max_worker_memory (64)' in done.stderr and f'{directory}/proc' in done.stderr
    assert 'chroot' in done.stderr
    assert tend.run(*words, 'server_type', 'Fork').returncode == 0


# ---- never all at once ----

def test_others_serve_while_workers_are_replaced(begin, personality, directory):
    """However long a worker takes to come up, one in eight is missing at most, or one."""
    server = begin(personality, 4, 'hup', 'workers', 'slow', 0.2)
    before = set(server.children())
    hup(server)
    wait_gone(before)
    assert fewest(directory, 4) >= (4 if personality in CONSTANT else 3)
    wait_for_workers(server, 4)


def test_only_worker_has_its_successor_first(begin, directory):
    """Where workers have many clients each: there is always one to accept."""
    for personality in CONSTANT:
        (directory / 'trace').unlink(missing_ok=True)
        server = begin(personality, 1, 'max_worker_age', 0.4, 'slow', 0.2)
        server.wait_log(OLD.format(r'\d+'), count=3)
        seen = trace(directory)
        assert server.stop(SIGQUIT) == 0
        ups = [number for number, (what, _) in enumerate(seen) if what == 'up']
        downs = [number for number, (what, _) in enumerate(seen) if what == 'down']
        assert downs
        assert all(up < down for up, down in zip(ups[1:], downs))
        (directory / 'control').unlink(missing_ok=True)


def test_workers_stay_when_their_successors_cannot_start(start, personality, directory):
    """One of a pool is lost at most; when the fault is gone everything goes on."""
    crash = directory / 'crash'
    server = pools.start_pool(start, personality, 3, 'hup', 'workers', 'crash', crash)
    before = set(server.children())
    eventually(lambda: is_served(server), what='it serves')
    crash.write_text('refuse 1\n')
    server.signal(SIGHUP)
    server.wait_log('Workers die as soon as they start', count=2)
    left = {pid for pid in before if tend.is_alive(pid)}
    assert len(left) >= (3 if personality in CONSTANT else 2)
    assert visit(server) in left
    crash.unlink()
    server.wait_log(REPLACED)
    wait_gone(before)
    visit(server)


# ---- HUP ----

def test_hup_replaces_workers_and_loses_nobody(begin, personality):
    """NS-FIX-50: the first process, its sockets and its configuration stay."""
    server = begin(personality, 3, 'hup', 'workers')
    for _ in range(3):
        before = set(server.children())
        with Storm(server) as s:
            eventually(lambda: s.runs() and is_served(server), what='it serves')
            hup(server)
            s.stop()
            s.expect_all_served()
        wait_gone(before)
        wait_for_workers(server, 3)
    server.wait_log(r'Replacing 3 workers \(option hup\)', count=3)
    log = server.log()
    assert 'Restarting' not in log and 'Restarted' not in log and 'die as soon' not in log
    assert server.is_alive()


def test_hup_lets_workers_finish_their_clients(begin, personality):
    """And is done when their successors serve."""
    server = begin(personality, 2, 'hup', 'workers')
    with server.client() as c:
        pid = pid_of(c)
        hup(server)
        assert pid_of(c) == pid
        server.wait_log(r'Workers replaced; 1 of before')
        eventually(lambda: visit(server) != pid, what='a successor serves')
        assert ask(c, 'still') == 'still'
        c.send_line('quit')
        c.expect_end()
    wait_gone([pid])
    wait_for_workers(server, 2)


def test_storm_of_hups_ends(begin, personality):
    """Each asks for workers that are younger than itself; none is fatal."""
    server = begin(personality, 2, 'hup', 'workers')
    before = set(server.children())
    for _ in range(50):
        server.signal(SIGHUP)
    server.wait_log(REPLACED)
    wait_gone(before)
    eventually(lambda: is_served(server), what='it serves')
    assert server.stop(SIGQUIT) == 0


def test_restart_while_workers_are_replaced(begin, personality):
    """The new image begins with workers of its own; all of before leave."""
    server = begin(personality, 4, 'hup', 'workers', 'slow', 0.2)
    server.signal(SIGHUP)
    server.wait_log('Replacing 4 workers')
    before = set(server.children())
    assert looking.ctl(server, 'reload').returncode == 0
    server.wait_log('Restarted: ')
    wait_gone(before)
    wait_for_workers(server, 4)
    hup(server)
    visit(server)
    assert server.stop(SIGQUIT) == 0


@pytest.mark.parametrize('kind', ['Single', 'Fork'])
def test_hup_has_nothing_to_replace(begin, kind):
    server = begin(kind, 1, 'hup', 'workers')
    server.signal(SIGHUP)
    server.wait_log(rf'Signal HUP: server_type {kind} has no workers to replace \(option hup\)')
    visit(server)
    assert 'Restart' not in server.log()


@pytest.mark.parametrize('kind', tend.PERSONALITIES)
def test_hup_can_be_ignored(begin, kind):
    """NS-FIX-50: by everybody, since a terminal that goes away sends it to all."""
    server = begin(kind, 2, 'hup', 'ignore')
    pids = server.children()
    server.signal(SIGHUP)
    server.wait_log(r'Signal HUP is ignored \(option hup\)')
    with server.client() as c:
        pid = pid_of(c)
        if pid != server.pid:
            os.kill(pid, SIGHUP)
        assert ask(c, 'still') == 'still'
        assert pid_of(c) == pid
    if kind in WORKERS:
        assert server.children() == pids
    visit(server)
    assert 'Restart' not in server.log()
    assert server.stop(SIGQUIT) == 0


@pytest.mark.parametrize('what', ['hook', 'ignore'])
def test_hup_that_is_no_order_lets_a_worker_accept_again(begin, personality, what):
    """In the middle of a client, too: one that goes on does not let go of its sockets."""
    server = begin(personality, 1, 'hup', what)
    with server.client() as c:
        pid = pid_of(c)
        os.kill(pid, SIGHUP)
        assert ask(c, 'still') == 'still'
        c.send_line('quit')
        c.expect_end()
    for _ in range(3):
        assert visit(server) == pid
    assert 'annot accept' not in server.log()


def test_worker_is_told_although_hup_is_ignored(begin, personality):
    """What the parent says counts: a worker that is too old leaves."""
    server = begin(personality, 2, 'hup', 'ignore', 'max_worker_age', 0.3)
    before = set(server.children())
    wait_gone(before)
    visit(server)


@pytest.mark.parametrize('what', ['workers', 'ignore'])
def test_reload_is_a_restart_whatever_hup_says(begin, what):
    """A new configuration is what was asked for."""
    server = begin('PreFork', 2, 'hup', what)
    assert looking.ctl(server, 'reload').returncode == 0
    server.wait_log('Restarted: ')
    visit(server)


# ---- nonsense ----

@pytest.mark.parametrize('option, value', [
    ('max_worker_age', '-1'), ('max_worker_age', 'old'), ('max_worker_memory', '-1'),
    ('max_worker_memory', '0.5'), ('max_worker_memory', '64M'), ('max_worker_memory', '99999999'),
    ('hup', 'never'), ('hup', 'worker'),
])
def test_nonsense_is_refused(option, value):
    done = tend.run('check', 'echo', *PORT, f'--{option}={value}')
    assert done.returncode != 0
    assert len(done.stderr.splitlines()) == 1
    assert option in done.stderr and value in done.stderr
    if option == 'hup':
        assert 'restart, hook, workers, ignore' in done.stderr
