"""examples/hooks.c under observation: its trace, and the contract of every line in it."""

import collections
import re

import pytest

import tend
from tend import eventually

FORKING = ['Fork', 'PreForkSimple', 'PreFork']
POOLS = ['PreForkSimple', 'PreFork']

# A pool of two, whatever the personality makes of it; nothing happens by time alone.
TWO = ['max_servers', 2, 'idle_period', 0]

START = ['configure', 'configured', 'bound', 'ready']
SERVED = ['accepted', 'allow', 'process', 'processed', 'closed']
DENIED = ['accepted', 'allow', 'denied', 'processed', 'closed']
DENIED_BY_RULE = ['accepted', 'denied', 'processed', 'closed']
END = ['stopping', 'children_gone']

# Where each hook runs; those of a connection run where it is served.
IN_PARENT = {*START, *END, 'before_spawn', 'child_born', 'child_died', 'stranger_died', 'idle',
             'child_spoke'}
IN_CHILD = {'child_start', 'child_exit', 'child_idle', 'dequeue'}
OF_CONNECTIONS = {*SERVED, 'denied'}

Line = collections.namedtuple('Line', 'pid role hook rest')


class Trace:
    """What the server wrote down."""

    def __init__(self, path):
        self.path = path

    def lines(self, hook=None, pid=None):
        try:
            text = self.path.read_text()
        except FileNotFoundError:
            return []
        # A line that is being written now has no end yet.
        found = [Line(int(words[0]), *words[1:3], ' '.join(words[3:]))
                 for words in (line.split(' ') for line in text.split('\n')[:-1])]
        return [line for line in found
                if hook in (None, line.hook) and pid in (None, line.pid)]

    def hooks(self, pid):
        """The names of the hooks that the process ran; many turns of waiting count as one."""
        names = [line.hook for line in self.lines(pid=pid)]
        return [name for i, name in enumerate(names)
                if name != 'before_accept' or i == 0 or names[i - 1] != name]

    def wait(self, hook, rest='', count=1, pid=None):
        """Waits for so many lines of the hook whose rest matches; returns them."""
        def found():
            lines = [line for line in self.lines(hook, pid) if re.match(rest, line.rest)]
            return lines if len(lines) >= count else None

        try:
            return eventually(found)
        except AssertionError:
            raise AssertionError(f'not {count} of {hook} {rest!r} in the trace:\n'
                                 + self.path.read_text()) from None

    def wait_served(self, pid):
        """Waits until the process has served a client and waits for the next."""
        eventually(lambda: self.hooks(pid)[-2:] == ['closed', 'before_accept'],
                   what=f'{pid} waits for another client')

    def born(self, kind=None):
        """{pid: kind} of all children."""
        born = dict(line.rest.split() for line in self.lines('child_born'))
        return {int(pid): of for pid, of in born.items() if kind in (None, of)}


def assert_every_hook_ran_in_its_process(server, trace, forks):
    """The contracts of tend/service.h."""
    born = trace.born()
    for line in trace.lines():
        if line.role == 'parent':
            assert line.pid == server.pid, line
        else:
            assert line.pid in born, line
        if line.hook in IN_PARENT:
            assert line.role == 'parent', line
        elif line.hook in IN_CHILD:
            assert line.role == 'child', line
        elif line.hook in OF_CONNECTIONS:
            assert line.role == ('child' if forks else 'parent'), line
        if line.hook in ('child_start', 'child_exit'):
            assert line.rest == born[line.pid], line


@pytest.fixture
def hooks(start, directory):
    """Starts the example; the server has its Trace. At the end each line is looked at."""
    servers = []

    def start_hooks(*words, **options):
        trace = Trace(directory / f'trace.{len(servers)}')
        if options.get('listeners') != 0:
            words = ('port', '127.0.0.1:0', *words)
        server = start(*words, 'trace', trace.path, program=tend.find_program('hooks'), **options)
        server.trace = trace
        server.forks = 'INET' not in words and 'Single' not in words
        servers.append(server)
        return server

    yield start_hooks
    for server in servers:
        if server.is_alive():
            server.stop()
        assert_every_hook_ran_in_its_process(server, server.trace, server.forks)


def talk(client, *lines):
    """Says the lines and quits; returns all that came back."""
    client.send(''.join(f'{line}\n' for line in (*lines, 'quit')))
    return client.recv_all().decode()


def visit(server, *lines):
    """A whole conversation; returns what came back and the client's own address."""
    with server.client() as c:
        host, port = c.sock.getsockname()
        return talk(c, *lines), f'{host}:{port}'
