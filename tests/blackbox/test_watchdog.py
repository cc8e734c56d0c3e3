"""The option busy_timeout: a child that never waits for its client is ended by the master.

NW-D24: one stuck handler does not occupy a child for ever. NS-PF-49: a watchdog. The service is
waiter.c, whose `nap` and `forever` sleep without the server's knowledge, and `tend run`.
"""

import re
from signal import SIGKILL, SIGQUIT

import pytest

import pools
import tend
from pools import ask, pause, pid_of, visit, wait_for_workers
from tend import eventually

FORKING = ['Fork', 'PreForkSimple', 'PreFork']
STUCK = r'Child {} has worked for 0\.3 s without waiting for its client; ending it ' \
    r'\(option busy_timeout\)'


@pytest.fixture(params=FORKING)
def forking(request):
    return request.param


@pytest.fixture
def watched(start, directory, forking):
    """A server of two workers, if it has any, whose children may work for 0.3 s."""
    def start_watched(*words):
        server = start('server_type', forking, *pools.words(forking, 2), 'port', '127.0.0.1:0',
                       'busy_timeout', 0.3, 'trace', directory / 'trace', *words,
                       program=tend.find_program('waiter'))
        if forking in pools.POOLS:
            wait_for_workers(server, 2)
        return server

    return start_watched


def wait_death(directory, pid):
    """Waits for the end of this child; the status that the hook child_died was told."""
    def status():
        return re.search(rf'^child_died \d+ parent {pid} (\d+)$',
                         (directory / 'trace').read_text(), re.MULTILINE)

    return int(eventually(status, what=f'{pid} ends').group(1))


def test_child_that_never_waits_is_ended(watched, forking, directory):
    """NW-D24: with TERM, then KILL; nobody else is harmed."""
    server = watched('stop_timeout', 0.2)
    with server.client() as stuck, server.client() as other:
        pid, another = pid_of(stuck), pid_of(other)
        stuck.send_line('forever')
        assert stuck.is_cut()
        assert wait_death(directory, pid) == SIGKILL
        server.wait_log(STUCK.format(pid))
        server.wait_log(rf'Child {pid} did not end within 0\.2 s; killing it '
                        r'\(option stop_timeout\)')
        assert ask(other, 'untouched') == 'untouched'
        assert pid_of(other) == another
    if forking in pools.POOLS:
        wait_for_workers(server, 2)
    visit(server)
    assert len(re.findall('option busy_timeout', server.log())) == 1


def test_every_stuck_child_is_ended(watched):
    """The pool is whole again, however often."""
    server = watched('stop_timeout', 0.1)
    for _ in range(3):
        clients = [server.client(), server.client()]
        for c in clients:
            c.send_line('forever')
        assert all(c.is_cut() for c in clients)
        pools.close_all(clients)
    visit(server)
    server.wait_log('option busy_timeout', count=6)


def test_child_that_waits_is_left_alone(watched):
    """However long: for its client, in tend_sleep(), or both in turn with its work."""
    server = watched()
    with server.client() as silent, server.client() as c:
        pids = pid_of(silent), pid_of(c)
        assert ask(c, 'sleep 1.0') == '0'
        for _ in range(8):
            assert ask(c, 'nap 0.1') == ''
        assert (pid_of(silent), pid_of(c)) == pids
    assert 'busy_timeout' not in server.log()


def test_child_that_waits_for_its_program_is_left_alone(start):
    """A program that runs for a client may work as long as it likes."""
    server = start('run', '--server_type', 'PreForkSimple', '--max_servers', 1, '--busy_timeout',
                   0.2, '--port', '127.0.0.1:0', '--', 'sh', '-c', 'sleep 1; echo done')
    with server.client() as c:
        assert c.recv_line() == 'done'
    assert 'busy_timeout' not in server.log()


def test_child_that_waits_after_all_is_not_killed(watched, directory):
    """It was told to end, with child_stop finish, and does so after its client."""
    server = watched('child_stop', 'finish', 'stop_timeout', 3 * tend.DEADLINE)
    with server.client() as c:
        pid = pid_of(c)
        c.send_line('nap 1.0')
        server.wait_log(STUCK.format(pid))
        assert c.recv_line() == ''
        pause(0.5)
        assert pid_of(c) == pid
        c.send_line('quit')
        c.expect_end()
    assert wait_death(directory, pid) == 0
    assert len(re.findall('option busy_timeout', server.log())) == 1


def test_graceful_stop_does_not_wait_for_a_stuck_child(watched):
    """NS-SHD-09: graceful_timeout is unlimited by default."""
    server = watched('stop_timeout', 0.2)
    with server.client() as c:
        pid = pid_of(c)
        c.send_line('forever')
        assert server.stop(SIGQUIT) == 0
        assert c.is_cut()
    server.wait_log(STUCK.format(pid))


def test_children_may_work_for_ever_by_default():
    """There are services that compute for hours."""
    assert re.search(r'^busy_timeout = 0 ', tend.run('dump', 'echo').stdout, re.MULTILINE)
