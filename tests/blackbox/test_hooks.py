"""The hooks: which runs when, in which process, on which path. The server is examples/hooks.c."""

import os
import re
import signal
import time

import pytest

import tend
from pools import WORKERS
from tend import eventually
from test_inet import accepted_pair, unix_pair
from traced import DENIED, DENIED_BY_RULE, END, FORKING, OF_CONNECTIONS, POOLS, SERVED, START, TWO
from traced import Trace, hooks, talk, visit  # noqa: F401 (a fixture)


# ---- order ----

def test_single_runs_every_hook_in_order(hooks):
    """NS-TST-77, NS-FLW-01, -10"""
    server = hooks('server_type', 'Single', *TWO)
    answer, _ = visit(server, 'hello')
    assert answer == f'{server.pid} hello\nbye\n'
    server.trace.wait_served(server.pid)
    assert server.stop() == 0
    assert server.trace.hooks(server.pid) == [
        *START, 'before_accept', *SERVED, 'before_accept', *END]
    assert {line.pid for line in server.trace.lines()} == {server.pid}


def test_fork_runs_every_hook_in_order(hooks):
    """NS-TST-77, NS-FLW-01, -10, NS-HOK-01, -02"""
    server = hooks('server_type', 'Fork', *TWO)
    visit(server, 'hello')
    server.trace.wait('child_died')
    assert server.stop() == 0
    assert server.trace.hooks(server.pid) == [
        *START, 'before_accept', 'before_spawn', 'child_born', 'before_accept', 'child_died',
        'before_accept', *END]
    (child, kind), = server.trace.born().items()
    assert kind == 'fork'
    assert server.trace.hooks(child) == ['child_start', *SERVED, 'child_exit']
    assert [line.rest for line in server.trace.lines('before_spawn')] == ['fork 1']
    assert [line.rest for line in server.trace.lines('child_died')] == [f'{child} 0']


@pytest.mark.parametrize('type', POOLS)
def test_pools_run_every_hook_in_order(hooks, type):
    """NS-TST-77, NS-FLW-01, -10, NS-HOK-01, -03"""
    server = hooks('server_type', type, *TWO)
    server.trace.wait('child_start', count=2)
    answer, _ = visit(server, 'hello')
    child = int(answer.split()[0])
    server.trace.wait_served(child)
    assert server.stop() == 0
    assert server.trace.hooks(server.pid) == [
        *START, 'before_spawn', 'child_born', 'before_spawn', 'child_born',
        'stopping', 'child_died', 'child_died', 'children_gone']
    assert [line.rest for line in server.trace.lines('before_spawn')] == ['worker 2', 'worker 1']
    born = server.trace.born()
    assert len(born) == 2 and set(born.values()) == {'worker'}
    for pid in born:
        served = [*SERVED, 'before_accept'] if pid == child else []
        assert server.trace.hooks(pid) == ['child_start', 'before_accept', *served, 'child_exit']
    assert ({line.rest for line in server.trace.lines('child_died')}
            == {f'{pid} 0' for pid in born})


@pytest.fixture
def inet(hooks):
    """Starts the example as a super-server does; returns (server, client)."""
    clients = []

    def spawn(*words, pair=accepted_pair):
        client, theirs = pair()
        clients.append(client)
        with theirs:
            server = hooks('server_type', 'INET', *words, listeners=0, stdin=theirs, stdout=theirs)
        return server, client

    yield spawn
    for client in clients:
        client.close()


@pytest.mark.parametrize('words, middle', [
    ([], SERVED),
    (['turn_away', 'yes'], DENIED),
    (['cidr_deny', '127.0.0.0/8'], DENIED_BY_RULE),
], ids=['served', 'turn_away', 'cidr_deny'])
def test_inet_runs_every_hook_in_order(inet, words, middle):
    """NS-TST-77, NS-FLW-10, -11, -13"""
    server, c = inet(*words)
    talk(c)
    # A denied client is waited for a moment: it may be sending yet.
    c.close()
    assert server.wait() == 0
    assert server.trace.hooks(server.pid) == [*START, *middle, *END]


def test_inet_over_a_unix_socket_runs_the_same(inet):
    """NS-FLW-10"""
    server, c = inet(pair=unix_pair)
    talk(c)
    assert server.wait() == 0
    assert server.trace.hooks(server.pid) == [*START, *SERVED, *END]


# ---- the hooks of a connection ----

def of_connections(trace):
    """(hook, rest) of each hook of a connection, in order."""
    return [(line.hook, line.rest) for line in trace.lines() if line.hook in OF_CONNECTIONS]


@pytest.mark.parametrize('words, path', [
    ([], SERVED),
    (['turn_away', 'yes'], DENIED),
    (['cidr_deny', '127.0.0.0/8'], DENIED_BY_RULE),
    (['deny', r'^127\.'], DENIED_BY_RULE),
], ids=['served', 'turn_away', 'cidr_deny', 'deny'])
def test_every_step_sees_the_client_and_knows_the_verdict(hooks, personality, words, path):
    """NS-FLW-10, -11"""
    server = hooks('server_type', personality, *words, *TWO)
    answer, address = visit(server)
    assert answer == ('bye\n' if path is SERVED else 'go away\nbye\n')
    server.trace.wait('closed')
    verdict = {'processed': ' allowed' if path is SERVED else ' denied', 'closed': ' shut'}
    assert of_connections(server.trace) == [(hook, address + verdict.get(hook, ''))
                                            for hook in path]


def leave_by_reset(server):
    with server.client() as c:
        c.send('hello\n')
        c.recv_line()
        c.reset()


def leave_by_half_close(server):
    with server.client() as c:
        c.half_close()
        c.recv_all()


def leave_by_saying_nothing_in_time(server):
    with server.client() as c:
        c.is_cut()


def leave_during_a_large_answer(server):
    with server.client() as c:
        c.send('large 100000000\n')
        c.recv_exactly(10)
        c.reset()


@pytest.mark.parametrize('leave', [
    leave_by_reset, leave_by_half_close, leave_by_saying_nothing_in_time,
    leave_during_a_large_answer,
], ids=lambda f: f.__name__)
def test_closed_runs_however_the_client_leaves(hooks, personality, leave):
    """NS-FLW-12, NS-CIO-10: and the server goes on."""
    server = hooks('server_type', personality, 'first_byte_timeout', 0.2, *TWO)
    leave(server)
    server.trace.wait('closed')
    assert [hook for hook, _ in of_connections(server.trace)] == SERVED
    assert visit(server)[0] == 'bye\n'


# ---- refusing to start ----

@pytest.mark.parametrize('hook', START)
@pytest.mark.parametrize('type', ['Single', 'Fork', 'PreForkSimple', 'PreFork'])
def test_hook_that_refuses_ends_the_start(directory, type, hook):
    """NS-FLW-03 (a return value instead of a fatal routine), NS-SHD-16: with one line, the fitting
    status, and nothing left behind."""
    trace, pid_file, path = (directory / name for name in ('trace', 'pid', 'socket'))
    done = tend.run('server_type', type, 'port', f'{path}|unix', 'port', '127.0.0.1:0', 'trace',
                    trace, 'pid_file', pid_file, 'log_level', 0, program=tend.find_program('hooks'),
                    environment={'HOOKS_REFUSE': hook})
    assert done.returncode == tend.EX_NOPERM
    assert done.stdout == ''
    assert re.fullmatch(rf'hooks: the hook {hook} was told to refuse: .*\n', done.stderr)
    assert sorted(os.listdir(directory)) == ([] if hook == 'configure' else ['trace'])
    if hook != 'configure':
        reached = START[:START.index(hook) + 1]
        assert [line.hook for line in Trace(trace).lines()] == [*reached, 'fatal', *END]


@pytest.mark.parametrize('hook', ['bound', 'ready'])
def test_port_is_closed_after_a_refusal_and_the_log_has_the_reason_once(directory, hook):
    """NS-SHD-16"""
    done = tend.run('port', '127.0.0.1:0', 'trace', directory / 'trace',
                    program=tend.find_program('hooks'), environment={'HOOKS_REFUSE': hook})
    (_, port), = tend.BOUND.findall(done.stderr)
    assert not tend.listens(('127.0.0.1', int(port)))
    assert done.stderr.count('was told to refuse') == 1


@pytest.mark.parametrize('type', FORKING)
def test_child_that_refuses_to_start_says_why_and_serves_nobody(hooks, type):
    server = hooks('server_type', type, *TWO, environment={'HOOKS_REFUSE': 'child_start'})
    with server.client() as c:
        died = server.trace.wait('child_died')[0]
        pid, status = map(int, died.rest.split())
        assert os.WEXITSTATUS(status) == tend.EX_NOPERM
        server.wait_log(r'the hook child_start was told to refuse.*\[%d\]$' % pid)
        if type == 'Fork':
            c.is_cut()
        assert not [line for line in server.trace.lines() if line.hook in OF_CONNECTIONS]
        assert server.is_alive()
        assert server.stop() == 0


# ---- children ----

@pytest.mark.parametrize('type', POOLS)
@pytest.mark.parametrize('signo', [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP],
                         ids=lambda s: s.name)
def test_worker_that_is_told_to_end_runs_its_last_hook(hooks, type, signo):
    """NS-HOK-05, NS-SIG-20: in the middle of a request too; HUP lets it finish."""
    server = hooks('server_type', type, 'max_servers', 2, 'idle_period', 0)
    with server.client() as c:
        c.send('hello\n')
        busy = int(c.recv_line().split()[0])
        idle = next(pid for pid in server.trace.born() if pid != busy)
        server.trace.wait('before_accept', pid=idle)
        for pid in (busy, idle):
            os.kill(pid, signo)
        server.trace.wait('child_died', f'{idle} 0')
        if signo == signal.SIGHUP:
            assert talk(c) == 'bye\n'
        else:
            assert c.is_cut()
    server.trace.wait('child_died', f'{busy} 0')
    assert server.trace.hooks(idle) == ['child_start', 'before_accept', 'child_exit']
    assert server.trace.hooks(busy)[-len(SERVED) - 1:] == [*SERVED, 'child_exit']
    server.trace.wait('child_start', count=4)
    assert visit(server)[0] == 'bye\n'


@pytest.mark.parametrize('type', FORKING)
def test_killed_child_runs_nothing_and_is_heard_of(hooks, type):
    """NS-HOK-05: child_exit is for regular ends; the parent hears of every end."""
    server = hooks('server_type', type, *TWO)
    with server.client() as c:
        c.send('hello\n')
        pid = int(c.recv_line().split()[0])
        os.kill(pid, signal.SIGKILL)
        assert c.is_cut()
    server.trace.wait('child_died', f'{pid} {signal.SIGKILL}$')
    server.wait_log(rf'Child {pid} was killed by signal 9')
    assert server.trace.hooks(pid)[-1] == 'process'
    assert visit(server)[0] == 'bye\n'


@pytest.mark.parametrize('type', POOLS)
@pytest.mark.parametrize('how', ['retire', 'max_requests'])
def test_worker_ends_after_its_client_and_is_replaced(hooks, type, how):
    """NS-FLW-13, NS-HOK-05"""
    words = ['max_requests', 1] if how == 'max_requests' else []
    server = hooks('server_type', type, *words, *TWO)
    with server.client() as c:
        c.send('hello\n')
        pid = int(c.recv_line().split()[0])
        assert talk(c, *(['retire'] if how == 'retire' else [])).endswith('bye\n')
    server.trace.wait('child_died', f'{pid} 0')
    assert server.trace.hooks(pid)[-len(SERVED) - 1:] == [*SERVED, 'child_exit']
    server.trace.wait('child_born', count=3)


@pytest.mark.parametrize('type', POOLS)
@pytest.mark.parametrize('how', ['retire', 'max_requests'])
def test_worker_that_is_to_end_serves_nobody_else(hooks, type, how):
    """NS-FLW-13: although others are waiting already."""
    server = hooks('server_type', type, 'max_servers', 1, 'idle_period', 0,
                   *(['max_requests', 1] if how == 'max_requests' else []))
    clients = [server.client() for _ in range(5)]
    try:
        for c in clients:
            c.send('hello\nretire\nquit\n' if how == 'retire' else 'hello\nquit\n')
        pids = [c.recv_line().split()[0] for c in clients]
    finally:
        for c in clients:
            c.close()
    assert len(set(pids)) == len(clients)


def test_stop_from_the_handler_takes_effect_after_the_client(hooks, personality):
    """NS-FLW-04, -13: and the server ends with status 0."""
    server = hooks('server_type', personality, *TWO)
    with server.client() as c:
        c.send('stop\n')
        assert c.recv_line() == 'stopping'
        c.is_cut()
    assert server.wait() == 0
    assert server.trace.hooks(server.pid)[-1] == 'children_gone'


def test_end_of_a_stranger_is_heard_of(hooks, personality):
    """NS-HOK-07: in every personality."""
    server = hooks('server_type', personality, *TWO, 'helper', 'false')
    line, = server.trace.wait('stranger_died')
    pid, status = map(int, line.rest.split())
    assert pid not in server.trace.born() and os.WEXITSTATUS(status) == 1
    assert visit(server)[0] == 'bye\n'


# ---- dequeue ----

@pytest.mark.parametrize('type', FORKING)
def test_dequeue_child_runs_its_hooks_and_is_no_worker(hooks, type):
    """NS-TST-75, NS-HOK-04, NS-FRK-18"""
    server = hooks('server_type', type, *TWO, 'check_for_dequeue', 0.05, 'max_dequeue', 1)
    pids = [int(line.rest.split()[0]) for line in server.trace.wait('child_died', count=2)]
    for pid in pids:
        assert [line[2:] for line in server.trace.lines(pid=pid)] == [
            ('child_start', 'dequeue'), ('dequeue', ''), ('child_exit', 'dequeue')]
        assert server.trace.born()[pid] == 'dequeue'
    assert ([line.rest for line in server.trace.lines('before_spawn') if 'dequeue' in line.rest][0]
            == 'dequeue 1')
    assert server.trace.lines('child_died')[0].rest == f'{pids[0]} 0'
    assert visit(server)[0] == 'bye\n'
    assert len(server.trace.born('worker')) == (0 if type == 'Fork' else 2)


@pytest.mark.parametrize('type', FORKING)
@pytest.mark.parametrize('limit', [1, 2])
def test_dequeue_children_are_never_more_than_allowed(hooks, type, limit):
    """NS-TST-75, NS-FRK-18"""
    server = hooks('server_type', type, *TWO, 'check_for_dequeue', 0.02, 'max_dequeue', limit,
                   'dequeue_seconds', 0.15)
    server.trace.wait('child_exit', 'dequeue', count=2 * limit)
    running, most = set(), 0
    for line in server.trace.lines():
        if line.hook == 'child_born' and line.rest.endswith(' dequeue'):
            running.add(int(line.rest.split()[0]))
        elif line.hook == 'child_died':
            running.discard(int(line.rest.split()[0]))
        most = max(most, len(running))
    assert most == limit


@pytest.mark.parametrize('type', FORKING)
def test_dequeue_keeps_its_interval(hooks, type):
    """NS-TST-75, NS-FRK-18: not more often, whatever else happens."""
    server = hooks('server_type', type, *TWO, 'check_for_dequeue', 0.2, 'max_dequeue', 5)
    server.trace.wait('dequeue')
    watch, before = tend.Stopwatch(), len(server.trace.lines('dequeue'))
    while watch.elapsed() < 0.5:
        visit(server)
        time.sleep(0.01)
    server.trace.wait('dequeue', count=before + 3)
    count = len(server.trace.lines('dequeue')) - before
    assert count <= watch.elapsed() / 0.2 + 1


@pytest.mark.parametrize('type', FORKING)
def test_dequeue_child_that_is_told_to_end_runs_its_last_hook(hooks, type):
    """NS-HOK-04, NS-SIG-20"""
    server = hooks('server_type', type, *TWO, 'check_for_dequeue', 0.02, 'max_dequeue', 1,
                   'dequeue_seconds', 60)
    pid = server.trace.wait('dequeue')[0].pid
    os.kill(pid, signal.SIGTERM)
    server.trace.wait('child_died', f'{pid} 0')
    assert server.trace.hooks(pid) == ['child_start', 'dequeue', 'child_exit']
    pid = server.trace.wait('dequeue', count=2)[1].pid
    assert server.stop(timeout=3 * tend.SLOW) == 0
    assert server.trace.hooks(pid) == ['child_start', 'dequeue', 'child_exit']


@pytest.mark.parametrize('words', [[], ['max_dequeue', 1], ['check_for_dequeue', 0.02]],
                         ids=['neither', 'max_dequeue', 'check_for_dequeue'])
def test_no_dequeue_unless_both_options_ask_for_it(hooks, words):
    """NS-FRK-03, -04"""
    server = hooks('server_type', 'PreForkSimple', *TWO, *words)
    for _ in range(10):
        visit(server)
    assert server.trace.born('dequeue') == {}


# ---- the private channel ----

@pytest.mark.parametrize('type', FORKING)
def test_child_is_heard_by_the_parent(hooks, type):
    """NS-HOK-01: child_spoke; what it says last is heard too, and before its death."""
    server = hooks('server_type', type, *TWO, 'child_communication', 1)
    with server.client() as c:
        c.send('hello\n')
        pid = int(c.recv_line().split()[0])
        c.send('tell it is warm in here\n')
        assert c.recv_line() == 'told'
        server.trace.wait('child_spoke', f'{pid} it is warm in here$')
        c.send('tell once\ntell more\nretire\nquit\n')
        c.recv_all()
    server.trace.wait('child_died', f'{pid} 0')
    said = [line.hook + ' ' + line.rest for line in server.trace.lines(pid=server.pid)
            if line.hook in ('child_spoke', 'child_died')]
    assert said == [f'child_spoke {pid} it is warm in here', f'child_spoke {pid} once',
                    f'child_spoke {pid} more', f'child_died {pid} 0']


def test_without_a_channel_nobody_is_told(hooks, personality):
    words = ['child_communication', 1] if personality == 'Single' else []
    server = hooks('server_type', personality, *TWO, *words)
    assert visit(server, 'tell what')[0] == f'{os.strerror(107)}\nbye\n'
    server.stop()
    assert server.trace.lines('child_spoke') == []


# ---- idle ----

def idle_hooks(server, personality):
    """[(hook, pid)] of the processes that wait: the parent, and a worker where there are some."""
    found = [('idle', server.pid)]
    if personality in WORKERS:
        found.append(('child_idle', server.trace.wait('child_start')[0].pid))
    return found


def test_idle_hooks_run_every_period(hooks, personality):
    server = hooks('server_type', personality, 'max_servers', 2, 'idle_period', 0.2)
    for hook, pid in idle_hooks(server, personality):
        watch, before = tend.Stopwatch(), len(server.trace.lines(hook, pid))
        server.trace.wait(hook, pid=pid, count=before + 3)
        count = len(server.trace.lines(hook, pid)) - before
        assert count <= watch.elapsed() / 0.2 + 1


def test_signals_neither_make_idle_nor_prevent_it(hooks, personality):
    """NW-25, NW-T10"""
    server = hooks('server_type', personality, 'max_servers', 2, 'idle_period', 0.3)
    for hook, pid in idle_hooks(server, personality):
        watch, before = tend.Stopwatch(), len(server.trace.lines(hook, pid))

        def signalled():
            os.kill(pid, signal.SIGUSR2)
            time.sleep(0.02)
            return len(server.trace.lines(hook, pid)) >= before + 2

        eventually(signalled, what=f'two times {hook}')
        count = len(server.trace.lines(hook, pid)) - before
        assert len(server.trace.lines('signal', pid)) > count
        assert count <= watch.elapsed() / 0.3 + 1


@pytest.mark.parametrize('type', ['Single', 'Fork'])
def test_clients_keep_the_server_from_being_idle(hooks, type):
    """NW-25"""
    period = 1.0 * tend.SLOW
    server = hooks('server_type', type, 'idle_period', period)
    visit(server)
    # It may have been idle before we came.
    end, before = time.monotonic() + 1.5 * period, server.trace.lines('idle')
    while time.monotonic() < end:
        visit(server)
        time.sleep(0.02)
    assert server.trace.lines('idle') == before


def test_no_idle_hook_when_the_period_is_0(hooks, personality):
    server = hooks('server_type', personality, *TWO)
    for _ in range(5):
        visit(server)
    server.stop()
    assert server.trace.lines('idle') == server.trace.lines('child_idle') == []


# ---- accept_failed ----

@pytest.mark.parametrize('error', ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'])
def test_failing_accept_is_told_and_tried_again(hooks, personality, error):
    """NS-ACP-01: in the process that accepts; the client is served all the same."""
    # Each process counts for itself: in a pool the first attempts of both workers fail.
    server = hooks('server_type', personality, *TWO, environment=tend.refusing(f'accept4:{error}:1'))
    assert visit(server)[0] == 'bye\n'
    line = server.trace.wait('accept_failed')[0]
    assert line.role == ('child' if personality in WORKERS else 'parent')
    server.wait_log(r'Cannot accept on TCP port \d+')


# ---- signals ----

def test_signal_hook_never_runs_inside_another(hooks):
    """A signal during a request waits for its end."""
    server = hooks('server_type', 'Single', *TWO)
    with server.client() as c:
        c.send('hello\n')
        c.recv_line()
        server.signal(signal.SIGUSR2)
        c.send('hello again\n')
        c.recv_line()
        assert server.trace.lines('signal') == []
        talk(c)
    line, = server.trace.wait('signal')
    assert line.rest == str(int(signal.SIGUSR2))
    names = server.trace.hooks(server.pid)
    assert names.index('signal') > names.index('closed')
