"""Programs as handlers (`tend run`), and services in shared objects (`tend serve`)."""

import os
import re
import signal
import socket

import pytest

import tend
from daemons import as_root
from tend import eventually

PORT = ['port', '127.0.0.1:0']


@pytest.fixture(params=['Single', 'Fork', 'PreFork'])
def server_type(request):
    return request.param


@pytest.fixture
def run(start, server_type, where):
    """run(options, program): a server of that personality at a tcp or unix endpoint."""
    def start_program(options, program, **more):
        return start('run', 'server_type', server_type, 'port', where, *options, '--', *program,
                     **more)

    return start_program


def over_tcp(start, program, *options, **more):
    return start('run', *PORT, *options, '--', *program, **more)


def shell(script):
    return ['sh', '-c', script]


def pids_of(client):
    """The line of process numbers that a program begins with."""
    return [int(word) for word in client.recv_line().split()]


def are_gone(*pids):
    return not any(tend.is_alive(pid) for pid in pids)


# ---- a program and its client ----

def test_cat_is_an_echo(run):
    server = run([], ['cat'])
    data = bytes(range(256)) * 2000
    for _ in range(3):
        with server.client() as c:
            assert c.exchange(data, half_close=True) == data
            c.expect_end()


def test_clients_are_served_at_once(start):
    server = over_tcp(start, ['cat'], 'server_type', 'PreFork')
    clients = [server.client() for _ in range(20)]
    for number, c in enumerate(clients):
        c.send_line(f'client {number}')
    for number, c in enumerate(clients):
        assert c.recv_line() == f'client {number}'
        c.close()


def test_arguments_are_handed_on_as_they_are(start):
    """What follows the first -- is the program's, whatever it looks like."""
    words = ['--help', '-h', '--', '--port=1', 'a  b', '', '*', '$HOME', 'log_level', '4']
    server = over_tcp(start, ['printf', '<%s>', *words])
    with server.client() as c:
        assert c.recv_all().decode() == ''.join(f'<{word}>' for word in words)


def test_program_is_found_in_path(start, directory):
    (directory / 'my-own').write_text('#!/bin/sh\necho mine\n')
    (directory / 'my-own').chmod(0o755)
    server = over_tcp(start, ['my-own'], environment={'PATH': f'{directory}:/usr/bin:/bin'})
    with server.client() as c:
        assert c.recv_all() == b'mine\n'


def test_output_reaches_a_client_that_has_sent_more_than_was_read(run):
    """No reset overtakes it."""
    server = run([], shell('dd bs=1 count=1 >/dev/null 2>&1; echo done'))
    for _ in range(5):
        with server.client() as c:
            c.send(b'x' * 50000)
            c.half_close()
            assert c.recv_all() == b'done\n'


def environment_of(client):
    """{name: value} of what `env` says."""
    lines = client.recv_all().decode().splitlines()
    return dict(line.split('=', maxsplit=1) for line in lines)


UCSPI = re.compile(r'PROTO$|TCP(LOCAL|REMOTE)|UNIX(LOCAL|REMOTE)')


def test_environment_over_tcp(start, server_type):
    server = over_tcp(start, ['env'], 'server_type', server_type,
                      environment={'MY_OWN': 'a=b c', 'TCPREMOTEHOST': 'a.lie',
                                   'UNIXREMOTEEUID': '0', 'PROTO': 'SSL'})
    with server.client() as c:
        host, port = c.sock.getsockname()
        found = environment_of(c)
    assert found['MY_OWN'] == 'a=b c'
    assert {name: value for name, value in found.items() if UCSPI.match(name)} == {
        'PROTO': 'TCP', 'TCPLOCALIP': '127.0.0.1', 'TCPLOCALPORT': str(server.port),
        'TCPREMOTEIP': host, 'TCPREMOTEPORT': str(port)}


def test_mapped_address_is_an_ipv4_address_to_programs(start):
    """Programs compare it with addresses as people write them."""
    server = start('run', 'port', '0', '--', 'env')
    with server.client() as c:
        found = environment_of(c)
    assert (found['TCPLOCALIP'], found['TCPREMOTEIP']) == ('127.0.0.1', '127.0.0.1')


def test_environment_over_unix(start, server_type, directory):
    server = start('run', 'server_type', server_type, 'port', f'{directory}/socket|unix', '--',
                   'env', environment={'TCPREMOTEIP': '192.0.2.1'})
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(tend.DEADLINE)
        sock.bind(f'{directory}/me')
        sock.connect(server.path)
        with tend.Client(sock=sock) as c:
            found = environment_of(c)
    found = {name: value for name, value in found.items() if UCSPI.match(name)}
    assert int(found.pop('UNIXLOCALPID')) > 0
    assert found == {
        'PROTO': 'UNIX', 'UNIXLOCALPATH': f'{directory}/socket',
        'UNIXLOCALUID': str(os.geteuid()), 'UNIXLOCALGID': str(os.getegid()),
        'UNIXREMOTEPATH': f'{directory}/me', 'UNIXREMOTEEUID': str(os.geteuid()),
        'UNIXREMOTEEGID': str(os.getegid()), 'UNIXREMOTEPID': str(os.getpid())}


def test_client_is_all_the_program_inherits(run, directory):
    """NS-BND-05: no listener, no log, no pid file, and nothing that we had from our caller."""
    with open(directory / 'of the caller', 'w') as leak:
        os.set_inheritable(leak.fileno(), True)
        server = run(['log_file', directory / 'log', 'pid_file', directory / 'pid', 'chroot', ''],
                     shell('ls -l /proc/$$/fd'), pass_fds=[leak.fileno()],
                     log_path=directory / 'log')
    with server.client() as c:
        found = re.findall(r'(\d+) -> (.*)', c.recv_all().decode())
    assert [number for number, _ in found] == ['0', '1', '2'], found
    assert len({where for _, where in found}) == 1 and found[0][1].startswith('socket:')


def test_signals_are_as_at_a_login(run):
    """Nothing is ignored, blocked or handled, whatever the caller or the server does."""
    def ignore_some():
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])

    server = run([], ['cat', '/proc/self/status'], before_exec=ignore_some)
    with server.client() as c:
        text = c.recv_all().decode()
    for name in ('SigBlk', 'SigIgn', 'SigCgt'):
        assert int(re.search(rf'{name}:\s*(\w+)', text).group(1), 16) == 0, name


def test_program_has_a_process_group_of_its_own(run):
    server = run([], ['cat', '/proc/self/stat'])
    with server.client() as c:
        found = tend.Process(0, c.recv_all().decode())
    assert found.group not in (server.pid, 0)
    assert found.session == server.pid


@as_root
def test_program_runs_as_the_server_does(start):
    server = over_tcp(start, shell('id -u; id -G'), 'user', 'nobody', 'group', '65534 3')
    with server.client() as c:
        assert c.recv_line() == '65534'
        assert sorted(c.recv_line().split()) == ['3', '65534']


# ---- standard error ----

BOTH = shell('echo out; echo oops >&2')


def test_standard_error_goes_to_the_client(run):
    server = run([], BOTH)
    with server.client() as c:
        assert c.recv_all() == b'out\noops\n'
    assert 'oops' not in server.log()


@pytest.mark.parametrize('to_file', [False, True], ids=['stderr', 'log_file'])
def test_standard_error_goes_to_the_log(run, directory, to_file):
    log = directory / 'log'
    options, more = (['log_file', log], {'log_path': log}) if to_file else ([], {})
    server = run(['program_stderr', 'log', *options], BOTH, **more)
    with server.client() as c:
        assert c.recv_all() == b'out\n'
    server.wait_log('oops')


# ---- how programs end ----

def test_exit_status_is_logged(run):
    server = run(['log_level', '3'], shell('exit 3'))
    with server.client() as c:
        c.expect_end()
    server.wait_log(r'sh for .* ended with status 3')


def test_signal_that_ended_it_is_logged(run):
    server = run([], shell('kill -9 $$'))
    with server.client() as c:
        c.expect_end()
    server.wait_log(r'sh for .* ended by signal 9')


def test_good_end_is_not_worth_a_line(run):
    server = run(['log_level', '3'], ['true'])
    with server.client() as c:
        c.expect_end()
    assert server.stop() == 0
    assert 'true for' not in server.log()


@pytest.mark.parametrize('name, reason', [
    ('/no/such/program', 'o such file'), ('no-such-program-here', 'o such file'),
    ('{}/plain', 'ermission denied'), ('{}', 'ermission denied'),
])
def test_program_that_cannot_be_run(run, directory, name, reason):
    """The client sees the end, the log says why, and the server goes on."""
    (directory / 'plain').write_text('#!/bin/sh\n')
    server = run([], [name.format(directory)], environment={'PATH': '/usr/bin:/bin'})
    for count in (1, 2):
        with server.client() as c:
            c.expect_end()
        server.wait_log(rf'Cannot run {name.format(directory)} for .*{reason}', count=count)
    assert server.is_alive()


FAMILY = 'sleep 1000 & echo $$ $!; wait'
STUBBORN = "trap '' TERM; sleep 1000 & echo $$ $!; wait; sleep 1000"


@pytest.mark.parametrize('script', [FAMILY, STUBBORN], ids=['obedient', 'stubborn'])
def test_client_that_vanishes_ends_the_program(run, transport, script):
    """And its children, and those that do not listen to TERM."""
    server = run(['kill_timeout', '0.2'], shell(script))
    c = server.client()
    pids = pids_of(c)
    assert len(pids) == 2 and not are_gone(*pids)
    if transport == 'tcp':
        c.reset()
    else:
        c.close()
    eventually(lambda: are_gone(*pids), what='program and child are gone')
    with server.client() as c:
        assert len(pids_of(c)) == 2


def test_half_closed_client_gets_a_long_answer(run):
    """Longer than half_close_timeout, with pauses much shorter than that."""
    server = run(['half_close_timeout', 0.8 * tend.SLOW],
                 shell('cat >/dev/null; for i in 0 1 2 3 4 5 6 7 8 9; do echo $i; sleep 0.1; done'))
    with server.client() as c:
        c.send(b'question')
        c.half_close()
        assert c.recv_all() == b''.join(b'%d\n' % i for i in range(10))


def test_half_closed_client_gets_a_large_answer(run):
    server = run([], shell('cat >/dev/null; head -c 3000000 /dev/zero'))
    with server.client() as c:
        c.half_close()
        assert len(c.recv_all()) == 3000000


def test_silent_program_of_a_half_closed_client_is_ended(start, server_type):
    """TCP does not tell a client that waits from one that is gone."""
    server = over_tcp(start, shell('echo $$; cat >/dev/null; exec sleep 1000'),
                      'server_type', server_type, 'half_close_timeout', '0.2')
    with server.client() as c:
        pids = pids_of(c)
        c.half_close()
        eventually(lambda: are_gone(*pids), what='the program is gone')
        c.expect_end()


def test_time_of_the_connection_is_the_programs_too(run):
    server = run(['connection_timeout', '0.3'], shell('echo $$; exec sleep 1000'))
    with server.client() as c:
        pids = pids_of(c)
        c.is_cut()
    eventually(lambda: are_gone(*pids), what='the program is gone')


@pytest.mark.parametrize('script', [FAMILY, STUBBORN], ids=['obedient', 'stubborn'])
@pytest.mark.parametrize('signo', [signal.SIGTERM, signal.SIGINT], ids=['TERM', 'INT'])
def test_stop_of_the_server_ends_programs(run, script, signo):
    server = run(['kill_timeout', '0.2'], shell(script))
    with server.client() as c:
        pids = pids_of(c)
        assert server.stop(signo) == 0
        eventually(lambda: are_gone(*pids), what='program and child are gone')
        c.is_cut()


@pytest.mark.parametrize('server_type', ['Fork', 'PreFork'])
def test_graceful_stop_lets_programs_finish(start, server_type):
    """NS-SHD-04, NS-SHD-05"""
    server = over_tcp(start, ['cat'], 'server_type', server_type)
    with server.client() as c:
        c.send_line('before')
        assert c.recv_line() == 'before'
        server.signal(signal.SIGQUIT)
        eventually(lambda: not tend.listens(server.address), what='new clients are refused')
        c.send_line('after')
        assert c.recv_line() == 'after'
        c.half_close()
        c.expect_end()
        assert server.wait() == 0


def test_killed_server_process_takes_its_program_along(run, server_type):
    """KILL leaves it no time to do so itself."""
    server = run([], shell('echo $$ $PPID; exec sleep 1000'))
    with server.client() as c:
        program, worker = pids_of(c)
        assert (worker == server.pid) == (server_type == 'Single')
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: are_gone(program, worker), what='the program is gone')
        c.is_cut()
    if server_type != 'Single':
        with server.client() as c:
            assert pids_of(c)[1] != worker


def test_program_may_think_before_it_answers(run):
    """first_byte_timeout is for silent clients of handlers that read."""
    server = run(['first_byte_timeout', '0.1', 'idle_timeout', '0'],
                 shell('sleep 0.4; echo done'))
    with server.client() as c:
        assert c.recv_all() == b'done\n'


def test_program_that_is_silent_with_its_client_is_ended(start, server_type):
    """idle_timeout: neither has said anything for so long."""
    server = over_tcp(start, shell('echo $$; exec cat'), 'server_type', server_type,
                      'idle_timeout', 0.5 * tend.SLOW)
    with server.client() as c:
        pids = pids_of(c)
        for _ in range(5):
            c.send(b'x')
            assert c.recv_exactly(1) == b'x'
        assert not are_gone(*pids)
        c.expect_end()
    eventually(lambda: are_gone(*pids), what='the program is gone')


def test_many_programs_leave_nothing_behind(start, where):
    server = start('run', 'server_type', 'Single', 'port', where, '--', 'cat')

    def serve_some():
        for _ in range(10):
            with server.client() as c:
                assert c.exchange(b'x', half_close=True) == b'x'
                c.expect_end()

    serve_some()
    before = server.fds()
    serve_some()
    eventually(lambda: server.fds() <= before, what='descriptors are closed')
    assert not server.children()


def test_program_of_inetd(directory):
    """server_type INET: the client is there already."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(tend.DEADLINE)
        ours.sendall(b'hello\n')
        ours.shutdown(socket.SHUT_WR)
        done = tend.run('run', 'server_type', 'INET', 'log_file', directory / 'log', '--', 'cat',
                        stdin=theirs)
        assert done.returncode == 0, done.stderr
        theirs.close()
        with tend.Client(sock=ours) as c:
            assert c.recv_line() == 'hello' or done.stdout == 'hello\n'


# ---- mistakes ----

WRONG = {
    'no program': (['run'], tend.EX_USAGE, 'which program'),
    'nothing after --': (['run', *PORT, '--'], tend.EX_USAGE, 'which program'),
    'no --': (['run', *PORT, 'cat'], tend.EX_USAGE, '--'),
    'unknown option': (['run', '--bogus', '1', *PORT, '--', 'cat'], tend.EX_USAGE, 'bogus'),
    'unknown word': (['run', *PORT, 'frok', '--', 'cat'], tend.EX_USAGE, 'frok'),
    'program_stderr': (['run', *PORT, 'program_stderr', 'nowhere', '--', 'cat'], tend.EX_CONFIG,
                       'nowhere'),
    'kill_timeout': (['run', *PORT, 'kill_timeout', 'soon', '--', 'cat'], tend.EX_USAGE, 'soon'),
    'bad port': (['run', 'port', '99999', '--', 'cat'], tend.EX_CONFIG, '99999'),
}


@pytest.mark.parametrize('words, wanted, naming', WRONG.values(), ids=WRONG.keys())
def test_mistake_on_the_command_line(words, wanted, naming):
    done = tend.run(*words)
    assert done.returncode == wanted, (done.returncode, done.stderr)
    said = [line for line in done.stderr.splitlines() if line.startswith('tend')]
    assert len(said) == 1 and naming in said[0], done.stderr
    assert not tend.BOUND.search(done.stderr)


def test_check_does_not_run_the_program(directory):
    done = tend.run('run', *PORT, '--check', '--', 'touch', directory / 'ran')
    assert done.returncode == 0
    assert not (directory / 'ran').exists()


# ---- services in shared objects ----

def service_object():
    path = tend.BUILD / 'examples' / 'service.so'
    if not path.exists():
        pytest.skip('examples/service.so is not built')
    return path


needs_no_sanitizer = pytest.mark.skipif(
    tend.SANITIZED, reason='refuse.so is not instrumented')


def test_service_of_an_object_is_served(start, personality, where):
    server = start('serve', service_object(), 'server_type', personality, 'port', where)
    with server.client() as c:
        assert re.fullmatch(rb'\w+, \w+ \d\d, \d{4} \d\d:\d\d:\d\d-\S+\r\n', c.recv_all())
    assert 'daytime' in server.log()


def test_option_of_an_object(start):
    """From the command line, and under its own name in the log."""
    zone = {'TZ': 'XYZ-5'}
    for words, wanted in (([], 'XYZ'), (['--utc', 'yes'], '(UTC|GMT)')):
        server = start('serve', service_object(), *PORT, *words, environment=zone)
        with server.client() as c:
            assert re.search(rf'-{wanted}\r\n$', c.recv_all().decode())


def test_option_of_an_object_in_a_conf_file(start, directory):
    path = directory / 'daytime.conf'
    path.write_text('utc\nport 127.0.0.1:0\nserver_type PreFork\n')
    server = start('serve', service_object(), 'conf_file', path, environment={'TZ': 'XYZ-5'})
    with server.client() as c:
        assert not re.search(r'-XYZ', c.recv_all().decode())
    assert server.children()


def test_object_without_a_slash_is_a_file_here(start, directory):
    (directory / 'my.so').write_bytes(service_object().read_bytes())
    server = start('serve', 'my.so', *PORT, cwd=directory)
    with server.client() as c:
        assert c.recv_all().endswith(b'\r\n')


def test_help_of_an_object_lists_its_options():
    done = tend.run('serve', service_object(), '--help')
    assert done.returncode == 0
    assert re.search(r'\butc\b', done.stdout) and re.search(r'\bmax_servers\b', done.stdout)


def test_wrong_option_of_an_object():
    done = tend.run('serve', service_object(), *PORT, '--utx', 'yes')
    assert done.returncode == tend.EX_USAGE
    assert 'utx' in done.stderr and 'utc' in done.stderr, 'the nearest is suggested'
    done = tend.run('serve', service_object(), *PORT, '--utc', 'perhaps')
    assert done.returncode == tend.EX_USAGE
    assert 'utc' in done.stderr and 'perhaps' in done.stderr


EX_DATAERR = 65


@pytest.mark.parametrize('words', [[], ['--help-me'], ['--port', '0']], ids=str)
def test_serve_without_an_object(words):
    done = tend.run('serve', *words)
    assert done.returncode == tend.EX_USAGE
    assert 'which service' in done.stderr and len(done.stderr.splitlines()) == 1


def test_serve_of_what_is_not_there(directory):
    done = tend.run('serve', directory / 'absent.so')
    assert done.returncode == tend.EX_NOINPUT
    assert f'{directory}/absent.so' in done.stderr


@pytest.mark.parametrize('content', [b'', b'not an object\n', b'\x7fELF\x02\x01\x01' + b'\0' * 57],
                         ids=['empty', 'text', 'broken'])
def test_serve_of_what_is_no_object(directory, content):
    (directory / 'file.so').write_bytes(content)
    done = tend.run('serve', directory / 'file.so')
    assert done.returncode == EX_DATAERR
    assert f'{directory}/file.so' in done.stderr and len(done.stderr.splitlines()) == 1


def test_serve_of_a_directory(directory):
    done = tend.run('serve', directory)
    assert done.returncode in (EX_DATAERR, tend.EX_NOINPUT)
    assert str(directory) in done.stderr


@needs_no_sanitizer
def test_serve_of_an_object_without_a_service():
    done = tend.run('serve', tend.find_program('refuse.so'), *PORT)
    assert done.returncode == EX_DATAERR
    assert 'refuse.so' in done.stderr and 'tend_service' in done.stderr
