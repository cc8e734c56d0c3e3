"""Conf files of whole servers: one in the shape of Net::Server's manual does what it says."""

import grp
import os
import pwd
import re
import signal

import pytest

import tend
from daemons import (LOG_LINE, Daemon, IS_ROOT, ask, free_port, from_address, greeting, ids, launch,
                     listening, target)
from tend import eventually

# In the form of the example in Net::Server's manual: the same keys in the same order.
MANUAL_SHAPE = """\
#-------------- a server's settings ---------------

### who to be
user        {user}
group       {group}

### what to write down, and where
log_file    {directory}/server.log
log_level   3
pid_file    {directory}/server.pid

# for the system's log take this instead
#log_file       Sys::Syslog
#syslog_logsock unix
#syslog_ident   myserver
#syslog_logopt  pid|cons

### who may come
allow       .+\\.(net|com)
allow       (friend|neighbour)\\.example
deny        a.+
cidr_allow  127.0.0.0/8
cidr_allow  192.0.2.0/24
cidr_deny   127.0.0.4/30

### go away from the terminal?
background  1

### where to listen: the first port names its host,
### the second takes the general one
host        127.0.0.1
port        localhost:{port}
port        {port2}

### look up names?
# reverse_lookups on
"""


def somebody():
    """(user, group) that the server can become."""
    if not IS_ROOT:
        return pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
    entry = pwd.getpwnam('nobody')
    return 'nobody', grp.getgrgid(entry.pw_gid).gr_name


class Manual:
    """The file of the manual, with values of this machine."""

    def __init__(self, directory, change=lambda text: text):
        self.user, self.group = somebody()
        self.port, self.port2 = free_port(), free_port(range(12000, 20000))
        self.log = directory / 'server.log'
        self.pid_file = directory / 'server.pid'
        self.path = directory / 'test.conf'
        self.path.write_text(change(MANUAL_SHAPE.format(
            user=self.user, group=self.group, directory=directory, port=self.port,
            port2=self.port2)))


@pytest.fixture(params=['Fork', 'PreFork'])
def manual(request, start, directory):
    """(the file, the daemon that was started with it)"""
    if IS_ROOT:
        # The manual has it in /tmp: a directory where the new user may remove its files.
        os.chown(directory, pwd.getpwnam('nobody').pw_uid, -1)
    file = Manual(directory)
    return file, Daemon(start, directory, request.param, 'conf_file', file.path, log=file.log,
                        pid_file=file.pid_file)


def test_manual_runs_in_the_background_as_who_it_says(manual):
    """NS-DMN-02, NS-DMN-10, NS-DMN-13"""
    file, daemon = manual
    uid, gid = pwd.getpwnam(file.user).pw_uid, grp.getgrnam(file.group).gr_gid
    found = tend.process(daemon.pid)
    assert found.session == found.group == daemon.launcher.pid, 'background is no new session'
    assert daemon.pid != daemon.launcher.pid
    for pid in daemon.family():
        users, groups, others = ids(pid)
        assert (users, groups) == ({uid}, {gid})
        if IS_ROOT:
            assert others == {gid}


def test_manual_binds_both_ports(manual):
    """NS-PRT-08, NS-PRT-30"""
    file, daemon = manual
    # On most systems localhost is ::1, too.
    assert [at for at in listening(daemon.pid) if at[0] != '::1'] == sorted(
        [('127.0.0.1', file.port), ('127.0.0.1', file.port2)])
    for port in (file.port, file.port2):
        with tend.Client(('127.0.0.1', port)) as c:
            greeting(c)
            assert ask(c, 'sockport') == str(port)


def test_manual_has_its_pid_file_until_the_end(manual):
    """NS-DMN-30, NS-DMN-36, NS-SHD-01"""
    file, daemon = manual
    assert daemon.read_pid() == daemon.pid
    daemon.stop()
    assert not file.pid_file.exists()
    assert not any(tend.listens(('127.0.0.1', port)) for port in (file.port, file.port2))


def test_manual_logs_to_its_file_at_level_3(manual):
    """NS-DMN-01, NS-LOG-01, NS-LOG-09"""
    file, daemon = manual
    with tend.Client(('127.0.0.1', file.port)) as c:
        greeting(c)
        here = c.sock.getsockname()[1]
        daemon.wait_log(rf'CONNECT TCP Peer: "\[127\.0\.0\.1\]:{here}" '
                        rf'Local: "\[127\.0\.0\.1\]:{file.port}"')
    assert daemon.launcher.stderr() == '', 'nothing of a good start is for the caller'
    for number in (0, 1):
        assert target(daemon.pid, f'fd/{number}') == '/dev/null'
    assert target(daemon.pid, 'fd/2') == str(file.log)
    for line in file.log.read_text().splitlines():
        assert LOG_LINE.fullmatch(line), line
    assert re.search(rf'starting! pid\({daemon.pid}\)', daemon.log())


@pytest.mark.parametrize('source, is_welcome', [
    ('127.0.0.1', True), ('127.0.0.3', True), ('127.0.0.4', False), ('127.0.0.7', False),
    ('127.0.0.8', True),
])
def test_manual_lets_in_whom_it_says(manual, source, is_welcome):
    """NS-ACC-03, NS-ACC-17, NS-ACC-18, NS-ACC-20"""
    file, daemon = manual
    for port in (file.port, file.port2):
        with from_address(source, ('127.0.0.1', port)) as c:
            if is_welcome:
                greeting(c)
            else:
                c.expect_end()
    if not is_welcome:
        daemon.wait_log(rf'CONNECT TCP Peer: "\[{re.escape(source)}\]')
        daemon.wait_log(rf'Denied {re.escape(source)}:\d+: .*cidr_deny 127\.0\.0\.4', count=2)


def test_manual_can_be_started_again(manual, start, directory):
    """NS-DMN-31: not while it runs; NS-DMN-36: and after it ended"""
    file, daemon = manual
    status, said = launch(start, 'Fork', 'conf_file', file.path)
    assert status == tend.EX_UNAVAILABLE
    assert str(daemon.pid) in said and str(file.pid_file) in said
    assert daemon.is_alive()
    daemon.stop()
    again = Daemon(start, directory, 'Fork', 'conf_file', file.path, log=file.log,
                   pid_file=file.pid_file)
    assert again.pid != daemon.pid
    with tend.Client(('127.0.0.1', file.port2)) as c:
        greeting(c)


@pytest.mark.parametrize('personality', ['Single', 'PreForkSimple'])
def test_manual_serves_other_personalities_too(start, directory, personality):
    if IS_ROOT:
        os.chown(directory, pwd.getpwnam('nobody').pw_uid, -1)
    file = Manual(directory)
    Daemon(start, directory, personality, 'conf_file', file.path, log=file.log,
           pid_file=file.pid_file)
    with tend.Client(('127.0.0.1', file.port)) as c:
        greeting(c)


def origins(path, *words):
    """[(name, value, origin)] of `tend dump`."""
    done = tend.run('dump', *words, 'conf_file', path)
    assert done.returncode == 0, done.stderr
    return re.findall(r'^(\w+) = (.*?) *# (.*)$', done.stdout, re.MULTILINE)


def test_dump_of_the_manual_says_where_each_value_stands(directory):
    """NS-CNF-13: the lines are found again by their numbers in the file"""
    file = Manual(directory)
    lines = file.path.read_text().splitlines()
    written = {}
    for number, line in enumerate(lines, 1):
        if line and not line.startswith('#'):
            key, value = line.split(maxsplit=1)
            written.setdefault(key, []).append((value, f'{file.path}:{number}'))
    found = {}
    for name, value, origin in origins(file.path, 'Fork'):
        if f'{file.path.name}:' in origin:
            found.setdefault(name, []).append((value, origin))
    assert found == written


def test_check_accepts_the_manual_and_does_nothing(directory):
    """NS-CNF-13"""
    file = Manual(directory)
    done = tend.run('check', 'Fork', 'conf_file', file.path)
    assert (done.returncode, done.stderr) == (0, '')
    assert sorted(path.name for path in directory.iterdir()) == ['test.conf']


def test_manual_with_lookups_is_accepted(directory):
    """NS-OPT-56: the one line of the manual's example that is a comment there."""
    file = Manual(directory, lambda text: text.replace('# reverse_lookups on',
                                                       'reverse_lookups on'))
    done = tend.run('check', 'Fork', 'conf_file', file.path)
    assert (done.returncode, done.stderr) == (0, '')


# ---- options of other parts ----

LATER = [
    ('SSL_key_file', '/etc/key.pem'), ('SSL_cert_file', '/etc/cert.pem'),
    ('SSL_verify_mode', '1'), ('SSL_cipher_list', 'HIGH'),
    ('log_file', 'Log::Log4perl'), ('log4perl_logger', 'Net::Server'),
    ('log4perl_conf', '/etc/log4perl'), ('udp_recv_len', '512'),
    ('access_log_file', '/tmp/access'), ('enable_dispatch', '1'),
]
LATER_IDS = [' '.join(pair) for pair in LATER]


@pytest.mark.parametrize('option, value', LATER, ids=LATER_IDS)
def test_option_of_a_later_part_is_refused(conf, option, value):
    """One line says which, where, and why."""
    path = conf(f'# one\nport 127.0.0.1:0\n{option}   {value}\n')
    for words in (['Fork'], ['check', 'Fork']):
        done = tend.run(*words, 'conf_file', path)
        assert done.returncode == tend.EX_CONFIG
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert option in done.stderr and f'{path.name}:3' in done.stderr
        assert 'not part of this build' in done.stderr
    done = tend.run('echo', f'--{option}={value}', 'port', '127.0.0.1:0')
    assert done.returncode == tend.EX_CONFIG
    assert option in done.stderr and 'not part of this build' in done.stderr


@pytest.mark.parametrize('port', ['0/tls', '0/ssl', '0/ssleay'])
def test_transport_of_a_later_part_is_refused(conf, port):
    """NS-PRT-11f: names the protocol"""
    done = tend.run('Fork', 'conf_file', conf(f'port {port}\n'))
    assert done.returncode == tend.EX_CONFIG
    assert port in done.stderr and 'not part of this build' in done.stderr
    assert not tend.BOUND.search(done.stderr)


@pytest.mark.parametrize('name', ['HTTP', 'PSGI'])
def test_personality_of_a_later_part_is_refused(conf, name):
    """NS-MTY-02"""
    done = tend.run('echo', 'conf_file', conf(f'port 127.0.0.1:0\nserver_type {name}\n'))
    assert done.returncode == tend.EX_CONFIG
    assert name in done.stderr and 'not part of this build' in done.stderr


# ---- bad values ----

BAD_LINES = [
    ('max_servers many', 'many'), ('cidr_allow 10.0.0.0/33', '10.0.0.0/33'),
    ('cidr_deny wibble', 'wibble'), ('allow (', '('), ('deny [a-', '[a-'),
    ('user no-such-user-here', 'no-such-user-here'), ('chroot /no/such/directory', '/no/such/'),
    (f'group {os.getegid()}, no-such-group-here', 'no-such-group-here'), ('port 99999', '99999'),
    ('sig_passthrough NOSUCH', 'NOSUCH'), ('background perhaps', 'perhaps'),
]


@pytest.mark.parametrize('line, culprit', BAD_LINES, ids=[row[0] for row in BAD_LINES])
def test_bad_value_stops_the_start_before_anything_is_done(start, directory, conf, line, culprit):
    """NS-FLW-05, NS-ACC-08, NS-SIG-05: told to the caller, nothing bound, written or detached."""
    port = free_port()
    path = conf(f'port 127.0.0.1:{port}\nlog_file {directory}/log\npid_file {directory}/pid\n'
                f'setsid 1\n{line}\n')
    status, said = launch(start, 'PreFork', 'conf_file', path)
    assert status in (tend.EX_CONFIG, tend.EX_NOUSER, tend.EX_NOINPUT), said
    assert len(said.splitlines()) == 1, said
    assert culprit in said and line.split()[0] in said
    if not line.startswith('port'):
        assert not (directory / 'pid').exists() and not (directory / 'log').exists()
    assert not tend.listens(('127.0.0.1', port))


# ---- which source wins ----

def values(server, *names):
    with server.client() as c:
        greeting(c)
        return [ask(c, name) for name in names]


def test_sources_of_a_running_server(start, conf):
    """NS-TST-41, NS-OPT-01 to NS-OPT-03, NS-OPT-07"""
    names = ['max_servers', 'log_level', 'no_client_stdout', 'cidr_allow', 'max_line']
    path = conf('max_servers 5\nlog_level 3\nno_client_stdout 1\ncidr_allow 10.0.0.0/8\n'
                'cidr_allow 127.0.0.0/8\nmax_servers 6\n')
    strong = ['max_servers', '7', '--no_client_stdout=0', 'cidr_allow', '127.0.0.1/32']
    port = ['port', '127.0.0.1:0']
    server = start('Fork', *port, 'conf_file', path, *strong)
    assert values(server, *names) == ['7', '3', '0', '127.0.0.1/32', '65536']
    server = start('Fork', *port, 'conf_file', path)
    assert values(server, *names) == ['6', '3', '1', '10.0.0.0/8, 127.0.0.0/8', '65536']
    server = start('Fork', *port)
    assert values(server, *names) == ['256', '2', '0', '', '65536']


def test_ports_of_the_command_line_replace_those_of_the_file(start, conf):
    """NS-OPT-03, NS-TST-09"""
    path = conf('port 127.0.0.1:0\nport 127.0.0.1:0\nport 127.0.0.1:0\n')
    server = start('Single', 'conf_file', path, listeners=3)
    assert len(listening(server.pid)) == 3
    server = start('Single', 'conf_file', path, 'port', '127.0.0.1:0')
    assert len(listening(server.pid)) == 1


def test_personality_of_the_file(start, conf):
    """NS-MTY-01, NS-MTY-03, NS-TST-16"""
    server = start('echo', 'conf_file', conf('server_type pREforksimple\nport 127.0.0.1:0\n'
                                             'max_servers 3\n'))
    eventually(lambda: len(server.children()) == 3, what='three workers')


DIRTY = (
    b'; a remark\r\n'
    b'[section]\r\n'
    b'# another\r\n'
    b'\r\n'
    b'  --port =  127.0.0.1:0   # anywhere\r\n'
    b'server_type: Single\t \r\n'
    b'no_client_stdout\r\n'
    b'max_line=4096   \r\n'
    b'pid_file = %s/a\\#b.pid # a name with a hash\r\n'
    b'wibble --user nobody\r\n'
    b'foo user\r\n'
    b'port-range 1\r\n'
    b'max_requests   1\r\n'
    b'max_requests : 77'
)


@pytest.mark.parametrize('mark', [b'', b'\xef\xbb\xbf'], ids=['plain', 'byte-order-mark'])
def test_dirty_file_is_read_as_meant(start, directory, conf, mark):
    """NS-TST-43, NS-CNF-01 to NS-CNF-10"""
    text = mark + DIRTY % bytes(directory)
    server = start('echo', 'conf_file', conf(text))
    assert (directory / 'a#b.pid').read_text() == f'{server.pid}\n'
    assert not server.children()
    found = {name: value for name, value, _ in origins(conf(text))}
    assert (found['max_line'], found['max_requests'], found['user']) == ('4096', '77', '')
    assert found['no_client_stdout'] == '1'


def test_file_is_read_as_the_starting_user_and_before_chroot(start, directory, conf):
    """NS-CNF-14"""
    if not IS_ROOT:
        pytest.skip('only root can have a file that nobody else may read')
    (directory / 'jail').mkdir()
    path = conf(f'port 127.0.0.1:0\nuser nobody\nchroot {directory}/jail\n')
    path.chmod(0o600)
    with start('PreFork', 'conf_file', path).client() as c:
        greeting(c)


def test_file_is_found_relative_to_the_start_directory(start, directory, conf):
    conf('port 127.0.0.1:0\n', name='my.conf')
    server = start('Single', 'conf_file', 'my.conf', cwd=directory)
    assert server.stop(signal.SIGINT) == 0
