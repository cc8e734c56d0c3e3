"""A server under test: started in a folder of its own, found by what it says, and stopped."""
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from processes import read

START_PATIENCE = 10     # seconds until a server has told its port
STOP_PATIENCE = 5       # seconds between TERM and KILL
DESCRIPTORS = 20000     # for 10 000 connections and more

# "listening on 127.0.0.1:PORT", "port PORT", or a line that is nothing but a number (tcpserver).
# Ports that the kernel chooses have four digits or more.
PORT = re.compile(r'127\.0\.0\.1[: ]+(\d{4,5})\b|\bport[: ]+(\d{4,5})\b|^(\d{4,5})$',
                  re.IGNORECASE | re.MULTILINE)
# What tend says of a personality that it was built without.
NOT_BUILT = re.compile(r"server_type '\w+' is not part of this build")


class Trouble(Exception):
    """A measurement that cannot be made; the text says why."""


class NotBuilt(Trouble):
    """It is not supposed to work: a personality that this build does not have."""


class Server:
    """One line of the table: what row and entry it is, its rounds, and its process meanwhile."""

    def __init__(self, row, entry, reference):
        self.row, self.entry, self.reference = row, entry, reference
        self.name = entry.name
        self.rounds = []        # a dict for each round
        self.trouble = None     # why it was given up
        self.skipped = None     # why it was not measured, and need not be
        self.scratch = self.log = self.process = self.port = self.path = None

    def start(self, core):
        self.scratch = tempfile.mkdtemp(prefix='tend-bench-')
        command = [word.format(scratch=self.scratch) for word in self.entry.command]
        self.path = self.entry.path and self.entry.path.format(scratch=self.scratch)
        self.port = None
        if self.entry.prepare:
            command, self.port = self.entry.prepare(self.scratch)
        self.log = os.path.join(self.scratch, 'log')
        with open(self.log, 'wb') as log:
            # A file, not a pipe: a server that logs much must not wait for us.
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=lambda: make_ready(core))
        self.await_port()

    def await_port(self):
        deadline = time.monotonic() + START_PATIENCE
        while True:
            if self.process.poll() is not None:
                raise self.why_it_ended()
            if self.port is None:
                self.port = port_in(read(self.log))
            if self.port is not None and accepts(self.port):
                return
            if time.monotonic() > deadline:
                raise Trouble(f'not ready after {START_PATIENCE} s: ' + self.last_words())
            time.sleep(0.01)

    def why_it_ended(self):
        not_built = NOT_BUILT.search(read(self.log))
        if not_built:
            return NotBuilt(not_built.group(0))
        return Trouble(f'ended at once with status {self.process.returncode}: '
                       + self.last_words())

    def last_words(self):
        lines = read(self.log).strip().splitlines()
        return ' / '.join(lines[-3:]) or '(it said nothing)'

    def stop(self):
        if self.process is not None:
            if self.process.returncode is None:
                self.end_all()
            self.process = None
        if self.scratch is not None:
            shutil.rmtree(self.scratch, ignore_errors=True)
            self.scratch = None

    def end_all(self):
        pid = self.process.pid
        os.kill(pid, signal.SIGTERM)
        if not ended(pid, STOP_PATIENCE):
            print(f'{self.name}: still there {STOP_PATIENCE} s after TERM, killed',
                  file=sys.stderr)
        # Whoever is left of its group. The master is reaped after that: until then its number
        # cannot be anybody else's.
        os.killpg(pid, signal.SIGKILL)
        self.process.wait()


def ended(pid, patience):
    """True once a child of ours has ended. It is not reaped."""
    deadline = time.monotonic() + patience
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def port_in(text):
    found = PORT.search(text)
    return int(next(filter(None, found.groups()))) if found else None


def accepts(port):
    """True once a whole conversation with the port works."""
    try:
        with socket.create_connection(('127.0.0.1', port), timeout=5) as s:
            s.sendall(b'x' * 63 + b'\n')
            s.shutdown(socket.SHUT_WR)
            while s.recv(4096):
                pass
        return True
    except OSError:
        return False


def pin(core):
    if core is not None:
        os.sched_setaffinity(0, {core})


def make_ready(core):
    """In a child before it becomes a program: its processor, and descriptors enough."""
    pin(core)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard > DESCRIPTORS:
        hard = DESCRIPTORS
    resource.setrlimit(resource.RLIMIT_NOFILE,
                       (hard, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def find_program(name):
    path = os.pathsep.join([os.environ.get('PATH', os.defpath), '/usr/sbin', '/usr/local/sbin'])
    return shutil.which(name, path=path)


def has_perl_module(name):
    return find_program('perl') is not None and subprocess.run(
        ['perl', f'-M{name}', '-e', '1'], stderr=subprocess.DEVNULL, check=False).returncode == 0
