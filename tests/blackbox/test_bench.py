"""The tools of the benchmarks do what they say: the bare servers and the peers serve, the load
generators count right and notice what is wrong, and bench/run makes a table of it.

Nothing here looks at a time: what these programs measure is for bench/run to say. They are compiled for
the test, because a usual build leaves them out; peers are tried where their libraries are installed.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading

import pytest

import tend

BENCH = tend.ROOT / 'bench'
ANSWER = b'the quick brown fox jumps over the lazy dog, 64 bytes at a time\n'

# How each program is made: its sources, and what it needs to be linked with.
PROGRAMS = {
    'load': ['load.c', 'client.c'],
    'echo_load': ['echo_load.c', 'client.c'],
    **{name: [f'bare/{name}.c', 'bare/bare.c']
       for name in ('accept_loop', 'epoll_answer', 'epoll_echo', 'fork_loop', 'prefork_pool')},
    **{name: [f'bare/{name}.c', 'bare/bare_threads.c', 'bare/bare.c', '-pthread']
       for name in ('thread_answer', 'thread_echo')},
    'echo_libev': ['peers/echo_libev.c', 'bare/bare.c', '-lev'],
    'echo_libuv': ['peers/echo_libuv.c', 'bare/bare.c', '-luv'],
    'echo_libevent': ['peers/echo_libevent.c', 'bare/bare.c', '-levent_core'],
    'timers_bare': ['timers/timers_bare.c', 'timers/timers.c'],
    'timers_bare_fresh': ['timers/timers_bare.c', 'timers/timers.c', '-DFRESH_CLOCK'],
}
HEADERS = {'echo_libev': 'ev.h', 'echo_libuv': 'uv.h', 'echo_libevent': 'event2/event.h'}
ANSWERS = ['accept_loop', 'fork_loop', 'prefork_pool', 'epoll_answer', 'thread_answer']
ECHOES = ['epoll_echo', 'thread_echo', 'echo_libev', 'echo_libuv', 'echo_libevent',
          'echo_danga.pl', 'echo_io_multiplex.pl']
MODULES = {'echo_danga.pl': 'Danga::Socket', 'echo_io_multiplex.pl': 'IO::Multiplex'}

COMPILER = shutil.which('cc')
pytestmark = [pytest.mark.skipif(COMPILER is None, reason='no C compiler here'),
              pytest.mark.skipif(not sys.platform.startswith('linux'), reason='epoll is needed')]


def succeeds(*command, given=''):
    return subprocess.run(command, input=given, text=True, check=False, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0


@pytest.fixture(scope='module')
def make(tmp_path_factory):
    """make(name): the path of a program of the benchmarks; skips where its library is missing."""
    folder = tmp_path_factory.mktemp('bench')

    def program(name):
        path = folder / name
        if path.exists():
            return str(path)
        header = HEADERS.get(name)
        if header and not succeeds(COMPILER, '-E', '-', given=f'#include <{header}>\n'):
            pytest.skip(f'{header} is not installed')
        words = [str(BENCH / word) if word.endswith('.c') else word for word in PROGRAMS[name]]
        subprocess.run([COMPILER, '-std=gnu11', '-D_GNU_SOURCE', '-O1', '-o', str(path), *words],
                       check=True, timeout=10 * tend.DEADLINE)
        return str(path)
    return program


@contextlib.contextmanager
def serving(command):
    """The port of a server that says which it has; it is ended, and its children with it."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert line.startswith('listening on 127.0.0.1:'), line
        yield int(line.rpartition(':')[2])
    finally:
        process.terminate()
        process.wait(tend.DEADLINE)
        process.stdout.close()


def command_of(make, name):
    if name not in MODULES:
        return [make(name)]
    if not succeeds('perl', f'-M{MODULES[name]}', '-e', '1'):
        pytest.skip(f'{MODULES[name]} is not installed')
    return ['perl', str(BENCH / 'peers' / name)]


def echo_load(make, port, *words, given='go\n'):
    """Runs a window; returns (status, the lines it printed)."""
    done = subprocess.run([make('echo_load'), '--port', str(port), *map(str, words)], input=given,
                          stdout=subprocess.PIPE, text=True, timeout=6 * tend.DEADLINE, check=False)
    return done.returncode, done.stdout.splitlines()


# ---- servers ----

@pytest.mark.parametrize('name', ANSWERS)
def test_bare_servers_answer_short_connections(make, name):
    with serving([make(name)]) as port:
        done = subprocess.run([make('load'), '--port', str(port), '--connections', '200'],
                              stdout=subprocess.PIPE, text=True, timeout=6 * tend.DEADLINE,
                              check=False)
    result = json.loads(done.stdout)
    assert (done.returncode, result['connections'], result['errors']) == (0, 200, 0), result


def test_a_request_that_comes_late_is_answered(make):
    """epoll_answer tries at once, and has to come back to a client that says nothing yet."""
    with serving([make('epoll_answer')]) as port, \
            socket.create_connection(('127.0.0.1', port), timeout=tend.DEADLINE) as silent:
        with socket.create_connection(('127.0.0.1', port), timeout=tend.DEADLINE) as quick:
            quick.sendall(b'\n')
            assert quick.recv(100) == ANSWER
        silent.sendall(b'\n')
        assert silent.recv(100) == ANSWER


@pytest.mark.parametrize('name', ECHOES)
@pytest.mark.parametrize('words, messages', [
    (['--connections', 1, '--size', 64], 100),
    (['--connections', 64, '--size', 64, '--depth', 16], 20000),
    (['--connections', 10, '--size', 16384, '--depth', 2], 400),
])
def test_every_byte_comes_back(make, name, words, messages):
    with serving(command_of(make, name)) as port:
        status, lines = echo_load(make, port, *words, '--messages', messages)
    assert lines[0] == 'ready'
    result = json.loads(lines[1])
    assert (status, result['messages'], result['errors']) == (0, messages, 0), result
    assert result['bytes'] == messages * words[3]


# The others wait, or grow, by nature: these are the ones that must stop reading and go on later.
@pytest.mark.parametrize('name', ['epoll_echo', 'thread_echo', 'echo_libev', 'echo_libuv'])
def test_what_a_slow_reader_left_is_sent_later(make, name):
    with serving(command_of(make, name)) as port:
        status, lines = echo_load(make, port, '--push', 64, given='go\ngo\n')
    pushed, result = json.loads(lines[1])['pushed'], json.loads(lines[2])
    assert 0 < pushed < 64 << 20
    assert (status, result['bytes'], result['errors']) == (0, pushed, 0), result


# ---- the load generator ----

def wrong_byte(sock):
    data = bytearray(sock.recv(65536))
    data[-1] ^= 1
    sock.sendall(data)


def too_much(sock):
    sock.sendall(sock.recv(65536) + b'x')


def nothing(sock):
    sock.recv(65536)


@pytest.mark.parametrize('handler, complaint', [
    (wrong_byte, 'other bytes came back'),
    (too_much, 'more came back than was sent'),
    (nothing, 'the server closed'),
])
def test_what_is_not_an_echo_is_an_error(make, handler, complaint):
    with socket.create_server(('127.0.0.1', 0)) as listener:
        def serve():
            with listener.accept()[0] as sock:
                handler(sock)
                while sock.recv(65536) if handler is not nothing else False:
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        status, lines = echo_load(make, listener.getsockname()[1], '--warm-up', 0, '--messages', 5)
        thread.join(tend.DEADLINE)
    result = json.loads(lines[1])
    assert status == 1
    assert (result['errors'], result['first_error']) == (1, complaint)


def test_each_line_is_a_window(make):
    with serving([make('epoll_echo')]) as port:
        status, lines = echo_load(make, port, '--connections', 2, '--messages', 10,
                                  given='go\n' * 3)
    assert status == 0
    assert [json.loads(line)['messages'] for line in lines[1:]] == [10, 10, 10]


def test_time_ends_a_window(make):
    with serving([make('epoll_echo')]) as port:
        status, lines = echo_load(make, port, '--connections', 4, '--messages', 10 ** 9,
                                  '--seconds', 0.1)
    result = json.loads(lines[1])
    assert status == 0 and 0 < result['messages'] < 10 ** 9
    assert result['p50_us'] <= result['p99_us']


@pytest.mark.parametrize('words', [[], ['--port'], ['--port', 'x'], ['--port', '0'],
                                   ['--port', '1', '--size', '0'], ['--port', '1', '--frob', '1']])
def test_a_bad_command_line_is_a_usage_error(make, words):
    done = subprocess.run([make('echo_load'), *words], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=tend.DEADLINE, check=False)
    assert done.returncode == tend.EX_USAGE
    assert done.stdout == '' and done.stderr != ''


# ---- timers ----

@pytest.mark.parametrize('name', ['timers_bare', 'timers_bare_fresh'])
def test_all_timers_run_out(make, name):
    done = subprocess.run([make(name), '--count', '2000'], stdout=subprocess.PIPE, text=True,
                          timeout=6 * tend.DEADLINE, check=False)
    result = json.loads(done.stdout)
    assert (done.returncode, result['fired'], result['timers']) == (0, 2000, 2000)
    if name == 'timers_bare_fresh':
        assert result['early'] == 0


# ---- bench/run ----

def test_run_makes_a_table_and_skips_what_is_not_built(make, directory):
    """A stand-in for tend that has no Multiplex: its line says so, and it is no failure."""
    folder = directory / 'build' / 'bench'
    folder.mkdir(parents=True)
    for name in ('load', 'echo_load', *ANSWERS, 'epoll_echo', 'thread_echo', 'timers_bare',
                 'timers_bare_fresh'):
        os.symlink(make(name), folder / name)
    for name, text in (('handler', ''), ('timers_tend', ''), ('tend_bench', (
            "echo \"tend_bench: server_type 'Multiplex' is not part of this build\" >&2\n"
            'exit 78\n'))):
        (folder / name).write_text('#!/bin/sh\n' + text)
        (folder / name).chmod(0o755)
    done = subprocess.run(
        [sys.executable, str(BENCH / 'run'), '--quick', '--rounds', '1', '--messages', '200',
         '--connections', '50', '--no-peers', '--only', 'echo-64-64,accept-multiplex', '--json',
         str(directory / 'figures'), str(directory / 'build')],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=6 * tend.DEADLINE,
        check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped: server_type 'Multiplex' is not part of this build" in done.stdout
    results = json.loads((directory / 'figures').read_text())['results']
    measured = {r['row'] + ' ' + r['server']: r for r in results if r['rounds']}
    assert set(measured) == {'accept-multiplex bare epoll_answer', 'echo-64-64 bare epoll_echo',
                             'echo-64-64 bare thread_echo'}
    rounds = measured['echo-64-64 bare epoll_echo']['rounds']
    # --quick has 4 windows, and a window has 10 messages of each connection at least.
    assert [(r['window'], r['messages']) for r in rounds] == [(i, 640) for i in range(4)]
    assert all(r['errors'] == 0 for r in results)
