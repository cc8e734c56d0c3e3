"""The core as a whole: what a server is to its program, its start line, its talkative echo.

core.c takes the steps under tend_main() itself; everything else is the command.
"""

import errno
import os
import re
import signal
import socket
import subprocess
import time

import pytest

import tend
from tend import eventually
from test_inet import accepted_pair, inet, unix_pair  # noqa: F401 (a fixture)

LONG = bool(os.environ.get('TEND_TEST_LONG'))
PORT = ['port', '127.0.0.1:0']
FORKING = ['Fork', 'PreForkSimple', 'PreFork']


@pytest.fixture
def core(start):
    """Starts core.c."""
    def start_core(*words, **options):
        return start(*PORT, *words, program=tend.find_program('core'), **options)

    return start_core


def ask(client, line):
    client.send_line(line)
    return client.recv_line()


def seen(client):
    """{name: value} of what the handler sees."""
    return dict(pair.split('=', 1) for pair in ask(client, 'seen').split())


# ---- a server and its program ----

@pytest.mark.parametrize('signo', [signal.SIGTERM, signal.SIGQUIT], ids=['TERM', 'QUIT'])
def test_run_returns_to_its_caller_and_to_nobody_else(core, personality, signo):
    """NS-GEN-02, NS-OPT-67: the program decides how it ends; children end by themselves."""
    server = core('server_type', personality)
    with server.client() as c:
        assert ask(c, 'hello') == 'hello'
    assert server.stop(signo) == 42
    assert re.findall(r'^(\d+): run has returned (.*)$', server.stderr(), re.MULTILINE) == [
        (str(server.pid), '0: ""')]


def test_run_returns_when_the_start_fails(directory):
    """NS-GEN-02: with the reason, and without ending the program."""
    done = tend.run('port', f'{directory}/missing/socket|unix', program=tend.find_program('core'))
    assert done.returncode == 1
    assert re.search(r'run has returned -\d+: ".*missing/socket', done.stderr)


def test_name_is_that_of_the_program_unless_it_is_given(core, start):
    """NS-GEN-06, NS-CLI-09: in the start line and in the banner."""
    assert re.search(r' core \(type Fork\) starting! pid\(\d+\)', core().log())
    server = start('Fork', *PORT)
    assert re.search(r' tend \(type Fork\) starting! pid\(\d+\)', server.log())
    with server.client() as c:
        c.expect(r'Welcome to "tend" \(\d+\)')


@pytest.mark.parametrize('left_out', range(5))
def test_sources_in_the_order_of_their_strength(core, directory, left_out):
    """NS-OPT-08, NS-TST-09, NS-TST-41: the strongest are left out one after the other."""
    conf = directory / 'conf'
    conf.write_text('word file\n' if left_out <= 3 else '')
    environment = {'CORE_CODE': 'code' if left_out == 0 else None,
                   'CORE_ARGUMENTS': 'arguments' if left_out <= 2 else None}
    words = ['word', 'line'] if left_out <= 1 else []
    server = core('conf_file', conf, *words, environment=environment)
    wanted = ['code', 'line', 'arguments', 'file', 'default'][left_out]
    assert f'The word is {wanted} [' in server.log()


def test_options_can_be_changed_once_all_have_been_read(core):
    """NS-OPT-08: the hook `configured` comes last and has the last word."""
    server = core('word', 'line', environment={'CORE_AFTERWARDS': 'afterwards'})
    assert 'The word is line [' in server.log()
    with server.client() as c:
        assert ask(c, 'get word') == 'afterwards'


def test_options_are_read_and_set_at_run_time(core):
    """NS-GEN-03: what is set takes effect when the server next looks at it."""
    server = core('server_type', 'Single')
    with server.client() as c:
        assert ask(c, 'get log_level') == '2'
        assert ask(c, 'set log_level 4') == 'done'
        assert ask(c, 'get log_level') == '4'
        assert ask(c, 'set log_level many') == 'done', 'what is no number is 2'
        assert ask(c, 'set max_line much') == os.strerror(errno.EINVAL)
        assert ask(c, 'set port 1') == os.strerror(errno.EBUSY)
        assert ask(c, 'set nonsense 1') == os.strerror(errno.ENOENT)
        assert ask(c, 'get nonsense') == 'no such option'
        assert ask(c, 'set cidr_deny 127.0.0.0/8') == 'done'
        assert ask(c, 'still here') == 'still here'
    with server.client() as c:
        c.expect_end()


def test_option_that_is_refused_leaves_the_server_as_it_was(core):
    """NS-GEN-03: in its rules, too."""
    server = core('server_type', 'Single', 'cidr_allow', '127.0.0.0/8')
    for name in ('cidr_allow', 'cidr_deny', 'allow', 'limit_exempt', 'source_rate'):
        with server.client() as c:
            assert ask(c, f'set {name} (') == os.strerror(errno.EINVAL)
    with server.client() as c:
        assert ask(c, 'still here') == 'still here'


def test_two_servers_do_not_know_of_each_other(core):
    """NS-GEN-01: everything belongs to a server object; nothing is the process's."""
    one, other = core('word', 'one'), core('word', 'other')
    with one.client() as a, other.client() as b:
        assert (ask(a, 'get word'), ask(b, 'get word')) == ('one', 'other')


def test_endpoints_stay_in_the_order_given(start, directory):
    """NS-GEN-01"""
    words = [word for name in 'cab' for word in ('port', f'{directory}/{name}|unix')]
    server = start('Fork', *words, listeners=3)
    assert server.paths == [f'{directory}/{name}' for name in 'cab']


def test_handler_sees_its_client_and_its_server(core, personality):
    """NS-GEN-08"""
    server = core('server_type', personality)
    with server.client() as c:
        host, port = c.sock.getsockname()
        one = seen(c)
        assert one['peer'] == f'{host}:{port}'
        assert one['local'] == f'127.0.0.1:{server.port}'
        assert one['proto'] == 'TCP'
        assert one['requests'] == '1'
        assert one['parent'] == str(server.pid)
        forks = personality != 'Single'
        assert one['child'] == str(int(forks))
        assert (one['pid'] != str(server.pid)) == forks


def test_requests_count_from_before_the_first_hook_and_those_denied_too(core):
    """NS-GEN-07"""
    server = core('server_type', 'Single')
    with server.client() as c:
        assert seen(c)['requests'] == '1'
        ask(c, 'set cidr_deny 127.0.0.0/8')
    with server.client() as c:
        c.expect_end()
    server.wait_log(r'Closed', count=2)
    assert re.findall(r'Accepted as request (\d+)|(Processed, \w+)', server.log()) == [
        ('1', ''), ('', 'Processed, allowed'), ('2', ''), ('', 'Processed, denied')]


def test_failure_ends_one_connection_only(core, personality):
    """NS-FLW-12: it is told at level 1, and the last steps run."""
    server = core('server_type', personality, 'log_level', 2)
    with server.client() as c:
        c.send_line('fail')
        c.expect_end()
    server.wait_log(r'Serving 127\.0\.0\.1:\d+ failed: told to fail: .+ \[')
    server.wait_log(r'Processed, allowed \[')
    server.wait_log(r'Closed \[')
    with server.client() as c:
        assert ask(c, 'still there?') == 'still there?'


# ---- listening ----

@pytest.mark.parametrize('length', [1, 5])
def test_listen_is_the_length_of_the_queue(start, directory, length):
    """NS-OPT-48: a stopped server accepts nobody; Linux lets one more in than it was told."""
    server = start('Single', 'port', f'{directory}/socket|unix', 'listen', length)
    server.signal(signal.SIGSTOP)
    eventually(lambda: tend.process(server.pid).state == 'T')
    clients = []
    try:
        with pytest.raises(BlockingIOError):
            while len(clients) < 20:
                clients.append(socket.socket(socket.AF_UNIX))
                clients[-1].setblocking(False)
                clients[-1].connect(server.path)
        assert len(clients) - 1 == length + 1
    finally:
        for client in clients:
            client.close()
        server.signal(signal.SIGCONT)


@pytest.mark.parametrize('words', [[], ['multi_port', '1']], ids=['one port', 'multi_port'])
def test_connection_that_is_gone_when_it_is_accepted_holds_up_nobody(start, personality, words):
    """NS-SGL-02, NS-OPT-66: no accept blocks, so it is all the same who waits for readiness."""
    server = start(personality, *PORT, *words, environment=tend.refusing('accept4:EAGAIN:3'))
    for _ in range(2):
        with server.client() as c:
            c.expect(r'Welcome to "tend" \(\d+\)')
    assert server.stop() == 0


def test_default_port(directory):
    """NS-OPT-44: 20203, which this test does not get."""
    done = tend.run('Fork', 'host', '127.0.0.1', environment=tend.refusing('bind:EADDRINUSE:*'))
    assert done.returncode == tend.EX_UNAVAILABLE
    assert re.search(r'^tend: .*\b20203\b', done.stderr, re.MULTILINE)


# ---- personalities ----

def test_start_line_names_the_personality(start, personality):
    """NS-SGL-04, NS-MTY-05"""
    server = start(personality, *PORT)
    assert len(re.findall(rf'tend \(type {personality}\) starting! pid\({server.pid}\) ',
                          server.log())) == 1


def test_single_has_no_children_whatever_it_is_told(start):
    """NS-SGL-05, NS-MTY-06, NS-SIG-01: TTIN and TTOU, whose default would stop it, do nothing."""
    server = start('Single', *PORT, 'max_servers', 7, 'min_servers', 9, 'max_dequeue', 2,
                   'check_for_dequeue', '0.01', 'sig_passthrough', 'WINCH')
    for signo in (signal.SIGTTIN, signal.SIGTTOU, signal.SIGWINCH):
        server.signal(signo)
    with server.client() as c:
        assert c.expect(r'Welcome to "tend" \((\d+)\)').group(1) == str(server.pid)
        assert not server.children()
        assert tend.process(server.pid).state != 'T'


@pytest.mark.parametrize('word', ['Single', *FORKING])
def test_options_of_all_types_can_be_given_together(start, word):
    """NS-MTY-06"""
    server = start(word, *PORT, 'max_servers', 3, 'min_servers', 1, 'min_spare_servers', 1,
                   'max_spare_servers', 2, 'max_requests', 5, 'serialize', 'pipe',
                   'max_dequeue', 1, 'check_for_spawn', 7, 'leave_children_open_on_hup', 1)
    with server.client() as c:
        c.expect(r'Welcome to "tend" \(\d+\)')


@pytest.mark.parametrize('types', ['HTTP,Single,PreFork', 'Single Fork', 'Nonsense, single'])
def test_first_type_that_can_be_had_is_taken(start, types):
    """NS-MTY-01, NS-MTY-02"""
    server = start('MultiType', *PORT, 'server_type', types)
    assert '(type Single) starting!' in server.log()
    missing = types.split(',')[0] if ',' in types else None
    said = re.findall(r'server_type (\w+) is not part of this build', server.log())
    assert set(said) == ({missing} if missing else set())


def test_personality_word_ignores_server_type(start):
    """NS-MTY-07"""
    server = start('Single', *PORT, 'server_type', 'PreFork')
    assert '(type Single) starting!' in server.log()


@pytest.mark.parametrize('words', [['port', '127.0.0.1:0', 'Single'],
                                   ['--port=127.0.0.1:0', 'Single'], ['./Single'],
                                   ['Fork', 'Single', *PORT]], ids=' '.join)
def test_personality_is_the_very_first_word_only(words):
    """NS-CLI-04, NS-CLI-12"""
    done = tend.run(*words)
    assert done.returncode == tend.EX_USAGE
    assert 'Single' in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize('words, wanted', [
    (['check', 'Single', *PORT], 0), (['check', 'echo', *PORT], 0), (['dump', 'PreFork'], 0),
    (['check', 'MultiType', *PORT], 0),
    (['check', 'Multiplex', *PORT], 0), (['check', 'Thread', *PORT], 0),
    (['HTTP', *PORT], tend.EX_CONFIG),
    (['PSGI', *PORT], tend.EX_CONFIG),
], ids=lambda value: ' '.join(value) if isinstance(value, list) else str(value))
def test_first_word_is_a_command_or_a_personality(words, wanted):
    """NS-CLI-01: one that this build has not is refused by name."""
    done = tend.run(*words)
    assert done.returncode == wanted, done.stderr
    assert (wanted == 0) == ('not part of this build' not in done.stderr)


# ---- INET ----

def test_inet_logs_what_others_log(inet):  # noqa: F811
    """NS-INE-02: no start line and no connections, but the identity and the end."""
    server, c = inet('INET', 'log_level', 3)
    c.recv_line()
    c.close()
    assert server.wait() == 0
    assert re.search(r'User Not Defined\.', server.log())
    assert re.search(r'Group Not Defined\.', server.log())
    assert len(re.findall(r'Server closing!', server.log())) == 1


REMOTE = {'TCPREMOTEIP': '192.0.2.7', 'TCPREMOTEPORT': '4321', 'TCPLOCALIP': '192.0.2.1',
          'TCPLOCALPORT': '7'}


def talk_by_pipe(start, *words, environment, lines):
    """What the talkative echo answers to the lines, between the banner and the end."""
    server = start('INET', *words, listeners=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                   environment=environment)
    out, _ = server.popen.communicate(''.join(f'{line}\n' for line in lines).encode(),
                                      tend.DEADLINE)
    assert server.wait() == 0
    return [line for line in out.decode().splitlines() if 'You said' not in line][1:]


@pytest.mark.parametrize('environment, answers', [
    (REMOTE, ['peeraddr: 192.0.2.7', 'peerport: 4321', 'sockaddr: 192.0.2.1', 'sockport: 7']),
    ({**dict.fromkeys(REMOTE), 'TCPREMOTEIP': '2001:db8::1'},
     ['peeraddr: 2001:db8::1', 'peerport: 0', 'sockaddr: 0.0.0.0', 'sockport: 0']),
    (dict.fromkeys(REMOTE),
     ['peeraddr: 0.0.0.0', 'peerport: 0', 'sockaddr: 0.0.0.0', 'sockport: 0']),
], ids=['variables', 'IPv6', 'nothing'])
def test_inet_without_a_socket_takes_addresses_from_the_environment(start, environment, answers):
    """NS-INE-04"""
    names = ['peeraddr', 'peerport', 'sockaddr', 'sockport']
    assert talk_by_pipe(start, 'remote_control', 1, environment=environment,
                        lines=[f'get {name}' for name in names]) == answers


@pytest.mark.parametrize('make', [accepted_pair, unix_pair], ids=['tcp', 'unix'])
def test_exit_under_inet_ends_nobody_else(inet, make):  # noqa: F811
    """NS-SHD-11, NS-INE-07: who started it is no parent of a server, and gets no signal."""
    caught = []
    before = signal.signal(signal.SIGINT, lambda signo, frame: caught.append(signo))
    try:
        server, c = inet('INET', pair=make)
        c.recv_line()
        c.send_line('exit')
        assert server.wait() == 0
    finally:
        signal.signal(signal.SIGINT, before)
    assert not caught


# ---- the talkative echo ----

def test_commands_are_for_clients_of_this_machine(start):
    """NS-ECH-06: others need the option remote_control."""
    lines = ['get peeraddr', 'dump', 'exit', 'still there']
    assert talk_by_pipe(start, environment=REMOTE, lines=lines) == [
        'exit is for clients of this machine (option remote_control)']
    said = talk_by_pipe(start, 'remote_control', 1, environment=REMOTE, lines=lines)
    assert said[0] == 'peeraddr: 192.0.2.7'
    assert any(line.startswith('max_servers = ') for line in said)
    assert not any('exit is for' in line for line in said)


def test_get_and_dump(talkative):
    """NS-ECH-02"""
    with talkative.client() as c:
        c.recv_line()
        for line, answer in [('get log_level', 'log_level: 2'), ('please get  ipv', 'ipv: *'),
                             ('get nonsense', 'nonsense: '), ('get requests', r'requests: 1')]:
            c.send_line(line)
            c.recv_line()
            assert c.recv_line().rstrip() == answer.rstrip()
        c.send_line('dump')
        c.recv_until('log_level = 2')


def test_silent_client_is_told_and_left(start, personality):
    """NS-ECH-04: in the middle of a line too, and nobody else is."""
    server = start(personality, *PORT, 'patience', '0.1')
    for beginning in (b'', b'half a li'):
        with server.client() as c:
            c.send(beginning)
            c.recv_line()
            c.expect('Timed Out.')
            c.expect_end()
    assert server.is_alive()


def test_line_that_comes_in_pieces_has_no_more_time(start):
    """NS-ECH-04: 30 seconds without a line, not without a byte."""
    server = start('Single', *PORT, 'patience', '0.3')
    with server.client(timeout=0.02) as c:
        def is_told():
            c.send(b'x')
            try:
                return b'Timed Out.\r\n' in c.sock.recv(4096)
            except socket.timeout:
                return False

        eventually(is_told, what='the end of a client that drips')


def test_each_line_begins_the_time_anew(start):
    """NS-ECH-04"""
    patience = 0.8 * tend.SLOW
    server = start('Single', *PORT, 'patience', patience)
    with server.client() as c:
        c.recv_line()
        end = time.monotonic() + 2 * patience
        while time.monotonic() < end:
            c.send_line('here')
            c.expect(r'tend:\d+: You said "here"')
        c.expect('Timed Out.')


def test_patience_is_30_seconds():
    """NS-ECH-04"""
    assert 'patience = 30 ' in tend.run('dump', 'Fork').stdout


@pytest.mark.skipif(not LONG, reason='takes 30 seconds; TEND_TEST_LONG=1')
def test_patience_ends_after_30_seconds(start):
    """NS-ECH-04"""
    server = start('Fork', *PORT)
    with server.client(timeout=60) as c:
        c.recv_line()
        watch = tend.Stopwatch()
        c.expect('Timed Out.')
        assert 29 < watch.elapsed() and watch.taken() < 31 * tend.SLOW
