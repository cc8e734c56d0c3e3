"""The programs in examples/: each is run and talked to, under every personality with no change but
the option. examples/hooks.c has test_hooks.py and test_signals.py.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
from datetime import datetime

import pytest

import tend
from tend import eventually
from test_inet import accepted_pair

EXAMPLES = tend.ROOT / 'examples'


def example(name):
    return tend.find_program(name)


def as_inetd(start, *words, **options):
    """Starts a program with a client on descriptors 0 and 1; returns (server, client)."""
    client, theirs = accepted_pair()
    with theirs:
        server = start(*words, listeners=0, stdin=theirs, stdout=theirs, **options)
    return server, client


def ask(client, line):
    client.send_line(line)
    return client.recv_line()


def test_readme_names_every_example():
    named = set(re.findall(r'^\| `([\w.]+)`', (EXAMPLES / 'README.md').read_text(), re.MULTILINE))
    assert named == {path.name for path in EXAMPLES.iterdir() if path.suffix in ('.c', '.sh')}


# ---- hello ----

def test_hello_fits_in_ten_lines():
    assert len((EXAMPLES / 'hello.c').read_text().splitlines()) <= 10


def test_hello_greets(start):
    # It reads no command line, so its port cannot be chosen.
    try:
        server = start(program=example('hello'))
    except AssertionError as e:
        if 'cannot bind tcp port 20203 on ::: address already in use' not in str(e):
            raise
        pytest.skip('port 20203 is taken by another program')
    assert server.port == 20203
    with server.client() as c:
        c.expect(r'hello, .*127\.0\.0\.1\]?:%d' % c.sock.getsockname()[1])
        c.expect_end()
    assert server.stop() == 0


# ---- echo ----

def test_echo_sends_back_every_byte(start, personality, where):
    server = start('port', where, 'server_type', personality, program=example('echo'))
    data = bytes(range(256)) * 2000
    for _ in range(3):
        with server.client() as c:
            assert c.exchange(data, half_close=True) == data
            c.expect_end()


def test_echo_under_inetd(start):
    server, c = as_inetd(start, 'server_type', 'INET', program=example('echo'))
    with c:
        assert c.exchange(b'hello\n', half_close=True) == b'hello\n'
        c.expect_end()
    assert server.wait() == 0


# ---- scrambled ----

def scramble(data, key=42):
    return bytes(byte ^ key for byte in data)


def test_scrambled_changes_and_counts_every_byte(start, personality, where):
    """DS-89: a transport of the program's own, in both directions."""
    server = start('port', where, 'server_type', personality, program=example('scrambled'))
    data = bytes(range(256)) * 200
    with server.client() as c:
        c.send(scramble(b'hello\n'))
        assert c.recv_exactly(6) == scramble(b'hello\n')
        assert c.exchange(scramble(data), half_close=True) == scramble(data)
        c.expect_end()
    server.wait_log(r'%d bytes received, %d sent' % ((len(data) + 6,) * 2))


def test_scrambled_has_its_key_from_an_option(start):
    server = start('port', '127.0.0.1:0', '--key', 7, program=example('scrambled'))
    with server.client() as c:
        c.send(scramble(b'hello', 7))
        c.half_close()
        assert c.recv_all() == scramble(b'hello', 7)


def test_scrambled_under_inetd(start):
    """Over the socket of a super-server, which the program's standard input and output still are."""
    server, c = as_inetd(start, 'server_type', 'INET', program=example('scrambled'))
    with c:
        assert c.exchange(scramble(b'hello\n'), half_close=True) == scramble(b'hello\n')
        c.expect_end()
    assert server.wait() == 0


# ---- kv ----

@pytest.fixture
def kv(start, personality, where):
    return start('port', where, 'server_type', personality, 'max_servers', 4,
                 program=example('kv'))


def test_kv_keeps_what_it_is_told_for_everybody(kv):
    with kv.client() as c:
        assert ask(c, 'GET colour') == 'NONE'
        assert ask(c, 'SET colour dark  green ') == 'OK'
        assert ask(c, 'get colour') == 'VALUE dark  green '
    with kv.client() as c:
        assert ask(c, 'GET colour') == 'VALUE dark  green '
        assert ask(c, 'SET colour red') == 'OK'
        assert ask(c, 'SET empty ') == 'OK'
    with kv.client() as c:
        assert ask(c, 'GET colour') == 'VALUE red'
        assert ask(c, 'GET empty') == 'VALUE '
        c.send_line('KEYS')
        assert {c.recv_line(), c.recv_line()} == {'KEY colour', 'KEY empty'}
        assert c.recv_line() == 'END'
        assert ask(c, 'DEL colour') == 'OK'
        assert ask(c, 'DEL colour') == 'NONE'
        assert ask(c, 'GET colour') == 'NONE'
        assert ask(c, 'QUIT') == 'BYE'
        c.expect_end()


@pytest.mark.parametrize('line, answer', [
    ('', 'ERROR there are .*'),
    ('FROBNICATE x', 'ERROR there are .*'),
    ('GET', 'ERROR GET needs more words'),
    ('GET ', 'ERROR GET needs more words'),
    ('SET a', 'ERROR SET needs more words'),
    ('SET  a b', 'ERROR SET needs more words'),
    ('SET a ' + 'v' * 447, 'OK'),
    ('SET a ' + 'v' * 448, 'ERROR a value .*'),
    ('SET ' + 'k' * 63 + ' v', 'OK'),
    ('SET ' + 'k' * 64 + ' v', 'ERROR a key .*'),
    ('GET ' + 'k' * 64, 'ERROR a key .*'),
    ('SET a b\0c', 'ERROR text only'),
], ids=lambda text: text.rstrip('kv') or 'nothing')
def test_kv_refuses_what_has_no_room_or_sense(start, line, answer):
    server = start('port', '127.0.0.1:0', 'server_type', 'Single', program=example('kv'))
    with server.client() as c:
        assert re.fullmatch(answer, ask(c, line))
        assert ask(c, 'KEYS').startswith('KEY ' if answer == 'OK' else 'END')


def test_kv_is_full_when_its_slots_are(start):
    server = start('port', '127.0.0.1:0', '--slots', 2, program=example('kv'))
    with server.client() as c:
        assert [ask(c, f'SET {key} 1') for key in 'abab'] == ['OK'] * 4
        assert ask(c, 'SET c 1') == 'FULL'
        assert ask(c, 'DEL a') == 'OK'
        assert ask(c, 'SET c 1') == 'OK'


@pytest.mark.parametrize('slots', [0, 1000001])
def test_kv_refuses_slots_before_it_binds(slots):
    done = tend.run('port', '127.0.0.1:0', 'slots', slots, program=example('kv'))
    assert done.returncode == tend.EX_CONFIG
    assert f'kv: slots is {slots}, not 1 to 1000000' in done.stderr
    assert 'Bound' not in done.stderr


@pytest.mark.parametrize('type', ['Fork', 'PreForkSimple', 'PreFork'])
def test_kv_survives_workers_that_are_killed(start, type):
    """With the lock held and half-way through a change, sooner or later."""
    # A vain search through so many slots is most of what a worker does, and is under the lock.
    server = start('port', '127.0.0.1:0', 'server_type', type, 'slots', 20000, 'max_servers', 6,
                   program=example('kv'))
    over = threading.Event()
    torn, written = [], [0]

    def write():
        number = 0
        while not over.is_set():
            try:
                with server.client() as c:
                    while not over.is_set():
                        number += 1
                        assert ask(c, 'SET key ' + chr(97 + number % 26) * 400) == 'OK'
                        value = ask(c, 'GET key')
                        if not re.fullmatch(r'VALUE ([a-z])\1{399}', value):
                            torn.append(value)
                        assert ask(c, 'GET nothing') == 'NONE'
                        written[0] += 1
            except (AssertionError, OSError):
                pass  # It was our worker that was killed.

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(40):
            before = written[0]
            eventually(lambda: written[0] > before + 2, what='values are written')
            for pid in server.children()[:2]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert torn == []
    with server.client() as c:
        assert ask(c, 'SET key last') == 'OK'
        assert ask(c, 'GET key') == 'VALUE last'


# ---- options ----

OPTIONS = {'motto': 'slow and steady', 'loud': 'no', 'offset': '-1', 'rooms': '16',
           'limit': '5000000000', 'patience': '30'}


def shown(client):
    client.send_line('all')
    client.half_close()
    lines = client.recv_all().decode().splitlines()
    return [tuple(line.split(': ', 1)) for line in lines]


def test_options_have_their_defaults(start, personality):
    server = start('port', '127.0.0.1:0', 'server_type', personality, program=example('options'))
    with server.client() as c:
        assert shown(c) == list(OPTIONS.items())


def test_options_come_from_the_command_line_in_every_spelling(start, personality):
    server = start('port', '127.0.0.1:0', 'server_type', personality, '--motto', 'be brief',
                   '--friend=ada', 'friend', 'grace', 'loud=yes', '--offset', '-273', '--r', '3',
                   'limit', '-9000000000', '--patience', '2.5', program=example('options'))
    with server.client() as c:
        assert shown(c) == [('motto', 'be brief'), ('friend', 'ada'), ('friend', 'grace'),
                            ('loud', 'yes'), ('offset', '-273'), ('rooms', '3'),
                            ('limit', '-9000000000'), ('patience', '2.5')]


def test_options_come_from_a_conf_file_and_the_command_line_beats_it(start, directory):
    conf = directory / 'conf'
    conf.write_text('motto  from the file\nfriend ada\nfriend grace\nloud on\nrooms 7  # few\n'
                    'port 127.0.0.1:0\nserver_type Single\n')
    server = start('conf_file', conf, 'rooms', 8, program=example('options'))
    with server.client() as c:
        assert shown(c) == [('motto', 'from the file'), ('friend', 'ada'), ('friend', 'grace'),
                            ('loud', 'yes'), ('offset', '-1'), ('rooms', '8'),
                            ('limit', '5000000000'), ('patience', '30')]


def test_options_are_told_one_by_one_and_those_of_tend_as_well(start, personality):
    server = start('port', '127.0.0.1:0', 'server_type', personality, 'max_servers', 7,
                   '--friend', 'ada', '--friend', 'grace', program=example('options'))
    with server.client() as c:
        assert ask(c, 'motto') == 'motto: slow and steady'
        assert ask(c, 'friend') == 'friend: ada, grace'
        assert ask(c, 'max_servers') == 'max_servers: 7'
        assert ask(c, 'server_type') == f'server_type: {personality}'
        assert ask(c, 'frobnicate') == 'there is no option frobnicate'


@pytest.mark.parametrize('words, name', [
    (['--rooms', 'many'], 'rooms'), (['--rooms', '-1'], 'rooms'), (['--offset', '1.5'], 'offset'),
    (['--loud', 'perhaps'], 'loud'), (['--patience', 'x'], 'patience'),
    (['--limit', '99999999999999999999'], 'limit'), (['--rooms', '0'], 'rooms is 0'),
])
def test_options_refuse_values_that_are_none(words, name):
    done = tend.run('port', '127.0.0.1:0', *words, program=example('options'))
    assert done.returncode in (tend.EX_USAGE, tend.EX_CONFIG)
    last = done.stderr.splitlines()[-1]
    assert last.startswith('options: ') and name in last
    assert 'Bound' not in done.stderr


def test_options_help_names_them_all():
    done = tend.run('--help', program=example('options'))
    assert done.returncode == 0
    for name in ('motto', 'friend', 'loud', 'offset', 'rooms', 'limit', 'patience'):
        assert re.search(rf'^\s+--{name}\b', done.stdout, re.MULTILINE), done.stdout
    assert 'may be given several times' in done.stdout


# ---- service ----

DAYTIME = '%A, %B %d, %Y %H:%M:%S'


def test_service_says_the_time_and_hangs_up(start, personality, where):
    server = start('serve', example('service.so'), 'port', where, 'server_type', personality,
                   '--utc', 'yes', environment={'TZ': 'XYZ-3'})
    with server.client() as c:
        text, zone = c.recv_line().rsplit('-', 1)
        c.expect_end()
    said = datetime.strptime(text, DAYTIME)
    assert zone in ('GMT', 'UTC')
    assert abs((said - datetime.utcnow()).total_seconds()) < 60 + tend.DEADLINE


def test_service_under_inetd(start):
    server, c = as_inetd(start, 'serve', example('service.so'), 'server_type', 'INET',
                         environment={'TZ': 'XYZ-3'})
    with c:
        assert c.recv_line().endswith('-XYZ')
        c.expect_end()
    assert server.wait() == 0


def test_service_has_its_options_in_the_help():
    done = tend.run('serve', example('service.so'), '--help')
    assert done.returncode == 0
    assert 'RFC 867' in done.stdout and '--utc' in done.stdout


# ---- guess ----

def play(client, end='\n'):
    """Finds the number by halving; returns how many tries the game counted."""
    client.recv_until('number from 1 to 100.\n')
    low, high = 1, 100
    while low <= high:
        client.recv_until('Your guess? ')
        guess = (low + high) // 2
        client.send(f'{guess}{end}')
        answer = client.recv_line()
        if answer == f'More than {guess}.':
            low = guess + 1
        elif answer == f'Less than {guess}.':
            high = guess - 1
        else:
            tries = int(re.fullmatch(r'Yes! Tries: (\d+)\.', answer).group(1))
            client.expect_end()
            return tries
    raise AssertionError('there is no number left')


def test_guess_can_be_won(start, personality, where):
    server = start('run', 'port', where, 'server_type', personality, '--', EXAMPLES / 'guess.sh')
    for end in ('\n', '\r\n'):
        with server.client() as c:
            assert 1 <= play(c, end) <= 7


def test_guess_under_inetd(start):
    server, c = as_inetd(start, 'run', 'server_type', 'INET', '--', EXAMPLES / 'guess.sh', '50')
    with c:
        assert play(c) == 1
    assert server.wait() == 0


def test_guess_knows_who_plays_and_takes_no_nonsense(start):
    server = start('run', 'port', '127.0.0.1:0', '--', EXAMPLES / 'guess.sh', '42')
    with server.client() as c:
        assert c.recv_line().startswith('Hello 127.0.0.1, ')
        for nonsense in ('', 'x', '-1', '1000', '4 2', '$(id)'):
            assert ask(c, nonsense).endswith('Numbers only, or quit.')
        assert ask(c, 'quit').endswith('It was 42.')
        c.expect_end()


def test_guess_ends_with_its_player(start, personality):
    server = start('run', 'port', '127.0.0.1:0', 'server_type', personality, 'max_servers', 2,
                   '--', EXAMPLES / 'guess.sh')
    waiting = {'Single': 1, 'Fork': 1, 'Multiplex': 2, 'Thread': 2}.get(personality, 3)
    eventually(lambda: len(server.tree()) == waiting, what='the game can begin')
    with server.client() as c:
        c.recv_until('Your guess? ')
        eventually(lambda: len(server.tree()) > waiting, what='the game runs')
        c.reset()
    eventually(lambda: len(server.tree()) == waiting, what='the game is over')


# ---- chats ----

@pytest.fixture(params=['chat', 'chat_fibers'])
def chat(request, start, where):
    return start('port', where, program=example(request.param))


def test_all_hear_what_one_says(chat):
    """MX-T37, MX-08"""
    with chat.client() as ann, chat.client() as bob:
        for c in (ann, bob):
            # Until it hears itself it may not be there for the others.
            c.send_line('here')
            c.recv_until('here\n')
        ann.send_line('hello, bob')
        for c in (ann, bob):
            assert c.recv_until('hello, bob\n')
        bob.half_close()
        bob.is_cut()
        ann.send_line('alone')
        ann.recv_until('alone\n')


def test_chat_tells_who_comes_and_leaves(start):
    """MX-71, MX-76"""
    server = start('port', '127.0.0.1:0', program=example('chat'))
    with server.client() as ann:
        # Nobody hears of himself before he is let in.
        ann.send_line('here')
        ann.expect(r'127\.0\.0\.1:\d+ here')
        with server.client() as bob:
            name = '%s:%d' % bob.sock.getsockname()
            ann.expect(f'{re.escape(name)} comes')
        ann.expect(f'{re.escape(name)} leaves')


def test_chat_in_fibers_fits_in_twenty_lines():
    assert len((EXAMPLES / 'chat_fibers.c').read_text().splitlines()) <= 20


# ---- proxy ----

def test_proxy_asks_another_server(start, personality):
    """Under every personality; under Multiplex handlers wait beside each other."""
    asked = start('echo', 'server_type', 'Fork', 'port', '127.0.0.1:0')
    words = ['max_servers', 4, *(['min_servers', 1] if personality == 'PreFork' else [])]
    server = start('port', '127.0.0.1:0', 'server_type', personality, *words,
                   'to', '127.0.0.1:%d' % asked.port, program=example('proxy'))
    with server.client() as c:
        for line in ('hello', 'and again', ''):
            assert ask(c, line) == line
        if personality == 'Multiplex':
            with server.client() as other:
                assert ask(other, 'beside') == 'beside'
        c.half_close()
        c.expect_end()
    asked.close()
    with server.client() as c:
        c.expect(r'cannot reach 127\.0\.0\.1:\d+: Connection refused')
        c.expect_end()


# ---- ticker ----

def test_ticker_beats_for_everybody(start):
    """DS-45, DS-111: on a loop of its own; INT and the like end it as any program"""
    server = start('127.0.0.1:0', '0.01', program=example('ticker'), listeners=0)
    port = int(server.wait_log(r'listening on 127\.0\.0\.1:(\d+)').group(1))
    with tend.Client(('127.0.0.1', port)) as one, tend.Client(('127.0.0.1', port)) as two:
        first = int(one.recv_line())
        assert int(one.recv_line()) == first + 1
        assert int(two.recv_line()) > 0
        one.send_line('of no interest')
        assert int(one.recv_line()) > first
    assert server.stop() == 0


# ---- udp_echo ----

@pytest.mark.parametrize('where', ['127.0.0.1:0', '[::1]:0', '0.0.0.0:0'])
def test_udp_echo_sends_back_each_datagram(where):
    """MX-62, MX-63, MX-65"""
    with subprocess.Popen([example('udp_echo'), where], stdout=subprocess.PIPE, text=True) as echo:
        try:
            host, port = echo.stdout.readline().strip().rsplit(':', 1)
            family = socket.AF_INET6 if '[' in where else socket.AF_INET
            host = '127.0.0.2' if host == '0.0.0.0' else host.strip('[]')
            with socket.socket(family, socket.SOCK_DGRAM) as c:
                c.settimeout(tend.DEADLINE)
                c.connect((host, int(port)))
                for data in (b'hello', b'', b'x' * 65507):
                    c.send(data)
                    assert c.recv(65536) == data
        finally:
            echo.terminate()
        assert echo.stdout.readline() == '3 received, 3 sent\n'
        assert echo.wait(tend.DEADLINE) == 0
