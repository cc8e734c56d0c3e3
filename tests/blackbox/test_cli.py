"""The command line: help, exit codes of sysexits.h, error lines, where values come from."""

import os
import re
import socket

import pytest

import tend

ANYWHERE = ['port', '127.0.0.1:0']


def has_ipv6_localhost():
    try:
        socket.getaddrinfo('localhost', 1, socket.AF_INET6)
        with socket.socket(socket.AF_INET6) as s:
            s.bind(('::1', 0))
        return True
    except OSError:
        return False


LOG_LINE = re.compile(r'\d{4}/\d\d/\d\d-\d\d:\d\d:\d\d ')


def only_line(text):
    """The text has one line that is not of the log, which goes the same way; returns it."""
    lines = [line for line in text.splitlines() if not LOG_LINE.match(line)]
    assert len(lines) == 1, text
    return lines[0]


def refused(*words, status, naming, **options):
    """The command ends at once with (one of) this status and one line that names the fault."""
    done = tend.run(*words, **options)
    wanted = status if isinstance(status, tuple) else (status,)
    assert done.returncode in wanted, (done.returncode, done.stderr)
    line = only_line(done.stderr)
    for name in [naming] if isinstance(naming, str) else naming:
        assert name in line, line
    return line


class Value:
    """One line of `tend dump`."""

    def __init__(self, text, origin):
        self.text = text
        self.origin = origin


def dump(*words, **options):
    """{name: Value} of the configuration that the words come to; a list has a line per value."""
    done = tend.run('dump', *words, **options)
    assert done.returncode == 0, done.stderr
    values = {}
    for line in done.stdout.splitlines():
        found = re.match(r'(\w+) =\s*(.*?)\s*(?<!\\)# (.*)$', line)
        if not found:
            continue
        name, text, origin = found.groups()
        text = text.replace(r'\#', '#')
        if name in values:
            text = f'{values[name].text}, {text}'
        values[name] = Value(text, origin)
    assert values, done.stdout
    return values


# ---- help and version ----

@pytest.mark.parametrize('words', [
    ['--help'], ['-h'], ['echo', '--help'], ['run', '--help'], ['Fork', '--help'],
    ['Fork', 'port', '127.0.0.1:0', '--help'],
], ids=' '.join)
def test_help_goes_to_standard_output_with_status_0(words):
    """NS-CLI-06"""
    done = tend.run(*words)
    assert done.returncode == 0
    assert done.stderr == ''
    assert 'usage' in done.stdout.lower()


@pytest.mark.parametrize('words', [['echo'], ['Fork'], ['run']], ids=' '.join)
def test_help_lists_the_options(words):
    done = tend.run(*words, '--help')
    for option in ('port', 'max_servers', 'log_level', 'conf_file'):
        assert re.search(rf'\b{option}\b', done.stdout), option


@pytest.mark.parametrize('words', [['--version'], ['echo', '--version'], ['Fork', '--version']],
                         ids=' '.join)
def test_version_names_the_release_and_the_features(words):
    """NS-CLI-07"""
    done = tend.run(*words)
    assert done.returncode == 0
    assert done.stderr == ''
    assert re.match(r'tend\b.* \d+\.\d+\.\d+\b', done.stdout)
    assert re.search(r'\bpoll\b', done.stdout)


# ---- errors: one line, and an exit code of sysexits.h ----

def test_unknown_option_is_a_usage_error():
    """NS-OPT-30, NS-TST-42"""
    refused('echo', '--bogus', '1', *ANYWHERE, status=tend.EX_USAGE, naming='bogus')


def test_unknown_first_word_is_a_usage_error():
    """NS-CLI-03, NS-TST-42"""
    line = refused('frok', *ANYWHERE, status=tend.EX_USAGE, naming='frok')
    assert 'Fork' in line, 'the nearest word is suggested'


@pytest.mark.parametrize('word', ['fork', 'FORK', 'Fork', 'single', 'preforksimple', 'PREFORK'])
def test_first_word_is_matched_in_any_case(word):
    """NS-CLI-03"""
    assert tend.run(word, '--help').returncode == 0


def test_left_over_word_is_a_usage_error():
    """NS-OPT-30"""
    refused('echo', *ANYWHERE, 'surplus', status=tend.EX_USAGE, naming='surplus')


@pytest.mark.parametrize('wrong, right', [
    ('--max_server', 'max_servers'),
    ('--max_severs', 'max_servers'),
    ('--logfile', 'log_file'),
    ('--log-level', 'log_level'),
    ('--pid_fiel', 'pid_file'),
], ids=lambda word: word.lstrip('-'))
def test_nearest_option_is_suggested(wrong, right):
    line = refused('echo', wrong, '3', *ANYWHERE, status=tend.EX_USAGE, naming=wrong.lstrip('-'))
    assert right in line


@pytest.mark.parametrize('port', ['99999', '65536', '20203;20204', '20203x', 'localhost:', ''])
def test_bad_port_is_a_configuration_error(port):
    """NS-PRT-11a, NS-PRT-11b, NS-PRT-11l"""
    refused('echo', '--port', port, status=tend.EX_CONFIG, naming=['port', port])


@pytest.mark.parametrize('option, value', [
    ('max_servers', 'many'), ('max_servers', '-3'), ('max_requests', '1e'),
    ('idle_timeout', 'soon'), ('setsid', 'perhaps'), ('server_type', 'Frok'),
    ('cidr_allow', '10.0.0.0/33'), ('proto', 'sctpp'), ('sig_passthrough', 'NOSUCH'),
])
def test_bad_value_is_refused(option, value):
    """A usage error where the value itself is none, a configuration error where nothing fits it."""
    refused('echo', f'--{option}', value, *ANYWHERE, status=(tend.EX_USAGE, tend.EX_CONFIG),
            naming=[option, value])


def test_missing_root_directory_is_refused():
    """NS-OPT-52"""
    refused('echo', 'chroot', '/no/such/directory', *ANYWHERE,
            status=(tend.EX_NOINPUT, tend.EX_CONFIG), naming=['chroot', '/no/such/directory'])


def test_unknown_user_has_its_own_status():
    refused('echo', *ANYWHERE, 'user', 'no-such-user-here', status=tend.EX_NOUSER,
            naming='no-such-user-here')


def test_unknown_group_has_its_own_status():
    refused('echo', *ANYWHERE, 'group', 'no-such-group-here', status=tend.EX_NOUSER,
            naming='no-such-group-here')


def test_missing_conf_file_is_fatal(directory):
    """NS-CNF-11"""
    path = str(directory / 'absent.conf')
    refused('echo', *ANYWHERE, 'conf_file', path, status=tend.EX_NOINPUT, naming=path)


def test_directory_as_conf_file_is_fatal(directory):
    """NS-CNF-11"""
    refused('echo', *ANYWHERE, 'conf_file', directory, status=tend.EX_NOINPUT,
            naming=str(directory))


@pytest.mark.skipif(os.geteuid() == 0, reason='root may read every file')
def test_unreadable_conf_file_is_fatal(conf):
    """NS-CNF-11"""
    path = conf('port 0\n')
    path.chmod(0)
    refused('echo', 'conf_file', path, status=tend.EX_NOINPUT, naming=str(path))


def test_port_in_use_is_told_once():
    """NS-BND-01, NS-TST-47"""
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = tend.run('echo', 'port', f'127.0.0.1:{port}', 'log_level', '0')
    assert done.returncode == tend.EX_UNAVAILABLE
    lines = [line for line in done.stderr.splitlines() if 'in use' in line]
    assert len(lines) == 1, done.stderr
    assert str(port) in lines[0] and '127.0.0.1' in lines[0]


def test_first_port_is_released_when_the_second_cannot_be_bound(start):
    """NS-BND-01"""
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = start('echo', 'port', '127.0.0.1:0', 'port', f'127.0.0.1:{port}', listeners=0)
        assert server.wait() == tend.EX_UNAVAILABLE
    server.refresh_endpoints()
    assert not any(tend.listens(address) for _, address in server.endpoints)


def test_live_unix_socket_is_not_taken_over(start, directory):
    """NS-UNX-02, NS-TST-68"""
    where = f'{directory}/socket|unix'
    server = start('echo', 'port', where)
    done = tend.run('echo', 'port', where)
    assert done.returncode == tend.EX_UNAVAILABLE
    assert f'{directory}/socket' in done.stderr
    with server.client() as c:
        c.send(b'mine\n')
        assert c.recv_until(b'\n') == b'mine\n'


def test_stale_unix_socket_is_replaced(start, directory):
    """NS-UNX-02, NS-TST-68"""
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(directory / 'socket'))
    server = start('echo', 'port', f'{directory}/socket|unix')
    with server.client() as c:
        c.send(b'hello\n')
        assert c.recv_until(b'\n') == b'hello\n'


def test_regular_file_in_the_way_of_a_unix_socket_is_kept(directory):
    """NS-UNX-02, NS-TST-68"""
    path = directory / 'socket'
    path.write_text('precious')
    done = tend.run('echo', 'port', f'{path}|unix')
    assert done.returncode in (tend.EX_UNAVAILABLE, tend.EX_CANTCREAT)
    assert str(path) in done.stderr
    assert path.read_text() == 'precious'


# ---- where values come from ----

def test_dump_shows_value_and_origin(conf):
    path = conf('# limits\nmax_requests 77\n')
    values = dump('conf_file', path, '--max_servers', '7')
    assert values['max_requests'].text == '77'
    assert f'{path.name}:2' in values['max_requests'].origin
    assert values['max_servers'].text == '7'
    assert re.search(r'command line|--max_servers', values['max_servers'].origin)
    assert values['log_level'].text == '2'
    assert re.search(r'default|built.in', values['log_level'].origin)


@pytest.mark.parametrize('words', [
    ['--max_servers', '7'], ['--max_servers=7'], ['max_servers', '7'], ['max_servers=7'],
    ['--max_servers 7'], ['max_servers 7'],
], ids=' | '.join)
def test_every_spelling_gives_the_same_value(words):
    """NS-TST-40, NS-OPT-20"""
    assert dump(*words)['max_servers'].text == '7'


@pytest.mark.parametrize('words, value', [
    (['--no_client_stdout'], '1'),
    (['--no_client_stdout', '--max_servers', '7'], '1'),
    (['no_client_stdout'], '1'),
    (['--no_client_stdout=0'], '0'),
    (['--no_client_stdout', '0'], '0'),
], ids=str)
def test_option_alone_is_a_flag(words, value):
    """NS-OPT-07, NS-OPT-21"""
    assert dump(*words)['no_client_stdout'].text == value


def test_last_value_of_one_source_wins():
    """NS-OPT-02"""
    assert dump('max_servers', '7', '--max_servers=8')['max_servers'].text == '8'


def test_values_of_a_list_add_up():
    """NS-OPT-03"""
    values = dump('cidr_allow', '10.0.0.0/8', '--cidr_allow=192.0.2.0/24')
    assert values['cidr_allow'].text == '10.0.0.0/8, 192.0.2.0/24'


def test_value_with_blanks_is_one_value():
    """NS-OPT-28"""
    assert dump('--group=0 1')['group'].text == '0 1'


def test_only_the_first_equals_sign_separates():
    """NS-OPT-24"""
    assert dump('--pid_file=a=b')['pid_file'].text == 'a=b'


def test_percent_is_left_alone():
    """NS-OPT-29"""
    assert dump('--pid_file=%20%a')['pid_file'].text == '%20%a'


def test_stronger_source_wins_and_removing_it_shows_the_weaker(conf):
    """NS-TST-41, NS-OPT-01: what a command can show; the sources in code are unit-tested."""
    path = conf('max_servers 5\n')
    assert dump('Fork', 'conf_file', path, 'max_servers', '7')['max_servers'].text == '7'
    assert dump('Fork', 'conf_file', path)['max_servers'].text == '5'
    assert dump('Fork')['max_servers'].text == '256'


def test_list_of_a_stronger_source_replaces_the_weaker(conf):
    """NS-OPT-03"""
    path = conf('cidr_allow 10.0.0.0/8\ncidr_allow 11.0.0.0/8\n')
    values = dump('conf_file', path, 'cidr_allow', '192.0.2.0/24')
    assert values['cidr_allow'].text == '192.0.2.0/24'


@pytest.mark.parametrize('words, naming', [
    (['--host=a b', 'port', '0'], 'a b'),
    (['--bogus', *ANYWHERE], 'bogus'),
    (['frok', *ANYWHERE], 'frok'),
], ids=str)
def test_refused_command_line_binds_nothing(words, naming):
    """NS-TST-42, NS-OPT-28, NS-OPT-30, NS-CLI-03"""
    done = tend.run(*words)
    assert done.returncode in (tend.EX_USAGE, tend.EX_CONFIG)
    assert naming in only_line(done.stderr)
    assert not tend.BOUND.search(done.stderr)


CONF_LINES = [
    ('max_servers 7', 'max_servers', '7'),
    ('max_servers=7', 'max_servers', '7'),
    ('max_servers = 7', 'max_servers', '7'),
    ('max_servers: 7', 'max_servers', '7'),
    ('  --max_servers   7   ', 'max_servers', '7'),
    ('max_servers 7   # seven', 'max_servers', '7'),
    ('max_servers 7\r', 'max_servers', '7'),
    (r'pid_file a\#b', 'pid_file', 'a#b'),
    ('pid_file a b = c; "d"', 'pid_file', 'a b = c; "d"'),
    ('pid_file --user', 'pid_file', '--user'),
    ('pid_file user', 'pid_file', 'user'),
    ('no_client_stdout', 'no_client_stdout', '1'),
    ('no_client_stdout\nmax_servers 7', 'max_servers', '7'),
    ('max_servers 6\nmax_servers 7', 'max_servers', '7'),
    ('[section]\n; remark\n\nmax_servers 7', 'max_servers', '7'),
    ('wibble user\nmax_servers 7', 'max_servers', '7'),
    ('cidr_allow 10.0.0.0/8\ncidr_allow 11.0.0.0/8', 'cidr_allow', '10.0.0.0/8, 11.0.0.0/8'),
]


@pytest.mark.parametrize('end', ['\n', ''], ids=['newline', 'no-newline'])
@pytest.mark.parametrize('text, name, value', CONF_LINES, ids=[repr(row[0]) for row in CONF_LINES])
def test_conf_file_grammar(conf, text, name, value, end):
    """NS-TST-43, NS-CNF-01 to NS-CNF-10"""
    assert dump('conf_file', conf(text + end))[name].text == value


def test_any_name_of_a_conf_file_is_accepted(conf):
    """NS-CNF-12"""
    path = conf('max_servers 7\n', name='my "conf" (new), 100%.txt')
    assert dump(f'--conf_file={path}')['max_servers'].text == '7'


def test_conf_file_does_not_include_another(conf):
    """NS-OPT-06"""
    other = conf('max_servers 9\n', name='other.conf')
    assert dump('conf_file', conf(f'max_servers 7\nconf_file {other}\n'))['max_servers'].text == '7'


# ---- tend check ----

def test_check_accepts_a_good_configuration(conf):
    """NS-CNF-13"""
    done = tend.run('check', 'conf_file', conf('port 127.0.0.1:0\nserver_type PreFork\n'))
    assert done.returncode == 0
    assert done.stderr == ''


def test_check_names_file_and_line_of_an_unknown_key(conf):
    """NS-CNF-13"""
    path = conf('port 127.0.0.1:0\n\nmax_server 3\n')
    line = refused('check', 'conf_file', path, status=tend.EX_CONFIG,
                   naming=[f'{path.name}:3', 'max_server'])
    assert 'max_servers' in line


def test_check_names_file_and_line_of_a_bad_value(conf):
    """NS-CNF-13"""
    path = conf('port 127.0.0.1:0\nmax_servers many\n')
    refused('check', 'conf_file', path, status=tend.EX_CONFIG,
            naming=[f'{path.name}:2', 'max_servers', 'many'])


def test_check_binds_nothing():
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert tend.run('check', 'port', f'127.0.0.1:{port}').returncode == 0


GOOD_PORTS = [
    '20203',                                                            # NS-PRT-10a
    'localhost:20203',                                                  # NS-PRT-10b
    'localhost:20203/tcp', 'localhost|20203|tcp', 'localhost,20203,tcp',  # NS-PRT-10c
    'localhost 20203 tcp', 'localhost, 20203, tcp', 'localhost | 20203 | tcp',
    'localhost:20203/ipv4', 'localhost:20203:IPv4', 'localhost:20203/ipv4/tcp',  # NS-PRT-10d
    'localhost:20203/tcp/IPv4', 'localhost|20203|ipv4|tcp', 'localhost 20203 ipv4 tcp',
    'localhost, 20203, tcp, IPv4',
    'localhost:20203/IPv4/IPv4',                                        # NS-PRT-10g
    '*:20203', '[*]:20203', '[]:20203',                                 # NS-PRT-10h
    '[localhost]:20203/tcp',                                            # NS-PRT-10l
    '20203/unix', 'dir/x/unix', 'x.sock|unix', 'x.sock unix', 'x.sock,unix',  # NS-PRT-10p, q
    'x.sock:unix', 'x.sock|unix|IPv6',                                  # NS-PRT-10t
    '0', 'localhost:0',                                                 # NS-PRT-10u
    'localhost: 20203', 'localhost :20203', 'localhost::20203', 'localhost:20203//tcp',  # 10v
    'localhost/20203',                                                  # NS-PRT-11c
]

GOOD_PORTS_IPV6 = [
    'localhost:20203:IPv6', '[localhost]:IPv6:20203',                   # NS-PRT-10e
    'localhost:20203/IPv4/IPv6', 'localhost, 20203, IPv6, IPv4',        # NS-PRT-10f
    'localhost:20203/IPv46', '20203/IPv4/tcp/IPv6',
    '[*]:20203:IPv6',                                                   # NS-PRT-10i
    '[::1]:20203', '::1 20203', '::1, 20203', '::1|20203', '::1:20203',  # NS-PRT-10j
    '[::1]:20203 ipv6 tcp',
    '[::1]:20203/IPv4',                                                 # NS-PRT-10k
]

BAD_PORTS = [
    '99999', '65536',                                                   # NS-PRT-11a
    '-1', '20203;20204', 'localhost:', '20203x', '127.0.0.1:80:81',     # NS-PRT-11b
    '20203/foo',                                                        # NS-PRT-11f
    'loc$host:20203',                                                   # NS-PRT-11g
    '999.1.1.1:20203',                                                  # NS-PRT-11h
    'localhost:nosuchservice',                                          # NS-PRT-11j
    '',                                                                 # NS-PRT-11l
    '20203/IPv9',                                                       # NS-PRT-11m
]


@pytest.mark.parametrize('port', GOOD_PORTS)
def test_check_accepts_port_strings(port, directory):
    """NS-TST-44, NS-PRT-10"""
    (directory / 'dir').mkdir()
    done = tend.run('check', '--port', port, cwd=directory)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not has_ipv6_localhost(), reason='localhost has no IPv6 address here')
@pytest.mark.parametrize('port', GOOD_PORTS_IPV6)
def test_check_accepts_port_strings_of_ipv6(port):
    """NS-TST-44, NS-PRT-10"""
    done = tend.run('check', '--port', port)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('port', BAD_PORTS)
def test_check_refuses_port_strings(port):
    """NS-TST-44, NS-PRT-11"""
    refused('check', '--port', port, status=tend.EX_CONFIG, naming=port)


def test_path_too_long_for_a_unix_socket_is_refused(directory):
    """NS-PRT-21"""
    path = f'{directory}/{"x" * 120}'
    refused('check', '--port', f'{path}|unix', status=tend.EX_CONFIG, naming=path)


# ---- the default service ----

def test_no_word_at_all_is_a_forking_echo_server(start):
    """NS-CLI-02: only the port differs, for the sake of the test."""
    server = start('port', '127.0.0.1:0')
    with server.client() as c:
        c.expect(r'Welcome to "tend" \(\d+\)')
        assert len(server.children()) == 1


def test_personality_word_and_server_type_combine(start):
    """NS-CLI-08, NS-TST-16"""
    server = start('MultiType', 'server_type', 'Single', 'port', '127.0.0.1:0')
    with server.client() as c:
        assert c.expect(r'Welcome to "tend" \((\d+)\)').group(1) == str(server.pid)


def test_port_0_and_the_assigned_port_are_in_the_log(start):
    """NS-BND-03, NS-TST-31"""
    server = start('echo', 'port', '127.0.0.1:0')
    assert server.port != 0
    server.client().close()
