"""Daemons: launchers, standard streams, pid files, identities, jails, and what is in their log."""

import calendar
import os
import pwd
import re
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

import pytest

import tend
from daemons import (LOG_LINE, Daemon, as_root, capabilities, free_port, greeting, ids, launch,
                     needs_ipv6, not_as_root, status, target)
from tend import eventually

PORT = ['port', '127.0.0.1:0']


# ---- launchers ----

@pytest.mark.parametrize('mode', ['background', 'setsid'])
def test_launcher_returns_when_clients_are_served(start, personality, directory, mode):
    """NS-DMN-02, NS-DMN-05: the first connect after it succeeds."""
    for number in range(3):
        port = free_port()
        launcher = start(personality, mode, '1', 'port', f'127.0.0.1:{port}',
                         'pid_file', directory / f'pid.{number}', listeners=0)
        assert launcher.wait() == 0
        launcher.adopt(int((directory / f'pid.{number}').read_text()))
        with tend.Client(('127.0.0.1', port)) as c:
            greeting(c)


def test_background_stays_in_its_session(start, directory):
    """NS-DMN-02"""
    daemon = Daemon(start, directory, 'Fork', 'background', '1', *PORT)
    found = tend.process(daemon.pid)
    assert daemon.pid != daemon.launcher.pid
    assert (found.session, found.group) == (daemon.launcher.pid, daemon.launcher.pid)
    daemon.wait_log('Backgrounded')


def test_setsid_has_a_session_of_its_own(start, directory):
    """NS-DMN-03"""
    daemon = Daemon(start, directory, 'PreFork', 'setsid', '1', *PORT)
    for pid in daemon.family():
        found = tend.process(pid)
        assert (found.session, found.group) == (daemon.pid, daemon.pid)
    assert len(daemon.family()) > 1


@pytest.mark.parametrize('mode', ['background', 'setsid'])
def test_directory_and_umask_stay_as_they_were(start, directory, mode):
    """NS-DMN-03"""
    daemon = Daemon(start, directory, 'Fork', mode, '1', *PORT, cwd=directory,
                    before_exec=lambda: os.umask(0o027))
    assert target(daemon.pid, 'cwd') == str(directory)
    assert int(status(daemon.pid)['Umask'], 8) == 0o027


@pytest.mark.parametrize('mode', ['background', 'setsid'])
def test_launcher_tells_what_the_service_refused(start, directory, mode):
    """NS-DMN-05: an error that only the daemon can find."""
    launched, said = launch(start, 'Fork', mode, '1', *PORT, 'port', f'{directory}/no/socket|unix')
    assert launched != 0
    reasons = [line for line in said.splitlines() if f'{directory}/no' in line and 'tend: ' in line]
    assert len(reasons) == 1, said


# What a start with these words makes of descriptors 0, 1 and 2.
STREAMS = {
    'foreground': ([], ['in', 'out', 'stderr']),
    'background': (['background', '1'], ['in', 'out', 'stderr']),
    'setsid': (['setsid', '1'], ['/dev/null'] * 3),
    'log_file': (['log_file', '{}/log'], ['/dev/null', '/dev/null', 'log']),
    'background + log_file': (['background', '1', 'log_file', '{}/log'],
                              ['/dev/null', '/dev/null', 'log']),
    'setsid + log_file': (['setsid', '1', 'log_file', '{}/log'],
                          ['/dev/null', '/dev/null', 'log']),
    'syslog': (['log_file', 'syslog'], ['/dev/null', '/dev/null', 'stderr']),
    'setsid + syslog': (['setsid', '1', 'log_file', 'syslog'], ['/dev/null'] * 3),
}


@pytest.mark.parametrize('words, streams', STREAMS.values(), ids=STREAMS.keys())
def test_standard_streams(start, directory, words, streams):
    """NS-DMN-01: the table of section 8.1"""
    (directory / 'in').touch()
    words = [word.format(directory) for word in words]
    port = free_port()
    with open(directory / 'in') as stdin, open(directory / 'out', 'w') as stdout:
        server = start('PreFork', *words, 'port', f'127.0.0.1:{port}', 'pid_file',
                       directory / 'pid', stdin=stdin, stdout=stdout, listeners=0)
        eventually(lambda: tend.listens(('127.0.0.1', port)), what='it listens')
        with tend.Client(('127.0.0.1', port)) as c:
            greeting(c)
    pid = int((directory / 'pid').read_text())
    server.adopt(pid)
    wanted = [name if name[0] == '/' else
              str(server.stderr_path if name == 'stderr' else directory / name)
              for name in streams]
    assert [target(pid, f'fd/{fd}') for fd in range(3)] == wanted
    for child in server.children(pid):
        assert target(child, 'fd/2') == wanted[2]


def test_setsid_without_log_file_says_nothing(start, directory):
    """NS-DMN-01: but for the line that says where it went."""
    port = free_port()
    launcher = start('Fork', 'setsid', '1', 'port', f'127.0.0.1:{port}', 'pid_file',
                     directory / 'pid', 'log_level', '4', listeners=0)
    assert launcher.wait() == 0
    launcher.adopt(int((directory / 'pid').read_text()))
    with tend.Client(('127.0.0.1', port)) as c:
        greeting(c)
    assert re.sub(r'.* Process Backgrounded \[\d+\]\n', '', launcher.stderr()) == ''


def test_start_with_closed_standard_streams(start, directory):
    """A descriptor of the server's own never becomes standard output."""
    def close_all():
        for fd in (0, 1):
            os.close(fd)

    server = start('Fork', *PORT, before_exec=close_all)
    with server.client() as c:
        greeting(c)
    assert target(server.pid, 'fd/0') == target(server.pid, 'fd/1') == '/dev/null'


# ---- pid files ----

def dead_pid():
    done = subprocess.Popen(['true'])
    done.wait()
    return done.pid


@pytest.fixture
def sleeper():
    """A process that lives, and is no server."""
    with subprocess.Popen(['sleep', '1000']) as one:
        yield one
        one.kill()


def refused_pid_file(path, *naming, statuses):
    done = tend.run('Fork', *PORT, 'pid_file', path)
    assert done.returncode in statuses, (done.returncode, done.stderr)
    for name in (str(path), *naming):
        assert name in done.stderr, done.stderr
    assert not tend.BOUND.search(done.stderr)


def accepted_pid_file(start, path):
    server = start('Fork', *PORT, 'pid_file', path)
    assert path.read_text() == f'{server.pid}\n'
    return server


@pytest.mark.parametrize('mask, mode', [(0o022, 0o644), (0o077, 0o600)])
def test_pid_file_holds_the_number_while_the_server_runs(start, personality, directory, mask, mode):
    """NS-DMN-30, NS-DMN-36"""
    path = directory / 'pid'
    server = start(personality, *PORT, 'pid_file', path, before_exec=lambda: os.umask(mask))
    assert path.read_text() == f'{server.pid}\n'
    assert stat.S_IMODE(path.stat().st_mode) == mode
    with server.client() as c:
        greeting(c)
    assert server.stop() == 0
    assert not path.exists()


def test_pid_file_of_a_live_process_is_kept(directory, sleeper):
    """NS-TST-63, NS-DMN-31"""
    path = directory / 'pid'
    path.write_text(f'{sleeper.pid}\n')
    refused_pid_file(path, str(sleeper.pid), 'running', statuses=[tend.EX_UNAVAILABLE])
    assert path.read_text() == f'{sleeper.pid}\n'


def test_only_the_first_digits_of_a_pid_file_count(directory, sleeper):
    """NS-DMN-31"""
    path = directory / 'pid'
    path.write_text(f'{sleeper.pid} and more\nof this\n')
    refused_pid_file(path, str(sleeper.pid), statuses=[tend.EX_UNAVAILABLE])


def test_pid_file_of_a_dead_process_is_taken_over(start, directory):
    """NS-TST-63, NS-DMN-32"""
    path = directory / 'pid'
    path.write_text(f'{dead_pid()}\n')
    server = accepted_pid_file(start, path)
    server.wait_log(re.escape(str(path)))


def test_pid_that_was_used_again_does_not_block_the_start(start, directory, sleeper):
    """NS-DMN-37: the process is younger than the file, so it did not write it."""
    path = directory / 'pid'
    path.write_text(f'{sleeper.pid}\n')
    old = time.time() - 3600
    os.utime(path, (old, old))
    accepted_pid_file(start, path)
    assert sleeper.poll() is None


@pytest.mark.parametrize('text', ['hello\n', '-7\n', ' 123\n', '0\n', '\n', '99999999999999\n'])
def test_pid_file_that_holds_no_pid_is_kept(directory, text):
    """NS-TST-63, NS-DMN-34"""
    path = directory / 'pid'
    path.write_text(text)
    refused_pid_file(path, statuses=[tend.EX_CONFIG, 65])
    assert path.read_text() == text


def test_empty_pid_file_is_taken_over(start, directory):
    """NS-TST-63, NS-DMN-34: nobody holds its lock, so no other start is in progress."""
    path = directory / 'pid'
    path.touch()
    accepted_pid_file(start, path)


def test_pid_file_in_a_missing_directory(directory):
    """NS-TST-63, NS-DMN-35"""
    refused_pid_file(directory / 'absent' / 'pid', statuses=[tend.EX_CANTCREAT])


@not_as_root
def test_pid_file_in_an_unwritable_directory(directory):
    """NS-TST-63, NS-DMN-35"""
    (directory / 'closed').mkdir(mode=0o555)
    refused_pid_file(directory / 'closed' / 'pid', statuses=[tend.EX_CANTCREAT, tend.EX_NOPERM])


def test_pid_file_that_cannot_be_created():
    """NS-TST-63, NS-DMN-35: /proc is closed to root as well"""
    refused_pid_file(Path('/proc/pid'), statuses=[tend.EX_CANTCREAT, tend.EX_NOPERM])


def test_pid_file_that_is_a_directory(directory):
    """NS-TST-63"""
    (directory / 'pid').mkdir()
    refused_pid_file(directory / 'pid', 'directory', statuses=[tend.EX_CONFIG])
    assert (directory / 'pid').is_dir()


@pytest.mark.parametrize('target_exists', [True, False], ids=['live', 'dangling'])
def test_pid_file_that_is_a_link_is_not_followed(directory, target_exists):
    """NS-TST-63"""
    if target_exists:
        (directory / 'precious').write_text('precious')
    (directory / 'pid').symlink_to(directory / 'precious')
    refused_pid_file(directory / 'pid', 'link', statuses=[tend.EX_CONFIG])
    assert (directory / 'pid').is_symlink()
    assert (directory / 'precious').exists() == target_exists
    if target_exists:
        assert (directory / 'precious').read_text() == 'precious'


def test_pid_file_that_is_no_regular_file(directory):
    """NS-TST-63"""
    os.mkfifo(directory / 'pid')
    refused_pid_file(directory / 'pid', 'regular file', statuses=[tend.EX_CONFIG])
    refused_pid_file(Path('/dev/null'), 'regular file', statuses=[tend.EX_CONFIG])


@pytest.mark.parametrize('mode', [[], ['background', '1'], ['setsid', '1']],
                         ids=['foreground', 'background', 'setsid'])
def test_second_start_is_refused_with_the_running_pid(start, directory, mode):
    """NS-TST-63, NS-DMN-31, NS-DMN-38"""
    daemon = Daemon(start, directory, 'Fork', 'setsid', '1', *PORT)
    launched, said = launch(start, 'Fork', *mode, *PORT, 'pid_file', daemon.pid_file)
    assert launched == tend.EX_UNAVAILABLE
    assert f'process {daemon.pid}' in said and str(daemon.pid_file) in said
    assert 'Backgrounded' not in said
    assert daemon.read_pid() == daemon.pid
    with daemon.client() as c:
        greeting(c)


def test_of_simultaneous_starts_one_wins(start, directory):
    """NS-DMN-37"""
    path = directory / 'pid'
    servers = [start('Single', *PORT, 'pid_file', path, listeners=0) for _ in range(6)]

    def decided():
        return sum(server.popen.poll() is None for server in servers) == 1

    eventually(decided, what='five of six starts are refused')
    winner = next(server for server in servers if server.popen.poll() is None)
    eventually(lambda: path.read_text() == f'{winner.pid}\n', what='the winner is in the file')
    assert {server.popen.poll() for server in servers} == {None, tend.EX_UNAVAILABLE}


def test_next_start_follows_a_killed_server_at_once(start, directory):
    """NS-DMN-32, NS-DMN-37: a child that still serves does not hold the file."""
    path = directory / 'pid'
    server = start('Fork', *PORT, 'pid_file', path)
    with server.client() as c:
        child = greeting(c)
        server.signal(signal.SIGKILL)
        server.wait()
        assert tend.is_alive(child)
        accepted_pid_file(start, path)


@pytest.mark.parametrize('server_type', ['Fork', 'PreFork'])
def test_child_leaves_the_pid_file_alone(start, directory, server_type):
    """NS-DMN-36, NS-SHD-12, NS-TST-61"""
    path = directory / 'pid'
    server = start(server_type, *PORT, 'pid_file', path, 'no_close_by_child', '1')
    with server.client() as c:
        greeting(c)
        c.send_line('exit')
        c.is_cut()
    with server.client() as c:
        child = greeting(c)
        os.kill(child, signal.SIGKILL)
        c.is_cut()
    with server.client() as c:
        greeting(c)
    assert path.read_text() == f'{server.pid}\n'


def test_pid_file_of_another_is_not_removed(start, directory):
    """NS-DMN-36"""
    path = directory / 'pid'
    server = start('Fork', *PORT, 'pid_file', path)
    path.unlink()
    path.write_text('somebody else\n')
    assert server.stop() == 0
    assert path.read_text() == 'somebody else\n'


@pytest.mark.parametrize('signo', [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT],
                         ids=['TERM', 'INT', 'QUIT'])
def test_every_stop_of_a_daemon_removes_its_files(start, personality, directory, signo):
    """NS-TST-48, NS-SHD-01, NS-SHD-14"""
    daemon = Daemon(start, directory, personality, 'setsid', '1', 'port',
                    f'{directory}/socket|unix')
    with daemon.client() as c:
        greeting(c)
    daemon.stop(signo)
    assert not daemon.pid_file.exists() and not (directory / 'socket').exists()


# ---- identities ----

def primary(user):
    entry = pwd.getpwnam(user)
    return entry.pw_uid, entry.pw_gid, set(os.getgrouplist(user, entry.pw_gid))


def by_name(name):
    return pwd.getpwnam(name).pw_uid


# user and group; the user, first group and all groups that they come to. 54321 has no account.
IDENTITIES = {
    'user': (['user', 'nobody'], lambda: primary('nobody')),
    'user with a list': (['user', 'daemon'], lambda: primary('daemon')),
    'user by number': (['user', '65534'], lambda: primary('nobody')),
    'user and group': (['user', 'nobody', 'group', 'daemon'],
                       lambda: (by_name('nobody'), 1, {1})),
    'several groups': (['user', 'nobody', 'group', 'daemon, 65534 sys,bin'],
                       lambda: (by_name('nobody'), 1, {1, 2, 3, 65534})),
    'group twice': (['user', 'nobody', 'group', '3 sys 3'], lambda: (by_name('nobody'), 3, {3})),
    'numbers': (['user', '54321', 'group', '54322 54323'], lambda: (54321, 54322, {54322, 54323})),
    'group alone': (['group', 'daemon'], lambda: (0, 1, {1})),
}


@as_root
@pytest.mark.parametrize('words, wanted', IDENTITIES.values(), ids=IDENTITIES.keys())
@pytest.mark.parametrize('server_type', ['Single', 'Fork', 'PreFork'])
def test_identity_of_every_process(start, server_type, words, wanted):
    """NS-TST-64, NS-TST-25, NS-DMN-10, NS-DMN-13, NS-DMN-14, NS-DMN-20, NS-DMN-21"""
    uid, gid, groups = wanted()
    server = start(server_type, *PORT, *words)
    with server.client() as c:
        greeting(c)
        family = [server.pid, *server.children()]
        for pid in family:
            # The fourth of each line, of the file system, follows the effective one.
            assert ids(pid) == ({uid}, {gid}, groups), pid
            if uid != 0:
                assert capabilities(pid) == 0, pid
        for pid in family[1:]:
            assert status(pid)['NoNewPrivs'] == '1'
    assert (len(family) > 1) == (server_type != 'Single')


@as_root
def test_identity_is_told_to_the_log(start):
    """NS-DMN-11, NS-DMN-13"""
    server = start('Fork', *PORT, 'user', 'nobody', 'group', 'daemon')
    server.wait_log(r'Setting gid to "1"')
    server.wait_log(rf'Setting uid to "{by_name("nobody")}"')
    server = start('Fork', *PORT)
    server.wait_log(r'User Not Defined.*Keeping uid 0')
    server.wait_log(r'Group Not Defined.*Keeping gid 0')


@as_root
def test_user_without_an_account_needs_a_group():
    """NS-DMN-10, NS-DMN-14: there is no group that could be meant."""
    done = tend.run('Fork', *PORT, 'user', '54321')
    assert done.returncode == tend.EX_NOUSER
    assert '54321' in done.stderr and 'group' in done.stderr


@not_as_root
@pytest.mark.parametrize('words', [['user', 'root'], ['group', 'root'], ['chroot', '/']],
                         ids=' '.join)
def test_who_is_not_root_cannot_become_another(words):
    """NS-DMN-15"""
    done = tend.run('Fork', *PORT, *words)
    assert done.returncode == tend.EX_NOPERM
    assert words[1] in done.stderr and words[0] in done.stderr


def test_own_identity_can_be_asked_for(start):
    """NS-DMN-15: by anybody"""
    server = start('Fork', *PORT, 'user', str(os.geteuid()), 'group', str(os.getegid()))
    assert ids(server.pid)[:2] == ({os.geteuid()}, {os.getegid()})


UNKNOWN = {
    'user': ['user', 'no-such-user-here'], 'group': ['group', 'no-such-group-here'],
    'one group': ['group', f'{os.getegid()} no-such-group-here'], 'chroot': ['chroot', '/no/such/directory'],
    'number': ['user', '4294967295'],
}


@pytest.mark.parametrize('words', UNKNOWN.values(), ids=UNKNOWN.keys())
@pytest.mark.parametrize('mode', [[], ['background', '1'], ['setsid', '1']],
                         ids=['foreground', 'background', 'setsid'])
def test_unknown_identity_is_found_before_anything_is_done(start, directory, words, mode):
    """NS-FLW-05"""
    launched, said = launch(start, 'Fork', *mode, 'port', f'{directory}/socket|unix', 'log_file',
                            directory / 'log', 'pid_file', directory / 'pid', *words)
    assert launched in (tend.EX_NOUSER, tend.EX_NOINPUT)
    assert len(said.splitlines()) == 1 and words[1].split()[-1] in said, said
    assert [path.name for path in directory.iterdir()] == ['stderr.1']


@as_root
def test_files_of_a_server_that_is_no_longer_root(start, directory):
    """NS-TST-64, NS-DMN-12: what it must open again is the new user's."""
    daemon = Daemon(start, directory, 'PreFork', 'setsid', '1', 'user', 'nobody', 'group', 'daemon',
                    'port', f'{directory}/socket|unix')
    for path in (directory / 'socket', directory / 'log'):
        found = path.stat()
        assert (found.st_uid, found.st_gid) == (by_name('nobody'), 1), path
    assert daemon.pid_file.stat().st_uid in (0, by_name('nobody'))


@as_root
@pytest.mark.parametrize('owner', ['nobody', 'root'])
def test_end_of_a_server_that_is_no_longer_root(start, directory, owner):
    """NS-TST-64, NS-SHD-15: gone where it may remove them; else they name nobody, and the next
    start is not in their way."""
    os.chown(directory, by_name(owner), -1)
    words = ['PreFork', 'setsid', '1', 'user', 'nobody', 'port', f'{directory}/socket|unix']
    for _ in range(2):
        daemon = Daemon(start, directory, *words)
        with daemon.client() as c:
            greeting(c)
        daemon.stop()
        if owner == 'nobody':
            assert not daemon.pid_file.exists() and not (directory / 'socket').exists()
        else:
            assert not daemon.pid_file.exists() or daemon.pid_file.read_text() == ''
            with pytest.raises(ConnectionRefusedError):
                tend.Client(directory / 'socket').close()


# ---- jails ----

@pytest.fixture
def jail(directory):
    path = directory / 'jail'
    path.mkdir()
    return path


def inside(pid, jail):
    return os.path.samefile(f'/proc/{pid}/root', jail) and \
        os.path.samefile(f'/proc/{pid}/cwd', jail)


@as_root
@pytest.mark.parametrize('words', [[], ['user', 'nobody']], ids=['root', 'nobody'])
def test_empty_jail(start, personality, directory, jail, words):
    """NS-TST-64, NS-DMN-16 to NS-DMN-19: works in it, from client to client, to the end."""
    os.chown(directory, by_name('nobody'), -1)
    daemon = Daemon(start, directory, personality, 'setsid', '1', *PORT, 'port',
                    f'{directory}/socket|unix', 'chroot', jail, 'log_level', '3', *words)
    for which in (0, 1, 0, 1, 0, 1):
        with daemon.client(which) as c:
            serving = greeting(c)
            assert inside(serving, jail) and inside(daemon.pid, jail)
            c.send_line('hello')
            c.expect(r'.*You said "hello"')
    daemon.wait_log('CONNECT', count=6)
    assert daemon.read_pid() == daemon.pid
    daemon.stop()
    daemon.wait_log('Server closing')
    assert list(jail.iterdir()) == []
    assert not (directory / 'socket').exists() and not daemon.pid_file.exists()


@as_root
@pytest.mark.skipif(not Path('/usr/share/zoneinfo/Asia/Kathmandu').exists(),
                    reason='there are no time zone files')
def test_time_of_the_log_is_the_same_in_a_jail(start, directory, jail):
    """NS-DMN-18: the zone's file cannot be reached inside."""
    before = time.time() - 1
    daemon = Daemon(start, directory, 'PreFork', 'background', '1', *PORT, 'chroot', jail,
                    'log_level', '3', environment={'TZ': 'Asia/Kathmandu'})
    with daemon.client() as c:
        greeting(c)
    daemon.wait_log('CONNECT')
    stamps = [line[:19] for line in daemon.log().splitlines()]
    assert len(stamps) > 5
    for stamp in stamps:
        # Kathmandu is 5:45 ahead of universal time the whole year.
        there = calendar.timegm(time.strptime(stamp, '%Y/%m/%d-%H:%M:%S'))
        assert before <= there - (5 * 60 + 45) * 60 <= time.time(), stamp


@as_root
def test_jail_that_is_no_directory(directory):
    """NS-DMN-16"""
    (directory / 'file').touch()
    done = tend.run('Fork', *PORT, 'chroot', directory / 'file')
    assert done.returncode != 0
    assert f'{directory}/file' in done.stderr and 'not a directory' in done.stderr.lower()


@as_root
def test_program_of_a_jail_is_looked_for_inside(start, jail):
    """NS-DMN-17"""
    server = start('run', *PORT, 'chroot', jail, '--', '/bin/cat')
    with server.client() as c:
        c.expect_end()
    server.wait_log('Cannot run /bin/cat')


# ---- logs ----

def rotate(directory):
    (directory / 'log').rename(directory / 'log.1')


def uses(pid, path):
    """Whether the process has the file open."""
    def target_of(fd):
        try:
            return target(pid, f'fd/{fd}')
        except FileNotFoundError:
            return None

    return any(target_of(fd) == str(path) for fd in tend.open_descriptors(pid))


@pytest.mark.parametrize('words', [[], pytest.param(['user', 'nobody'], marks=as_root)],
                         ids=['as-is', 'nobody'])
def test_usr1_reopens_the_log(start, personality, directory, words):
    """NS-SIG-10: in the parent and in every worker that waits for clients."""
    os.chown(directory, by_name('nobody') if words else -1, -1)
    daemon = Daemon(start, directory, personality, 'setsid', '1', *PORT, 'log_level', '3', *words)
    old, new = directory / 'log.1', directory / 'log'
    for _ in range(2):
        rotate(directory)
        os.kill(daemon.pid, signal.SIGUSR1)
        eventually(new.exists, what='a new log is there')
        eventually(lambda: not any(uses(pid, old) for pid in daemon.family()),
                   what='nobody writes to the old log')
        before = old.read_text()
        with daemon.client() as c:
            serving = greeting(c)
            here = c.sock.getsockname()[1]
            daemon.wait_log(rf'CONNECT .*:{here}" .* \[{serving}\]')
            assert target(serving, 'fd/2') == str(new)
        assert old.read_text() == before
    assert daemon.is_alive()


@as_root
def test_log_that_cannot_be_reopened_goes_on(start, directory):
    """NS-SIG-10: the directory is root's, the server is not."""
    daemon = Daemon(start, directory, 'PreFork', 'setsid', '1', *PORT, 'user', 'nobody',
                    'log_level', '3')
    rotate(directory)
    daemon.launcher.log_path = directory / 'log.1'
    os.kill(daemon.pid, signal.SIGUSR1)
    daemon.wait_log(rf'log.*{re.escape(str(directory))}/log.*still writing')
    with daemon.client() as c:
        greeting(c)
    daemon.wait_log('CONNECT')
    assert not (directory / 'log').exists()


def test_usr1_without_a_log_file_is_harmless(start, personality):
    server = start(personality, *PORT)
    for _ in range(5):
        server.signal(signal.SIGUSR1)
    with server.client() as c:
        greeting(c)
    assert server.is_alive()


def test_log_file_is_appended_to(start, directory):
    """NS-LOG-10"""
    path = directory / 'my log: 100%'
    path.write_text('what was there\n')
    server = start('Single', *PORT, 'log_file', path, log_path=path)
    assert server.stop() == 0
    assert path.read_text().startswith('what was there\n')
    assert len(path.read_text().splitlines()) > 2


def test_log_file_is_relative_to_the_start_directory(start, directory):
    """NS-LOG-11: a word that is no log of ours is a file."""
    server = start('Single', *PORT, 'log_file', 'Foo', cwd=directory, log_path=directory / 'Foo',
                   before_exec=lambda: os.umask(0o022))
    assert server.log()
    assert stat.S_IMODE((directory / 'Foo').stat().st_mode) == 0o644


@pytest.mark.parametrize('name', ['absent/log', 'a-directory'])
@pytest.mark.parametrize('mode', [[], ['setsid', '1']], ids=['foreground', 'setsid'])
def test_log_file_that_cannot_be_opened(start, directory, name, mode):
    """NS-LOG-10"""
    (directory / 'a-directory').mkdir()
    launched, said = launch(start, 'Fork', *PORT, *mode, 'log_file', directory / name)
    assert launched in (tend.EX_CANTCREAT, tend.EX_CONFIG)
    assert f'{directory}/{name}' in said and 'log' in said
    assert not tend.BOUND.search(said)


def test_every_line_has_time_and_process(start, directory):
    """NS-LOG-08, NS-LOG-09: of many processes that write at once"""
    server = start('PreFork', *PORT, 'log_file', directory / 'log', 'log_level', '4',
                   'max_requests', '5', log_path=directory / 'log')
    count = 100
    for _ in range(count // 10):
        clients = [server.client() for _ in range(10)]
        for c in clients:
            greeting(c)
        for c in clients:
            c.close()
    server.wait_log('CONNECT TCP', count=count)
    assert server.stop() == 0
    pids = set()
    for line in server.log().splitlines():
        found = LOG_LINE.fullmatch(line)
        assert found, line
        pids.add(found.group(2))
    assert str(server.pid) in pids and len(pids) > 2
    assert len(re.findall(r'CONNECT TCP', server.log())) == count


# A line of each level, and the level that it needs.
LEVELS = [(2, r'starting! pid'), (2, r'Bound to TCP'), (3, r'CONNECT TCP'), (4, r'Started child')]


@pytest.mark.parametrize('level, shown', [('0', 0), ('1', 1), ('2', 2), ('3', 3), ('4', 4),
                                          ('9', 4), ('loud', 2), ('-1', 2), ('2.5', 2)])
def test_log_level_is_a_threshold(start, directory, level, shown):
    """NS-OPT-41, NS-LOG-01"""
    port = free_port()
    path = directory / 'log'
    server = start('Fork', 'port', f'127.0.0.1:{port}', f'--log_level={level}', 'log_file', path,
                   listeners=0)
    eventually(lambda: tend.listens(('127.0.0.1', port)), what='it listens')
    with tend.Client(('127.0.0.1', port)) as c:
        greeting(c)
    assert server.stop() == 0
    text = path.read_text()
    for needed, pattern in LEVELS:
        assert bool(re.search(pattern, text)) == (needed <= shown), (pattern, text)
    if os.geteuid() == 0:
        assert ('User Not Defined' in text) == (shown >= 1)
    if shown == 0:
        assert text == ''


def test_error_of_a_start_is_told_at_level_0(start, directory):
    """NS-LOG-01"""
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        for mode in ([], ['background', '1'], ['setsid', '1']):
            launched, said = launch(start, 'Fork', *mode, 'port', f'127.0.0.1:{port}',
                                    'log_level', '0', 'log_file', directory / 'log')
            assert launched == tend.EX_UNAVAILABLE
            assert said.count('in use') == 1 and len(said.splitlines()) == 1, said


def test_fatal_error_is_in_the_log(start, directory):
    """NS-LOG-22"""
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        launch(start, 'Fork', 'port', f'127.0.0.1:{taken.getsockname()[1]}', 'log_level', '1',
               'log_file', directory / 'log')
    lines = (directory / 'log').read_text().splitlines()
    assert len([line for line in lines if 'in use' in line]) == 1
    for line in lines:
        assert LOG_LINE.fullmatch(line), line


def test_connect_line_of_tcp(start, personality):
    """NS-LOG-21, NS-ACC-20"""
    server = start(personality, *PORT, 'log_level', '3')
    with server.client() as c:
        serving = greeting(c)
        host, port = c.sock.getsockname()
        line = server.wait_log(r'^.*CONNECT.*$').group()
    assert re.fullmatch(rf'\d{{4}}/\d\d/\d\d-\d\d:\d\d:\d\d CONNECT TCP Peer: "\[{host}\]:{port}" '
                        rf'Local: "\[127\.0\.0\.1\]:{server.port}" \[{serving}\]', line)


def test_connect_line_of_unix(start, personality, directory):
    """NS-LOG-21, NS-UNX-06"""
    server = start(personality, 'port', f'{directory}/socket|unix', 'log_level', '3')
    with server.client() as c:
        serving = greeting(c)
        line = server.wait_log(r'^.*CONNECT.*$').group()
    assert re.fullmatch(rf'\d{{4}}/\d\d/\d\d-\d\d:\d\d:\d\d CONNECT UNIX Socket: '
                        rf'"{directory}/socket" \[{serving}\]', line)


@needs_ipv6
def test_connect_line_of_a_dual_stack_socket(start):
    """NS-LOG-21, NS-IPV-06"""
    server = start('Single', 'port', '0', 'log_level', '3')
    for host, shown in (('127.0.0.1', '::ffff:127.0.0.1'), ('::1', '::1')):
        with tend.Client((host, server.port)) as c:
            greeting(c)
            server.wait_log(rf'CONNECT TCP Peer: "\[{shown}\]:{c.sock.getsockname()[1]}" '
                            rf'Local: "\[{shown}\]:{server.port}"')


def test_control_bytes_of_a_client_are_escaped(start, directory):
    """NS-LOG-07: the path of a unix client is whatever that client says."""
    server = start('run', 'port', f'{directory}/socket|unix', '--', '/no/such/program')
    mine = f'{directory}/a\n00:00:00 Server closing! [1]\x1b[31m\x7f\xe9'
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(tend.DEADLINE)
        sock.bind(mine)
        sock.connect(server.path)
        with tend.Client(sock=sock) as c:
            c.expect_end()
    line = server.wait_log(r'^.*Cannot run /no/such/program.*$').group()
    assert '/a%0A00:00:00 Server closing! [1]%1B[31m%7F%C3%A9' in line
    assert LOG_LINE.fullmatch(line)
    assert set(server.stderr_path.read_bytes()) <= {10, *range(32, 127)}
