"""Thread: a client, a thread; many of them in a worker, and as many workers as are asked for.

NS-THR-01 to -08, and what is promised of threads beyond them. The conversations, which are the same
under every personality, are in test_conversation.py.
"""

import os
import re
import threading
from signal import SIGHUP, SIGKILL, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU

import pytest

import tend
from tend import eventually

PORT = ['port', '127.0.0.1:0']


@pytest.fixture
def serve(start):
    """Starts threads.c under Thread."""
    def start_threads(*words, **options):
        options.setdefault('program', tend.find_program('threads'))
        server = start('server_type', 'Thread', *PORT, *words, **options)
        workers = int(words[words.index('workers') + 1]) if 'workers' in words else 1
        server.wait_log('child_start', count=workers)
        return server
    return start_threads


def ask(client, question):
    client.send_line(question)
    return client.recv_line()


def thread_of(client):
    """(pid, tid) of who serves the client."""
    pid, tid = ask(client, 'thread').split()
    return int(pid), int(tid)


def worker_of(server):
    return eventually(server.children, what='a worker')[0]


def threads(pid):
    """How many the process has."""
    return len(os.listdir(f'/proc/{pid}/task'))


def expect_silence(client, seconds=0.2):
    """Nothing comes: what does is a failure at any time, so no machine is too slow for this."""
    client.sock.settimeout(seconds)
    with pytest.raises(TimeoutError):
        client.recv()
    client.sock.settimeout(tend.DEADLINE)


# ---- the pool ----

def test_clients_are_served_at_the_same_time_in_threads_of_one_process(serve):
    """NS-THR-01: each waits for all of the others."""
    server = serve()
    clients = [server.client() for _ in range(8)]
    for c in clients:
        c.send_line('meet 8')
    found = [c.recv_line().split() for c in clients]
    assert {pid for pid, _ in found} == {str(worker_of(server))}
    assert len({tid for _, tid in found}) == 8


def test_thread_serves_one_client_after_another(serve):
    """No thread is made for a client. One that has not come back yet is passed over."""
    server = serve()
    found = set()
    for _ in range(30):
        with server.client() as c:
            found.add(thread_of(c))
    assert len(found) < 30


def test_pool_shrinks_when_clients_are_gone(serve):
    """The main thread and one that waits are left."""
    server = serve('idle_to_minimum', 0.1)
    pid = worker_of(server)
    clients = [server.client() for _ in range(12)]
    for c in clients:
        thread_of(c)
    most = threads(pid)
    assert most >= 13
    for c in clients:
        c.close()
    eventually(lambda: threads(pid) <= most - 11, what='two threads are left')
    with server.client() as c:
        assert ask(c, 'hello') == 'hello'


def test_client_beyond_max_servers_waits(serve):
    """NS-THR-02: in the kernel's queue, until another leaves."""
    server = serve('max_servers', 2)
    first, second, third = (server.client() for _ in range(3))
    assert thread_of(first) != thread_of(second)
    third.send_line('thread')
    expect_silence(third)
    assert threads(worker_of(server)) == 3 or tend.SANITIZED
    first.close()
    assert third.recv_line().split()[0] == str(worker_of(server))


def test_ttin_and_ttou_move_the_number_of_clients(serve):
    """NS-THR-06, NS-SIG-08: never below one."""
    server = serve('max_servers', 1, 'log_level', 3)
    first, second = server.client(), server.client()
    thread_of(first)
    second.send_line('hello')
    expect_silence(second)
    server.signal(SIGTTIN)
    assert second.recv_line() == 'hello'
    server.signal(SIGTTOU)
    server.wait_log('At most 1 clients at once now')
    third = server.client()
    third.send_line('hello')
    second.close()
    expect_silence(third)
    server.signal(SIGTTOU)
    first.close()
    assert third.recv_line() == 'hello'
    assert server.log().count('At most 1 clients') == 1


def test_workers_share_the_listeners(serve):
    """Each has threads of its own."""
    server = serve('workers', 2)
    clients, found = [], set()

    def both():
        clients.append(server.client())
        found.add(thread_of(clients[-1])[0])
        return len(found) == 2

    eventually(both, what='clients of both workers')
    assert found == set(server.children())


def test_no_listener_starves(start, directory):
    """NS-BND-07: of two that have clients all the time each is looked at."""
    server = start('echo', 'server_type', 'Thread', 'max_servers', 1, *PORT, 'port',
                   f'{directory}/socket|unix', listeners=2)
    over = threading.Event()

    def flood():
        while not over.is_set():
            with server.client(0) as c:
                c.send_line('hello')
                c.recv_line()

    flooders = [threading.Thread(target=flood) for _ in range(3)]
    for flooder in flooders:
        flooder.start()
    try:
        for _ in range(10):
            with server.client(1) as c:
                assert ask(c, 'hello') == 'hello'
    finally:
        over.set()
        for flooder in flooders:
            flooder.join()


def test_hooks_of_the_process_run_in_its_main_thread(serve):
    """NS-THR-03: child_start before the first client, child_exit after the last."""
    server = serve()
    pid = worker_of(server)
    server.wait_log(f'child_start in thread {pid} of {pid}')
    with server.client() as c:
        assert thread_of(c)[1] != pid
    assert server.stop(SIGQUIT) == 0
    assert f'child_exit in thread {pid} of {pid}' in server.log()


def test_worker_is_replaced_after_max_requests(serve):
    """Exactly so many clients; nobody is refused in between."""
    server = serve('max_requests', 5)
    served = {}
    for _ in range(20):
        with server.client() as c:
            pid = thread_of(c)[0]
        served[pid] = served.get(pid, 0) + 1
    assert list(served.values()) == [5, 5, 5, 5]


def test_max_requests_is_exact_when_all_come_at_once(serve):
    server = serve('max_requests', 8)
    clients = [server.client() for _ in range(24)]
    for c in clients:
        c.send_line('thread')
    found = [c.recv_line().split()[0] for c in clients]
    assert sorted(found.count(pid) for pid in set(found)) == [8, 8, 8]


def test_failing_accept_is_tried_again(start):
    """NS-ACP-01"""
    server = start('echo', 'server_type', 'Thread', *PORT, 'log_level', 4,
                   environment=tend.refusing('accept4:EMFILE:2'))
    with server.client() as c:
        assert ask(c, 'hello') == 'hello'
    server.wait_log(r'Cannot accept on TCP port \d+: .*trying again')


def test_limits_count_threads_clients(serve):
    """Places are given back; who is refused is told so by the hook."""
    server = serve('max_per_source', 2)
    for _ in range(3):
        clients = [server.client() for _ in range(2)]
        for c in clients:
            thread_of(c)
        with server.client() as one_too_many:
            assert one_too_many.recv_line() == 'full'
            one_too_many.expect_end()
        for c in clients:
            c.half_close()
            c.expect_end()


def test_answer_reaches_a_client_that_goes_on_sending(start):
    """The thread has gone on to others: the main thread swallows what comes."""
    server = start('run', 'server_type', 'Thread', *PORT, '--', 'sh', '-c', 'echo bye')
    for _ in range(20):
        with server.client() as c:
            c.send(b'x' * 10000)
            assert c.recv_line() == 'bye'


def test_standard_streams_are_not_the_client(serve):
    """NS-THR-07: there is one of each in a process, and clients are many."""
    server = serve()
    with server.client() as c, server.client() as other:
        thread_of(other)
        assert ask(c, 'streams') == '0 0'
        assert ask(c, 'hello') == 'hello'


def test_dequeue_children_beside_threads(serve):
    """NS-THR-06"""
    server = serve('check_for_dequeue', 0.1, 'max_dequeue', 1)
    with server.client() as c:
        pid, _ = thread_of(c)
        found = server.wait_log(r'Dequeue in (\d+), \d thread')
        assert int(found.group(1)) != pid
        assert ask(c, 'hello') == 'hello'


# ---- deadlines ----

def test_deadlines_are_each_clients_own(serve):
    server = serve('idle_timeout', 0.3)
    silent, lively = server.client(), server.client()
    thread_of(silent)
    watch = tend.Stopwatch()
    while watch.elapsed() < 0.6:
        assert ask(lively, 'hello') == 'hello'
    server.wait_log('Ended with ETIMEDOUT')
    assert silent.is_cut()


def test_stuck_handler_is_found_among_threads_that_wait(serve):
    """Option busy_timeout: the worker ends, its successor serves."""
    server = serve('busy_timeout', 0.3, 'stop_timeout', 0.5)
    waiting, stuck = server.client(), server.client()
    pid, _ = thread_of(waiting)
    stuck.send_line('compute')
    server.wait_log(f'Child {pid} has worked for 0.3 s')
    assert stuck.is_cut()
    with server.client() as c:
        assert thread_of(c)[0] != pid


# ---- the end ----

def test_term_ends_the_waits_of_all_handlers(serve):
    """NS-THR-04, NS-THR-05: reading or asleep, they hear of it and may say goodbye."""
    server = serve('stop_timeout', 20)
    reading = [server.client() for _ in range(4)]
    asleep = [server.client() for _ in range(4)]
    for c in reading:
        thread_of(c)
    for c in asleep:
        c.send_line('thread\nsleep')
        c.recv_line()
    assert server.stop(SIGTERM) == 0
    for c in asleep:
        assert c.recv_line().startswith('slept -')
    assert server.log().count('Ended with ECANCELED') == 8
    assert 'child_exit' in server.log()


def test_exit_of_a_client_ends_the_server(start):
    """NS-THR-05, NS-TST-21: the banner, and the end at once."""
    server = start('Thread', *PORT, *tend.CONTROL)
    with server.client() as c, server.client() as other:
        c.recv_line()
        other.recv_line()
        c.send_line('exit')
        assert server.wait() == 0
        assert other.is_cut()


def test_quit_lets_all_clients_finish(serve):
    """NS-THR-04: nobody new is let in meanwhile."""
    server = serve()
    clients = [server.client() for _ in range(4)]
    for c in clients:
        thread_of(c)
    server.signal(SIGQUIT)
    eventually(lambda: not tend.listens(server.address), what='the port is closed')
    for c in clients:
        assert ask(c, 'still there') == 'still there'
        c.half_close()
        c.expect_end()
    assert server.wait() == 0


def test_term_follows_quit(serve):
    server = serve()
    client = server.client()
    thread_of(client)
    server.signal(SIGQUIT)
    eventually(lambda: not tend.listens(server.address), what='the port is closed')
    assert ask(client, 'still there') == 'still there'
    assert server.stop(SIGTERM) == 0
    server.wait_log('Ended with ECANCELED')


def test_handler_that_computes_does_not_keep_the_server(serve):
    server = serve('stop_timeout', 1)
    client, other = server.client(), server.client()
    client.send_line('thread\ncompute')
    client.recv_line()
    thread_of(other)
    assert server.stop(SIGTERM) == 0
    assert 'Ended with ECANCELED' in server.log()


def test_worker_that_retires_finishes_its_clients(serve):
    """tend_worker_retire() from one of its threads."""
    server = serve()
    staying, leaving = server.client(), server.client()
    pid, _ = thread_of(staying)
    leaving.send_line('retire')
    leaving.half_close()
    leaving.expect_end()
    eventually(lambda: [p for p in server.children() if p != pid], what='a successor')
    with server.client() as c:
        assert thread_of(c)[0] != pid
    assert ask(staying, 'still there') == 'still there'
    staying.close()
    eventually(lambda: not tend.is_alive(pid), what='the old worker is gone')


@pytest.mark.parametrize('how', ['kill', 'die'])
def test_dead_worker_takes_its_own_clients_only(serve, how):
    server = serve('workers', 2)
    clients = {}

    def both():
        c = server.client()
        clients.setdefault(thread_of(c)[0], []).append(c)
        return len(clients) == 2

    eventually(both, what='clients of both workers')
    victim, other = clients
    if how == 'kill':
        os.kill(victim, SIGKILL)
    else:
        clients[victim][0].send_line('die')
    for c in clients[victim]:
        assert c.is_cut()
    for c in clients[other]:
        assert ask(c, 'hello') == 'hello'
    eventually(lambda: len(server.children()) == 2 and victim not in server.children(),
               what='a successor')


def test_orphaned_worker_serves_to_the_end_and_leaves(serve):
    server = serve()
    client = server.client()
    pid, _ = thread_of(client)
    server.signal(SIGKILL)
    server.wait()
    eventually(lambda: not tend.listens(server.address), what='the port is free')
    assert ask(client, 'still there') == 'still there'
    client.close()
    eventually(lambda: not tend.is_alive(pid), what='the worker is gone')


# ---- fork ----

def test_child_of_a_handler_has_one_thread_and_the_usual_mask(serve):
    server = serve()
    with server.client() as c, server.client() as other:
        thread_of(other)
        c.send_line('fork')
        assert c.recv_line() == 'child 1 0'
        assert c.recv_line() == 'parent 0'
        assert ask(c, 'hello') == 'hello'
    server.wait_log("In a child of the handler's own")


def test_fork_is_safe_while_other_threads_are_at_work(serve):
    """No lock is left held in the child: it logs and ends, whatever the others did."""
    server = serve()
    over = threading.Event()

    def chatter():
        with server.client() as c:
            while not over.is_set():
                ask(c, 'log')

    def come_and_go():
        while not over.is_set():
            with server.client() as c:
                ask(c, 'log')

    others = [threading.Thread(target=f) for f in (chatter, chatter, come_and_go)]
    for one in others:
        one.start()
    try:
        with server.client(timeout=20 * tend.DEADLINE) as c:
            assert ask(c, 'forks 300') == '300 0'
    finally:
        over.set()
        for one in others:
            one.join()
    numbers = [int(n) for n in re.findall(r'Line (\d+) \[', server.log())]
    assert sorted(numbers) == list(range(len(numbers)))


def test_child_that_returns_from_the_handler_is_no_worker(serve):
    """It ends after its client; the parent serves on."""
    server = serve()
    with server.client() as c:
        c.send_line('return')
        assert sorted(c.recv_line() for _ in range(2)) == ['child', 'parent 0']
        assert len(server.tree()) == 2
    with server.client() as c:
        assert ask(c, 'hello') == 'hello'


def test_programs_of_handlers_hear_signals(serve):
    server = serve()
    with server.client() as c:
        c.send_line('program')
        assert [c.recv_line().split(':')[1].strip() for _ in range(2)][0].strip('0') == ''


def test_programs_of_all_threads_end_with_the_server(start):
    """tend_conn_exec(): TERM reaches each of them, none is left."""
    server = start('run', 'server_type', 'Thread', *PORT, '--', 'sh', '-c',
                   'echo $$; exec sleep 600')
    clients = [server.client() for _ in range(5)]
    programs = [int(c.recv_line()) for c in clients]
    assert all(tend.is_alive(pid) for pid in programs)
    clients[0].reset()
    eventually(lambda: not tend.is_alive(programs[0]), what='the first program is gone')
    assert all(tend.is_alive(pid) for pid in programs[1:])
    assert server.stop(SIGTERM) == 0
    assert not any(tend.is_alive(pid) for pid in programs)


# ---- restart ----

def test_restart_by_hup_lets_old_threads_finish(serve):
    """NS-SIG-01: the new image has threads of its own, the old worker leaves after its clients."""
    server = serve()
    client = server.client()
    old, _ = thread_of(client)
    server.signal(SIGHUP)

    def new_one():
        with server.client() as c:
            return thread_of(c)[0] != old

    eventually(new_one, what='a worker of the new image')
    assert ask(client, 'still there') == 'still there'
    client.close()
    eventually(lambda: not tend.is_alive(old), what='the old worker is gone')
