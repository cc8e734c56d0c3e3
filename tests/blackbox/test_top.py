"""tend top on a terminal of 80 columns and 24 rows, and without one: what it shows agrees with
status and /proc, and the terminal is given back as it was."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

import pools
import tend
from looking import echo, rows, start_kind, start_watched, status, wait_status
from tend import EX_UNAVAILABLE, eventually

ENTER, LEAVE = '\x1b[?1049h', '\x1b[?1049l'


class Terminal:
    """tend top on a pseudo-terminal, and a picture of the screen that it draws."""

    def __init__(self, server, *words, rows=24, columns=80, term='vt100'):
        self.master, slave = pty.openpty()
        self.slave = slave
        self.resize(rows, columns)
        self.mode = termios.tcgetattr(slave)
        self.popen = subprocess.Popen(
            [tend.find_program(), 'top', '--control', server.control, '--interval', '0.1', *words],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={'TERM': term, 'PATH': '/usr/bin:/bin', 'LC_ALL': 'C'})
        self.text = ''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()
        os.close(self.master)
        os.close(self.slave)

    def resize(self, rows, columns):
        self.rows, self.columns = rows, columns
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def read(self, seconds=0.05):
        while select.select([self.master], [], [], seconds)[0]:
            try:
                self.text += os.read(self.master, 65536).decode()
            except OSError:
                return

    def wait_for(self, pattern):
        """Until a whole frame has it; returns the match."""
        def found():
            self.read()
            return re.search(pattern, '\n'.join(self.frame()))

        return eventually(found, what=f'{pattern!r} on the screen; there is {self.text[-2000:]!r}')

    def frame(self):
        """The rows of the last frame that is complete."""
        frames = self.text.split('\x1b[H')[1:]
        whole = [frame for frame in frames if '\x1b[J' in frame]
        if not whole:
            return []
        return re.sub(r'\x1b\[[KJ]', '', whole[-1].split('\x1b[J')[0]).split('\r\n')

    def end(self, key=None, signo=None):
        """Ends it; returns the status. The terminal is as it was."""
        if key:
            os.write(self.master, key)
        if signo:
            self.popen.send_signal(signo)
        code = eventually(lambda: (self.read(), self.popen.poll())[1] is not None and
                          [self.popen.returncode], what='top ends')[0]
        self.read()
        return code

    def is_as_before(self):
        return termios.tcgetattr(self.slave) == self.mode and \
            self.text.count(ENTER) == self.text.count(LEAVE) and \
            self.text.rstrip().endswith(LEAVE)


@pytest.fixture
def pool(start, directory):
    return start_watched(start, directory, 'PreForkSimple')


# ---- what it shows ----

def test_screen_agrees_with_status_and_proc(pool):
    pools.storm(pool, connections=50)
    with echo(pool) as client, Terminal(pool) as screen:
        name = '%s:%d' % client.sock.getsockname()
        screen.wait_for(rf'1 now, 51 accepted')
        s = wait_status(pool, lambda s: s['active'] == 1, 'one is served')
        frame = screen.frame()
        assert f'(PreForkSimple, pid {pool.pid}) serving' in frame[0]
        assert '1 busy, 2 waiting' in frame[1]
        rows = [line.split() for line in frame[7:]]
        assert sorted(int(row[0]) for row in rows) == pool.children()
        assert rows[0][1] == 'busy' and rows[0][-1] == name
        served = {int(row[0]): int(row[5]) for row in rows}
        assert served == {child['pid']: child['served'] for child in s['children']}
        assert screen.end(key=b'q') == 0 and screen.is_as_before()


@pytest.mark.parametrize('kind', ['PreForkSimple', 'Multiplex two', 'evented', 'Thread two'])
def test_rates_are_those_of_the_load(start, directory, kind):
    """All that comes between two frames is in a rate; the sum of the children's is the server's, and
    so is that of their threads."""
    pool = start_kind(start, directory, kind, 'max_requests', 0)
    with Terminal(pool, rows=80) as screen, pools.Storm(pool, seconds=30):
        screen.wait_for(r'accepted, [1-9]\d*\.\d/s')
        screen.wait_for(r'traffic:  [1-9]')
        frame = screen.frame()
        whole = float(re.search(r'accepted, ([\d.]+)/s', '\n'.join(frame))[1])
        parts, of_threads = 0, 0
        for row in rows(frame):
            parts += 0 if row[4].startswith('#') else float(row[6])
            of_threads += float(row[6]) if row[4].startswith('#') else 0
        # Figures of one moment, but the children go on while they are read.
        assert parts == pytest.approx(whole, rel=0.2, abs=50)
        assert of_threads == (pytest.approx(whole, rel=0.2, abs=50) if 'Thread' in kind else 0)


def test_frame_fits_the_screen(start, directory):
    """More workers than rows: the last row says so; no line is longer than the screen is wide."""
    server = start_watched(start, directory, 'PreForkSimple', 'max_servers', 30)
    pools.wait_for_workers(server, 30)
    with Terminal(server) as screen:
        screen.wait_for(r'\.\.\. and 14 more')
        assert len(screen.frame()) == 24
        assert max(len(line) for line in screen.frame()) <= 80
        screen.resize(40, 40)
        screen.popen.send_signal(signal.SIGWINCH)
        eventually(lambda: (screen.read(), len(screen.frame()))[1] == 37, what='all fit')
        assert max(len(line) for line in screen.frame()) <= 40
        screen.resize(3, 20)
        screen.popen.send_signal(signal.SIGWINCH)
        eventually(lambda: (screen.read(), len(screen.frame()))[1] == 3, what='a small frame')


def test_threads_come_behind_their_workers_and_busy_ones_first(start, directory):
    """As far as there are rows: the last one says how many have none."""
    server = start_kind(start, directory, 'Thread two')
    clients = [echo(server) for _ in range(30)]
    names = {'%s:%d' % client.sock.getsockname() for client in clients}
    with Terminal(server) as screen:
        screen.wait_for(r'threads:  30 busy')
        more = int(screen.wait_for(r'\.\.\. and (\d+) more')[1])
        frame = screen.frame()
        assert len(frame) == 24 and max(len(line) for line in frame) <= 80
        table = rows(frame)
        assert sorted(int(row[0]) for row in table[:2]) == server.children()
        assert sum(int(row[4]) for row in table[:2]) == 30
        assert all(row[1] == 'busy' and row[4][0] == '#' and row[7] in names for row in table[2:])
        assert len({(row[0], row[4]) for row in table[2:]}) == len(table) - 2
        assert more == 2 + len(status(server)['threads']) - len(table)
    for client in clients:
        client.close()


def test_no_colour_and_nothing_that_a_vt100_would_not_know(pool):
    with Terminal(pool) as screen:
        screen.wait_for('PreForkSimple')
        screen.end(key=b'q')
        sequences = set(re.findall(r'\x1b[^A-Za-z]*[A-Za-z]', screen.text))
        assert sequences <= {'\x1b[H', '\x1b[K', '\x1b[J', ENTER, LEAVE, '\x1b[?25l', '\x1b[?25h'}


# ---- the terminal ----

@pytest.mark.parametrize('key, signo', [
    (b'q', None), (b'Q', None), (b'\x03', None), (None, signal.SIGTERM), (None, signal.SIGHUP),
])
def test_terminal_is_given_back_whatever_ends_it(pool, key, signo):
    with Terminal(pool) as screen:
        screen.wait_for('PreForkSimple')
        assert termios.tcgetattr(screen.slave) != screen.mode
        assert screen.end(key, signo) == 0
        assert screen.is_as_before()


def test_other_keys_are_harmless(pool):
    with Terminal(pool) as screen:
        screen.wait_for('PreForkSimple')
        os.write(screen.master, b'x\x1b[A\n')
        frames = screen.text.count('\x1b[H')
        eventually(lambda: (screen.read(), screen.text.count('\x1b[H') > frames + 2)[1])
        assert screen.end(key=b'q') == 0


def test_suspended_top_leaves_a_whole_terminal(pool):
    with Terminal(pool) as screen:
        screen.wait_for('PreForkSimple')
        screen.popen.send_signal(signal.SIGTSTP)
        eventually(lambda: tend.process(screen.popen.pid).state == 'T', what='it is stopped')
        screen.read()
        assert screen.is_as_before()
        screen.popen.send_signal(signal.SIGCONT)
        eventually(lambda: (screen.read(), screen.text.count(ENTER) == 2)[1], what='it goes on')
        assert screen.end(key=b'q') == 0 and screen.is_as_before()


def test_server_that_goes_is_waited_for(start, directory):
    """A restart is such a moment: the screen says so, and goes on when it can."""
    server = start_watched(start, directory, 'PreFork')
    with Terminal(server) as screen:
        screen.wait_for(f'pid {server.pid}')
        server.stop()
        screen.wait_for('no server answers')
        again = start_watched(start, directory, 'PreFork')
        screen.wait_for(f'pid {again.pid}')
        assert screen.end(key=b'q') == 0 and screen.is_as_before()


# ---- without a terminal ----

def test_frames_follow_each_other_where_there_is_no_terminal(pool):
    done = tend.run('top', '--control', pool.control, '--frames', 3, '--interval', '0.1')
    assert done.returncode == 0 and '\x1b' not in done.stdout
    frames = done.stdout.split('\n\ntend echo ')
    assert len(frames) == 3
    assert all(len(re.findall(r'^ *\d+ waiting', frame, re.M)) == 3 for frame in frames)


@pytest.mark.parametrize('term', ['dumb', ''])
def test_dumb_terminal_gets_frames(pool, term):
    with Terminal(pool, '--frames', '2', term=term) as screen:
        assert screen.end() == 0
        assert '\x1b' not in screen.text
        assert screen.text.count(f'pid {pool.pid}') == 2


def test_server_that_was_never_there_is_an_error(directory):
    done = tend.run('top', '--control', directory / 'nobody')
    assert done.returncode == EX_UNAVAILABLE and 'no server answers' in done.stderr
    assert done.stdout == ''
