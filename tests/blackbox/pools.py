"""What the tests of pools share: starting pool.c, asking it, counting its workers, loading it.

The word pool means PreFork and PreForkSimple; `words` gives the options that make either keep a
constant number of workers.
"""

import json
import subprocess
import threading
import time
from pathlib import Path
from signal import SIGTERM

import tend
from tend import eventually

POOLS = ['PreForkSimple', 'PreFork']

# And those of which it is the workers who accept.
WORKERS = [*POOLS, 'Multiplex', 'Thread']

# Multiplex serves in fibers, unless the service has hooks to be called.
EVENTED = 'Multiplex evented'
MULTIPLEX = ['Multiplex', EVENTED]

# Workers in each of their moods.
KINDS = [*WORKERS, EVENTED]

# "The pool is back within a second."
SECOND = 1.0 * tend.SLOW


def words(personality, count):
    """Options for `count` workers, always."""
    if personality == 'PreForkSimple':
        return ['max_servers', count]
    if personality == 'PreFork':
        return ['min_servers', count, 'max_servers', count, 'min_spare_servers', 0,
                'max_spare_servers', count - 1, 'idle_to_minimum', 0]
    if personality in (*MULTIPLEX, 'Thread'):
        return ['workers', count]
    return []


def choose(personality, environment=None):
    """The option for it, and the environment that chooses the mood of pool.c and restarting.c."""
    if personality == EVENTED:
        return ['server_type', 'Multiplex'], {**(environment or {}), 'MOOD': 'evented'}
    return ['server_type', personality], environment


def start_pool(start, personality, count, *more, **options):
    """Starts pool.c with `count` workers, and waits for them."""
    options.setdefault('program', tend.find_program('pool'))
    kind, options['environment'] = choose(personality, options.get('environment'))
    server = start(*kind, 'port', '127.0.0.1:0', *words(personality, count), *more, **options)
    if personality in KINDS:
        wait_for_workers(server, count)
    return server


def wait_for_workers(server, count, timeout=tend.DEADLINE):
    """Waits until there are exactly so many; returns their pids."""
    found = []

    def enough():
        found[:] = server.children()
        return len(found) == count

    try:
        eventually(enough, timeout)
        return found
    except AssertionError:
        raise AssertionError(f'not {count} workers within {timeout:.1f} s but '
                             f'{found}\n{server.log()}') from None


# ---- clients ----

def ask(client, question):
    client.send_line(question)
    return client.recv_line()


def pid_of(client):
    """Of the process that serves this client."""
    return int(ask(client, 'pid'))


def board(client):
    """What the board says: children, busy ones, connections there ever were."""
    return tuple(int(word) for word in ask(client, 'board').split())


def visit(server, which=0):
    """A client that comes, is served and goes; returns the pid that served it."""
    with server.client(which) as c:
        pid = pid_of(c)
        c.half_close()
        c.expect_end()
    return pid


def busy_clients(server, count):
    """So many clients that are being served, each by a process of its own."""
    clients = []
    try:
        for _ in range(count):
            clients.append(server.client())
            pid_of(clients[-1])
    except BaseException:
        close_all(clients)
        raise
    return clients


def close_all(clients):
    for c in clients:
        c.close()


# ---- load ----

def catches(pid, signo):
    """Whether the process has a handler for the signal."""
    try:
        status = Path(f'/proc/{pid}/status').read_text()
    except OSError:
        return False
    caught = next(line for line in status.splitlines() if line.startswith('SigCgt:'))
    return bool(int(caught.split()[1], 16) >> (signo - 1) & 1)


WITHOUT_END = 86400

class Storm:
    """conn_storm in the background: each client sends a line and wants it back.

    It ends after so many seconds, so many connections, or, without either, with finish().
    """

    def __init__(self, server, *more, seconds=None, connections=None, concurrency=4, line='storm',
                 target=None):
        self.allowed = (seconds or 0) + (connections or 0) / 500 * tend.SLOW + 3 * tend.DEADLINE
        target = target or '%s:%d' % server.address
        argv = [tend.find_program('conn_storm'), target, '--concurrency', concurrency,
                '--timeout', tend.DEADLINE, *(['--seconds', seconds] if seconds else []),
                *(['--connections', connections] if connections else []),
                *([] if seconds or connections else ['--seconds', WITHOUT_END]),
                *(['--send', line + '\\n', '--expect-text', line + '\\n'] if line else []), *more]
        self.popen = subprocess.Popen([str(word) for word in argv], stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True)
        # Told to stop before it listens to that, it would end without a result.
        eventually(lambda: not self.runs() or catches(self.popen.pid, SIGTERM),
                   what='conn_storm can be told to stop')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.communicate()

    def runs(self):
        return self.popen.poll() is None

    def stop(self):
        """No new clients from now on."""
        self.popen.terminate()

    def result(self):
        """Waits for the end; what became of the connections."""
        try:
            out, err = self.popen.communicate(timeout=self.allowed)
        except subprocess.TimeoutExpired:
            raise AssertionError(f'conn_storm hangs: {" ".join(self.popen.args)}') from None
        assert out, err
        return json.loads(out)

    def finish(self):
        """Opens no more; what became of those there were."""
        self.popen.terminate()
        return self.result()

    def expect_all_served(self):
        result = self.result()
        assert result['ok'] == result['connections'] > 0, result
        return result


def storm(server, *more, **options):
    """Runs a storm to its end; every client is served. Returns its result."""
    with Storm(server, *more, **options) as s:
        return s.expect_all_served()


# ---- watching ----

class Background:
    """While a `with` lasts, run() goes on in a thread of its own; it ends when `over` is set."""

    def __init__(self):
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


class Sampler(Background):
    """Counts the workers again and again; keeps the values."""

    def __init__(self, server):
        super().__init__()
        self.server = server
        self.values = []

    def look(self):
        """Zombies count as well here, where the kernel has a list: it is by far quicker."""
        try:
            path = Path(f'/proc/{self.server.pid}/task/{self.server.pid}/children')
            return len(path.read_text().split())
        except OSError:
            return len(self.server.children())

    def run(self):
        while not self.over.wait(0.002):
            self.values.append(self.look())


def zombies(server):
    """Children of the server that are dead and not reaped, now."""
    found = (tend.process(int(name.name)) for name in Path('/proc').iterdir()
             if name.name.isdigit())
    return [one.pid for one in found
            if one is not None and one.ppid == server.pid and not one.lives]


def expect_no_zombie(server):
    """One that is just being reaped goes by itself."""
    eventually(lambda: not zombies(server), timeout=2 * SECOND, what='every dead child is reaped')


def is_served(server, timeout=1.0, which=0):
    """Whether a new client gets its line back."""
    try:
        with server.client(which, timeout=timeout) as c:
            return ask(c, 'served?') == 'served?'
    except (OSError, AssertionError):
        return False


def pause(seconds):
    """For what has to be watched for a while because it must not happen."""
    time.sleep(seconds)
