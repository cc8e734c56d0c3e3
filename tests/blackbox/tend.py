"""What the black-box tests stand on: servers under observation and clients to talk to them.

`Server` starts a program, waits until it listens, and looks at it from outside: its log, its
processes, their descriptors, memory and processor time. When it is closed, nothing that it started
may be left. `Client` is one blocking connection with deadlines. `eventually` polls.

Nothing here sleeps for time: every wait is for something to be seen, with a deadline that only a
broken program reaches. TEND_TEST_SLOW stretches the deadlines (sanitizers, valgrind, busy machine).

From the environment: TEND_BUILD, the build directory; TEND_TEST_SANITIZED, set when the program is
instrumented, so that its memory says nothing.
"""

import contextlib
import os
import re
import resource
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path
from signal import SIGKILL, SIGTERM

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get('TEND_BUILD', ROOT / 'build')).resolve()
SLOW = float(os.environ.get('TEND_TEST_SLOW', '1'))
SANITIZED = bool(os.environ.get('TEND_TEST_SANITIZED'))

# How long a wait may last before the test fails. Nothing healthy comes near it.
DEADLINE = 10.0 * SLOW

# INET is started with its client and has tests of its own.
PERSONALITIES = ['Single', 'Fork', 'PreForkSimple', 'PreFork', 'Multiplex', 'Thread']

# Those that serve one client at a time in a process, whose standard input and output it then is.
ONE_CLIENT = ['Single', 'Fork', 'PreForkSimple', 'PreFork']

# Echo servers: the handler of the command and one of hooks, on each poller, alone and in company.
ECHOES = {
    **{name: ['server_type', name] for name in PERSONALITIES},
    'Multiplex poll': ['server_type', 'Multiplex', 'poller', 'poll'],
    'Multiplex two': ['server_type', 'Multiplex', 'workers', 2],
    'evented': ['server_type', 'Multiplex'],
    'evented poll': ['server_type', 'Multiplex', 'poller', 'poll'],
    'evented two': ['server_type', 'Multiplex', 'workers', 2],
}

# The same over a transport that makes nothing easy (tests/unit/awkward.h).
AWKWARD_ECHOES = {
    **{name: ['server_type', name] for name in PERSONALITIES if name != 'Multiplex'},
    'fibers': ['fibers', 'server_type', 'Multiplex'],
    'evented': ['server_type', 'Multiplex'],
}

# The log line of a listener that is bound: protocol, then port or path.
BOUND = re.compile(r'Bound to ([A-Z]+) (?:port|socket) "?([^\s"]+)')

# What the talkative echo is told so that exit, get and dump work (NS-ECH-06): nothing, because
# our clients are of the same machine.
CONTROL = []

# What a sanitizer leaves in the log of a program that it stopped.
SANITIZER = re.compile(r'(?:ERROR|WARNING): \w+Sanitizer|runtime error: ')

# The exit codes of sysexits.h that the command uses.
EX_USAGE, EX_NOINPUT, EX_NOUSER, EX_UNAVAILABLE = 64, 66, 67, 69
EX_OSERR, EX_CANTCREAT, EX_NOPERM, EX_CONFIG = 71, 73, 77, 78

TICKS = os.sysconf('SC_CLK_TCK')


def find_program(name='tend'):
    """The path of a program of the build: the command, a service of tests/blackbox, a tool."""
    tests = BUILD / 'tests'
    for path in (BUILD / name, BUILD / 'cmd' / name, tests / 'blackbox' / name,
                 tests / 'tools' / name, BUILD / 'examples' / name):
        if path.is_file():
            return str(path)
    raise AssertionError(f'{BUILD}/{name} is missing: ./dev build')


# ---- time ----

PRESSURE = Path('/proc/pressure/cpu')

# On a machine that is never free at least this part of the time counts.
BUSY_SHARE = 0.2


def _waited():
    """Seconds until now in which some process of the machine waited for a processor."""
    try:
        found = re.search(r'^some .*total=(\d+)', PRESSURE.read_text(), re.MULTILINE)
    except OSError:
        found = None
    return int(found.group(1)) / 1e6 if found else 0.0


class Stopwatch:
    """The time since it was made.

    `elapsed()` goes by the clock: for what must not be too early. `taken()` is for what must not
    last: it leaves out the time in which the machine had more to do than it could, so that a limit
    of a second means the same however busy it is. Where the kernel does not tell, both are one.
    """

    def __init__(self):
        self.started = time.monotonic()
        self.waited = _waited()

    def elapsed(self):
        return time.monotonic() - self.started

    def taken(self):
        elapsed = self.elapsed()
        return max(elapsed - (_waited() - self.waited), BUSY_SHARE * elapsed)


def eventually(predicate, timeout=DEADLINE, what=''):
    """Polls until predicate() is true and returns what it gave; fails when it took too long."""
    watch = Stopwatch()
    while True:
        value = predicate()
        if value:
            return value
        if watch.elapsed() > timeout and watch.taken() > timeout:
            what = what or getattr(predicate, '__name__', 'condition')
            raise AssertionError(f'not within {timeout:.1f} s: {what}; last value {value!r}')
        time.sleep(0.005)


# ---- processes, from /proc ----

class Process:
    """One line of the process table: a moment's picture."""

    def __init__(self, pid, stat):
        # The name may hold blanks and brackets: the fields begin after the last one.
        fields = stat[stat.rindex(')') + 2:].split()
        self.pid = pid
        self.state = fields[0]
        self.ppid, self.group, self.session = (int(field) for field in fields[1:4])
        self.ticks = int(fields[11]) + int(fields[12])
        self.reaped_ticks = int(fields[13]) + int(fields[14])

    @property
    def lives(self):
        """A zombie is only waiting to be reaped (NS-TST-32)."""
        return self.state not in 'ZX'


def process(pid):
    """The process, or None when there is none of that number."""
    try:
        return Process(pid, Path(f'/proc/{pid}/stat').read_text(errors='replace'))
    except (OSError, ValueError):
        return None


def processes():
    """Every process that lives now."""
    found = (process(int(name)) for name in os.listdir('/proc') if name.isdigit())
    return [one for one in found if one is not None and one.lives]


def is_alive(pid):
    one = process(pid)
    return one is not None and one.lives


def memory(pid):
    """Kilobytes of the process: {'Rss': ..., 'Private_Dirty': ..., ...}."""
    values = {}
    for line in Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines()[1:]:
        key, value = line.split(':')
        values[key] = int(value.split()[0])
    return values


def open_descriptors(pid):
    """The numbers of the open descriptors, sorted."""
    return sorted(int(name) for name in os.listdir(f'/proc/{pid}/fd'))


def links_of(pid):
    """What each open descriptor is, as the kernel names it; those that close meanwhile are left out."""
    links = []
    for fd in open_descriptors(pid):
        with contextlib.suppress(FileNotFoundError):
            links.append(os.readlink(f'/proc/{pid}/fd/{fd}'))
    return links


def listens(address):
    """Whether a stream socket listens at (host, port) or at a path."""
    if isinstance(address, tuple):
        tail = f':{address[1]:04X}'
        lines = []
        for table in ('/proc/net/tcp', '/proc/net/tcp6'):
            if os.path.exists(table):
                lines += Path(table).read_text().splitlines()[1:]
        fields = (line.split() for line in lines)
        return any(f[1].endswith(tail) and f[3] == '0A' for f in fields)
    for line in Path('/proc/net/unix').read_text(errors='replace').splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and fields[7] == str(address) and int(fields[3], 16) & 0x10000:
            return True
    return False


# ---- servers ----

class Server:
    """A program under observation.

    Server('echo', 'port', '127.0.0.1:0') runs `tend echo port 127.0.0.1:0`, in a session and a
    process group of its own, and waits until `listeners` endpoints are bound and listen (0: does
    not wait). Options:

      program      what to run instead of the command tend
      directory    where the log of standard error goes; a temporary directory of the test
      log_path     the file that the log goes to when the words say log_file
      environment  variables to set (None as a value: to remove)
      before_exec  called in the new process, as Popen's preexec_fn
      client_type  what client() makes
      Others, as stdin, stdout and cwd, go to subprocess.Popen.
    """

    def __init__(self, *words, directory, program=None, listeners=1, log_path=None,
                 environment=None, before_exec=None, client_type=None, **popen):
        self.argv = [program or find_program(), *(str(word) for word in words)]
        self.stderr_path = _fresh_path(Path(directory), 'stderr')
        self.log_path = Path(log_path) if log_path else self.stderr_path
        self.client_type = client_type or Client
        self.adopted = set()
        popen.setdefault('stdin', subprocess.DEVNULL)
        popen.setdefault('stdout', subprocess.DEVNULL)
        with open(self.stderr_path, 'wb') as stderr:
            self.popen = subprocess.Popen(
                self.argv, stderr=stderr, env=_environment(environment), start_new_session=True,
                preexec_fn=before_exec, **popen)
        self.pid = self.popen.pid
        self.endpoints = []
        if listeners:
            try:
                self._wait_until_listening(listeners)
            except BaseException:
                self.kill()
                raise

    def _wait_until_listening(self, listeners):
        def bound():
            if self.popen.poll() is not None:
                raise AssertionError(f'{self} ended with {self.popen.returncode}\n{self.log()}')
            return len(BOUND.findall(self.log())) >= listeners

        try:
            eventually(bound, what=f'{self}: {listeners} lines "Bound to ..." in the log')
        except AssertionError as e:
            raise AssertionError(f'{e}\n{self.log()}') from None
        self.refresh_endpoints()
        for proto, address in self.endpoints:
            if proto in ('TCP', 'UNIX', 'SSL', 'TLS'):
                eventually(lambda: listens(address), what=f'{self}: {address} listens')

    def __str__(self):
        return ' '.join([os.path.basename(self.argv[0]), *self.argv[1:]])

    # -- where it listens --

    def refresh_endpoints(self):
        """Reads the endpoints from the log again: (protocol, (host, port) or path), in order."""
        self.endpoints = []
        for proto, where in BOUND.findall(self.log()):
            stream = where.isdigit()
            self.endpoints.append((proto, ('127.0.0.1', int(where)) if stream else where))

    @property
    def address(self):
        """Of the first endpoint."""
        return self.endpoints[0][1]

    @property
    def ports(self):
        return [address[1] for _, address in self.endpoints if isinstance(address, tuple)]

    @property
    def port(self):
        return self.ports[0]

    @property
    def paths(self):
        return [address for _, address in self.endpoints if isinstance(address, str)]

    @property
    def path(self):
        return self.paths[0]

    def client(self, which=0, **options):
        """A client that is connected to an endpoint."""
        return self.client_type(self.endpoints[which][1], **options)

    # -- its log --

    def log(self):
        try:
            return self.log_path.read_text(errors='replace')
        except FileNotFoundError:
            return ''

    def stderr(self):
        return self.stderr_path.read_text(errors='replace')

    def wait_log(self, pattern, timeout=DEADLINE, count=1):
        """Waits until the log has `count` matches of the pattern; returns the last of them."""
        def matches():
            found = list(re.finditer(pattern, self.log(), re.MULTILINE))
            return found if len(found) >= count else None

        try:
            return eventually(matches, timeout)[-1]
        except AssertionError:
            raise AssertionError(f'{self}: no {pattern!r} within {timeout:.1f} s in the log:\n'
                                 f'{self.log()}') from None

    # -- its processes --

    def children(self, pid=None):
        """The pids of the living children, sorted."""
        parent = self.pid if pid is None else pid
        return sorted(one.pid for one in processes() if one.ppid == parent)

    def tree(self):
        """The living processes that descend from it, itself included."""
        all_of_them = processes()
        found = [one for one in all_of_them if one.pid == self.pid]
        for parent in found:
            found += [one for one in all_of_them if one.ppid == parent.pid]
        return found

    def leftovers(self):
        """The pids of its process group and session that live, and of what the test adopted."""
        return sorted(one.pid for one in processes()
                      if self.pid in (one.group, one.session) or one.pid in self.adopted)

    def adopt(self, pid):
        """Makes a process that left the session (background, setsid) one to end with the server."""
        self.adopted.add(pid)

    def is_alive(self):
        return self.popen.poll() is None

    def cpu_seconds(self):
        """Processor time of the tree, with that of the children that it has reaped."""
        return sum(one.ticks + one.reaped_ticks for one in self.tree()) / TICKS

    def cpu_share(self, seconds):
        """The part of one processor that the tree takes during the next `seconds`."""
        cpu, started = self.cpu_seconds(), time.monotonic()
        time.sleep(seconds)
        return (self.cpu_seconds() - cpu) / (time.monotonic() - started)

    def fds(self, pid=None):
        """How many descriptors are open, but for the alarm of a loop, which comes when it is of use."""
        pid = self.pid if pid is None else pid
        links = links_of(pid)
        return len(links) - ('anon_inode:[timerfd]' in links)

    def rss(self, pid=None):
        """Resident memory in bytes."""
        return memory(self.pid if pid is None else pid)['Rss'] * 1024

    def private(self, pid=None):
        """Memory that is the process's own, in bytes."""
        values = memory(self.pid if pid is None else pid)
        # Not what is clean: pages of the program's file are private as long as no other test runs it.
        return values['Private_Dirty'] * 1024

    # -- its end --

    def signal(self, signo):
        self.popen.send_signal(signo)

    def wait(self, timeout=DEADLINE):
        """Waits for the end and returns the exit status, negative for a signal."""
        try:
            eventually(lambda: self.popen.poll() is not None, timeout)
        except AssertionError:
            raise AssertionError(f'{self} still runs after {timeout:.1f} s\n{self.log()}') from None
        return self.popen.returncode

    def stop(self, signo=SIGTERM, timeout=DEADLINE):
        """Signals and waits; returns the exit status."""
        self.signal(signo)
        return self.wait(timeout)

    def kill(self):
        """Ends whatever of it is left, by pid, at once."""
        def nothing_left():
            for pid in self.leftovers():
                _kill(pid, SIGKILL)
            self.popen.poll()
            return not self.leftovers()

        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()
        eventually(nothing_left, what=f'{self}: killed processes are gone')

    def _expect_nothing_left(self, timeout):
        try:
            eventually(lambda: not self.leftovers(), timeout)
        except AssertionError:
            left = [f'{one.pid} (parent {one.ppid}, state {one.state})' for one in processes()
                    if one.pid in self.leftovers()]
            raise AssertionError(f'{self} left processes behind: {", ".join(left)}\n'
                                 f'{self.log()}') from None

    def close(self):
        """Ends the server as a user would and asserts that it left no process and broke no rule."""
        try:
            if self.popen.poll() is None:
                self.stop()
            for pid in self.adopted:
                if is_alive(pid):
                    _kill(pid, SIGTERM)
            self._expect_nothing_left(2 * SLOW)
        finally:
            self.kill()
        for text in {self.stderr(), self.log()}:
            assert not SANITIZER.search(text), text


def _kill(pid, signo):
    try:
        os.kill(pid, signo)
    except ProcessLookupError:
        pass


def _fresh_path(directory, stem):
    number = 1
    while (directory / f'{stem}.{number}').exists():
        number += 1
    return directory / f'{stem}.{number}'


def _environment(changes):
    """That of the tests without what would change a server's mind, plus the changes."""
    environment = {key: value for key, value in os.environ.items()
                   if key not in ('IPV', 'NO_IPV6', 'NOTIFY_SOCKET', 'LISTEN_PID', 'LISTEN_FDS',
                                  'LISTEN_FDNAMES')}
    environment['LC_ALL'] = 'C'
    for key, value in (changes or {}).items():
        environment.pop(key, None)
        if value is not None:
            environment[key] = value
    return environment


def run(*words, timeout=DEADLINE, environment=None, program=None, **popen):
    """Runs the command to its end, without a terminal. Returns a CompletedProcess with text."""
    argv = [program or find_program(), *(str(word) for word in words)]
    popen.setdefault('stdin', subprocess.DEVNULL)
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               errors='replace', env=_environment(environment),
                               start_new_session=True, **popen)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, SIGKILL)
        out, err = process.communicate()
        raise AssertionError(f'{" ".join(argv)} still ran after {timeout:.1f} s\n{err}') from None
    finally:
        left = [one.pid for one in processes() if process.pid in (one.group, one.session)]
        for pid in left:
            _kill(pid, SIGKILL)
    assert not left, f'{" ".join(argv)} left processes behind: {left}'
    assert not SANITIZER.search(err), err
    return subprocess.CompletedProcess(argv, process.returncode, out, err)


def refusing(rules):
    """The environment in which some system calls fail: tests/tools/refuse.c has the rules."""
    return {'LD_PRELOAD': find_program('refuse.so'), 'TEND_REFUSE': rules}


def limit_descriptors(count):
    """For before_exec: the process may have `count` descriptors."""
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


# ---- clients ----

class AwkwardSocket:
    """A socket whose bytes on the wire are others: what awkward_echo.c understands."""

    KEY = bytes(byte ^ 0x5a for byte in range(256))

    def __init__(self, sock):
        self.real = sock
        sock.sendall(b'hhh')

    def __getattr__(self, name):
        return getattr(self.real, name)

    def sendall(self, data):
        self.real.sendall(data.translate(self.KEY))

    def recv(self, size):
        return self.real.recv(size).translate(self.KEY)


class Client:
    """One connection. Every call that waits fails with socket.timeout after `timeout` seconds.

    `address` is (host, port) or the path of a unix socket; or give a connected `sock`.
    """

    def __init__(self, address=None, timeout=DEADLINE, sock=None):
        if sock is None:
            unix = isinstance(address, (str, Path))
            family = socket.AF_UNIX if unix else \
                socket.AF_INET6 if ':' in address[0] else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.settimeout(timeout)
            try:
                sock.connect(str(address) if unix else address)
            except BaseException:
                sock.close()
                raise
        self.sock = sock
        self.sock.settimeout(timeout)
        self.buffer = b''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def fileno(self):
        return self.sock.fileno()

    # -- sending --

    def send(self, data):
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def send_line(self, text):
        self.send(text.encode() + b'\n' if isinstance(text, str) else text + b'\n')

    def half_close(self):
        """No more from us; we still listen."""
        self.sock.shutdown(socket.SHUT_WR)

    # -- receiving --

    def recv(self, size=65536):
        """What is there, at most `size` bytes; b'' at the end."""
        if self.buffer:
            data, self.buffer = self.buffer[:size], self.buffer[size:]
            return data
        return self.sock.recv(size)

    def recv_exactly(self, size):
        parts, missing = [], size
        while missing:
            data = self.recv(min(missing, 1 << 20))
            if not data:
                raise AssertionError(f'the end came after {size - missing} of {size} bytes')
            parts.append(data)
            missing -= len(data)
        return b''.join(parts)

    def recv_until(self, mark):
        """Up to and including the mark."""
        mark = mark.encode() if isinstance(mark, str) else mark
        while mark not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                raise AssertionError(f'the end came before {mark!r}, after {self.buffer!r}')
            self.buffer += data
        at = self.buffer.index(mark) + len(mark)
        data, self.buffer = self.buffer[:at], self.buffer[at:]
        return data

    def recv_line(self):
        """A line, without its end."""
        return self.recv_until(b'\n').rstrip(b'\r\n').decode(errors='replace')

    def recv_all(self):
        """Everything up to the end."""
        parts = []
        while True:
            data = self.recv()
            if not data:
                return b''.join(parts)
            parts.append(data)

    def expect(self, pattern):
        """Reads a line, which must match the whole pattern; returns the match."""
        line = self.recv_line()
        match = re.fullmatch(pattern, line)
        assert match, f'expected {pattern!r}, got {line!r}'
        return match

    def expect_end(self):
        """The other side has closed, and sent nothing more."""
        rest = self.recv_all()
        assert rest == b'', f'expected the end, got {rest[:200]!r}'

    def is_cut(self):
        """Waits for the end, whatever comes before it; a reset is an end as well."""
        try:
            self.recv_all()
        except (ConnectionResetError, BrokenPipeError):
            pass
        return True

    def exchange(self, data, half_close=False):
        """Sends while receiving as many bytes back, so that neither side's buffers can fill up."""
        failure = []

        def sender():
            try:
                self.send(data)
                if half_close:
                    self.half_close()
            except OSError as e:
                failure.append(e)

        thread = threading.Thread(target=sender)
        thread.start()
        try:
            answer = self.recv_exactly(len(data))
        finally:
            thread.join()
        assert not failure, failure
        return answer

    # -- ending --

    def reset(self):
        """Vanishes: the other side of a TCP connection sees a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()


class AwkwardClient(Client):
    """One that has shaken hands, or is about to."""

    def __init__(self, *where, **options):
        super().__init__(*where, **options)
        self.sock = AwkwardSocket(self.sock)
