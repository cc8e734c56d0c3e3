"""The tools that other tests rely on do what they say: refuse.so and conn_storm.

A test that trusts them proves nothing when nothing was refused or when a lost answer counts as one,
so here they meet programs whose behaviour is known.
"""

import errno
import json
import os
import socket
import struct
import subprocess
import sys
import threading

import pytest

import tend

REFUSE = tend.BUILD / 'tests' / 'tools' / 'refuse.so'
STORM = tend.BUILD / 'tests' / 'tools' / 'conn_storm'


# ---- refuse.so ----

def victim(script, **environment):
    """Runs a Python script with refuse.so in front of libc; returns the completed process."""
    environment = {key: str(value) for key, value in environment.items()}
    return subprocess.run([sys.executable, '-c', script], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=tend.DEADLINE,
                          env=dict(os.environ, LD_PRELOAD=str(REFUSE), **environment))


def printed(script, **environment):
    done = victim(script, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


SOCKETS = '''
import errno, socket
for _ in range(6):
    try:
        socket.socket().close()
        print('ok', flush=True)
    except OSError as e:
        print(errno.errorcode[e.errno], flush=True)
'''


@pytest.mark.parametrize('rules, expected', [
    ('socket:EMFILE:2', 'EMFILE EMFILE ok ok ok ok'),
    ('socket:EMFILE:2+3', 'ok ok ok EMFILE EMFILE ok'),
    ('socket:EMFILE:*', 'EMFILE EMFILE EMFILE EMFILE EMFILE EMFILE'),
    ('socket:EMFILE:*+4', 'ok ok ok ok EMFILE EMFILE'),
    ('socket:23:1', 'ENFILE ok ok ok ok ok'),
    ('socket:EMFILE:1, socket:ENOBUFS:1+2 ,bind:EPERM:*', 'EMFILE ok ENOBUFS ok ok ok'),
    ('fork:EAGAIN:*', 'ok ok ok ok ok ok'),
    ('', 'ok ok ok ok ok ok'),
])
def test_the_calls_of_a_rule_fail_and_no_others(rules, expected):
    assert printed(SOCKETS, TEND_REFUSE=rules) == expected.split()


FORKS = '''
import os, socket, sys
def attempt():
    try:
        socket.socket().close()
    except OSError:
        os.write(1, b'refused\\n')
attempt()
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        attempt()
        os._exit(0)
    os.waitpid(pid, 0)
'''


def test_children_count_on():
    assert printed(FORKS, TEND_REFUSE='socket:EMFILE:3') == ['refused'] * 3
    assert printed(FORKS, TEND_REFUSE='socket:EMFILE:*+3') == ['refused']


def test_counts_go_on_after_an_exec_and_can_be_read(directory):
    state = directory / 'state'
    script = f'''
import os, sys
{SOCKETS}
sys.stdout.flush()
os.execv(sys.executable, [sys.executable, '-c', {SOCKETS!r}])
'''
    words = printed(script, TEND_REFUSE='socket:EMFILE:2+5,bind:EPERM:1', TEND_REFUSE_STATE=state)
    assert words == ['ok'] * 5 + ['EMFILE', 'EMFILE'] + ['ok'] * 5
    calls, refusals, binds = struct.unpack('=3Q', state.read_bytes()[:24])
    assert (calls, refusals, binds) == (12, 2, 0)


def rules_from_file(path, script):
    """A script that can write() the rules of TEND_REFUSE_FILE and attempt() to make a socket."""
    return f'''
import errno, os, socket, sys
sys.stdout.reconfigure(write_through=True)
def write(text):
    with open({str(path)!r} + '.new', 'w') as f:
        f.write(text)
    os.rename({str(path)!r} + '.new', {str(path)!r})
def attempt():
    try:
        socket.socket().close()
        print('ok', flush=True)
    except OSError as e:
        print(errno.errorcode[e.errno], flush=True)
{script}
'''


@pytest.mark.parametrize('with_state', [False, True])
def test_a_file_switches_refusals_on_and_off(directory, with_state):
    path = directory / 'rules'
    state = {'TEND_REFUSE_STATE': directory / 'state'} if with_state else {}
    words = printed(rules_from_file(path, f'''
attempt()
write('# none today\\nsocket:EMFILE:1\\n')
attempt(), attempt()
write('socket:ENOBUFS:*')
pid = os.fork()
if pid == 0:
    attempt()
    os._exit(0)
os.waitpid(pid, 0)
attempt()
os.unlink({str(path)!r})
attempt()
'''), TEND_REFUSE_FILE=path, **state)
    assert words == ['ok', 'EMFILE', 'ok', 'ENOBUFS', 'ENOBUFS', 'ok']


def test_the_same_file_counts_on_in_children_and_after_an_exec(directory):
    path, state = directory / 'rules', directory / 'state'
    path.write_text('bind:EPERM:1, socket:EMFILE:4')
    again = rules_from_file(path, 'attempt()')
    words = printed(rules_from_file(path, f'''
for _ in range(2):
    if os.fork() == 0:
        attempt()
        os._exit(0)
    os.wait()
attempt()
os.execv(sys.executable, [sys.executable, '-c', {again!r} + 'attempt()'])
'''), TEND_REFUSE_FILE=path, TEND_REFUSE_STATE=state)
    assert words == ['EMFILE'] * 4 + ['ok']
    assert struct.unpack('=4Q', state.read_bytes()[1024:1056]) == (0, 0, 5, 4)


def test_opening_fails_by_all_of_its_names(directory):
    # Refused from the start on, Python itself would not come up.
    path = directory / 'rules'
    words = printed(rules_from_file(path, '''
write('open:ENFILE:2')
for attempt in lambda: os.open('/dev/null', 0), lambda: open('/dev/null'), lambda: os.open('.', 0):
    try:
        attempt()
        print('ok', flush=True)
    except OSError as e:
        print(errno.errorcode[e.errno], flush=True)
'''), TEND_REFUSE_FILE=path)
    assert words == ['ENFILE', 'ENFILE', 'ok']


@pytest.mark.parametrize('script, rule, name', [
    ('import os; os.fork()', 'fork:EAGAIN:1', 'EAGAIN'),
    ('import os; os.pipe()', 'pipe2:EMFILE:1', 'EMFILE'),
    ('import os; os.posix_spawn("/bin/true", ["true"], {})', 'posix_spawn:ENOMEM:1', 'ENOMEM'),
    ('import os; os.execv("/bin/true", ["true"])', 'exec:ETXTBSY:1', 'ETXTBSY'),
    ('import os; os.execve(os.open("/bin/true", 0), ["true"], {})', 'fexecve:EACCES:1', 'EACCES'),
    ('import mmap; mmap.mmap(-1, 4096)', 'mmap:ENOMEM:1', 'ENOMEM'),
    ('import select; select.epoll()', 'epoll_create1:EMFILE:1', 'EMFILE'),
    ('import select; select.epoll().register(0)', 'epoll_ctl:ENOSPC:1', 'ENOSPC'),
    ('import socket; socket.socketpair()', 'socketpair:ENFILE:1', 'ENFILE'),
    ('import socket; socket.socket().bind(("127.0.0.1", 0))', 'bind:EADDRINUSE:1', 'EADDRINUSE'),
    ('import socket; socket.socket().listen()', 'listen:EADDRINUSE:1', 'EADDRINUSE'),
    ('import os; os.write(os.open("/dev/null", 1), b"x")', 'write:ENOSPC:1', 'ENOSPC'),
    ('import os; os.setgid(os.getgid())', 'setgid:EPERM:1', 'EPERM'),
])
def test_each_kind_of_call_can_fail(script, rule, name):
    done = victim(f'''
try:
    {script}
except OSError as e:
    print(e.errno)
''', TEND_REFUSE=rule)
    assert done.stdout.split() == [str(getattr(errno, name))], done.stderr


def test_accept_fails_with_the_connection_still_waiting():
    words = printed('''
import errno, socket
listener = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(listener.getsockname())
try:
    listener.accept()
except OSError as e:
    print(errno.errorcode[e.errno], flush=True)
print(listener.accept()[1] == client.getsockname())
''', TEND_REFUSE='accept4:EMFILE:1, accept:EMFILE:1')
    assert words == ['EMFILE', 'True']


def test_standard_error_can_always_be_written():
    done = victim('import os; os.write(2, b"heard")', TEND_REFUSE='write:EIO:*')
    assert done.returncode == 0 and done.stderr == 'heard'


@pytest.mark.parametrize('rules', ['fork', 'fork:EAGAIN', 'frok:EAGAIN:1', 'fork:EGAIN:1',
                                   'fork:0:1', 'fork:EAGAIN:x', 'fork:EAGAIN:1+', 'fork::1'])
def test_a_bad_rule_ends_the_program(rules):
    done = victim('print("ran")', TEND_REFUSE=rules)
    assert done.returncode == tend.EX_USAGE
    assert done.stdout == '' and 'refuse: ' in done.stderr


# ---- conn_storm ----

def storm(target, *words):
    """Runs conn_storm; returns (status, the object that it printed)."""
    done = subprocess.run([str(STORM), str(target), *(str(word) for word in words)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=2 * tend.DEADLINE)
    assert len(done.stdout.splitlines()) == 1, done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout)


def outcomes(result):
    names = ('ok', 'short', 'refused', 'reset', 'timeout', 'failed')
    assert sum(result[name] for name in names) == result['connections']
    return {name: result[name] for name in names if result[name]}


class Peer:
    """A server whose handler is a function of the connected socket."""

    def __init__(self, handler, path=None):
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
            self.listener.listen(16)
            self.target = path
        else:
            self.listener = socket.create_server(('127.0.0.1', 0), backlog=256)
            self.target = '127.0.0.1:%d' % self.listener.getsockname()[1]
        self.handler = handler
        self.open = 0
        self.most = 0
        self.count = 0
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.handle, args=(sock,), daemon=True).start()

    def handle(self, sock):
        with self.lock:
            self.open += 1
            self.count += 1
            self.most = max(self.most, self.open)
        try:
            with sock:
                sock.settimeout(tend.DEADLINE)
                self.handler(sock)
        except OSError:
            pass
        finally:
            with self.lock:
                self.open -= 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Closing alone would not wake accept().
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


def echo(sock):
    while True:
        data = sock.recv(65536)
        if not data:
            return
        sock.sendall(data)


def in_pieces(sock):
    for piece in (b'wel', b'welc', b'ome', b'\r', b'\n'):
        sock.sendall(piece)
    echo(sock)


def reset(sock):
    sock.recv(10)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))


@pytest.mark.parametrize('handler, words, expected', [
    (echo, ['--send', 'hello', '--half-close'], 'ok'),
    (echo, ['--send', r'he\x6clo\r\n', '--expect', 7], 'ok'),
    (echo, ['--send', 'hello', '--expect-text', 'llo'], 'ok'),
    (in_pieces, ['--expect-text', r'welcome\r\n'], 'ok'),
    (echo, ['--send', 'hello', '--half-close', '--expect', 6], 'short'),
    (echo, ['--send', 'hello', '--half-close', '--expect-text', 'hallo'], 'short'),
    (echo, ['--send', 'hello', '--timeout', 0.2], 'timeout'),
    (echo, ['--hold', 0.1], 'ok'),
    (lambda sock: None, ['--hold', 2], 'short'),
    (lambda sock: None, [], 'ok'),
    (reset, ['--send', 'hello'], 'reset'),
    (echo, ['--send', 'hello', '--expect', 5, '--abort'], 'ok'),
])
def test_each_connection_counts_as_what_it_came_to(handler, words, expected):
    with Peer(handler) as peer:
        status, result = storm(peer.target, '--connections', 20, '--concurrency', 5, *words)
    assert outcomes(result) == {expected: 20}
    assert status == (0 if expected == 'ok' else 1)
    assert (result['max_ms'] is None) == (expected != 'ok')


def test_nobody_there_is_refused(directory):
    with socket.create_server(('127.0.0.1', 0)) as listener:
        port = listener.getsockname()[1]
    assert outcomes(storm(f'127.0.0.1:{port}', '--connections', 3)[1]) == {'refused': 3}
    assert outcomes(storm(directory / 'nobody', '--connections', 3)[1]) == {'refused': 3}


def test_a_full_queue_of_a_unix_socket_is_waited_for(directory):
    with Peer(echo, directory / 'socket') as peer:
        status, result = storm(peer.target, '--connections', 300, '--concurrency', 100, '--send',
                               'x', '--expect', 1)
    assert (status, outcomes(result)) == (0, {'ok': 300})
    assert result['bytes'] == 300


def test_so_many_at_once_and_no_more():
    with Peer(echo) as peer:
        storm(peer.target, '--connections', 40, '--concurrency', 10, '--send', 'x', '--expect', 1,
              '--hold', 0.2)
        assert 10 <= peer.most <= 20


def test_seconds_end_a_storm_without_a_number():
    with Peer(echo) as peer:
        status, result = storm(peer.target, '--seconds', 0.3, '--concurrency', 4, '--send', 'x',
                               '--expect', 1)
    assert status == 0 and result['connections'] > 10
    assert 0.29 <= result['seconds'] < tend.DEADLINE
    assert 0 < result['p50_ms'] <= result['p99_ms'] <= result['max_ms']


def test_term_ends_a_storm_in_order():
    """Those that are under way come to their end."""
    with Peer(echo) as peer:
        popen = subprocess.Popen([str(STORM), peer.target, '--seconds', '600', '--concurrency', '4',
                                  '--send', 'x', '--expect', '1', '--hold', '0.01'],
                                 stdout=subprocess.PIPE, text=True)
        tend.eventually(lambda: peer.count >= 20)
        popen.terminate()
        out, _ = popen.communicate(timeout=tend.DEADLINE)
    result = json.loads(out)
    assert popen.returncode == 0 and result['ok'] == result['connections'] >= 20 - 4


@pytest.mark.parametrize('words', [
    [], ['no-port'], ['127.0.0.1:http'], ['127.0.0.1:1', '--expect', '-1'],
    ['127.0.0.1:1', '--seconds', 'x'], ['127.0.0.1:1', '--frobnicate'],
    ['127.0.0.1:1', '--send', '\\q'],
])
def test_a_bad_command_line_is_a_usage_error(words):
    done = subprocess.run([str(STORM), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=tend.DEADLINE)
    assert done.returncode == tend.EX_USAGE
    assert done.stdout == '' and done.stderr != ''
