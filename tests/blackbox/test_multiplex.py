"""Multiplex: many clients in one process, called by hooks or in fibers. multiplex.c obeys."""

import contextlib
import errno
import os
import re
import signal

import pytest

import tend
from pools import SECOND, ask, close_all, pause, pid_of, wait_for_workers
from tend import eventually

MOODS = ['evented', 'fibers']


@pytest.fixture(params=MOODS)
def mood(request):
    return request.param


class Mux:
    """multiplex.c in one of its moods, and what its hooks wrote down."""

    def __init__(self, start, directory, mood, *words, environment={}, **options):
        self.path = directory / 'trace'
        self.mood = mood
        self.server = start('port', '127.0.0.1:0', 'trace', self.path, *words,
                            program=tend.find_program('multiplex'),
                            environment={'MOOD': mood, **environment}, **options)

    def client(self):
        return self.server.client()

    def trace(self, client_name=None):
        """The hooks that ran, for one client or for all."""
        text = self.path.read_text() if self.path.exists() else ''
        lines = [line.split() for line in text.splitlines()]
        return [hook for hook, name, _ in lines if client_name in (None, name)]

    def wait_for(self, hook, count=1):
        eventually(lambda: self.trace().count(hook) >= count, what=f'{count} times {hook}')


@pytest.fixture
def mux(start, directory, mood):
    return lambda *words, **options: Mux(start, directory, mood, *words, **options)


def name_of(client):
    return '%s:%d' % client.sock.getsockname()


def without_repeats(hooks):
    return [hook for i, hook in enumerate(hooks) if i == 0 or hooks[i - 1] != hook]


# ---- hooks ----

def test_hooks_of_a_client_come_in_order(mux):
    """MX-T27, MX-101, MX-102, MX-107 to MX-109, MX-111"""
    service = mux()
    with service.client() as c:
        assert ask(c, 'hello') == 'hello'
        c.half_close()
        c.expect_end()
    service.wait_for('closed')
    work = ['readable', 'ended'] if service.mood == 'evented' else ['process']
    assert without_repeats(service.trace()) == ['accepted', 'allow', *work, 'processed', 'closed']


@pytest.mark.parametrize('words', [['deny', '127.0.0.1'], ['refuse', 1]], ids=['rule', 'hook'])
@pytest.mark.parametrize('bridge', [0, 1])
def test_denied_client_reaches_no_handler_and_hears_the_farewell(mux, words, bridge):
    """MX-T28, MX-T29, MX-112 to MX-115, MX-D05: whatever it has sent already"""
    service = mux(*words, 'farewell', 300000, 'no_client_stdout', bridge)
    with service.client() as c:
        c.send('early\n' * 100)
        assert c.recv_exactly(300000) == b'x' * 300000
        c.half_close()
        c.is_cut()
    service.wait_for('closed')
    asked = ['allow'] if words[0] == 'refuse' else []
    assert service.trace() == ['accepted', *asked, 'denied', 'parted', 'closed']
    with service.client() as c:
        c.half_close()
        assert len(c.recv_all()) == 300000


def test_client_is_one_of_all_when_it_is_let_in(mux):
    """MX-08, MX-113: what is told to all before is not for somebody who may be denied"""
    service = mux('announce', 1)
    with service.client() as first:
        assert ask(first, 'hello') == 'hello'
        with service.client() as second:
            assert ask(second, 'hello') == 'hello'
            name = name_of(second)
        assert [first.recv_line() for _ in range(2)] == [f'accepted {name}', f'allow {name}']
    service = mux('announce', 1, 'refuse', 1)
    with service.client() as c:
        c.expect_end()


def test_addresses_belong_to_each_client(mux):
    """MX-T30, MX-105, MX-D17: also while others come"""
    service = mux()
    clients = [service.client() for _ in range(20)]
    for c in reversed(clients):
        assert ask(c, 'who') == f'{name_of(c)} to 127.0.0.1:{service.server.port}'
    close_all(clients)


def test_failure_of_one_is_nothing_to_the_others(mux):
    """MX-T31, MX-119, MX-D15"""
    service = mux('log_level', 2)
    clients = [service.client() for _ in range(100)]
    for c in clients:
        assert ask(c, 'here') == 'here'
    pid = pid_of(clients[0])
    clients[50].send_line('fail')
    assert clients[50].is_cut()
    service.server.wait_log(r'cannot understand')
    clients[20].reset()
    for c in clients[:20] + clients[21:50] + clients[51:]:
        assert pid_of(c) == pid
    close_all(clients)


def test_write_that_fails_ends_its_client_once(mux):
    """DS-T28: one that was interrupted is tried again. A fiber may read on what is there."""
    service = mux(environment=tend.refusing('send:EINTR:3, send:EIO:1+5'))
    with service.client() as c, service.client() as other:
        assert ask(c, 'interrupted') == 'interrupted'
        assert ask(other, 'meanwhile') == 'meanwhile'
        c.send_line('lost')
        if service.mood == 'fibers':
            c.half_close()
        assert c.is_cut()
        service.wait_for('closed')
        assert ask(other, 'still there') == 'still there'
        hooks = service.trace(name_of(c))
        assert hooks.count('closed') == 1
        assert hooks.count(f'failed:{errno.EIO}') == (service.mood == 'evented')


def test_client_that_closes_itself_gets_the_last_words(mux):
    """MX-83, MX-110"""
    service = mux()
    with service.client() as c:
        c.send('bye\nnot heard\n')
        assert c.recv_line() == 'bye'
        c.half_close()
        c.expect_end()


# ---- stopping ----

def test_stop_lets_queued_output_leave(mux):
    """MX-T32, MX-121, MX-D16: TERM, and three clients that have not yet read their megabyte"""
    service = mux('stop_timeout', 30, 'linger_timeout', 1)
    clients = [service.client() for _ in range(3)]
    for c in clients:
        c.send_line('send 900000')
        assert c.recv_exactly(1000)
    service.server.signal(signal.SIGTERM)
    for c in clients:
        if service.mood == 'evented':
            assert c.recv_exactly(899000) == b'x' * 899000
        c.is_cut()
        c.close()
    assert service.server.wait(20 * SECOND) == 0
    assert service.trace().count('closed') == 3


@pytest.mark.parametrize('signo', [signal.SIGTERM, signal.SIGQUIT])
def test_idle_server_ends_at_once(mux, signo):
    """MX-T33, MX-120"""
    service = mux()
    wait_for_workers(service.server, 1)
    watch = tend.Stopwatch()
    assert service.server.stop(signo) == 0
    assert watch.taken() < SECOND


def test_silent_clients_do_not_keep_a_server_that_stops(mux):
    """MX-121"""
    service = mux('stop_timeout', 30)
    clients = [service.client() for _ in range(5)]
    for c in clients:
        pid_of(c)
    watch = tend.Stopwatch()
    service.server.signal(signal.SIGTERM)
    for c in clients:
        assert c.is_cut()
        c.close()
    assert service.server.wait() == 0
    assert watch.taken() < 5 * SECOND
    assert service.trace().count('closed') == 5


def test_quit_serves_clients_to_their_end(mux):
    """MX-121, NS-SHD-05"""
    service = mux()
    with service.client() as c:
        pid_of(c)
        service.server.signal(signal.SIGQUIT)
        eventually(lambda: not tend.listens(service.server.address))
        assert ask(c, 'still here') == 'still here'
    assert service.server.wait() == 0


def test_handler_stops_the_server(mux):
    """MX-T25, MX-116"""
    service = mux()
    with service.client() as c:
        c.send_line('stop')
        assert c.is_cut()
    assert service.server.wait() == 0
    assert service.trace()[-1] == 'closed'


# ---- workers ----

def test_workers_share_the_clients(mux):
    """MX-131, MX-D18: and there are as many as was said"""
    service = mux('workers', 2)
    workers = wait_for_workers(service.server, 2)

    def both():
        with service.client() as busy, service.client() as c:
            one = pid_of(busy)
            busy.send_line('stall')
            with service.client() as other:
                return {one, pid_of(other), pid_of(c)}

    seen = set()
    eventually(lambda: seen.update(both()) or len(seen) == 2, what='a client for each worker')
    assert seen == set(workers)


def test_workers_auto_is_one_a_processor(mux):
    service = mux('workers', 'auto')
    wait_for_workers(service.server, len(os.sched_getaffinity(0)))


def test_killed_worker_is_replaced(mux):
    service = mux('workers', 2)
    before = wait_for_workers(service.server, 2)
    with service.client() as c:
        pid = pid_of(c)
        os.kill(pid, signal.SIGKILL)
        assert c.is_cut()
    eventually(lambda: len(service.server.children()) == 2 and pid not in service.server.children())
    assert len(set(before) & set(service.server.children())) == 1
    with service.client() as c:
        assert ask(c, 'served') == 'served'


def test_worker_ends_after_its_share(mux):
    """The option max_requests: those that it has are served to their end, the next by another."""
    service = mux('max_requests', 3)
    clients = [service.client() for _ in range(3)]
    first = {pid_of(c) for c in clients}
    assert len(first) == 1
    with service.client() as c:
        assert pid_of(c) not in first
    assert ask(clients[0], 'still') == 'still'
    close_all(clients)
    eventually(lambda: not first & set(service.server.children()))


def test_stack_overflow_ends_its_worker_and_says_why(start, directory):
    """The message names the option; the pool recovers."""
    # A sanitizer would have its say about the fault as well.
    quiet = os.environ.get('ASAN_OPTIONS', '') + ':handle_segv=0:handle_sigbus=0'
    service = Mux(start, directory, 'fibers', environment={'ASAN_OPTIONS': quiet})
    before = wait_for_workers(service.server, 1)
    with service.client() as c:
        pid_of(c)
        c.send_line('dive')
        assert c.is_cut()
    service.server.wait_log(r'ran over the stack of its fiber.*fiber_stack')
    eventually(lambda: service.server.children() and service.server.children() != before)
    with service.client() as c:
        assert ask(c, 'served') == 'served'


def test_handler_that_holds_up_the_others_is_told_of(mux):
    """MX-134: with the option that says so"""
    service = mux('stall_warning', 0.1)
    with service.client() as c:
        c.send_line('stall')
        assert ask(c, 'over') == 'over'
        service.server.wait_log(rf'{re.escape(name_of(c))} held up all other clients for '
                                r'0\.\d+ s \(option stall_warning\)')


def test_connection_without_a_server_that_holds_up_the_others_is_told_of(mux):
    """MX-134: one that the service made on the loop of its worker; the worker lives on"""
    service = mux('stall_warning', 0.1)
    with service.client() as c:
        pid = pid_of(c)
        c.send_line('friend')
        service.server.wait_log(r'held up all other clients for 0\.\d+ s \(option stall_warning\)')
        assert pid_of(c) == pid


def test_worker_that_is_never_without_clients_is_well(mux):
    """NW-D24: busy_timeout is for a worker whose loop has no turns, not for one that has clients"""
    service = mux('busy_timeout', 0.3, 'stop_timeout', 0.2)
    with service.client() as silent, service.client() as c:
        pid = pid_of(silent)
        pause(0.5)
        for _ in range(8):
            assert ask(c, 'well') == 'well'
            pause(0.1)
        assert pid_of(silent) == pid
    assert 'busy_timeout' not in service.server.log()


def test_worker_that_hangs_is_ended(mux):
    """NW-D24: with TERM, then KILL; another takes its place"""
    service = mux('busy_timeout', 0.3, 'stop_timeout', 0.2)
    with service.client() as c:
        pid = pid_of(c)
        c.send_line('hang')
        assert c.is_cut()
    service.server.wait_log(rf'Child {pid} has worked for 0\.3 s without waiting .*busy_timeout')
    with service.client() as c:
        assert pid_of(c) != pid


def test_nobody_waits_for_a_client_that_was_taken_off(start, directory):
    """DS-93: it is the service's own, and none of those that a graceful stop waits for"""
    service = Mux(start, directory, 'evented')
    with service.client() as c:
        c.send_line('detach')
        assert c.recv_line() == 'taken'
        c.expect_end()
    assert service.server.stop(signal.SIGQUIT) == 0
    assert service.trace().count('closed') == 0


# ---- many, and slow ones ----

def test_client_that_does_not_read_costs_little(mux):
    """MX-T26, DS-88, MX-43: 1 GiB to be sent, and nobody takes it"""
    service = mux()
    worker, = wait_for_workers(service.server, 1)
    with service.client() as other, service.client() as c:
        assert pid_of(other) == worker
        other.send_line('send 200000')
        other.recv_exactly(200000)
        before = service.server.private(worker)
        c.send_line(f'flood {1 << 30}')
        assert c.recv_exactly(100000)
        for _ in range(50):
            assert ask(other, 'served') == 'served'
        if not tend.SANITIZED:
            assert service.server.private(worker) - before <= 1 << 20
        c.reset()
    service.wait_for('closed', 2)


def test_idle_clients_cost_no_time(mux):
    """MX-T20, MX-25: with thousands of them a message costs what it costs with none"""
    service = mux('trace', '')
    server = service.server
    with server.client() as c:
        worker = pid_of(c)

        def cost():
            begun = tend.process(worker).ticks
            for _ in range(2000):
                assert ask(c, 'x') == 'x'
            return (tend.process(worker).ticks - begun) / tend.TICKS

        alone = cost()
        crowd = [server.client() for _ in range(3500)]
        try:
            pid_of(crowd[-1])
            assert cost() <= 3 * alone + 0.15
        finally:
            close_all(crowd)


def test_signals_do_not_disturb(mux):
    """MX-T21, MX-22: a thousand of them, and no byte is lost"""
    service = mux()
    with service.client() as c:
        pid = pid_of(c)
        for i in range(1000):
            os.kill(pid, signal.SIGUSR2)
            if i % 10 == 0:
                assert ask(c, str(i)) == str(i)
        assert pid_of(c) == pid


def test_dequeue_runs_beside_the_clients(start, directory):
    """MX-T36, MX-127 to MX-129: whatever the time limits of clients are"""
    server = start('server_type', 'Multiplex', 'port', '127.0.0.1:0', 'check_for_dequeue', 0.05,
                   'max_dequeue', 1, 'log_level', 4, 'idle_timeout', 30, program=tend.find_program('pool'))
    with server.client() as c:
        server.wait_log('Started dequeue child', count=2)
        assert ask(c, 'meanwhile') == 'meanwhile'


def test_workers_whose_clients_stay_do_not_keep_out_their_successors(start):
    """Each client retires its worker and stays: at last there is no place on the board for another."""
    server = start('echo', 'server_type', 'Multiplex', 'port', '127.0.0.1:0', 'max_requests', 1)
    with contextlib.ExitStack() as stack:
        for i in range(80):
            client = stack.enter_context(server.client())
            client.send(f'{i}\n')
            assert client.recv_until('\n') == f'{i}\n'.encode()
    assert 'to make room for another' in server.log()
