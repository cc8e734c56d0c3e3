"""Net::Waiter's words, second half: NW-T21 to NW-T32, NW-T36 and NW-T37.

What a server does for clients that are long about it, when it is told to stop, for signals, for the
deaths of its children and for damage to what they share. The services are waiter.c, which tells a
file of every hook, waiter_more.c, and hello_http.c, the demonstration.
"""

import errno
import os
import re
import signal
import socket
from collections import Counter
from pathlib import Path
from signal import SIGABRT, SIGHUP, SIGINT, SIGKILL, SIGTERM, SIGUSR1, SIGUSR2

import pytest

import pools
import tend
from pools import SECOND, ask, close_all, pause, pid_of, visit, wait_for_workers
from tend import eventually, is_alive

EX_SOFTWARE = 70

FORKING = ['maxfork', 64]
FOREGROUND = ['nofork', 1]


def preforking(count):
    return ['prefork', -count]


class Waiter:
    """A service that keeps a trace, and a look at what it says."""

    def __init__(self, start, directory, *words, service='waiter', **options):
        self.path = directory / 'trace'
        self.orders_path = directory / 'orders'
        if service == 'waiter':
            words = ('orders', self.orders_path, *words)
        self.server = start('port', '127.0.0.1:0', 'trace', self.path, *words, cwd=directory,
                            program=tend.find_program(service), **options)

    def __getattr__(self, name):
        return getattr(self.server, name)

    def orders(self, *lines):
        """Each "HOOK ORDER": for hooks that run from now on."""
        beside = self.orders_path.with_suffix('.new')
        beside.write_text(''.join(line + '\n' for line in lines))
        beside.rename(self.orders_path)

    def trace(self, *whats):
        """The lines of the trace as (what, pid, role, rest); of these kinds, or all."""
        text = self.path.read_text() if self.path.exists() else ''
        found = []
        for line in text.splitlines():
            what, pid, role, *rest = line.split(' ', 3)
            if not whats or what in whats:
                found.append((what, int(pid), role, rest[0] if rest else ''))
        return found

    def wait_trace(self, what, count=1, role=None, timeout=tend.DEADLINE, pid=None):
        """Waits for so many lines, of this role and process if they are given; returns them."""
        def enough():
            found = [line for line in self.trace(what)
                     if role in (None, line[2]) and pid in (None, line[1])]
            return found if len(found) >= count else None

        try:
            return eventually(enough, timeout)
        except AssertionError:
            raise AssertionError(f'not {count} lines {what} {role or ""} in the trace:\n'
                                 f'{self.path.read_text()}\n{self.server.log()}') from None

    def deaths(self):
        """{pid: status} of the children that the hook child_died was told of."""
        return {int(rest.split()[0]): int(rest.split()[1])
                for _, _, _, rest in self.trace('child_died')}

    def wait_death(self, pid):
        return eventually(lambda: self.deaths().get(pid, -1) + 1, what=f'the death of {pid}') - 1

    def tell(self, *orders, signo=SIGHUP):
        """Has the parent do something in its hook `signal`; returns what was answered last."""
        words = [order.split()[0] for order in orders]
        before = len([1 for line in self.trace(words[-1]) if line[2] == 'parent'])
        self.orders(*(f'signal {order}' for order in orders))
        self.server.signal(signo)
        answer = self.wait_trace(words[-1], before + 1, 'parent')[-1][3]
        self.orders()
        return answer


@pytest.fixture
def waiter(start, directory):
    """waiter.c: waiter('prefork', 2)."""
    return lambda *words, **options: Waiter(start, directory, *words, **options)


@pytest.fixture
def waiter_more(start, directory):
    return lambda *words, **options: Waiter(start, directory, *words, service='waiter_more',
                                            **options)


def answer_to(client, question):
    client.send_line(question)
    return client.recv_line()


def holding(server, count):
    """Clients that are being served."""
    return pools.busy_clients(server, count)


def figures(client):
    """Children, busy ones, connections begun: as the process of this client sees them."""
    return tuple(int(word) for word in ask(client, 'figures').split())


def figures_of_parent(server):
    return tuple(int(word) for word in server.tell('figures').split())


def quits(client):
    client.send_line('quit')
    client.expect_end()
    client.close()


# ---- NW-T21: foreground ----

def test_foreground_serves_one_client_after_the_other(waiter):
    """NW-T21, NW-50: the second waits in the backlog."""
    server = waiter(*FOREGROUND)
    with server.client() as first, server.client() as second:
        assert pid_of(first) == server.pid
        second.send_line('pid')
        second.sock.settimeout(0.3)
        with pytest.raises(socket.timeout):
            second.recv_line()
        second.sock.settimeout(tend.DEADLINE)
        quits(first)
        assert int(second.recv_line()) == server.pid
    assert server.children() == []


def test_foreground_runs_its_hooks_in_order(waiter):
    """NW-51: those of a child once for the process, those of a client for each."""
    server = waiter(*FOREGROUND)
    for _ in range(2):
        visit(server)
    assert server.stop() == 0
    kinds = ('child_start', 'child_exit', 'accepted', 'process', 'closed', 'child_born',
             'child_died', 'stopping')
    assert [line[0] for line in server.trace(*kinds)] == [
        'child_start', *['accepted', 'process', 'closed'] * 2, 'child_exit', 'stopping']


@pytest.mark.parametrize('signo', [SIGUSR1, SIGUSR2, SIGHUP])
def test_foreground_stays_the_parent_after_its_first_client(waiter, signo):
    """NW-T21, NW-52, NW-D12: the parent's hooks, its endpoint, its figures; TERM ends it with 0."""
    server = waiter(*FOREGROUND)
    with server.client() as c:
        assert ask(c, 'who') == f'parent {server.pid}'
        assert ask(c, 'endpoint') == f'TCP 127.0.0.1 {server.port}'
        # A child's words do nothing here (NW-58).
        assert ask(c, 'mark_busy') == '0' and ask(c, 'mark_idle') == '0'
        assert ask(c, 'signal_children 0') == '0' and ask(c, 'pids') == ''
        quits(c)
    server.signal(signo)
    assert server.wait_trace('signal') == [('signal', server.pid, 'parent', str(int(signo)))]
    visit(server)
    assert server.stop(SIGINT) == 0


def test_foreground_failure_closes_that_client_only(waiter):
    """NW-53"""
    server = waiter(*FOREGROUND)
    with server.client() as c:
        c.send_line('fail')
        c.expect_end()
    server.wait_log('Serving 127.0.0.1:.* failed: told to fail')
    assert visit(server) == server.pid
    server.wait_trace('closed', 2)
    assert server.stop() == 0


# ---- NW-T22: the figures ----

@pytest.mark.parametrize('words, children', [(preforking(4), 4), (FORKING, 3)],
                         ids=['preforking', 'forking'])
def test_figures_are_live_in_every_process(waiter, words, children):
    """NW-T22, NW-54 to -57, NW-59, NW-84, NW-85, NW-D18"""
    server = waiter(*words)
    clients = holding(server, 3)
    try:
        assert [figures(c) for c in clients] == [(children, 3, 3)] * 3
        assert figures_of_parent(server) == (children, 3, 3)
        quits(clients.pop())
        eventually(lambda: figures(clients[0])[1] == 2)
        visit(server)
        left = children if children == 4 else 2
        eventually(lambda: figures_of_parent(server) == (left, 2, 4))
        assert figures(clients[0]) == (left, 2, 4)
    finally:
        close_all(clients)


def test_figures_are_none_before_anybody_is_there(waiter, directory):
    """NW-84, NW-85: 0 before the start."""
    (directory / 'orders').write_text('configured figures\nbound figures\nready figures\n')
    server = waiter(*FORKING)
    assert [line[3] for line in server.trace('figures')] == ['0 0 0'] * 3
    assert figures_of_parent(server) == (0, 0, 0)


@pytest.mark.parametrize('words', [preforking(2), FORKING], ids=['preforking', 'forking'])
def test_handlers_may_report_what_they_do(waiter, words):
    """NW-57, NW-58: whatever they say, nothing is counted twice when the client leaves."""
    server = waiter(*words, 'check_for_spawn', 0.1, 'log_level', 3)
    with server.client() as watcher, server.client() as c:
        pid_of(watcher), pid_of(c)
        children, _, served = figures(watcher)
        assert ask(c, 'mark_idle') == '1'
        assert figures(watcher) == (children, 1, served)
        assert ask(c, 'mark_busy') == '1'
        assert figures(watcher) == (children, 2, served + 1)
        # What it is already is no news.
        assert ask(c, 'mark_busy') == '1'
        assert figures(watcher) == (children, 2, served + 1)
        assert ask(c, 'mark_idle') == '1'
        quits(c)
        eventually(lambda: figures(watcher)[1] == 1)
    assert server.tell('mark_busy') == '0' and server.tell('mark_idle') == '0'
    pause(0.3)
    assert 'was off by' not in server.log()


def test_every_process_knows_who_is_who(waiter):
    """NW-81, NW-82, NW-86, NW-87"""
    server = waiter(*preforking(2))
    wait_for_workers(server, 2)
    with server.client() as c:
        assert ask(c, 'who') == f'child {server.pid}'
        assert ask(c, 'pids') == ''
    assert server.tell('who') == f'parent {server.pid}'
    assert sorted(int(word) for word in server.tell('pids').split()) == server.children()
    assert server.tell('endpoint') == f'TCP 127.0.0.1 {server.port}'


# ---- NW-T23: titles ----

def title(pid):
    return Path(f'/proc/{pid}/cmdline').read_bytes().rstrip(b'\0').decode()


def wait_title(pid, wanted):
    """Waits for exactly this title, or for one of several."""
    wanted = [wanted] if isinstance(wanted, str) else wanted
    try:
        eventually(lambda: title(pid) in wanted)
    except AssertionError:
        raise AssertionError(f'{title(pid)!r} instead of {wanted}') from None


def test_titles_of_preforked_children(waiter):
    """NW-T23, NW-63, NW-64: state, count, and the seconds of each turn without a client."""
    server = waiter(*preforking(1), 'timeout', 1)
    before = Path(f'/proc/{server.pid}/cmdline').read_bytes()
    pid, = wait_for_workers(server, 1)
    wait_title(pid, 'waiter | -:')
    wait_title(pid, 'waiter | -: [-1]')
    for count in ('1', '2'):
        with server.client() as c:
            assert pid_of(c) == pid
            assert title(pid) == f'waiter | *:{count}'
            assert ask(c, 'mark_idle') == '1'
            assert title(pid) == f'waiter | -:{count}'
            quits(c)
        wait_title(pid, f'waiter | -:{count} [0]')
        wait_title(pid, f'waiter | -:{count} [1]')
    # A count of the application's own.
    with server.client() as c:
        assert ask(c, 'mark_idle') == '1' and ask(c, 'mark_busy') == '1'
        assert title(pid) == 'waiter | *:4'
    # NW-65
    assert Path(f'/proc/{server.pid}/cmdline').read_bytes() == before


def test_titles_of_forked_children_have_no_count(waiter):
    """NW-T23, NW-56, NW-63"""
    server = waiter(*FORKING)
    before = Path(f'/proc/{server.pid}/cmdline').read_bytes()
    with server.client() as c:
        pid = pid_of(c)
        assert title(pid) == 'waiter | *:'
        assert ask(c, 'mark_idle') == '1'
        assert title(pid) == 'waiter | -:'
        assert ask(c, 'mark_busy') == '1'
        assert title(pid) == 'waiter | *:'
    assert Path(f'/proc/{server.pid}/cmdline').read_bytes() == before


def test_titles_leave_the_environment_of_children_alone(waiter):
    """NW-63: it lies where titles are written."""
    server = waiter(*preforking(1), environment={'TEND_TEST_VARIABLE': 'here'})
    visit(server)
    with server.client() as c:
        # system() finds the shell, and the shell its words, by what is left of it.
        assert ask(c, 'system') == str(3 << 8)


# ---- NW-T24: TERM while somebody is served ----

@pytest.mark.parametrize('words', [preforking(2), FORKING], ids=['preforking', 'forking'])
@pytest.mark.parametrize('how, answer', [('sleep', '0'), ('nap', '')])
def test_busy_child_finishes_its_client_before_the_server_ends(waiter, words, how, answer):
    """NW-T24, NW-14, NW-60, NW-62a, NW-70"""
    server = waiter(*words)
    with server.client() as c:
        pid = pid_of(c)
        watch = tend.Stopwatch()
        c.send_line(f'{how} 1.5')
        pause(0.1)
        server.signal(SIGTERM)
        # Those that serve nobody leave at once.
        eventually(lambda: server.children() == [pid], timeout=SECOND)
        assert c.recv_line() == answer
        assert watch.elapsed() > 1.4 and watch.taken() < 1.6 + SECOND
        # The client has not finished, and so neither has the child.
        assert ask(c, 'and then?') == 'and then?'
        quits(c)
        assert server.wait() == 0
        assert watch.taken() < 1.6 + 1.5 * SECOND
    assert server.deaths()[pid] == 0
    assert server.wait_trace('child_exit', pid=pid)
    server.wait_trace('children_gone')


@pytest.mark.parametrize('signo', [SIGTERM, SIGINT])
def test_child_that_is_told_to_leave_does_so_after_its_client(waiter, signo):
    """NW-62a, NW-70: the same for one child, and the pool has another instead."""
    server = waiter(*preforking(2))
    with server.client() as c:
        pid = pid_of(c)
        os.kill(pid, signo)
        assert ask(c, 'still there?') == 'still there?'
        assert pid_of(c) == pid
        quits(c)
    assert server.wait_death(pid) == 0
    server.wait_trace('child_exit', pid=pid)
    assert pid not in wait_for_workers(server, 2)


def test_idle_pool_stops_without_delay(start, directory):
    """NW-60, NW-D26: no wake-up is lost, however often."""
    for _ in range(8):
        server = Waiter(start, directory, *preforking(4))
        wait_for_workers(server, 4)
        watch = tend.Stopwatch()
        assert server.stop() == 0
        assert watch.taken() < 0.5 * SECOND


# ---- NW-T25: TERM while somebody is served for ever ----

@pytest.mark.parametrize('words', [preforking(2), FORKING], ids=['preforking', 'forking'])
def test_child_that_never_finishes_is_killed_after_the_grace_period(waiter, words):
    """NW-T25, NW-61, NW-62, NW-D14: TERM once, then KILL once; all are reaped; it ends with 0."""
    server = waiter(*words, 'stop_timeout', 1, 'log_level', 4)
    with server.client() as c:
        pid = pid_of(c)
        c.send_line('forever')
        watch = tend.Stopwatch()
        assert server.stop() == 0
        assert 1.0 <= watch.elapsed() and watch.taken() < 1 + SECOND
        assert c.is_cut()
    assert server.deaths()[pid] == SIGKILL
    assert server.trace('child_died', 'children_gone')[-1][0] == 'children_gone'
    assert len(re.findall('Sent signal TERM', server.log())) == 1
    assert len(re.findall('Sent signal KILL to 1 children', server.log())) == 1
    assert not is_alive(pid)


@pytest.mark.parametrize('words', [preforking(2), FORKING], ids=['preforking', 'forking'])
def test_busy_children_may_be_left_behind(waiter, words):
    """NW-62: with leave_busy the server ends, and the child with its client, in order."""
    server = waiter(*words, 'stop_timeout', 0.3, 'leave_busy', 1)
    with server.client() as c:
        pid = pid_of(c)
        server.signal(SIGTERM)
        # The lines that it is sent keep it busy, and show that it lets go of the door.
        while server.is_alive():
            assert ask(c, 'still there?') == 'still there?'
        assert server.wait() == 0
        assert server.leftovers() == [pid], 'those that served nobody are gone'
        assert pid_of(c) == pid
        eventually(lambda: not tend.listens(server.address))
        quits(c)
    server.wait_trace('child_exit', pid=pid)
    eventually(lambda: not server.leftovers())
    server.wait_log(r'1 children still serve after 0\.3 s; leaving them behind \(option leave_busy\)')
    assert 'KILL' not in server.log() and pid not in server.deaths()


def test_grace_period_is_eight_seconds_by_default():
    """NW-60"""
    done = tend.run('prefork', 2, '--dump', program=tend.find_program('waiter'))
    assert re.search(r'^stop_timeout\s*=?\s*8\b', done.stdout, re.MULTILINE), done.stdout


# ---- NW-T26: children of the application's own ----

@pytest.mark.parametrize('words, workers', [(preforking(2), 2), (FORKING, 0)],
                         ids=['preforking', 'forking'])
def test_children_of_the_application_are_not_counted(waiter, directory, words, workers):
    """NW-T26, NW-62b, NW-85, NW-D15: neither when they end nor at the end."""
    (directory / 'orders').write_text('ready fork 3 0.2\n')
    server = waiter(*words)
    server.wait_trace('stranger_died', 3)
    assert figures_of_parent(server)[0] == workers
    assert server.tell('fork 2 600') == '2'
    assert len(server.tell('pids').split()) == workers
    assert len(server.children()) == workers + 2
    # TERM is not for them, and nobody waits for them.
    watch = tend.Stopwatch()
    assert server.stop() == 0
    assert watch.taken() < SECOND
    assert len(server.trace('child_died')) == workers
    assert len(server.trace('stranger_died')) == 3


@pytest.mark.parametrize('words, workers', [(preforking(2), 2), (FORKING, 0), (FOREGROUND, 0)],
                         ids=['preforking', 'forking', 'foreground'])
def test_children_of_the_application_are_its_own_to_wait_for(waiter, directory, words, workers):
    """NW-62b: with strangers leave, also while the server's own children end."""
    (directory / 'orders').write_text('ready fork 3 0.1\n')
    server = waiter(*words, 'strangers', 'leave')
    eventually(lambda: len(pools.zombies(server)) == 3, what='they have ended, and nobody waits')
    if workers:
        victim, _ = wait_for_workers(server, workers)
        os.kill(victim, SIGKILL)
        assert server.wait_death(victim) == SIGKILL
        wait_for_workers(server, workers)
    for _ in range(3):
        visit(server)
    if words is FORKING:
        server.wait_trace('child_died', 3)
    assert len(pools.zombies(server)) == 3
    assert figures_of_parent(server)[0] == workers
    assert server.tell('wait') == '3'
    assert server.stop() == 0
    assert server.trace('stranger_died') == []


def test_strangers_are_left_alone_by_default_where_no_hook_asks_for_them():
    """NW-62b: so it is with Net::Waiter; Net::Server reaps every child."""
    def strangers(*words, **options):
        done = tend.run(*words, **options)
        return re.search(r'^strangers = (\w+)', done.stdout, re.MULTILINE).group(1)

    assert strangers('dump', 'echo', '--prefork', '2') == 'leave'
    assert strangers('dump', 'echo') == 'reap'
    assert strangers('prefork', 2, '--dump', program=tend.find_program('waiter')) == 'reap'


@pytest.mark.parametrize('words', [preforking(1), FORKING], ids=['preforking', 'forking'])
def test_handlers_may_have_children_and_wait_for_them(waiter, words):
    """NW-71: CHLD has its default in children."""
    server = waiter(*words)
    with server.client() as c:
        assert [ask(c, 'system') for _ in range(3)] == [str(3 << 8)] * 3
    assert server.trace('stranger_died') == []


# ---- NW-T27: children that exit at once ----

def test_thousand_children_that_exit_at_once_are_all_accounted_for(waiter):
    """NW-T27, NW-78, NW-86, NW-D17: each is born before it dies, and none is left in the list."""
    server = waiter('maxfork', 400, 'curt', 1)
    with pools.Storm(server, connections=1000, concurrency=50, line=None) as storm:
        storm.expect_all_served()
    server.wait_trace('child_died', 1000)
    living, births = set(), 0
    for what, _, _, rest in server.trace('child_born', 'child_died'):
        pid = int(rest.split()[0])
        if what == 'child_born':
            births += 1
            assert pid not in living
            living.add(pid)
        else:
            assert rest.split()[1] == '0'
            living.remove(pid)
    assert births == 1000 and not living
    assert server.tell('pids') == ''
    assert figures_of_parent(server) == (0, 0, 1000)
    assert server.tell(f'signal_children {int(SIGUSR1)}') == '0'
    assert server.stop() == 0


# ---- NW-T28: statuses ----

@pytest.mark.parametrize('words', [preforking(2), FORKING], ids=['preforking', 'forking'])
def test_parent_hears_the_status_of_each_child(waiter, words):
    """NW-T28, NW-71, NW-75, NW-107, NW-126"""
    server = waiter(*words)

    def status_after(act):
        with server.client() as c:
            pid = pid_of(c)
            act(c, pid)
            assert c.is_cut()
        return server.wait_death(pid)

    assert status_after(lambda c, pid: c.send_line('exit 7')) == 1792
    assert status_after(lambda c, pid: os.kill(pid, SIGKILL)) == 9
    if not tend.SANITIZED:
        assert status_after(lambda c, pid: c.send_line('abort')) & 0x7f == SIGABRT

    def leave(c, pid):
        c.send_line('retire')
        c.send_line('quit')

    assert status_after(leave) == 0


# ---- NW-T29: signals ----

def signals_heard(server, role):
    """Counter of (pid, signal)."""
    return Counter((pid, int(rest)) for _, pid, who, rest in server.trace('signal') if who == role)


@pytest.mark.parametrize('forwarding', [False, True])
def test_user_signals_reach_the_parent_and_with_prop_sigusr_the_children(waiter, forwarding):
    """NW-T29, NW-10, NW-73, NW-108, NW-109: the parent's own hook first."""
    server = waiter(*preforking(2), *(['prop_sigusr', 1] if forwarding else []))
    children = wait_for_workers(server, 2)
    server.wait_trace('child_start', 2)
    for number, signo in enumerate((SIGUSR1, SIGUSR2, SIGUSR1), 1):
        server.signal(signo)
        server.wait_trace('signal', number, 'parent')
        if forwarding:
            server.wait_trace('signal', 2 * number, 'child')
            *_, parent, one, other = server.trace('signal')
            assert (parent[2], one[2], other[2]) == ('parent', 'child', 'child')
    assert signals_heard(server, 'parent') == {(server.pid, SIGUSR1): 2, (server.pid, SIGUSR2): 1}
    wanted = {(pid, signo): count for pid in children
              for signo, count in ((SIGUSR1, 2), (SIGUSR2, 1))}
    assert signals_heard(server, 'child') == (wanted if forwarding else {})
    assert server.children() == children


def test_hup_reaches_the_parent_alone_however_often(waiter):
    """NW-T29, NW-72: nothing restarts and nobody leaves."""
    server = waiter(*preforking(2), 'prop_sigusr', 1)
    children = wait_for_workers(server, 2)
    server.wait_trace('child_start', 2)
    for number in range(1, 4):
        server.signal(SIGHUP)
        server.wait_trace('signal', number, 'parent')
    assert signals_heard(server, 'child') == {}
    assert server.children() == children
    assert visit(server) in children


@pytest.mark.parametrize('words', [preforking(1), FORKING], ids=['preforking', 'forking'])
def test_child_hears_its_own_signals_and_goes_on(waiter, words):
    """NW-T29, NW-72, NW-73, NW-109"""
    server = waiter(*words)
    with server.client() as c:
        pid = pid_of(c)
        for signo in (SIGHUP, SIGUSR1, SIGUSR2):
            os.kill(pid, signo)
        assert pid_of(c) == pid
        assert server.trace('signal') == [], 'never inside a handler (NW-77)'
        quits(c)
    server.wait_trace('signal', 3, pid=pid)
    assert signals_heard(server, 'child') == {(pid, signo): 1
                                              for signo in (SIGHUP, SIGUSR1, SIGUSR2)}
    assert signals_heard(server, 'parent') == {}


def test_signal_hook_never_interrupts_a_handler(waiter_more):
    """NW-77: the handler works, without a call of the server's, while signals come."""
    server = waiter_more(*preforking(1))
    with server.client() as c:
        pid = pid_of(c)
        assert ask(c, 'compute 0.4') == 'computing'
        for _ in range(10):
            os.kill(pid, SIGUSR2)
            pause(0.02)
        quits(c)
    server.wait_trace('signal', pid=pid)
    assert [line[0] for line in server.trace('computed', 'closed', 'signal')] == [
        'computed', 'closed', 'signal']


def test_real_time_signals_are_left_to_the_application(waiter_more):
    """NW-74"""
    server = waiter_more(*preforking(1), 'runs', 1)
    visit(server)
    status = Path(f'/proc/{server.pid}/status').read_text()
    for mask in ('SigBlk', 'SigIgn', 'SigCgt'):
        bits = int(re.search(rf'^{mask}:\s*([0-9a-f]+)', status, re.MULTILINE).group(1), 16)
        assert bits >> (signal.SIGRTMIN - 1) == 0, mask


def test_parent_signals_its_children(waiter):
    """NW-88: to how many; a child has nobody to signal."""
    server = waiter(*preforking(3))
    children = wait_for_workers(server, 3)
    server.wait_trace('child_start', 3)
    assert server.tell(f'signal_children {int(SIGUSR2)}') == '3'
    eventually(lambda: all((pid, SIGUSR2) in signals_heard(server, 'child') for pid in children))
    with server.client() as c:
        assert ask(c, f'signal_children {int(SIGUSR2)}') == '0'


def test_parent_stops_its_children_and_goes_on_with_others(waiter):
    """NW-89: with those that do not listen killed."""
    server = waiter(*preforking(2))
    children = wait_for_workers(server, 2)
    with server.client() as c:
        busy = pid_of(c)
        c.send_line('forever')
        assert server.tell(f'stop_children {int(SIGTERM)} 0.5') == '0'
        assert c.is_cut()
    assert server.deaths() == {pid: SIGKILL if pid == busy else 0 for pid in children}
    assert not set(wait_for_workers(server, 2)) & set(children)
    visit(server)


# ---- NW-T30: clients that vanish ----

MUCH = 64 << 20


@pytest.mark.parametrize('words', [preforking(1), FORKING, FOREGROUND],
                         ids=['preforking', 'forking', 'foreground'])
@pytest.mark.parametrize('how', ['reset', 'close'])
def test_client_that_vanishes_during_a_large_reply_kills_nobody(waiter, words, how):
    """NW-T30, NW-76, NW-D16"""
    server = waiter(*words)
    c = server.client()
    pid = pid_of(c)
    c.send_line(f'big {MUCH}')
    c.recv_exactly(100000)
    c.reset() if how == 'reset' else c.close()
    line, = server.wait_trace('big')
    assert line[1] == pid and int(line[3]) in (errno.EPIPE, errno.ECONNRESET)
    server.wait_trace('closed', pid=pid)
    if words is FORKING:
        assert server.wait_death(pid) == 0
    else:
        assert visit(server) == pid
        assert server.trace('child_died') == []


@pytest.mark.parametrize('words', [preforking(1), FORKING, FOREGROUND],
                         ids=['preforking', 'forking', 'foreground'])
def test_writing_to_a_client_that_has_left_reports_epipe(waiter, words):
    """NW-T30, NW-76: it left in order, and does not hear the reply."""
    server = waiter(*words)
    c = server.client()
    c.send(f'sleep 0.2\nbig {MUCH}\n')
    c.close()
    line, = server.wait_trace('big')
    assert int(line[3]) == errno.EPIPE
    server.wait_trace('closed', pid=line[1])
    visit(server)


# ---- NW-T31: handlers that fail ----

@pytest.mark.parametrize('words', [preforking(2), FORKING], ids=['preforking', 'forking'])
def test_code_after_the_serve_call_runs_in_the_parent_alone(waiter_more, directory, words):
    """NW-T31, NW-116, NW-D19: however children end."""
    refuse = directory / 'refuse'
    server = waiter_more(*words, 'refuse', refuse)
    for word in ('fail', 'exit 3', 'quit', *([] if tend.SANITIZED else ['abort'])):
        with server.client() as c:
            c.send_line(word)
            assert c.is_cut()
    ended = set()
    for signo in (SIGTERM, SIGKILL):
        with server.client() as c:
            pid = pid_of(c)
            ended.add(pid)
            os.kill(pid, signo)
            c.half_close()
            assert c.is_cut()
    if words is FORKING:
        refuse.touch()
        with server.client() as c:
            assert c.is_cut()
    else:
        # One that was ended above may still be on its way out.
        workers = eventually(lambda: not ended.intersection(w := wait_for_workers(server, 2)) and w,
                             what='successors of both')
        for pid in workers:
            server.wait_trace('child_start', pid=pid)
        refuse.touch()
        os.kill(workers[0], SIGKILL)
    server.wait_log('told to refuse')
    refuse.unlink()
    visit(server)
    assert server.stop() == 0
    assert server.trace('returned') == [('returned', server.pid, 'main', '0')]
    assert {line[1] for line in server.trace() if line[2] == 'main' and line[0] != 'atexit'} == {
        server.pid}


def test_failed_handler_ends_a_forked_child_with_one_documented_status(waiter):
    """NW-T31, NW-117, NW-127: its client is closed and hooks run; EX_SOFTWARE."""
    server = waiter(*FORKING)
    with server.client() as c:
        pid = pid_of(c)
        c.send_line('fail')
        c.expect_end()
    assert server.wait_death(pid) == EX_SOFTWARE << 8
    assert [line[0] for line in server.trace('closed', 'child_exit')] == ['closed', 'child_exit']
    server.wait_log('Serving 127.0.0.1:.* failed: told to fail: ')


def test_failed_handler_costs_a_preforked_child_that_client_only(waiter):
    """NW-117: it has others to serve."""
    server = waiter(*preforking(1))
    with server.client() as c:
        pid = pid_of(c)
        c.send_line('fail')
        c.expect_end()
    assert visit(server) == pid
    server.wait_trace('closed', 2)


@pytest.mark.parametrize('words', [preforking(1), FORKING], ids=['preforking', 'forking'])
def test_exit_in_a_handler_ends_the_child_with_that_status(waiter_more, words):
    """NW-118: the hooks after it do not run."""
    server = waiter_more(*words)
    with server.client() as c:
        pid = pid_of(c)
        c.send_line('exit 5')
        assert c.is_cut()
    assert server.wait_death(pid) == 5 << 8
    assert [line[0] for line in server.trace() if line[1] == pid and line[2] == 'child'] == [
        'child_start']


def test_regular_end_of_a_child_is_none_of_the_program(waiter_more):
    """NW-116: what the program registered with atexit() is the parent's to run, once."""
    server = waiter_more(*FORKING)
    for _ in range(3):
        visit(server)
    server.wait_trace('child_died', 3)
    assert server.stop() == 0
    assert [line[1] for line in server.trace('atexit')] == [server.pid]


# ---- NW-T32: forks that fail ----

@pytest.fixture
def no_forks(directory):
    """A switch: while it is on, no process can fork."""
    class Switch:
        path = directory / 'refused'
        environment = {'LD_PRELOAD': tend.find_program('refuse.so'), 'TEND_REFUSE_FILE': path,
                       'ASAN_OPTIONS': 'verify_asan_link_order=0'}

        def on(self):
            beside = self.path.with_suffix('.new')
            beside.write_text('fork:EAGAIN:*')
            beside.rename(self.path)

        def off(self):
            self.path.unlink()

    return Switch()


def test_pool_recovers_from_forks_that_fail(waiter, no_forks):
    """NW-T32, NW-22, NW-D21, NW-129: growing pauses, and the listener stays."""
    server = waiter(*preforking(2), environment=no_forks.environment)
    victim, survivor = wait_for_workers(server, 2)
    no_forks.on()
    os.kill(victim, SIGKILL)
    server.wait_log('Cannot start a child', count=3)
    pauses = re.findall(r'Cannot start a child: .*; trying again in ([\d.]+) s', server.log())
    assert [float(text) for text in pauses[1:3]] == [2 * float(pauses[0]), 4 * float(pauses[0])]
    assert server.children() == [survivor]
    assert visit(server) == survivor
    assert server.cpu_share(0.3) < 0.3
    no_forks.off()
    wait_for_workers(server, 2)
    assert server.stop() == 0


def test_forking_server_recovers_from_forks_that_fail(waiter, no_forks):
    """NW-T32, NW-22, NW-D21: the client that it happened to sees the end, others wait."""
    server = waiter(*FORKING, environment=no_forks.environment)
    with server.client() as held:
        pid_of(held)
        no_forks.on()
        with server.client() as unlucky:
            assert unlucky.is_cut()
        server.wait_log('Cannot start a child')
        assert tend.listens(server.address) and server.is_alive()
        no_forks.off()
        visit(server)
        assert ask(held, 'still there') == 'still there'
    assert server.stop() == 0


def test_server_that_cannot_fork_obeys_term(waiter, no_forks):
    """NW-T32, NW-D21: nothing is left behind."""
    no_forks.on()
    server = waiter(*preforking(2), environment=no_forks.environment)
    server.wait_log('Cannot start a child', count=2)
    watch = tend.Stopwatch()
    assert server.stop() == 0
    assert watch.taken() < SECOND


# ---- NW-T36: the board is lost ----

def more_figures(server):
    with server.client() as c:
        return figures(c)


@pytest.mark.parametrize('byte', [0, 0x7f, 0x80, 0xff])
@pytest.mark.parametrize('where', ['counters', 'all'])
def test_board_that_was_overwritten_is_right_again_and_nobody_was_killed(waiter_more, where, byte):
    """NW-T36, NW-66 to -69: not the children that wait, nor those that serve."""
    server = waiter_more('prefork', 3, 'maxfork', 7, 'timeout', 1, 'check_for_spawn', 0.2)
    children = wait_for_workers(server, 3)
    with server.client() as first:
        pid = pid_of(first)
        assert ask(first, f'scribble {where} {byte}') == 'scribbled'
        # Each child says what it does at its next turn; till then it counts as busy, and the pool
        # may grow.
        eventually(lambda: figures(first)[1] == 1, what='one is busy, and no other')
        now = figures(first)[0]
        assert now == len(server.children()) and now in (3, 6)
        assert pid_of(first) == pid
    # The rule of growth works again, to the maximum and not beyond.
    clients = holding(server, 7)
    try:
        assert len({pid_of(c) for c in clients}) == 7
        eventually(lambda: figures(clients[0])[:2] == (7, 7))
        assert len(server.children()) == 7
    finally:
        close_all(clients)
    eventually(lambda: more_figures(server)[:2] == (7, 1), what='one is busy again')
    assert set(children) < set(server.children())
    assert server.trace('child_died', 'child_exit', 'signal') == []


def test_board_of_clients_children_is_right_again(waiter_more):
    """NW-T36: where there is a child for each client."""
    server = waiter_more('maxfork', 3, 'check_for_spawn', 0.2)
    clients = holding(server, 2)
    try:
        pids = [pid_of(c) for c in clients]
        assert ask(clients[0], 'scribble all 0') == 'scribbled'
        eventually(lambda: figures(clients[1])[:2] == (2, 2))
        clients += holding(server, 1)
        assert [figures(c)[:2] for c in clients] == [(3, 3)] * 3
        assert [pid_of(c) for c in clients[:2]] == pids
    finally:
        close_all(clients)
    # One that comes while they are still there is one too many, and is told so.
    eventually(lambda: not server.children())
    eventually(lambda: more_figures(server)[:2] == (1, 1))
    assert set(server.deaths().values()) == {0}


# ---- NW-T37: the demonstration ----

def test_demonstration_serves_ten_thousand_requests_without_failure(start):
    """NW-T37, NW-04, NW-36, NW-41 to -44"""
    server = start('port', '127.0.0.1:0', program=tend.find_program('hello_http'))
    wait_for_workers(server, 4)
    with pools.Sampler(server) as sampled:
        with pools.Storm(server, '--send', r'GET / HTTP/1.0\r\n\r\n', '--expect-text',
                         'hello world\\n', connections=10000, concurrency=16,
                         line=None) as storm:
            assert storm.expect_all_served()['ok'] == 10000
    assert 4 <= min(sampled.values[1:]) and max(sampled.values) <= 128
    assert server.stop() == 0


# ---- defects that have no test of the plan ----

def test_no_persistent_objects_and_no_locks_are_made(waiter):
    """NW-55, NW-D13: shared memory without a name, which goes with the last process."""
    def objects():
        return {line.split()[1] for kind in ('shm', 'sem', 'msg')
                for line in Path(f'/proc/sysvipc/{kind}').read_text().splitlines()[1:]}

    before = objects(), set(os.listdir('/dev/shm'))
    server = waiter(*preforking(4))
    for _ in range(20):
        visit(server)
    assert objects() <= before[0]
    mine = [line for line in Path(f'/proc/{server.pid}/maps').read_text().splitlines()
            if ' rw-s ' in line]
    # The board, and what the processes know together of their log: memory without a name.
    assert len(mine) == 2 and all('/dev/zero (deleted)' in line for line in mine), mine
    locks = Path('/proc/locks').read_text().split()
    assert not {str(pid) for pid in [server.pid, *server.children()]} & set(locks)


def test_client_that_says_nothing_does_not_keep_a_child_for_ever(waiter):
    """NW-D24: every wait for a client has an end."""
    server = waiter(*preforking(1), 'first_byte_timeout', 0.4)
    with server.client() as silent, server.client() as other:
        other.send_line('pid')
        watch = tend.Stopwatch()
        assert silent.is_cut()
        assert 0.3 < watch.elapsed() and watch.taken() < 0.4 + SECOND
        assert int(other.recv_line()) in server.children()


def test_jumps_of_the_wall_clock_move_nothing(waiter_more):
    """NW-D25, NW-46: retirement, idle hooks and the end go by a clock that only moves on."""
    server = waiter_more(*preforking(2), 'timeout', 1, 'px_idle', 2, 'wild', 1)
    children = wait_for_workers(server, 2)
    served = visit(server)
    last = tend.Stopwatch()
    server.wait_trace('child_exit', timeout=4 + SECOND)
    # The child had done with its client a moment before we had.
    assert 1.9 < last.elapsed() and last.taken() < 4 + SECOND
    assert [pid for _, pid, _, _ in server.trace('child_exit')] == [served]
    # One a second, however often the clock jumps.
    unused, = set(children) - {served}
    assert len([1 for line in server.trace('child_idle') if line[1] == unused]) <= 4
    assert unused in wait_for_workers(server, 2)
    watch = tend.Stopwatch()
    assert server.stop() == 0
    assert watch.taken() < SECOND


def test_runs_one_after_the_other_leave_signals_as_they_were(waiter_more):
    """NW-D22, NW-15, NW-19, NW-21: the flag to stop does not stick, and handlers come back."""
    server = waiter_more(*preforking(2), 'runs', 3)
    for number in range(1, 4):
        eventually(lambda: len(tend.BOUND.findall(server.log())) >= number)
        server.refresh_endpoints()
        with server.client(number - 1) as c:
            assert pid_of(c) in server.children()
            c.send_line('quit')
            c.expect_end()
        server.signal(SIGTERM)
        server.wait_trace('returned', number, 'main')
    assert server.wait() == 0
    before, after = ({line[3] for line in server.trace(when)} for when in ('before', 'after'))
    assert before == after
    assert f'{int(SIGUSR2)} mine' in before and f'{int(SIGTERM)} default' in before
