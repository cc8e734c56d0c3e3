"""What the tests of whole servers share beyond tend.py: daemons, sockets of a process, identities.

`Daemon` is a server that left its launcher: it is found through its pid file and is ended with the
test like any other. The rest looks at /proc, or chooses numbers that are free on this machine.
"""

import os
import pathlib
import random
import re
import signal
import socket
import struct
from pathlib import Path

import pytest

import tend
from tend import eventually

IS_ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not IS_ROOT, reason='only root can become somebody else')


def others_may_come_in():
    """Whether somebody else than root can execute what was built: not where root has it in his home."""
    path = pathlib.Path(tend.BUILD).resolve()
    return all(folder.stat().st_mode & 0o001 for folder in [path, *path.parents])


where_others_come_in = pytest.mark.skipif(
    not others_may_come_in(), reason='other users cannot enter the directory of this tree')
not_as_root = pytest.mark.skipif(IS_ROOT, reason='root may do anything')

# A line of the log: time, text, process (NS-LOG-09).
LOG_LINE = re.compile(r'\d{4}/\d\d/\d\d-\d\d:\d\d:\d\d (.*) \[(\d+)\]')


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(('::1', 0))
        return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason='this machine has no ::1')


def is_free(port, host='127.0.0.1'):
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    with socket.socket(family) as s:
        try:
            s.bind((host, port))
        except OSError:
            return False
    return True


def free_port(choice=range(20000, 32000)):
    """A port that nobody has, below those that the kernel gives to whoever asks for any."""
    for port in random.sample(choice, 200):
        if is_free(port, '0.0.0.0') and (not has_ipv6() or is_free(port, '::')):
            return port
    raise AssertionError('no free port')


# ---- what /proc says ----

def status(pid):
    """{name: value} of /proc/PID/status."""
    lines = Path(f'/proc/{pid}/status').read_text().splitlines()
    return dict(re.split(r':\s*', line, maxsplit=1) for line in lines)


def ids(pid):
    """Real, effective, saved and file system user; the same of the group; the other groups."""
    fields = status(pid)
    return ({int(n) for n in fields['Uid'].split()}, {int(n) for n in fields['Gid'].split()},
            {int(n) for n in fields['Groups'].split()})


def capabilities(pid):
    """Those that the process has or could use, as one number."""
    fields = status(pid)
    return int(fields['CapEff'], 16) | int(fields['CapPrm'], 16) | int(fields['CapInh'], 16)


def target(pid, name):
    """Where a link of /proc leads: 'cwd', 'root', 'fd/2'."""
    return os.readlink(f'/proc/{pid}/{name}')


def socket_inodes(pid):
    matches = (re.fullmatch(r'socket:\[(\d+)\]', link) for link in tend.links_of(pid))
    return {int(match.group(1)) for match in matches if match}


def _decode(address):
    host, port = address.split(':')
    words = struct.pack(f'={len(host) // 8}I',
                        *(int(host[i:i + 8], 16) for i in range(0, len(host), 8)))
    family = socket.AF_INET if len(words) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, words), int(port, 16)


def listening(pid):
    """(host, port) of each TCP socket of the process that listens, sorted."""
    inodes = socket_inodes(pid)
    found = []
    for table in ('/proc/net/tcp', '/proc/net/tcp6'):
        if not os.path.exists(table):
            continue
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == '0A' and int(fields[9]) in inodes:
                found.append(_decode(fields[1]))
    return sorted(found)


# ---- clients ----

def from_address(source, address, timeout=tend.DEADLINE):
    """A client whose own address is `source`."""
    family = socket.AF_INET6 if ':' in address[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    try:
        sock.bind((source, 0))
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return tend.Client(sock=sock, timeout=timeout)


def ask(client, name):
    """The talkative echo's answer to `get name`; the banner was read."""
    client.send_line(f'get {name}')
    client.expect(r'.*: You said ".*"')
    return client.expect(rf'{name}: ?(.*)').group(1)


def greeting(client):
    """Reads the banner of the talkative echo; returns the pid in it."""
    return int(client.expect(r'Welcome to "[^"]*" \((\d+)\)').group(1))


# ---- daemons ----

class Daemon:
    """A server in the background: Daemon(start, directory, 'Fork', 'setsid', '1', ...).

    Adds log_file and pid_file, in the test's directory, where the words have none. The words may
    leave them to a conf file; then `log` and `pid_file` tell where they are.
    """

    def __init__(self, start, directory, *words, log=None, pid_file=None, **options):
        words = list(words)
        if pid_file is None:
            pid_file = directory / 'pid'
            words += ['pid_file', pid_file]
        if log is None:
            log = directory / 'log'
            words += ['log_file', log]
        self.pid_file = Path(pid_file)
        self.launcher = start(*words, listeners=0, log_path=log, **options)
        launched = self.launcher.wait()
        assert launched == 0, f'{launched}\n{self.launcher.stderr()}\n{self.log()}'
        self.pid = self.read_pid()
        self.launcher.adopt(self.pid)
        self.launcher.refresh_endpoints()

    def read_pid(self):
        text = self.pid_file.read_text()
        assert re.fullmatch(r'[1-9]\d*\n', text), text
        return int(text)

    def log(self):
        return self.launcher.log()

    def wait_log(self, *args, **options):
        return self.launcher.wait_log(*args, **options)

    def client(self, which=0):
        return self.launcher.client(which)

    def children(self):
        return self.launcher.children(self.pid)

    def family(self):
        """The daemon and its children."""
        return [self.pid, *self.children()]

    def is_alive(self):
        return tend.is_alive(self.pid)

    def stop(self, signo=signal.SIGTERM):
        """Ends it and waits until nothing is left of it."""
        family = self.family()
        os.kill(self.pid, signo)
        eventually(lambda: not any(tend.is_alive(pid) for pid in family),
                   what=f'the daemon and its children are gone\n{self.log()}')


def launch(start, *words, **options):
    """Runs a launcher to its end. Returns (status, what it said on standard error)."""
    launcher = start(*words, listeners=0, **options)
    return launcher.wait(), launcher.stderr()
