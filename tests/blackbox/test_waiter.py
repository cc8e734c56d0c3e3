"""Net::Waiter's words, first half: NW-T01 to NW-T20, and the defects NW-D01 to NW-D12.

Starting, admitting, the order of the hooks, the size of the pool, and what becomes of workers that
nobody needs or that lose their parent. What the words choose is unit/waiter_test.c's; the service
is waiter.c, which tells a file of every hook and does what it is told to.

In Net::Waiter's names: on_server_begin is `configured`, on_listen_ok `bound`, on_accept_ok
`accepted`, on_fork_ok `child_born`, on_maxforked `full`, on_close `closed`, on_sig_child
`child_died`, on_server_close `stopping` while the listeners are there, and `children_gone` when
the last child is not.
"""

import errno
import itertools
import os
import signal
import socket
import time
from pathlib import Path

import pytest

import pools
import tend
from pools import SECOND, ask, busy_clients, close_all, pause, pid_of, visit, wait_for_workers
from tend import eventually, is_alive
from traced import Line, Trace

LONG = bool(os.environ.get('TEND_TEST_LONG'))

FORKING = ['maxfork', 64]
PREFORKING = ['prefork', -2]
FOREGROUND = ['nofork', 1]
EACH = [FORKING, PREFORKING, FOREGROUND]
NAMES = ['forking', 'preforking', 'foreground']

# The hooks that Net::Waiter has as well.
HANDLERS = ['configured', 'bound', 'accepted', 'child_born', 'child_start', 'process', 'closed',
            'child_exit', 'child_died', 'idle', 'child_idle', 'full', 'accept_failed', 'signal',
            'stopping', 'children_gone']


class WaiterTrace(Trace):
    """Lines are "HOOK PID ROLE REST"."""

    def lines(self, hook=None, pid=None):
        try:
            text = self.path.read_text()
        except FileNotFoundError:
            return []
        found = [Line(int(words[1]), words[2], words[0], ' '.join(words[3:]))
                 for words in (line.split(' ') for line in text.split('\n')[:-1])]
        return [line for line in found
                if hook in (None, line.hook) and pid in (None, line.pid)]

    def handlers(self, pid=None):
        """The names of Net::Waiter's handlers that ran, in order."""
        return [line.hook for line in self.lines(pid=pid) if line.hook in HANDLERS]

    def count(self, hook, pid=None):
        return len(self.lines(hook, pid))


class Orders:
    """A file of lines "HOOK ORDER"; it takes effect at once."""

    def __init__(self, path):
        self.path = path
        self.write()

    def write(self, *lines):
        beside = self.path.with_suffix('.new')
        beside.write_text(''.join(f'{line}\n' for line in lines))
        beside.rename(self.path)


@pytest.fixture
def waiter(start, directory):
    """Starts waiter.c; the server has its trace and its orders, which may be given beforehand."""
    servers = []

    def start_it(*words, orders=(), port='127.0.0.1:0', **options):
        number = len(servers)
        told = Orders(directory / f'orders.{number}')
        told.write(*orders)
        trace = WaiterTrace(directory / f'trace.{number}')
        where = ['port', port] if port else []
        server = start(*where, *words, 'trace', trace.path, 'orders', told.path,
                       program=tend.find_program('waiter'), **options)
        server.trace, server.orders = trace, told
        servers.append(server)
        return server

    return start_it


@pytest.fixture(params=EACH, ids=NAMES)
def words(request):
    """Each of the three personalities, in Net::Waiter's words."""
    return request.param


def has_children(words):
    return words is not FOREGROUND


# ---- start and end ----

def test_client_is_served_and_term_ends_with_nought(waiter, words):
    """NW-T01, NW-14, NW-29, NW-31, NW-114, NW-124, NW-126"""
    server = waiter(*words)
    pid = visit(server)
    assert (pid == server.pid) == (not has_children(words))
    assert server.stop() == 0
    assert [line.rest for line in server.trace.lines('returned')] == ['0']
    assert [line.rest for line in server.trace.lines('child_died', server.pid)
            if line.rest.startswith(f'{pid} ')] == ([f'{pid} 0'] if has_children(words) else [])


def test_int_ends_with_nought(waiter, words):
    """NW-14, NW-70, NW-52: TERM and INT are the same"""
    server = waiter(*words)
    visit(server)
    assert server.stop(signal.SIGINT) == 0


def test_occupied_port_is_told_and_only_the_start_has_run(directory, words):
    """NW-T02, NW-15, NW-115, NW-125, NW-105"""
    trace = WaiterTrace(directory / 'trace')
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        done = tend.run('port', f'127.0.0.1:{port}', 'trace', trace.path, *words,
                        program=tend.find_program('waiter'))
    assert done.returncode not in (0, 1)
    assert str(port) in done.stderr.splitlines()[-1]
    assert os.strerror(errno.EADDRINUSE).lower() in done.stderr.lower()
    assert [line.hook for line in trace.lines()] == ['configured', 'returned']


def test_port_that_the_kernel_chose_is_known_from_bound_on(waiter, words):
    """NW-T05, NW-01, NW-82"""
    server = waiter(*words, orders=['bound endpoint', 'ready endpoint'])
    told = server.trace.wait('endpoint', count=2)
    assert [line.rest for line in told] == [f'TCP 127.0.0.1 {server.port}'] * 2
    assert server.port != 0
    server.wait_log(f'Bound to TCP port {server.port} on 127.0.0.1')
    assert server.stop() == 0


def test_any_endpoints_can_be_served(waiter, directory, words):
    """NW-02: several, one host only, unix sockets"""
    server = waiter(*words, 'port', f'{directory}/socket|unix', 'port', '127.0.0.1:0', listeners=3)
    assert len(server.ports) == 2 and len(server.paths) == 1
    for which in range(3):
        assert visit(server, which) > 0


def test_stop_in_bound_ends_in_order(waiter, words):
    """NW-T06, NW-20: result 0, and on_server_close"""
    server = waiter(*words, orders=['bound stop'], listeners=0)
    assert server.wait() == 0
    assert server.trace.handlers() == ['configured', 'bound', 'stopping', 'children_gone']


@pytest.mark.parametrize('word', ['frobnicate=3', 'maxfork=-1', 'prefork=2.5', 'nofork=1'])
def test_wrong_words_are_told_before_anything_is_bound(directory, word):
    """NW-13, NW-06, NW-04, NW-07"""
    done = tend.run('prefork=2', word, 'port', '127.0.0.1:0', program=tend.find_program('waiter'))
    assert done.returncode in (tend.EX_USAGE, tend.EX_CONFIG)
    assert len(done.stderr.splitlines()) == 1 and word.split('=')[0] in done.stderr
    assert 'Bound' not in done.stderr


def test_debug_shows_more(waiter):
    """NW-11"""
    quiet, chatty = waiter(*PREFORKING), waiter(*PREFORKING, 'debug', 1)
    for server in (quiet, chatty):
        wait_for_workers(server, 2)
    chatty.wait_log(r'Started child \d+', count=2)
    assert 'Started child' not in quiet.log()


# ---- the order of the handlers ----

def test_forking_order_for_one_client(waiter):
    """NW-T08, NW-110, NW-26, NW-29, NW-31, NW-32, NW-93, NW-94, NW-96 to -99, NW-103, NW-107"""
    server = waiter(*FORKING)
    child = visit(server)
    server.trace.wait('child_died')
    assert server.trace.handlers(server.pid) == [
        'configured', 'bound', 'accepted', 'child_born', 'child_died']
    assert server.trace.handlers(child) == ['child_start', 'process', 'closed', 'child_exit']
    names = server.trace.handlers()
    assert names.index('child_born') < names.index('child_died')
    assert names.index('accepted') < names.index('child_start')
    assert names.index('child_exit') < names.index('child_died')
    assert {line.role for line in server.trace.lines(pid=server.pid)} == {'parent'}
    assert {line.role for line in server.trace.lines(pid=child)} == {'child'}


def test_forking_order_at_the_limit(waiter):
    """NW-111, NW-27, NW-26, NW-96, NW-102, NW-103: all of it in the parent, and no child"""
    server = waiter('maxfork', 1)
    with server.client() as served:
        pid_of(served)
        before = len(server.trace.handlers(server.pid))
        with server.client() as refused:
            assert refused.recv_all() == b'full\n'
        server.trace.wait('closed', pid=server.pid)
        assert server.trace.handlers(server.pid)[before:] == ['accepted', 'full', 'closed']
        assert len(server.children()) == 1


def collapsed(names):
    """Without idle turns."""
    return [name for name in names if name != 'child_idle']


def test_preforking_order(waiter):
    """NW-112, NW-41, NW-42, NW-44, NW-96, NW-100"""
    server = waiter('prefork', -2, 'idle_period', 0.05)
    wait_for_workers(server, 2)
    first, second = visit(server), visit(server)
    server.trace.wait('child_idle', pid=first)
    children = server.children()
    assert server.stop() == 0
    assert server.trace.handlers(server.pid)[:4] == ['configured', 'bound', *['child_born'] * 2]
    for child in children:
        served = [first, second].count(child) * ['accepted', 'process', 'closed']
        assert collapsed(server.trace.handlers(child)) == ['child_start', *served, 'child_exit']


def test_foreground_order(waiter):
    """NW-113, NW-50, NW-51, NW-101: child_start and child_exit once in the one process"""
    server = waiter(*FOREGROUND, 'timeout', 3600)
    assert [visit(server) for _ in range(3)] == [server.pid] * 3
    assert server.stop() == 0
    assert server.trace.handlers() == [
        'configured', 'bound', 'child_start', *3 * ['accepted', 'process', 'closed'], 'child_exit',
        'stopping', 'children_gone']


@pytest.mark.parametrize('words', [FORKING, PREFORKING], ids=NAMES[:2])
def test_order_of_the_end(waiter, words):
    """NW-114, NW-18, NW-103 to -105, NW-62a: children first, on_server_close when they are gone"""
    server = waiter(*words)
    clients = busy_clients(server, 2)
    children = {pid_of(c) for c in clients}
    server.signal(signal.SIGTERM)
    server.trace.wait('stopping')
    close_all(clients)
    assert server.wait() == 0
    for child in children:
        assert server.trace.handlers(child)[-2:] == ['closed', 'child_exit']
    end = server.trace.handlers(server.pid)
    end = end[end.index('stopping'):]
    assert end == ['stopping', 'child_died', 'child_died', 'children_gone']
    assert {line.rest for line in server.trace.lines('child_died')} == {
        f'{child} 0' for child in children}


# ---- forking ----

@pytest.mark.parametrize('farewell, request_bytes', [(0, 0), (0, 50_000), (20_000, 50_000)])
def test_refused_client_reads_the_whole_farewell_and_then_the_end(waiter, farewell, request_bytes):
    """NW-T09, NW-27, NW-28, NW-D03: what it has sent does not turn the farewell into a reset"""
    server = waiter('maxfork', 1, 'farewell', farewell)
    with server.client() as first:
        pid_of(first)
        for _ in range(5):
            with server.client() as second:
                second.send(b'r' * request_bytes)
                assert second.recv_all() == b'f' * farewell + b'full\n'
    eventually(lambda: pools.is_served(server), what='a third client is served')


def test_refused_client_that_goes_on_sending_does_not_hold_up_others(waiter):
    """NW-28: the drain is bounded, and asynchronous"""
    server = waiter('maxfork', 1)
    with server.client() as first, server.client() as second:
        pid_of(first)
        assert second.recv_line() == 'full'
        with server.client() as third:
            assert third.recv_all() == b'full\n'
        assert ask(first, 'still here') == 'still here'


def test_figures_are_fresh_although_clients_never_cease(waiter):
    """NW-30, NW-D04, NW-54: counted at once in every turn, not in idle ones only"""
    server = waiter('maxfork', 32, 'timeout', 3600, orders=['accepted figures'])
    clients = []
    try:
        for held in range(1, 9):
            clients += busy_clients(server, 1)
            # Of before this client has its child.
            last = server.trace.lines('figures')[-1].rest.split()
            assert last[:2] == [str(held - 1)] * 2, last
    finally:
        close_all(clients)


@pytest.mark.parametrize('words, more', [(FORKING, 0), (FOREGROUND, 0), (PREFORKING, 2)],
                         ids=['forking', 'foreground', 'preforking'])
def test_idle_handler_runs_when_time_has_passed_whatever_signals_come(waiter, words, more):
    """NW-T10, NW-24, NW-25, NW-42, NW-101, NW-100, NW-D02"""
    server = waiter(*words, 'idle_period', 0.25)
    watched = wait_for_workers(server, more)[0] if more else server.pid
    hook = 'child_idle' if more else 'idle'
    server.trace.wait('before_accept', pid=watched)
    before, watch = server.trace.count(hook, watched), tend.Stopwatch()
    signals = itertools.cycle([signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP])

    def ran():
        os.kill(watched, next(signals))
        pause(0.075)
        return server.trace.count(hook, watched) - before

    eventually(lambda: ran() >= 6, what=f'{hook} runs in spite of the signals')
    assert watch.taken() < 3 * 6 * 0.25
    assert ran() <= watch.elapsed() / 0.25 + 1.5
    assert server.trace.count('signal', watched) >= 10


@pytest.mark.parametrize('words', [FORKING, FOREGROUND], ids=['forking', 'foreground'])
def test_idle_handler_does_not_run_while_clients_come(waiter, words):
    """NW-24, NW-25, NW-101: and a client that stays is one that came"""
    period = 0.5
    server = waiter(*words, 'idle_period', period)
    server.trace.wait('before_accept')
    clients, times = [], [time.monotonic()]
    try:
        while times[-1] < times[0] + 3 * period:
            if words is FORKING:
                clients += busy_clients(server, 1)
            else:
                visit(server)
            times.append(time.monotonic())
            pause(0.05)
        # Where the machine stood still, nobody came.
        gaps = [later - earlier for earlier, later in zip(times, times[1:])]
        assert server.trace.count('idle') <= sum(gap > 0.8 * period for gap in gaps)
    finally:
        close_all(clients)


def test_idle_handler_does_not_run_for_childrens_ends(waiter):
    """NW-25"""
    server = waiter(*FORKING, 'timeout', 3600)
    for _ in range(10):
        visit(server)
    server.trace.wait('child_died', count=10)
    assert server.trace.count('idle') == 0


@pytest.mark.parametrize('signo', [signal.SIGTERM, signal.SIGINT])
def test_idle_handler_does_not_run_on_the_way_out(waiter, words, signo):
    """NW-48, NW-D02, NW-D26"""
    server = waiter(*words, 'timeout', 3600)
    visit(server)
    watch = tend.Stopwatch()
    assert server.stop(signo) == 0
    assert watch.taken() < SECOND
    assert server.trace.count('idle') + server.trace.count('child_idle') == 0


def listening_inodes():
    lines = Path('/proc/net/tcp').read_text().splitlines()[1:]
    fields = (line.split() for line in lines)
    return {f'socket:[{f[9]}]' for f in fields if f[3] == '0A'}


def listeners_of(pid):
    """Descriptors of the process that are listening sockets."""
    inodes, found = listening_inodes(), []
    for fd in tend.open_descriptors(pid):
        try:
            if os.readlink(f'/proc/{pid}/fd/{fd}') in inodes:
                found.append(fd)
        except FileNotFoundError:
            pass
    return found


def test_child_of_one_client_does_not_keep_the_port_open(waiter):
    """NW-T11, NW-33, NW-D05"""
    server = waiter(*FORKING)
    with server.client() as c:
        child = pid_of(c)
        assert listeners_of(server.pid) and not listeners_of(child)
        server.signal(signal.SIGKILL)
        server.wait()
        eventually(lambda: not tend.listens(server.address))
        with pytest.raises(ConnectionRefusedError):
            server.client()
        assert ask(c, 'on my own') == 'on my own'


@pytest.mark.parametrize('words', [FORKING, FOREGROUND, [*PREFORKING, 'prop_sigusr', 1]], ids=[
    'forking', 'foreground', 'preforking'])
def test_descriptor_exhaustion_is_told_borne_and_survived(waiter, words):
    """NW-T12, NW-35, NW-95, NW-D06"""
    server = waiter(*words, 'timeout', 3600, before_exec=tend.limit_descriptors(64))
    holders = wait_for_workers(server, 2) if 'prefork' in words else [server.pid]
    server.trace.wait('before_accept')
    server.orders.write('signal hoard')
    server.signal(signal.SIGUSR2)
    for pid in holders:
        server.trace.wait('hoarding', pid=pid)
    with server.client() as c:
        c.send_line('pid')
        failures = server.trace.wait('accept_failed')
        assert {line.rest for line in failures} == {str(errno.EMFILE)}
        assert server.cpu_share(1.0) < 0.1
        server.orders.write('signal release')
        server.signal(signal.SIGUSR2)
        assert int(c.recv_line()) > 0
    assert pools.is_served(server)


# ---- the pool ----

def test_idle_pool_keeps_its_size(waiter):
    """NW-T13, NW-36, NW-37, NW-D07: a pool of one, too"""
    sizes = [1, 2, 8]
    servers = [waiter('prefork', size, 'timeout', 1) for size in sizes]
    samplers = [pools.Sampler(server) for server in servers]
    children = [wait_for_workers(server, size) for server, size in zip(servers, sizes)]
    with samplers[0], samplers[1], samplers[2]:
        pause(10 if LONG else 3)
    assert [set(sampler.values) for sampler in samplers] == [{1}, {2}, {8}]
    assert [server.children() for server in servers] == children


def test_pool_that_served_is_no_larger_for_it_when_one_is_enough(waiter):
    """NW-37: not even by passing clients, as long as enough others wait"""
    server = waiter('prefork', 8, 'maxfork', 20)
    wait_for_workers(server, 8)
    for _ in range(30):
        visit(server)
    wait_for_workers(server, 8)


def grown(kids, busy, prefork, maxfork):
    """NW-36 until nothing more is to be done: I <= 1 + K/10 asks for prefork more."""
    while busy > 0 and kids - busy <= 1 + kids / 10 and kids < maxfork:
        kids = min(kids + prefork, maxfork)
    return kids


@pytest.mark.parametrize('prefork, maxfork', [(1, 20), (2, 30), (5, 12)])
def test_pool_grows_by_the_rule_of_the_tenth(waiter, prefork, maxfork):
    """NW-T14, NW-36, NW-38, NW-39: and nobody is told to leave when clients have gone"""
    server = waiter('prefork', prefork, 'maxfork', maxfork, 'timeout', 1)
    wait_for_workers(server, prefork)
    clients, kids = [], prefork
    try:
        for busy in range(1, 8):
            clients += busy_clients(server, 1)
            kids = grown(kids, busy, prefork, maxfork)
            wait_for_workers(server, kids)
    finally:
        close_all(clients)
    pause(0.3)
    wait_for_workers(server, kids)


def test_pool_stops_at_maxfork_and_further_clients_wait(waiter):
    """NW-T15, NW-36, NW-47, NW-102: nobody is refused"""
    server = waiter('prefork', 2, 'maxfork', 4)
    clients = []
    with pools.Sampler(server) as sampled:
        try:
            clients = busy_clients(server, 4)
            late = [server.client() for _ in range(3)]
            clients += late
            for c in late:
                c.send_line('late')
            pause(0.2)
            close_all(clients[:3])
            assert [c.recv_line() for c in late] == ['late'] * 3
        finally:
            close_all(clients)
    assert max(sampled.values) == 4
    assert server.trace.count('full') == 0


def test_negative_prefork_is_the_most_as_well(waiter):
    """NW-T04, NW-05, NW-D01"""
    server = waiter('prefork', -3)
    wait_for_workers(server, 3)
    with pools.Sampler(server) as sampled:
        clients = busy_clients(server, 3)
        with server.client() as late:
            late.send_line('late')
            pause(0.2)
            close_all(clients)
            assert late.recv_line() == 'late'
    assert max(sampled.values) == 3


@pytest.mark.parametrize('how', ['exit 7', 'abort', 'refuse'])
def test_children_that_die_at_once_are_not_started_at_full_speed(waiter, how):
    """NW-T16, NW-40, NW-D08: the rate is bounded, TERM is obeyed, and the pool recovers"""
    server = waiter('prefork', 3, orders=[f'child_start {how}'])
    server.trace.wait('child_born', count=3)
    pause(1.0)
    # Doubling pauses from 0.1 s on: a few batches of three, where there were hundreds.
    assert server.trace.count('child_born') <= 20
    watch = tend.Stopwatch()
    assert server.stop() == 0
    assert watch.taken() < SECOND


def test_pool_recovers_when_children_live_again(waiter):
    """NW-40, NW-T16: the pause is forgotten once a child has done its work"""
    server = waiter('prefork', 2, orders=['child_start exit 7'])
    server.trace.wait('child_died', count=3)
    server.orders.write()
    wait_for_workers(server, 2)
    eventually(lambda: pools.is_served(server))


def times_woken(pid):
    """How often the process has gone to sleep of its own will."""
    text = Path(f'/proc/{pid}/status').read_text()
    return int(text.split('\nvoluntary_ctxt_switches:')[1].split()[0])


def test_connection_wakes_one_worker(waiter):
    """NW-T17, NW-43, NW-D09: of 16 that wait; the others sleep on, in the kernel as well"""
    server = waiter('prefork', -16, 'timeout', 3600)
    workers = wait_for_workers(server, 16)
    eventually(lambda: {line.pid for line in server.trace.lines('before_accept')} >= set(workers))
    pause(0.1)

    def waits():
        return sum(line.role == 'child' for line in server.trace.lines('before_accept'))

    before, slept = waits(), {pid: times_woken(pid) for pid in workers}
    served = {visit(server) for _ in range(50)}
    pause(0.1)
    assert waits() - before - 50 <= 50
    # Those that served have slept for other reasons, too.
    assert sum(times_woken(pid) - slept[pid] for pid in workers if pid not in served) <= 50
    assert len(served) < 16


def test_worker_that_asks_to_retire_is_replaced_and_its_client_served(waiter):
    """NW-T18, NW-45, NW-79, NW-D10"""
    server = waiter('prefork', -2, 'timeout', 3600)
    workers = wait_for_workers(server, 2)
    with server.client() as c:
        retired = pid_of(c)
        assert ask(c, 'retire') == ''
        assert pid_of(c) == retired
        assert ask(c, 'and on') == 'and on'
        c.send_line('quit')
        c.expect_end()
    server.trace.wait('child_died', rf'{retired} 0$')
    assert server.trace.handlers(retired)[-2:] == ['closed', 'child_exit']
    eventually(lambda: len(server.children()) == 2 and retired not in server.children())
    assert set(workers) - {retired} <= set(server.children())
    assert pools.is_served(server)


@pytest.mark.parametrize('end', ['quit', 'fail'])
def test_handlers_end_does_not_retire_a_worker(waiter, end):
    """NW-45, NW-D10: whatever it thinks of its client"""
    server = waiter('prefork', -2, 'timeout', 3600)
    workers = wait_for_workers(server, 2)
    for _ in range(6):
        with server.client() as c:
            c.send_line(end)
            c.expect_end()
    assert server.children() == workers
    assert server.trace.count('child_died') == 0


def test_worker_that_served_leaves_after_px_idle_and_unused_ones_stay(waiter):
    """NW-T19, NW-46, NW-09: within PX_IDLE + 1 + TIMEOUT, not before PX_IDLE"""
    server = waiter('prefork', -3, 'px_idle', 1, 'timeout', 1)
    workers = wait_for_workers(server, 3)
    served = visit(server)
    watch = tend.Stopwatch()
    eventually(lambda: not is_alive(served))
    assert 0.9 < watch.elapsed() and watch.taken() < 3.2 * SECOND
    wait_for_workers(server, 3)
    assert set(workers) - {served} <= set(server.children())
    assert [line.rest for line in server.trace.lines('child_died')] == [f'{served} 0']
    assert server.trace.handlers(served)[-1] == 'child_exit'


def test_worker_in_use_does_not_leave(waiter):
    """NW-46: it counts from the end of the last client"""
    server = waiter('prefork', -1, 'worker_idle_timeout', 0.4, 'idle_period', 0.1)
    worker, = wait_for_workers(server, 1)
    with server.client() as c:
        assert pid_of(c) == worker
        pause(0.8)
        assert pid_of(c) == worker
    eventually(lambda: not is_alive(worker), timeout=2 * SECOND)


def test_unused_workers_may_leave_as_well(waiter):
    """NW-09, NW-46: option worker_idle_unused"""
    server = waiter('prefork', -2, 'worker_idle_timeout', 0.3, 'idle_period', 0.1,
                    'worker_idle_unused', 1)
    workers = wait_for_workers(server, 2)
    eventually(lambda: not any(is_alive(pid) for pid in workers), timeout=2 * SECOND)
    wait_for_workers(server, 2)


def ipc_objects():
    """All that outlives processes: System V memory, semaphores and queues, and /dev/shm."""
    found = set()
    for kind in ('shm', 'sem', 'msg'):
        lines = Path(f'/proc/sysvipc/{kind}').read_text().splitlines()[1:]
        found |= {(kind, line.split()[1]) for line in lines}
    return found | {('file', name) for name in os.listdir('/dev/shm')}


def new_ipc_objects(before):
    """Other programs of this machine may come and go; what is the server's would stay."""
    found = ipc_objects() - before
    if found:
        pause(0.5)
    return found & ipc_objects()


def test_workers_leave_when_their_parent_is_killed(waiter):
    """NW-T20, NW-49, NW-55, NW-D11"""
    before = ipc_objects()
    server = waiter('prefork', -4, 'timeout', 3600)
    workers = wait_for_workers(server, 4)
    visit(server)
    server.signal(signal.SIGKILL)
    server.wait()
    eventually(lambda: not any(is_alive(pid) for pid in workers), timeout=2 * SECOND)
    assert not tend.listens(server.address)
    assert new_ipc_objects(before) == set()
    for worker in workers:
        assert server.trace.handlers(worker)[-1] == 'child_exit'


def test_busy_orphan_finishes_its_client_and_leaves(waiter):
    """NW-49, NW-D11"""
    server = waiter('prefork', -2, 'timeout', 3600)
    wait_for_workers(server, 2)
    with server.client() as c:
        worker = pid_of(c)
        server.signal(signal.SIGKILL)
        server.wait()
        assert ask(c, 'still served') == 'still served'
    eventually(lambda: not is_alive(worker), timeout=2 * SECOND)
    assert server.trace.handlers(worker)[-2:] == ['closed', 'child_exit']


# ---- foreground ----

def test_foreground_process_stays_the_parent(waiter):
    """NW-52, NW-D12, NW-51, NW-81, NW-82, NW-86, NW-58: before, during and after its clients"""
    server = waiter(*FOREGROUND, orders=['signal who', 'signal endpoint'])
    me = f'parent {server.pid}'
    with server.client() as c:
        assert [ask(c, word) for word in ('who', 'pids', 'mark_busy', 'mark_idle')] == [me, '', '0', '0']
        assert ask(c, 'endpoint') == f'TCP 127.0.0.1 {server.port}'
    for number, signo in enumerate([signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP], 1):
        server.signal(signo)
        assert server.trace.wait('who', count=number)[-1].rest == me
        assert server.trace.lines('signal')[-1].rest == str(int(signo))
    assert {line.rest for line in server.trace.lines('endpoint')} == {
        f'TCP 127.0.0.1 {server.port}'}
    visit(server)
    assert server.stop() == 0


def test_failing_handler_in_the_foreground_costs_its_client_only(waiter):
    """NW-53"""
    before = ipc_objects()
    server = waiter(*FOREGROUND)
    with server.client() as c:
        c.send_line('fail')
        c.expect_end()
    server.trace.wait('closed')
    assert visit(server) == server.pid
    assert new_ipc_objects(before) == set()
    assert server.stop() == 0
