"""When descriptors run out: no exit, no spin, a line in the log, and service as soon as it can be.

The share of processor time is a ratio over a while, so that a slow machine does not matter.
"""

import re
import resource
import time

import pytest

import pools
import tend
from tend import eventually

STARVED = r'(?i)too many open files|descriptors? (?:limit|exhausted)|out of descriptors'
CPU_SHARE = 0.30
WATCH_SECONDS = 2.0
FLOOD = 200


def flood(server, count=FLOOD):
    """Clients that connect and hold on. Those that nobody accepts wait in the kernel's queue."""
    return [server.client() for _ in range(count)]


def is_served(server, timeout=1.0):
    """Whether a new client gets its line back."""
    try:
        with server.client(timeout=timeout) as c:
            c.send(b'served?\n')
            return c.recv_until(b'\n') == b'served?\n'
    except (OSError, AssertionError):
        return False


def close_all(clients):
    for c in clients:
        c.close()


def quiet_share(server):
    """Processor share once the flood has been dealt with: forking 200 times is work, not a spin."""
    def settled():
        before = server.cpu_seconds()
        time.sleep(0.1)
        return server.cpu_seconds() - before < 0.05

    try:
        eventually(settled, timeout=3 * tend.SLOW)
    except AssertionError:
        pass  # it may be spinning: that is what is measured next
    return server.cpu_share(WATCH_SECONDS)


@pytest.fixture
def limited(start, personality, where):
    """`tend echo` that may have 64 descriptors in each process."""
    return start('echo', 'server_type', personality, 'port', where,
                 before_exec=tend.limit_descriptors(64))


def test_flood_beyond_the_descriptor_limit_is_survived(limited):
    """NS-ACP-02, NS-ACP-04, NS-FRK-17"""
    clients = flood(limited)
    try:
        share = quiet_share(limited)
        assert share < CPU_SHARE, f'{share:.0%} of a processor while {FLOOD} clients hold on'
        assert limited.is_alive()
    finally:
        close_all(clients)
    eventually(lambda: is_served(limited), what='a new client is served after the flood')


def accepting(server, personality):
    """The processes that accept: the workers where there are some, else the server itself."""
    if personality in pools.WORKERS:
        return eventually(server.children, what='workers')
    return [server.pid]


def starve(pid):
    """Takes every free descriptor from a process: the limit becomes the lowest free number.

    Again and again for a moment, because the last client's may be about to be closed.
    """
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    for _ in range(20):
        used = tend.open_descriptors(pid)
        lowest = next(n for n in range(len(used) + 1) if n not in used)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest, hard))
        time.sleep(0.01)


def feed(pid):
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(hard, 1024), hard))


@pytest.fixture
def two_workers(start, personality, where):
    words = {
        'PreForkSimple': ['max_servers', '2'],
        'PreFork': ['min_servers', '2', 'max_servers', '3',
                    'min_spare_servers', '1', 'max_spare_servers', '2'],
        'Multiplex': ['workers', '2'],
        'Thread': ['workers', '2'],
    }.get(personality, [])
    server = start('echo', 'server_type', personality, 'port', where, *words)
    assert is_served(server, tend.DEADLINE)
    if words:
        eventually(lambda: len(server.children()) == 2, what='two workers')
    else:
        eventually(lambda: not server.children(), what='the child of the first client is gone')
    return server


def test_starved_server_does_not_spin_and_recovers(two_workers, personality):
    """NS-TST-65, NS-FRK-17, NS-ACP-02, NS-ACP-04"""
    server = two_workers
    pids = accepting(server, personality)
    for pid in pids:
        starve(pid)
    clients = flood(server)
    try:
        server.wait_log(STARVED)
        share = server.cpu_share(WATCH_SECONDS)
        assert share < CPU_SHARE, f'{share:.0%} of a processor while starved'
        assert all(tend.is_alive(pid) for pid in pids), 'the same processes go on'
        assert len(re.findall(STARVED, server.log())) < 40, 'the log is spared'
    finally:
        close_all(clients)
    for pid in pids:
        feed(pid)
    eventually(lambda: is_served(server), what='a new client is served after the famine')
    assert all(tend.is_alive(pid) for pid in pids)


def test_client_in_the_queue_is_served_once_there_are_descriptors(start, where):
    """NS-FRK-17: starved, the server leaves the client in the queue instead of losing it."""
    server = start('echo', 'server_type', 'Single', 'port', where)
    assert is_served(server, tend.DEADLINE)
    starve(server.pid)
    with server.client() as c:
        c.send(b'patient\n')
        server.wait_log(STARVED)
        feed(server.pid)
        assert c.recv_until(b'\n') == b'patient\n'
