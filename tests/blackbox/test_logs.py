"""Logs: syslog on every way, formats, the hook, and what happens when a log cannot be written."""

import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import threading

import pytest

import tend
from daemons import LOG_LINE, Daemon, as_root, free_port, greeting, launch
from tend import eventually

PORT = ['port', '127.0.0.1:0']

# What syslog is told: number, time, name, process, text.
LINE = re.compile(r'<(\d+)>([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) ([^\[\]:]+)(?:\[(\d+)\])?: (.*)')
LOST = re.compile(r'log: (\d+) lines? (?:was|were) lost since '
                  r'\d{4}/\d\d/\d\d-\d\d:\d\d:\d\d: (.+)')


class Collector:
    """Whoever collects lines: Collector('udp', directory). `lines` grows while it is open."""

    KINDS = {'unix': (socket.AF_UNIX, socket.SOCK_DGRAM), 'stream': (socket.AF_UNIX, socket.SOCK_STREAM),
             'udp': (socket.AF_INET, socket.SOCK_DGRAM), 'tcp': (socket.AF_INET, socket.SOCK_STREAM)}

    def __init__(self, kind, directory):
        self.family, self.type = self.KINDS[kind]
        self.end = b'\0' if kind == 'stream' else b'\n'
        self.address = ('127.0.0.1', free_port()) if self.family == socket.AF_INET else \
            f'{directory}/collector'
        where = f'{self.address[0]}:{self.address[1]}' if self.family == socket.AF_INET else self.address
        self.logsock = f'{kind}:{where}' if kind != 'stream' else f'unix:{where}'
        self.lines = []
        self.open()

    def open(self, reads=True):
        self.sock = socket.socket(self.family, self.type)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind(self.address)
        self.streams = []
        if self.type == socket.SOCK_STREAM:
            self.sock.listen()
        stream = self.type == socket.SOCK_STREAM
        self.reader = threading.Thread(target=self.accept_all if stream else self.read_datagrams,
                                       daemon=True)
        if reads:
            self.reader.start()

    def add(self, data):
        # What goes ahead of a reconnect is empty, as Sys::Syslog has it.
        if data:
            self.lines.append(data.decode('ascii'))

    def read_datagrams(self):
        while True:
            data = self.sock.recv(65536)
            if data == b'end':
                return
            self.add(data)

    def accept_all(self):
        while True:
            stream, _ = self.sock.accept()
            if stream.recv(3, socket.MSG_PEEK) == b'end':
                stream.close()
                return
            reader = threading.Thread(target=self.read_stream, args=[stream], daemon=True)
            self.streams.append((stream, reader))
            reader.start()

    def read_stream(self, stream):
        rest = b''
        while True:
            try:
                data = stream.recv(65536)
            except OSError:
                data = b''
            if not data:
                assert not rest, rest
                return
            *whole, rest = (rest + data).split(self.end)
            for line in whole:
                self.add(line)

    def close(self):
        """Gone, after everything that has come was read."""
        if self.sock is None:
            return
        if self.reader.is_alive():
            with socket.socket(self.family, self.type) as s:
                s.connect(self.address)
                s.send(b'end')
            self.reader.join()
        self.sock.close()
        for stream, reader in self.streams:
            stream.shutdown(socket.SHUT_RDWR)
            reader.join()
            stream.close()
        if self.family == socket.AF_UNIX:
            os.unlink(self.address)
        self.sock = None

    def parsed(self):
        found = [LINE.fullmatch(line) for line in self.lines]
        assert None not in found, self.lines
        return [m.groups() for m in found]

    def texts(self):
        return [line[4] for line in self.parsed()]

    def wait_text(self, pattern, count=1):
        eventually(lambda: len([t for t in self.texts() if re.search(pattern, t)]) >= count,
                   what=f'{count} times {pattern!r} in {self.lines}')

    def lost(self):
        """How many lines it was told that it has not seen, and what it has seen."""
        told = [LOST.fullmatch(text) for text in self.texts()]
        return sum(int(m[1]) for m in told if m), len([m for m in told if not m])


@pytest.fixture(params=Collector.KINDS)
def collector(request, directory):
    one = Collector(request.param, directory)
    yield one
    one.close()


def words_for(collector, *more):
    """Lines go to standard error as well, so that a test sees what should have arrived."""
    return [*PORT, 'log_file', 'syslog', 'syslog_logsock', collector.logsock,
            'syslog_logopt', 'pid,perror', 'log_level', '4', *more]


def serve_some(server, count):
    for _ in range(count):
        with server.client() as c:
            greeting(c)


# ---- syslog ----

def test_syslog_gets_every_line(start, personality, collector):
    """NS-LOG-40 to -44, NS-LOG-47: whole lines of all processes, at the priority of their level."""
    server = start(personality, *words_for(collector))
    serve_some(server, 5)
    collector.wait_text(r'^CONNECT TCP', 5)
    assert server.stop() == 0
    collector.wait_text(r'^Server closing')
    said = [line.split(': ', 1)[1] for line in server.stderr().splitlines()]
    eventually(lambda: sorted(collector.texts()) == sorted(said), what='all that was said has come')
    priority = {text: int(number) for number, _, _, _, text in collector.parsed()}
    assert priority['Server closing!'] == 3 * 8 + 5
    assert {name for _, _, name, _, _ in collector.parsed()} == {'net_server'}
    connects = [line for line in collector.parsed() if line[4].startswith('CONNECT')]
    assert {int(number) for number, *_ in connects} == {3 * 8 + 6}
    assert all(int(pid) for _, _, _, pid, _ in connects)


def test_syslog_options(start, directory):
    """NS-LOG-40 to -42, NS-LOG-11: in the words of Net::Server."""
    collector = Collector('unix', directory)
    conf = directory / 'conf'
    conf.write_text(f'log_file Sys::Syslog\nsyslog_logsock {collector.logsock}\n'
                    'syslog_ident my server\nsyslog_logopt perror|ndelay|nofatal\n'
                    'syslog_facility local5\n')
    server = start('Single', *PORT, 'conf_file', conf)
    assert server.stop() == 0
    collector.wait_text('^Server closing')
    number, _, name, pid, _ = collector.parsed()[-1]
    assert (int(number), name, pid) == (21 * 8 + 5, 'my server', None)
    collector.close()


@pytest.mark.parametrize('option, value', [
    ('syslog_ident', 'a\tb'), ('syslog_logopt', 'pid,pod'), ('syslog_facility', 'local8'),
    ('syslog_logsock', 'carrier'), ('syslog_logsock', 'tcp:[::1'), ('log_format', 'xml')])
def test_bad_option_of_the_log_is_refused(option, value):
    done = tend.run('check', 'Fork', f'--{option}={value}')
    assert done.returncode in (tend.EX_CONFIG, tend.EX_USAGE)
    assert len(done.stderr.splitlines()) == 1 and option in done.stderr


def test_collector_that_cannot_be_looked_up_stops_the_start(start):
    """NS-LOG-12"""
    status, said = launch(start, 'Fork', *PORT, 'log_file', 'syslog', 'syslog_logsock',
                          'udp:127.0.0.1:no-such-service')
    assert status == 68 and 'no-such-service' in said and 'syslog_logsock' in said


def test_absent_syslog_is_waited_for_by_nobody(start, personality, collector):
    """NS-LOG-45: not at the start, and not with a hundred clients."""
    collector.close()
    server = start(personality, *words_for(collector))
    serve_some(server, 100)
    collector.open()
    eventually(lambda: serve_some(server, 1) or collector.lost()[0] > 0, what='losses are told')
    assert server.is_alive()


def all_is_accounted_for(server, collector):
    """What standard error has seen has come, or was told to be lost."""
    said = [line.split(': ', 1)[1] for line in server.stderr().splitlines()]
    lost, seen = collector.lost()
    return lost + seen == len(said)


@pytest.mark.parametrize('collector', ['unix', 'stream'], indirect=True)
@pytest.mark.parametrize('server_type', ['Single', 'Fork', 'PreFork', 'Multiplex', 'Thread'])
def test_losses_are_told_to_the_line(start, server_type, collector):
    """NS-LOG-45, NS-LOG-46: a collector that goes, and comes back; of all processes together. At a
    level where nobody writes while the collector closes, between its last look and its end."""
    server = start(server_type, *words_for(collector), 'log_level', '3')
    serve_some(server, 3)
    collector.wait_text(r'^CONNECT TCP', 3)
    for _ in range(2):
        collector.close()
        serve_some(server, 10)
        collector.open()
        before = collector.lost()[0]
        eventually(lambda: serve_some(server, 1) or collector.lost()[0] > before,
                   what='losses are told')
    assert server.stop() == 0
    eventually(lambda: all_is_accounted_for(server, collector),
               what=f'{server.stderr()}\nand\n{collector.lines}')


@pytest.mark.parametrize('collector', ['udp', 'tcp'], indirect=True)
@pytest.mark.parametrize('server_type', ['Fork', 'PreFork', 'Multiplex', 'Thread'])
def test_collector_of_the_net_is_found_again(start, server_type, collector):
    """NS-LOG-45: what a kernel had taken when the collector died nobody can count."""
    server = start(server_type, *words_for(collector))
    serve_some(server, 3)
    collector.wait_text(r'^CONNECT TCP', 3)
    collector.close()
    serve_some(server, 30)
    collector.open()
    eventually(lambda: serve_some(server, 1) or collector.lost()[0] > 0, what='losses are told')
    count = len(collector.lines)
    serve_some(server, 5)
    eventually(lambda: len(collector.lines) >= count + 5, what='lines come again')
    assert server.stop() == 0
    collector.wait_text('^Server closing')


@pytest.mark.parametrize('kind', ['unix', 'stream', 'tcp'])
@pytest.mark.parametrize('server_type', ['Fork', 'PreFork', 'Multiplex', 'Thread'])
def test_collector_that_stopped_reading_holds_nobody_up(start, directory, kind, server_type):
    """NS-LOG-45: were each line to wait for a tenth of a second, this would take minutes."""
    collector = Collector(kind, directory)
    server = start(server_type, *words_for(collector))
    serve_some(server, 1)
    collector.wait_text(r'^CONNECT TCP')
    collector.close()
    collector.open(reads=False)
    serve_some(server, 300)
    assert server.is_alive()
    assert server.stop() == 0
    collector.close()


def test_usr1_looks_for_syslog_at_once(start, personality, directory):
    """NS-SIG-10, NS-FIX-45"""
    collector = Collector('unix', directory)
    server = start(personality, *words_for(collector))
    collector.close()
    serve_some(server, 3)
    collector.open()
    server.signal(signal.SIGUSR1)
    eventually(lambda: serve_some(server, 1) or collector.lost()[0] > 0)
    collector.close()


@as_root
def test_syslog_from_inside_a_jail(start, personality, directory):
    """NS-LOG-45, NS-DMN-18: the socket was connected outside; it goes on inside, as nobody."""
    (directory / 'jail').mkdir()
    collector = Collector('unix', directory)
    server = start(personality, *words_for(collector, 'chroot', directory / 'jail', 'user', 'nobody'))
    serve_some(server, 3)
    collector.wait_text(r'^CONNECT TCP', 3)
    assert server.stop() == 0
    collector.wait_text('^Server closing')
    collector.close()


def test_setsid_without_a_log_tells_syslog_what_ends_it(start, directory):
    """NS-DMN-07: that, and nothing else."""
    collector = Collector('unix', directory)
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        status, said = launch(start, 'Fork', 'port', f'127.0.0.1:{taken.getsockname()[1]}',
                              'setsid', '1', 'syslog_logsock', collector.logsock)
    assert status == tend.EX_UNAVAILABLE and 'in use' in said
    collector.wait_text('in use')
    assert [int(number) for number, *_ in collector.parsed()] == [3 * 8 + 3]
    collector.close()


def test_lines_of_clients_are_escaped_for_syslog(start, directory):
    """NS-LOG-07, NS-LOG-44: the path of a unix client is whatever that client says."""
    collector = Collector('unix', directory)
    server = start('run', *words_for(collector, 'port', f'{directory}/socket|unix'), '--',
                   '/no/such/program', listeners=2)
    connect_as(f'{directory}/a\n<0>%n%s\x1b', server.path)
    collector.wait_text(rf'for unix:{directory}/a%0A<0>%n%s%1B: ')
    collector.close()


def connect_as(mine, address):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(tend.DEADLINE)
        sock.bind(mine)
        sock.connect(address)
        with tend.Client(sock=sock) as c:
            c.expect_end()


# ---- formats ----

TIME = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d')


def logfmt(line):
    """The pairs of a line, which must be all there is."""
    pair = r'(\w+)=(?:"((?:[^"\\]|\\["\\])*)"|([^\s"]+))'
    assert re.fullmatch(rf'{pair}(?: {pair})*', line), line
    return {m[1]: re.sub(r'\\(.)', r'\1', m[2]) if m[3] is None else m[3]
            for m in re.finditer(pair, line)}


@pytest.mark.parametrize('name, parse', [('json', json.loads), ('logfmt', logfmt)])
def test_format_for_programs(start, directory, name, parse):
    """NS-LOG-32: in place of what Log4perl would make of a line."""
    path = directory / 'log'
    server = start('run', 'port', f'{directory}/so "ck"\\et|unix', 'log_file', path, 'log_level',
                   '4', 'log_format', name, '--', '/no/such/"program\\"', log_path=path, listeners=0)
    eventually(lambda: 'Bound to' in server.log())
    mine = f'{directory}/a","level":"error\n level=x \\'
    connect_as(mine, f'{directory}/so "ck"\\et')
    eventually(lambda: 'Cannot run' in server.log())
    assert server.stop() == 0
    lines = [parse(line) for line in path.read_text().splitlines()]
    assert len(lines) > 5
    for line in lines:
        assert TIME.fullmatch(line['time'])
        assert line['level'] in ('error', 'warning', 'notice', 'info', 'debug')
        assert int(line['pid']) > 0 and line['server'] == 'tend run'
        assert set(line) - {'client'} == {'time', 'level', 'pid', 'server', 'message'}
    safe = mine.replace('\n', '%0A')
    found, = [line for line in lines if line['message'].startswith('Cannot run')]
    assert found['client'] == f'unix:{safe}'
    assert found['message'].startswith(f'Cannot run /no/such/"program\\" for unix:{safe}: ')
    assert [line for line in lines if line['message'] == 'Server closing!' and 'client' not in line]


# ---- the hook ----

def hook_lines(directory):
    path = directory / 'hook'
    return path.read_text().splitlines() if path.exists() else []


def test_hook_takes_every_line(start, personality, directory):
    """NS-LOG-05, NS-LOG-06, NS-LOG-30, NS-LOG-31, NS-LOG-33, NS-OPT-43: level and text, without
    time and process; within the threshold; the log file is not even created; the program opens its
    place, anew too, and closes it."""
    port = free_port()
    server = start('server_type', personality, 'port', f'127.0.0.1:{port}', 'hook_file',
                   directory / 'hook', 'log_file', directory / 'log', 'log_level', '2',
                   program=tend.find_program('logs'), listeners=0)
    eventually(lambda: tend.listens(('127.0.0.1', port)))
    with tend.Client(('127.0.0.1', port)) as c:
        c.send_line('100% \x1b')
        c.recv_line()
    eventually(lambda: '1|100% %1B' in hook_lines(directory))
    (directory / 'hook').rename(directory / 'hook.1')
    server.signal(signal.SIGUSR1)
    eventually(lambda: (directory / 'hook').exists())
    assert server.stop() == 0
    assert hook_lines(directory)[-2:] == ['2|Server closing!', '2|The log closes']
    lines = (directory / 'hook.1').read_text().splitlines() + hook_lines(directory)
    assert all(re.fullmatch(r'[12]\|[^\n]*', line) and not LOG_LINE.search(line) for line in lines)
    assert not (directory / 'log').exists()


# ---- files that cannot be written ----

def lost_in(path):
    return sum(int(m[1]) for m in LOST.finditer(path.read_text()))


def count_lines(path):
    """Whole lines that are no report of losses, and no piece of one that was torn."""
    lines = [LOG_LINE.fullmatch(line) for line in path.read_text().splitlines() if line]
    return len([m for m in lines if m and not LOST.fullmatch(m[1])])


def tell_of_losses(server, log, full):
    """Clients come until the log has told of losses."""
    def told():
        serve_some(server, 1)
        return lost_in(log) > 0

    eventually(told, what='losses are told')
    reasons = {m[2] for m in LOST.finditer(log.read_text())}
    assert any(full in reason for reason in reasons), reasons


@pytest.mark.parametrize('server_type', ['Single', 'Fork', 'PreFork', 'Multiplex', 'Thread'])
def test_file_that_may_not_grow(start, directory, server_type):
    """NS-LOG-46: no process dies of it (XFSZ), clients are served, and losses are told."""
    log = directory / 'log'
    server = start(server_type, *PORT, 'log_file', log, 'log_level', '4', log_path=log)
    serve_some(server, 3)
    size = log.stat().st_size

    def limit(to):
        for one in server.tree():
            try:
                resource.prlimit(one.pid, resource.RLIMIT_FSIZE, (to, resource.RLIM_INFINITY))
            except ProcessLookupError:
                pass

    family = server.children()
    limit(size + 2000)
    serve_some(server, 60)
    assert server.is_alive() and (server_type != 'PreFork' or set(family) <= set(server.children()))
    assert log.stat().st_size <= size + 2000
    limit(resource.RLIM_INFINITY)
    tell_of_losses(server, log, 'file too large')
    assert server.stop() == 0


@as_root
@pytest.mark.parametrize('server_type', ['Fork', 'PreFork', 'Multiplex', 'Thread'])
def test_disk_that_is_full(start, directory, server_type):
    """NS-LOG-46"""
    disk = directory / 'disk'
    disk.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=64k', 'none', str(disk)],
                      capture_output=True).returncode != 0:
        pytest.skip('may not mount')
    try:
        log = disk / 'log'
        server = start(server_type, *PORT, 'log_file', log, 'log_level', '4', log_path=log)
        serve_some(server, 2)
        with open(disk / 'filler', 'wb', buffering=0) as filler:
            with pytest.raises(OSError):
                while True:
                    filler.write(b'x' * 4096)
        # The last page of the log is still there to be filled.
        eventually(lambda: serve_some(server, 10) or log.stat().st_size % 4096 == 0)
        serve_some(server, 10)
        (disk / 'filler').unlink()
        tell_of_losses(server, log, 'no space left')
        assert lost_in(log) >= 10
        assert server.stop() == 0
    finally:
        subprocess.run(['umount', '-l', str(disk)], check=True)


def test_directory_of_the_log_is_gone(start, personality, directory):
    """NS-SIG-10: the old file is written to until there is a place for a new one."""
    place = directory / 'place'
    place.mkdir()
    log = place / 'log'
    server = start(personality, *PORT, 'log_file', log, 'log_level', '3', log_path=log)
    shutil.rmtree(place)
    serve_some(server, 3)
    server.signal(signal.SIGUSR1)
    serve_some(server, 3)
    place.mkdir()
    eventually(lambda: server.signal(signal.SIGUSR1) or serve_some(server, 1) or
               'CONNECT' in server.log(), what='a new log is written to')
    assert server.stop() == 0
    assert 'Server closing' in server.log()


def test_child_for_one_client_follows_a_rotation(start, directory):
    """NS-SIG-10, NS-FIX-45: although it hears no signals."""
    log, old = directory / 'log', directory / 'log.1'
    server = start('run', *PORT, 'server_type', 'Fork', 'log_level', '3', 'log_file', log, '--',
                   'sh', '-c', 'echo ready; cat; exit 3', log_path=log)
    with server.client() as c:
        assert c.recv_line() == 'ready'
        log.rename(old)
        server.signal(signal.SIGUSR1)
        eventually(log.exists, what='a new log is there')
        c.half_close()
        c.expect_end()
    server.wait_log('ended with status 3')
    assert 'CONNECT' in old.read_text() and 'ended with' not in old.read_text()


@as_root
def test_log_inside_a_jail_is_opened_anew(start, personality, directory):
    """NS-SIG-10, NS-DMN-18: by its path in there."""
    jail = directory / 'jail'
    jail.mkdir(mode=0o777)
    jail.chmod(0o777)
    log = jail / 'log'
    server = start(personality, *PORT, 'log_file', log, 'log_level', '3', 'chroot', jail, 'user',
                   'nobody', log_path=log)
    log.rename(jail / 'log.1')
    server.signal(signal.SIGUSR1)
    eventually(log.exists, what='a new log is there')
    serve_some(server, 1)
    server.wait_log('CONNECT')
    assert server.stop() == 0
    assert 'Server closing' in log.read_text()


def test_reader_of_standard_error_that_stopped_holds_nobody_up(start, directory):
    """NS-LOG-45: a pipe that is full."""
    port = free_port()
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    server = start('PreFork', 'port', f'127.0.0.1:{port}', 'log_level', '4', 'max_requests', '10',
                   listeners=0, pass_fds=[writing], before_exec=lambda: os.dup2(writing, 2))
    os.close(writing)
    eventually(lambda: tend.listens(('127.0.0.1', port)))
    for _ in range(700):
        with tend.Client(('127.0.0.1', port)) as c:
            greeting(c)
    drained = b''
    os.set_blocking(reading, False)

    def told():
        nonlocal drained
        try:
            drained += os.read(reading, 1 << 20)
        except BlockingIOError:
            pass
        with tend.Client(('127.0.0.1', port)) as c:
            greeting(c)
        return LOST.search(drained.decode())

    eventually(told, what='losses are told')
    assert server.stop() == 0
    os.close(reading)
