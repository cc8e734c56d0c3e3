"""Files of Unix sockets: their mode, owner and group (socket_mode, socket_user, socket_group).

restarting.c is the service where a test restarts. Who else may connect is asked in a child that has
become somebody else; that needs root.
"""

import os
import pwd
import shutil
import socket
import stat
from pathlib import Path
from signal import SIGHUP

import pytest

import tend
from daemons import Daemon, as_root, greeting, where_others_come_in
from pools import ask
from tend import EX_CONFIG, EX_NOPERM, EX_NOUSER, Client, eventually, find_program

STRANGE_ID = 54321
NOBODY = pwd.getpwnam('nobody')
DAEMON = pwd.getpwnam('daemon')
FEW = ['max_servers', 2, 'log_level', 3]

DONE = 'Restarted: '
ENVIRONMENT = {'LD_LIBRARY_PATH': str(tend.BUILD / 'src')}


@pytest.fixture
def serve(start, directory):
    """Starts the service at a Unix path of the test's directory, from a copy of the program and, where
    `conf` is given, with a conf file."""
    def start_service(*words, path='socket', proto='unix', conf=None, **options):
        program = directory / 'program'
        if not program.exists():
            shutil.copy(find_program('restarting'), program)
        port = ['port', f'{directory}/{path}|{proto}'] if path else []
        if conf is not None:
            (directory / 'conf').write_text(conf)
            words = [*words, 'conf_file', directory / 'conf']
        return start(*FEW, *port, *words, program=str(program), environment=ENVIRONMENT, **options)

    return start_service


def is_like(path, mode=None, uid=None, gid=None):
    found = os.stat(path)
    assert stat.S_ISSOCK(found.st_mode)
    got = (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)
    wanted = tuple(is_ if asked is None else asked for is_, asked in zip(got, (mode, uid, gid)))
    return got == wanted


def as_somebody(uid, gid, path, kind=socket.SOCK_STREAM):
    """The errno with which somebody is kept from connecting; 0: he is not."""
    child = os.fork()
    if child == 0:
        status = 255
        try:
            os.setgroups([])
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            with socket.socket(socket.AF_UNIX, kind) as s:
                status = s.connect_ex(str(path))
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def restart(server, pattern=DONE):
    before = server.log().count(pattern)
    server.signal(SIGHUP)
    server.wait_log(pattern, count=before + 1)


def say(address, line):
    with Client(str(address)) as c:
        return ask(c, line)


# ---- modes ----

@pytest.mark.parametrize('mask', [0, 0o022, 0o077], ids=oct)
@pytest.mark.parametrize('mode', ['0660', '606', '0777'])
def test_mode_is_what_was_said_whatever_the_mask_is(start, directory, mode, mask):
    """NS-FIX-48"""
    server = start('Fork', 'port', f'{directory}/socket|unix', 'socket_mode', mode,
                   before_exec=lambda: os.umask(mask))
    assert is_like(server.path, mode=int(mode, 8))
    with server.client() as c:
        greeting(c)


def test_mode_under_every_personality(start, personality, directory):
    """NS-FIX-48: and what a service creates is masked as ever."""
    server = start(personality, 'port', f'{directory}/one|unix', 'port', f'{directory}/two|unix',
                   'socket_mode', '0620', 'pid_file', directory / 'pid', listeners=2,
                   before_exec=lambda: os.umask(0o027))
    for path in ('one', 'two'):
        assert is_like(directory / path, mode=0o620)
        with Client(directory / path) as c:
            greeting(c)
    assert stat.S_IMODE((directory / 'pid').stat().st_mode) == 0o640
    assert server.stop() == 0
    assert not (directory / 'one').exists() and not (directory / 'two').exists()


def test_mode_of_a_datagram_socket(serve, directory):
    """NS-FIX-48"""
    serve('server_type', 'Multiplex', 'socket_mode', '0602', proto='unixdgram')
    assert is_like(directory / 'socket', mode=0o602)


def test_empty_mode_is_that_of_the_mask(start, directory):
    """NS-UNX-03, NS-FIX-48: as without the option."""
    server = start('Single', 'port', f'{directory}/socket|unix', '--socket_mode=',
                   before_exec=lambda: os.umask(0o027))
    assert is_like(server.path, mode=0o750)


def test_stale_socket_gets_the_mode_of_its_successor(start, directory):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(directory / 'socket'))
    os.chmod(directory / 'socket', 0o666)
    server = start('Single', 'port', f'{directory}/socket|unix', 'socket_mode', '0600')
    assert is_like(server.path, mode=0o600)


BAD_MODES = ['888', '0668', '1777', '01000', '-1', '0x1b0', '0o660', 'rw-rw----', '660 ', '1e2']


@pytest.mark.parametrize('mode', BAD_MODES)
def test_bad_mode_is_refused_with_one_line(directory, mode):
    """NS-FIX-48"""
    port = ['port', f'{directory}/socket|unix']
    for words in (['check', *port, f'--socket_mode={mode}'], ['Fork', *port, f'--socket_mode={mode}']):
        done = tend.run(*words)
        assert done.returncode == EX_CONFIG
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert 'socket_mode' in done.stderr and f"'{mode}'" in done.stderr and '0660' in done.stderr
    assert not (directory / 'socket').exists()


@as_root
@pytest.mark.parametrize('proto, kind', [('unix', socket.SOCK_STREAM), ('unixdgram', socket.SOCK_DGRAM)])
def test_mode_keeps_out_who_may_not_come(serve, directory, proto, kind):
    """NS-FIX-48: the owner, the group, and nobody else."""
    serve('server_type', 'Multiplex', 'socket_mode', '0660', 'socket_user', STRANGE_ID, 'socket_group',
          DAEMON.pw_gid, proto=proto)
    path = directory / 'socket'
    assert is_like(path, 0o660, STRANGE_ID, DAEMON.pw_gid)
    assert as_somebody(STRANGE_ID, STRANGE_ID, path, kind) == 0
    assert as_somebody(NOBODY.pw_uid, DAEMON.pw_gid, path, kind) == 0
    assert as_somebody(NOBODY.pw_uid, STRANGE_ID, path, kind) == 13


# ---- owners ----

def test_unknown_owners_are_refused_with_one_line(directory):
    """NS-FIX-48, NS-FLW-05: names as well as numbers that nobody can have."""
    for option, value in (('socket_user', 'no-such-user'), ('socket_group', 'no-such-group'),
                          ('socket_user', '4294967295'), ('socket_group', '-1')):
        done = tend.run('check', 'port', f'{directory}/socket|unix', f'--{option}={value}')
        assert done.returncode == EX_NOUSER
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert f"'{value}'" in done.stderr and option in done.stderr


@as_root
@pytest.mark.parametrize('words, uid, gid', [
    (['socket_user', 'nobody'], NOBODY.pw_uid, 0),
    (['socket_group', 'daemon'], 0, DAEMON.pw_gid),
    (['socket_user', STRANGE_ID, 'socket_group', NOBODY.pw_gid], STRANGE_ID, NOBODY.pw_gid),
    (['user', 'nobody', 'socket_mode', '0660'], NOBODY.pw_uid, NOBODY.pw_gid),
    (['user', 'nobody', 'socket_group', 'daemon'], NOBODY.pw_uid, DAEMON.pw_gid),
    (['user', 'nobody', 'socket_user', 'daemon'], DAEMON.pw_uid, NOBODY.pw_gid),
    (['user', 'nobody', 'group', 'daemon', 'socket_user', 'root', 'socket_group', 'root'], 0, 0),
    (['group', 'daemon', 'socket_mode', '0600'], 0, DAEMON.pw_gid),
], ids=lambda value: ' '.join(map(str, value)) if isinstance(value, list) else None)
def test_owner_is_whom_the_options_name(serve, directory, words, uid, gid):
    """NS-FIX-48, NS-DMN-12: stronger than user and group, which say who it is otherwise."""
    server = serve('server_type', 'PreFork', *words)
    assert is_like(directory / 'socket', None, uid, gid)
    assert say(server.path, 'hello') == 'hello'


@where_others_come_in
@as_root
@pytest.mark.parametrize('words, names', [
    (['socket_user', 'daemon'], ["'daemon'", 'socket_user']),
    (['socket_user', '0'], ["'0'", 'socket_user']),
    (['socket_group', 'daemon'], ["'daemon'", 'socket_group']),
], ids=lambda value: ' '.join(value))
def test_who_is_not_root_can_give_sockets_to_nobody(directory, words, names):
    """NS-FIX-48: told before anything is bound, by `tend check` too."""
    for command in ('check', 'Fork'):
        done = tend.run(command, 'port', f'{directory}/socket|unix', *words,
                        user=NOBODY.pw_uid, group=NOBODY.pw_gid, extra_groups=[])
        assert done.returncode == EX_NOPERM
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert all(name in done.stderr for name in [*names, 'only root']), done.stderr


@where_others_come_in
@as_root
def test_who_is_not_root_can_name_himself_and_his_groups(start, directory):
    """NS-FIX-48"""
    os.chown(directory, NOBODY.pw_uid, -1)
    server = start('Fork', 'port', f'{directory}/socket|unix', 'socket_user', 'nobody', 'socket_group',
                   'daemon', 'socket_mode', '0660', user=NOBODY.pw_uid, group=NOBODY.pw_gid,
                   extra_groups=[DAEMON.pw_gid])
    assert is_like(server.path, 0o660, NOBODY.pw_uid, DAEMON.pw_gid)
    assert server.stop() == 0
    assert not Path(server.path).exists()


# ---- what they are not for ----

def test_control_socket_is_always_the_servers_own(start, directory):
    """NS-FIX-48: but a socket for monitoring is a Unix socket like any other."""
    server = start('PreFork', 'port', '127.0.0.1:0', 'control', directory / 'control', 'metrics',
                   f'{directory}/metrics|unix', 'socket_mode', '0666')
    server.wait_log('Metrics on socket')
    assert is_like(directory / 'control', mode=0o600)
    assert is_like(directory / 'metrics', mode=0o666)


@as_root
def test_control_socket_belongs_to_the_user_that_the_server_becomes(start, directory):
    start('PreFork', 'port', '127.0.0.1:0', 'user', 'nobody', 'control', directory / 'control',
          'metrics', f'{directory}/metrics|unix', 'socket_mode', '0600', 'socket_user', 'daemon')
    eventually((directory / 'metrics').exists)
    eventually(lambda: is_like(directory / 'control', 0o600, NOBODY.pw_uid))
    eventually(lambda: is_like(directory / 'metrics', 0o600, DAEMON.pw_uid, NOBODY.pw_gid))


def test_sockets_of_a_supervisor_stay_as_they_are(start, directory):
    """NS-FIX-48, NS-BND-09: also after a restart."""
    path = directory / 'socket'
    with socket.socket(socket.AF_UNIX) as passed:
        passed.bind(str(path))
        passed.listen(10)
        os.chmod(path, 0o604)
        server = start('-c', 'export LISTEN_PID=$$; exec "$0" "$@"', find_program('restarting'), *FEW,
                       'server_type', 'PreFork', 'socket_mode', '0660', program='/bin/sh',
                       environment={'LISTEN_FDS': '1'}, before_exec=lambda: os.dup2(passed.fileno(), 3),
                       close_fds=False)
    assert is_like(path, mode=0o604)
    restart(server)
    assert is_like(path, mode=0o604)
    assert say(path, 'hello') == 'hello'


def test_abstract_sockets_have_no_mode(start):
    """Nothing is asked for that there could be."""
    name = f'@tend-test-{os.getpid()}'
    server = start('Single', 'port', f'{name}|unix', 'socket_mode', '0600')
    assert server.is_alive()


# ---- restarts ----

def test_kept_socket_has_the_mode_of_the_new_configuration(serve, directory, personality):
    """NS-FIX-48, NS-HUP-04: the same socket; what is not said any more changes nothing."""
    path = directory / 'socket'
    server = serve('server_type', personality, conf='socket_mode 0660\n')
    inode = path.stat().st_ino
    for text, mode in (('socket_mode 0606\n', 0o606), ('socket_mode 0600\n', 0o600), ('', 0o600),
                       ('socket_mode 666\n', 0o666)):
        (directory / 'conf').write_text(text)
        restart(server)
        assert is_like(path, mode=mode) and path.stat().st_ino == inode
        assert say(path, 'hello') == 'hello'
    (directory / 'conf').write_text('socket_mode 999\n')
    restart(server, 'No restart: ')
    assert is_like(path, mode=0o666)
    assert server.stop() == 0
    assert not path.exists()


def test_return_to_the_image_before_brings_the_mode_back(serve, directory):
    """NS-FIX-48, NS-HUP-12: the new image changed it and could not serve."""
    path = directory / 'socket'
    server = serve('server_type', 'PreFork', 'refuse', directory / 'refuse', conf='socket_mode 0640\n')
    (directory / 'refuse').write_text('two bound')
    shutil.copy(find_program('restarted'), directory / 'program.new')
    os.replace(directory / 'program.new', directory / 'program')
    (directory / 'conf').write_text('socket_mode 0666\n')
    restart(server)
    server.wait_log('The new image did not become ready')
    assert is_like(path, mode=0o640)
    assert say(path, 'version') == 'one'


def test_socket_of_another_server_is_left_alone(serve, directory):
    """It took the place of ours: a restart does not change it, and the end does not remove it."""
    path = directory / 'socket'
    server = serve('server_type', 'PreFork', conf='')
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        os.chmod(path, 0o640)
        (directory / 'conf').write_text('socket_mode 0666\n')
        restart(server)
        assert is_like(path, mode=0o640)
        assert server.stop() == 0
        assert is_like(path, mode=0o640)


@where_others_come_in
@as_root
def test_server_that_is_no_longer_root_keeps_what_it_has_given_away(serve, directory):
    """NS-FIX-48: a restart goes on with it, and cannot give away more."""
    os.chown(directory, NOBODY.pw_uid, -1)
    path, more = directory / 'socket', directory / 'more'
    rights = (f'port {path}|unix\nuser nobody\nsocket_user daemon\nsocket_group daemon\n'
              'socket_mode 0660\n')
    server = serve('server_type', 'PreFork', path=None, conf=rights)
    for _ in range(2):
        restart(server)
        assert is_like(path, 0o660, DAEMON.pw_uid, DAEMON.pw_gid)
    for change in (f'port {more}|unix\n', 'socket_mode 0666\n'):
        (directory / 'conf').write_text(rights + change)
        before = server.log().count('going back')
        restart(server)
        assert server.log().count('going back') == before + 1
        assert 'socket_user' in server.log() if 'port' in change else 'socket_mode' in server.log()
        assert is_like(path, 0o660, DAEMON.pw_uid, DAEMON.pw_gid) and not more.exists()
        assert say(path, 'hello') == 'hello'
    assert server.stop() == 0


# ---- the end ----

@as_root
@pytest.mark.parametrize('owner', ['nobody', 'root'])
def test_end_of_a_server_whose_socket_is_somebody_elses(start, directory, owner):
    """NS-FIX-48, NS-SHD-15: removed where the directory is its own; else one line, and the next start
    is not in its way."""
    os.chown(directory, pwd.getpwnam(owner).pw_uid, -1)
    path = directory / 'socket'
    words = ['PreFork', 'setsid', '1', 'user', 'nobody', 'socket_user', 'daemon', 'socket_mode', '0666',
             'port', f'{path}|unix']
    for _ in range(2):
        daemon = Daemon(start, directory, *words)
        assert is_like(path, 0o666, DAEMON.pw_uid)
        with daemon.client() as c:
            greeting(c)
        daemon.stop()
        assert path.exists() == (owner == 'root')
    assert daemon.log().count('Cannot remove the socket file') == (2 if owner == 'root' else 0)


@as_root
def test_end_in_a_directory_like_tmp(start, directory):
    """NS-FIX-48: where only the owner may remove a file."""
    os.chmod(directory, 0o1777)
    server = start('PreFork', 'user', 'nobody', 'socket_user', 'daemon', 'port', f'{directory}/socket|unix')
    assert server.stop() == 0
    server.wait_log('Cannot remove the socket file')
    assert is_like(directory / 'socket', None, DAEMON.pw_uid)
