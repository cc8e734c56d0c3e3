"""Children, their limits and their log lines, and the client on standard input and output.

pool.c and `tend echo` where the number of processes matters; streams.c where the handler is one
that prints and reads with fgets.
"""

import os
import re
import signal
import socket

import pytest

import pools
import tend
from pools import SECOND, ask, busy_clients, close_all, pid_of, start_pool, visit, wait_for_workers
from tend import Client, eventually

FORKING = ['Fork', 'PreForkSimple', 'PreFork']
UNHARMED = {'ASAN_OPTIONS': 'verify_asan_link_order=0'}


# ---- the client on standard input and output ----

class Streams:
    """streams.c: one server for many clients, or, for INET, one a client."""

    def __init__(self, start, directory, personality, *words):
        self.start, self.directory, self.personality = start, directory, personality
        self.trace_path, self.gate = directory / 'trace', directory / 'gate'
        self.out = directory / 'out'
        self.mine = directory / 'mine'
        os.mkfifo(self.gate)
        self.mine.write_text('a line of the caller\n')
        self.words = ['server_type', personality, 'trace', self.trace_path, 'gate', self.gate,
                      *words, *pools.words(personality, 1)]
        self.server = None if personality == 'INET' else self.launch()

    def launch(self):
        with open(self.mine) as mine, open(self.out, 'w') as out:
            return self.start('port', '127.0.0.1:0', *self.words, stdin=mine, stdout=out,
                              program=tend.find_program('streams'))

    def client(self):
        if self.server is not None:
            return self.server.client()
        ours, theirs = socket.socketpair()
        with theirs:
            self.start(*self.words, listeners=0, stdin=theirs, stdout=theirs,
                       program=tend.find_program('streams'))
        return Client(sock=ours)

    def trace(self, count):
        """Waits for so many lines of the hook `closed`: (how reading ended, 0, 1, 2)."""
        def enough():
            text = self.trace_path.read_text() if self.trace_path.exists() else ''
            lines = [line.split() for line in text.splitlines()]
            return lines if len(lines) >= count else None
        return eventually(enough, what='lines of the trace')


@pytest.fixture
def streams(start, directory):
    return lambda personality, *words: Streams(start, directory, personality, *words)


@pytest.fixture(params=[*tend.ONE_CLIENT, 'INET'])
def everywhere(request):
    return request.param


def tell(client, line):
    """Waits for the prompt, and only then speaks."""
    assert client.recv_until(b'? ') == b'? '
    client.send_line(line)


def test_prompt_without_newline_comes_before_the_handler_reads(streams, everywhere):
    """NS-CIO-01, NS-CIO-03: printf and fgets speak with the client"""
    with streams(everywhere).client() as c:
        for line in ('hello', 'with % and \\', ''):
            tell(c, f'say {line}')
            assert c.recv_line() == line
        c.half_close()
        assert c.recv_all() == b'? '


def test_descriptors_are_the_client_and_the_null_device_afterwards(streams, everywhere):
    """NS-CIO-01, NS-CIO-02: 0 and 1 are one socket, 2 is not; then null and null"""
    service = streams(everywhere)
    with service.client() as c:
        tell(c, 'where')
        word, zero, one, two = c.recv_line().split(' ', 3)
        assert word == 'at' and zero == one and zero.startswith('socket:')
        assert two not in (zero, '/dev/null')
        c.half_close()
        c.recv_all()
    reading, zero, one, _ = service.trace(1)[0]
    assert (reading, zero, one) == ('end', '/dev/null', '/dev/null')


@pytest.mark.parametrize('word', ['raw', 'cat'])
def test_descriptors_serve_code_that_reads_and_writes_them(streams, everywhere, word):
    """NS-CIO-01, NW-34: by itself or by a child program; a read waits for the client"""
    with streams(everywhere).client() as c:
        tell(c, word)
        assert c.recv_line() == 'go'
        for text in ('some bytes', 'and more'):
            c.send_line(text)
            assert c.recv_line() == text
        c.half_close()
        assert c.recv_all() == b'? '


def test_child_program_prints_in_its_turn(streams, everywhere):
    """NS-CIO-01: after what the handler has flushed, before what it prints next"""
    with streams(everywhere).client() as c:
        tell(c, 'both')
        assert [c.recv_line() for _ in range(3)] == ['first', 'second', 'third']


@pytest.mark.parametrize('personality', tend.ONE_CLIENT)
def test_nothing_of_one_client_reaches_the_next(streams, personality):
    """NS-CIO-02, NS-CIO-03: neither output without a newline nor input that nobody read"""
    service = streams(personality)
    for _ in range(3):
        with service.client() as c:
            c.send('residue\n' + 'say left over\n' * 200)
            c.half_close()
            assert c.recv_all() == b'? half'
        with service.client() as c:
            tell(c, 'say mine')
            assert c.recv_line() == 'mine'
            c.half_close()
            assert c.recv_all() == b'? '


def test_deadlines_apply_to_fgets(streams, everywhere):
    """NS-CIO-11, NW-D24: the handler sees an error of its stream, and why"""
    service = streams(everywhere, 'idle_timeout', 0.2)
    with service.client() as c:
        assert c.recv_until(b'? ') == b'? '
        watch = tend.Stopwatch()
        c.expect_end()
        assert watch.taken() < 0.2 + SECOND
    assert service.trace(1)[0][0] == 'ETIMEDOUT'


def test_client_that_is_let_go_of_early_sees_the_end_at_once(streams, everywhere):
    """NS-CIO-06, NS-CIO-02: although the handler goes on; what it prints then is for nobody"""
    service = streams(everywhere)
    with service.client() as c:
        tell(c, 'close')
        c.expect_end()
        assert not service.trace_path.exists()
        with open(service.gate, 'w'):
            pass
    assert service.trace(1)[0][1:3] == ['/dev/null', '/dev/null']
    if everywhere != 'INET':
        assert service.out.read_text() == ''
        with service.client() as c:
            tell(c, 'say next')
            assert c.recv_line() == 'next'


@pytest.mark.parametrize('personality', tend.ONE_CLIENT)
def test_streams_of_the_caller_are_given_back(streams, personality):
    """NS-CIO-02: what follows tend_main() has the input and output it was started with"""
    service = streams(personality)
    with service.client() as c:
        tell(c, 'say to the client')
        assert c.recv_line() == 'to the client'
    assert service.server.stop() == 0
    assert service.out.read_text() == 'mine again: a line of the caller\n'


def test_no_client_stdout_leaves_them_alone(streams, personality):
    """NS-CIO-04, NS-OPT-63: the handler has its connection, printf the server's own output"""
    service = streams(personality, 'no_client_stdout', 1, 'handle', 1)
    with service.client() as c:
        tell(c, 'where')
        assert c.recv_line().split()[1:3] == [str(service.mine), str(service.out)]
        tell(c, 'own what is printed')
        c.half_close()
        assert c.recv_all() == b'? '
    service.trace(1)
    assert service.server.stop() == 0
    assert service.out.read_text().splitlines()[0] == 'what is printed'


def test_echo_needs_no_standard_streams(start, personality):
    """NS-CIO-04: the handlers of the command use the connection"""
    server = start('echo', 'server_type', personality, 'port', '127.0.0.1:0', 'no_client_stdout', 1)
    with server.client() as c:
        assert ask(c, 'back again') == 'back again'


# ---- children ----

def test_limit_is_told_again_while_it_lasts(start):
    """NS-FRK-01, NS-FRK-02, NS-FRK-11: every check_for_dead seconds, with the limit"""
    server = start_pool(start, 'Fork', 1, 'max_servers', 2, 'check_for_dead', 0.1, 'log_level', 2)
    clients = busy_clients(server, 2)
    watch = tend.Stopwatch()
    server.wait_log(r'2 clients are served, new ones wait in the queue \(option max_servers\)',
                    count=3)
    assert watch.elapsed() > 0.15
    with server.client() as waiting:
        waiting.send_line('patience')
        clients.pop().close()
        assert waiting.recv_line() == 'patience'
    close_all(clients)


def test_free_slot_is_used_at_once(start):
    """NS-FRK-12: by the end of the child, not by the time of a poll"""
    server = start_pool(start, 'Fork', 1, 'max_servers', 1, 'check_for_dead', 60)
    for _ in range(5):
        with server.client() as first, server.client() as second:
            pid_of(first)
            second.send_line('pid')
            first.close()
            watch = tend.Stopwatch()
            second.recv_line()
            assert watch.taken() < 0.5 * SECOND


def test_child_for_a_client_has_no_listener(start, directory):
    """NS-FRK-14: it holds its client and, of the sockets, nothing else; it ends with status 0"""
    server = start_pool(start, 'Fork', 1, 'port', f'{directory}/socket|unix', 'log_level', 4,
                        listeners=2)

    def sockets(pid):
        return {link for link in tend.links_of(pid) if link.startswith('socket:')}

    with server.client() as c:
        pid = pid_of(c)
        assert len(sockets(pid)) == 1 and not sockets(pid) & sockets(server.pid)
    server.wait_log(rf'Child {pid} ended\b')


@pytest.mark.parametrize('kind', FORKING)
def test_abnormal_end_is_told_with_pid_and_reason(start, kind):
    """NS-FRK-19, NS-PF-30"""
    server = start_pool(start, kind, 2, 'log_level', 1, listeners=0)
    eventually(lambda: os.path.exists(server.stderr_path))
    server.endpoints = [('TCP', ('127.0.0.1', port_of(server)))]
    with server.client() as c:
        pid = pid_of(c)
        c.send_line('die')
        assert c.is_cut()
    server.wait_log(rf'Child {pid} was killed by signal {int(signal.SIGABRT)} \(ABRT\)')


def port_of(server):
    """The port of a server whose log does not tell: the only one that its process listens on."""
    def found():
        inodes = set()
        for fd in tend.open_descriptors(server.pid):
            try:
                match = re.match(r'socket:\[(\d+)\]', os.readlink(f'/proc/{server.pid}/fd/{fd}'))
            except OSError:
                continue
            if match:
                inodes.add(match.group(1))
        with open('/proc/net/tcp') as f:
            rows = [line.split() for line in f.readlines()[1:]]
        ports = [int(row[1].split(':')[1], 16) for row in rows if row[9] in inodes
                 and row[3] == '0A']
        return ports[0] if ports else None
    return eventually(found, what='a port that the server listens on')


@pytest.mark.parametrize('kind', pools.POOLS)
def test_child_that_something_else_waited_for_is_missed_and_replaced(start, kind):
    """NS-PF-35, NS-PFS-03, NS-PFS-12, NS-PF-23: no signal tells, check_for_dead finds out"""
    server = start_pool(start, kind, 2, 'check_for_dead', 0.2, 'log_level', 4,
                        program=tend.find_program('streams'))
    before = set(server.children())
    server.signal(signal.SIGUSR2)
    gone = int(server.wait_log(r'Child (\d+) is gone and its status with it').group(1))
    assert gone in before
    after = set(wait_for_workers(server, 2))
    assert gone not in after and len(before & after) == 1
    assert server.stop() == 0


def test_server_ends_although_a_child_was_waited_for_elsewhere(start):
    """NS-PF-35, NS-SHD-07: nobody waits for one that cannot come"""
    server = start_pool(start, 'PreFork', 2, 'check_for_dead', 0, 'log_level', 4,
                        program=tend.find_program('streams'))
    server.signal(signal.SIGUSR2)
    eventually(lambda: len(server.children()) < 2)
    assert server.stop() == 0


@pytest.mark.parametrize('kind', tend.PERSONALITIES)
def test_interrupted_accept_is_no_failure(start, kind):
    """NS-ACP-03, NS-ACP-01"""
    server = start_pool(start, kind, 1, 'log_level', 4,
                        environment={**tend.refusing('accept4:EINTR:3, accept4:ECONNABORTED:2'),
                                     **UNHARMED})
    visit(server)
    visit(server)
    assert 'Cannot accept' not in server.log()


@pytest.mark.parametrize('kind', ['Fork', *pools.POOLS])
def test_start_without_shared_memory_fails_in_order(directory, kind):
    """NW-23, NW-129: one line that says why, and a status"""
    done = tend.run('echo', 'server_type', kind, 'port', f'{directory}/socket|unix', 'log_level', 0,
                    environment={**tend.refusing('mmap:ENOMEM:*'), **UNHARMED})
    assert done.returncode == tend.EX_OSERR
    line, = done.stderr.splitlines()
    assert re.search(r'cannot make the board of \d+ children: ', line)
    assert not (directory / 'socket').exists()


# ---- lines of the log ----

def life_of_a_pool(start, directory, level, *words, program=None, clients=1, **options):
    """A server that has a client, is resized, warned and ended; its log at this level."""
    path = directory / f'socket{level}'
    server = start('server_type', 'PreFork', 'port', f'{path}|unix', 'log_level', level,
                   *pools.words('PreFork', 2), *words, listeners=0,
                   program=program or tend.find_program('pool'), **options)
    eventually(lambda: tend.listens(path), what='the server listens')
    server.endpoints = [('UNIX', str(path))]
    return server


def log_at(level, start, directory):
    """What a life with everything in it leaves in the log."""
    server = life_of_a_pool(start, directory, level, 'max_requests', 3, 'check_for_dequeue', 0.05,
                            'max_dequeue', 1, 'sig_passthrough', 'WINCH', 'deny', '^nobody$',
                            environment={**tend.refusing('fork:EAGAIN:1+2, accept4:EMFILE:1'),
                                         **UNHARMED})
    # Of two workers one has three of them.
    for _ in range(5):
        visit(server)
    if level >= 4:
        server.wait_log('Started dequeue child')
    with server.client() as c:
        c.send_line('die')
        assert c.is_cut()
    workers = eventually(lambda: len(server.children()) >= 2 and server.children())
    server.signal(signal.SIGTTIN)
    server.signal(signal.SIGWINCH)
    eventually(lambda: len(server.children()) >= 3, what='the third worker')
    assert workers and visit(server)
    server.signal(signal.SIGQUIT)
    assert server.wait() == 0
    return server.log()


# Each class of message of section 9.2 that a life like that has, its level, and its fields.
CLASSES = [
    ('start', 2, r'pool \(type PreFork\) starting! pid\(\d+\)'),
    ('bind', 2, r'Binding to unix socket file "/.*/socket\d"'),
    ('bound', 2, r'Bound to UNIX socket /.*/socket\d'),
    ('installed', 2, r'Passing signal WINCH on to children'),
    ('sig-pass', 4, r'Passing signal WINCH to child \d+'),
    ('connect', 3, r'CONNECT UNIX Socket: "/.*/socket\d"'),
    ('accept-failed', 1, r'Cannot accept on UNIX port .*: .*'),
    ('serialise', 3, r'Workers take turns at accept by: \w+'),
    ('prefork-begin, starting-n', 3, r'Starting 2 workers'),
    ('child-start', 4, r'Started child \d+'),
    ('child-end', 4, r'Worker ends after 3 connections \(option max_requests\)'),
    ('child-abnormal', 1, r'Child \d+ was killed by signal 6 \(ABRT\)'),
    ('parent-ready', 4, r'The parent is ready, with \d+ children'),
    ('limit', 3, r'3 to 3 workers from now on \(options min_servers, max_servers\)'),
    ('bad-fork', 1, r'Cannot start a child: .*; trying again in [\d.]+ s'),
    ('dequeue-start', 4, r'Started dequeue child \d+'),
    ('slow', 3, r'Stopping gracefully: waiting for \d+ children'),
    ('closing', 2, r'Server closing!'),
    ('state', 4, r'\d+ workers: \d+ busy, \d+ waiting, \d+ leaving; \d+ wanted; \d+ clients so far'),
]


@pytest.mark.parametrize('level', range(5))
def test_each_message_is_written_at_its_level(start, directory, level):
    """NS-LOG-20, NS-LOG-01, NS-LOG-05, NS-PFS-11, NW-131"""
    log = log_at(level, start, directory)
    for name, of, pattern in CLASSES:
        line = rf'^\d{{4}}/\d\d/\d\d-\d\d:\d\d:\d\d .*{pattern}.*$'
        assert bool(re.search(line, log, re.MULTILINE)) == (of <= level), (name, of, log)


@pytest.mark.parametrize('level', range(5))
def test_stop_is_told_at_its_level(start, directory, level):
    """NS-LOG-20: term-child with its pid, and one line with the count (NW-130)"""
    server = life_of_a_pool(start, directory, level)
    pids = eventually(lambda: len(server.children()) == 2 and server.children())
    assert server.stop() == 0
    log = server.log()
    assert ('Sent signal TERM to 2 children' in log) == (level >= 3), log
    for pid in pids:
        assert (f'Signal TERM to child {pid} ' in log) == (level >= 4), log


@pytest.mark.parametrize('level', range(5))
def test_limit_of_fork_is_told_at_its_level(start, directory, level):
    """NS-LOG-20: at-limit"""
    path = directory / 'socket'
    server = start('server_type', 'Fork', 'port', f'{path}|unix', 'max_servers', 1, 'log_level',
                   level, listeners=0, program=tend.find_program('pool'))
    eventually(lambda: tend.listens(path))
    with Client(path) as c:
        pid_of(c)
        if level >= 2:
            server.wait_log('1 clients are served')
    assert server.stop() == 0
    assert ('1 clients are served' in server.log()) == (level >= 2), server.log()


@pytest.mark.parametrize('level', range(5))
def test_parent_that_is_gone_is_told_at_its_level(start, directory, level):
    """NS-LOG-20: parent-gone"""
    server = life_of_a_pool(start, directory, level)
    eventually(lambda: len(server.children()) == 2)
    visit(server)
    server.popen.kill()
    eventually(lambda: not server.leftovers(), what='the workers leave')
    assert ('The parent process is gone; leaving' in server.log()) == (level >= 3)


@pytest.mark.parametrize('level', range(5))
def test_removal_that_fails_is_told_at_its_level(start, directory, level):
    """NS-LOG-20: unlink-failed, with path and reason"""
    server = life_of_a_pool(start, directory, level,
                            environment={**tend.refusing('unlink:EACCES:*'), **UNHARMED})
    assert server.stop() == 0
    told = re.search(r'Cannot remove the socket file /.*/socket\d: \S', server.log())
    assert bool(told) == (level >= 1), server.log()


@pytest.mark.parametrize('level', range(5))
def test_end_for_a_reason_is_told_at_every_level(directory, level):
    """NS-LOG-20, NS-LOG-01: fatal"""
    done = tend.run('echo', 'port', f'{directory}/none/socket|unix', 'log_level', level)
    assert done.returncode != 0
    assert re.search(r'/none/socket', done.stderr), done.stderr


def test_pool_tells_of_its_changes_when_asked(start):
    """NW-131, NW-91: children, busy, waiting, wanted and how many clients there were"""
    server = start_pool(start, 'PreFork', 2, 'log_level', 4)
    server.wait_log(r'2 workers: 0 busy, 2 waiting, 0 leaving; 2 wanted; 0 clients so far')
    pid = visit(server)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: pid not in server.children() and len(server.children()) == 2)
    visit(server)
    with server.client() as c:
        pid_of(c)
        os.kill(next(other for other in server.children() if other != pid_of(c)), signal.SIGKILL)
        server.wait_log(r'2 workers: 1 busy, 1 waiting, 0 leaving; 2 wanted; [23] clients so far')
    # A line for a change, not for each turn.
    assert server.log().count('clients so far') <= 8
