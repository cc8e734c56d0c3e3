"""The working directory (option directory): who works there, and what stays relative to the start.

restarting.c is the service: it tells where it is, and restarts. It is started from a copy, by a relative
path, in a directory `home` of its own; `work` is the directory that it is sent to.
"""

import os
import pwd
import re
import shutil
import socket
import subprocess
from signal import SIGHUP, SIGUSR1

import pytest

import tend
from daemons import as_root, target, where_others_come_in
from pools import ask
from tend import EX_CONFIG, EX_NOINPUT, EX_NOPERM, EX_NOUSER, Client, eventually, find_program

PORT = ['port', '127.0.0.1:0']
DONE = 'Restarted: '
NOBODY = pwd.getpwnam('nobody')
ENVIRONMENT = {'LD_LIBRARY_PATH': str(tend.BUILD / 'src')}

# Few processes, and nothing that ends by itself.
FEW = ['max_servers', 2, 'workers', 2, 'log_level', 3]


@pytest.fixture
def home(directory):
    path = directory / 'home'
    path.mkdir()
    shutil.copy(find_program('restarting'), path / 'program')
    return path


@pytest.fixture
def work(directory):
    path = directory / 'work'
    path.mkdir()
    return path


@pytest.fixture
def begin(start, home):
    """Starts the service in `home`, as ./program."""
    def begin_service(*words, log=None, **options):
        if log:
            words = [*words, 'log_file', log]
            options['log_path'] = home / log
        options.setdefault('environment', ENVIRONMENT)
        return start(*FEW, *words, program='./program', cwd=home, **options)

    return begin_service


def say(address, line):
    with Client(address if isinstance(address, tuple) else str(address)) as c:
        return ask(c, line)


def restart(server, pattern=DONE):
    before = len(re.findall(pattern, server.log()))
    server.signal(SIGHUP)
    server.wait_log(pattern, count=before + 1)


def everybody(server):
    return [server.pid, *server.children()]


# ---- who works there ----

def test_all_processes_work_there(begin, personality, home, work):
    """NS-FIX-56"""
    server = begin('server_type', personality, *PORT, 'directory', work)
    with server.client() as c:
        assert ask(c, 'cwd') == str(work)
        assert {target(pid, 'cwd') for pid in everybody(server)} == {str(work)}
    server.wait_log(f'Working in {work}')


@pytest.mark.parametrize('mode', ['background', 'setsid'])
def test_a_daemon_works_there(begin, home, work, mode):
    """NS-FIX-56, NS-DMN-02, NS-DMN-03"""
    launcher = begin('server_type', 'PreFork', *PORT, 'directory', '../work', mode, 1, 'pid_file', 'pid',
                     log='log', listeners=0)
    assert launcher.wait() == 0
    pid = int((home / 'pid').read_text())
    launcher.adopt(pid)
    launcher.refresh_endpoints()
    assert say(launcher.address, 'cwd') == str(work) == target(pid, 'cwd')
    os.kill(pid, 15)
    eventually(lambda: not (home / 'pid').exists())
    launcher.wait_log('Server closing')


def test_inet_works_there(begin, work):
    """NS-FIX-56, NS-INE-01"""
    ours, theirs = socket.socketpair()
    with theirs:
        server = begin('server_type', 'INET', 'directory', work, listeners=0, stdin=theirs, stdout=theirs)
    with Client(sock=ours) as c:
        assert ask(c, 'cwd') == str(work)
        c.half_close()
        assert server.wait() == 0


@pytest.mark.parametrize('server_type', ['Single', 'Fork', 'PreFork', 'Multiplex', 'Thread'])
def test_programs_work_there(start, home, work, server_type):
    """NS-FIX-56: a relative path to the program is one of the start; its arguments are its own."""
    script = home / 'script'
    script.write_text('#!/bin/sh\npwd\ncat "$1"\n')
    script.chmod(0o755)
    (work / 'file').write_text('of work\n')
    (home / 'file').write_text('of home\n')
    server = start('run', 'server_type', server_type, *PORT, 'directory', work, '--', './script', 'file',
                   cwd=home)
    with server.client() as c:
        assert c.recv_all().decode() == f'{work}\nof work\n'


def test_relative_directory_begins_at_the_start(begin, home):
    """NS-FIX-56: also at a restart, which begins there as well."""
    (home / 'below').mkdir()
    server = begin('server_type', 'PreFork', *PORT, 'directory', 'below')
    for _ in range(2):
        eventually(lambda: say(server.address, 'cwd') == str(home / 'below'))
        restart(server)


@as_root
@pytest.mark.parametrize('user', ['daemon', 'sys'])
def test_tilde_is_the_home_of_the_user(begin, user):
    """NS-FIX-56: of whom the server becomes, and not of root."""
    entry = pwd.getpwnam(user)
    if not os.path.isdir(entry.pw_dir):
        pytest.skip(f'{user} has no home')
    server = begin('server_type', 'Fork', *PORT, 'user', user, 'directory', '~')
    assert say(server.address, 'cwd') == os.path.realpath(entry.pw_dir)


def test_tilde_without_user_is_the_own_home(begin):
    """NS-FIX-56: as the system's list has it, whatever HOME says."""
    own = os.path.realpath(pwd.getpwuid(os.geteuid()).pw_dir)
    if not os.path.isdir(own):
        pytest.skip('who runs the tests has no home')
    server = begin('server_type', 'Fork', *PORT, '--directory=~', environment={**ENVIRONMENT, 'HOME': '/'})
    assert say(server.address, 'cwd') == own


# ---- what stays relative to the start ----

# A conf file in which nothing is absolute but the directory.
RELATIVE = '''port socket|unix
log_file log
pid_file pid
control control
serialize flock
lock_file lock
directory {}
word {}
'''


@pytest.mark.parametrize('server_type', ['Single', 'Fork', 'PreForkSimple', 'PreFork', 'Multiplex', 'Thread'])
def test_relative_paths_stay_those_of_the_start(begin, home, work, server_type):
    """NS-FIX-56, NS-LOG-11: for USR1, HUP, another program, and the end."""
    conf = home / 'conf'
    conf.write_text(RELATIVE.format('../work', 'first'))
    # NS-PF-14: with one listener workers take turns only where that is asked for.
    server = begin('server_type', server_type, '--conf_file=conf', log_path=home / 'log')
    path = home / 'socket'
    assert say(path, 'cwd') == str(work)
    (home / 'log').rename(home / 'log.1')
    server.signal(SIGUSR1)
    eventually((home / 'log').exists, what='the log is opened again, where it was')
    for word in ('second', 'third'):
        conf.write_text(RELATIVE.format('../work', word))
        restart(server)
        eventually(lambda: say(path, 'word') == word)
        assert say(path, 'cwd') == str(work)
    shutil.copy(find_program('restarted'), home / 'program.new')
    os.replace(home / 'program.new', home / 'program')
    restart(server)
    eventually(lambda: say(path, 'version') == 'two')
    assert (home / 'pid').read_text() == f'{server.pid}\n'
    done = tend.run('ctl', '--control', 'control', 'get', 'word', cwd=home)
    assert done.stdout == 'word third\n', done.stderr
    assert server.stop() == 0
    left = {'conf', 'log', 'log.1', 'program'}
    assert {one.name for one in home.iterdir()} - {'lock'} == left
    assert list(work.iterdir()) == []


@pytest.mark.parametrize('personality', ['PreForkSimple', 'PreFork'])
def test_lock_file_is_one_of_the_start(begin, home, work, personality):
    """NS-FIX-56: for workers that are born later, too."""
    server = begin('server_type', personality, *PORT, 'port', 'socket|unix', 'serialize', 'flock',
                   'lock_file', 'lock', 'max_requests', 1, 'directory', work, listeners=2)
    for _ in range(10):
        assert say(server.address, 'cwd') == str(work)
    assert (home / 'lock').exists() and list(work.iterdir()) == []


def test_directory_comes_and_goes_with_the_configuration(begin, home, work):
    """NS-FIX-56: a restart begins at the start, not where the server works."""
    conf = home / 'conf'
    conf.write_text('')
    server = begin('server_type', 'PreFork', *PORT, 'conf_file', 'conf')
    for text, where in [('directory ../work\n', work), ('', home), (f'directory {home}/..\n', home.parent)]:
        conf.write_text(text)
        restart(server)
        eventually(lambda: say(server.address, 'cwd') == str(where))
    conf.write_text('directory ../absent\n')
    restart(server, r"No restart: cannot work in '.*/absent': no such file or directory")
    assert say(server.address, 'cwd') == str(home.parent)


def test_failed_restart_leaves_the_server_where_it_works(begin, home, work):
    """NS-HUP-20: the image before comes back there, with its own directory."""
    (home / 'refuse').write_text('two ready')
    server = begin('server_type', 'PreFork', *PORT, 'refuse', 'refuse', 'directory', '../work')
    shutil.copy(find_program('restarted'), home / 'program.new')
    os.replace(home / 'program.new', home / 'program')
    # Relative to what it is opened from: in `configured` and `bound` that is the start.
    (work / 'refuse').write_text('two ready')
    restart(server)
    server.wait_log('did not become ready: the hook ready was told to refuse')
    assert [say(server.address, question) for question in ('version', 'cwd')] == ['one', str(work)]


@pytest.mark.parametrize('personality', ['Single', 'PreFork'])
def test_failed_exec_leaves_the_server_where_it_works(begin, home, work, personality):
    """NS-HUP-20: neither the new image nor the old one can be executed."""
    # The first one is the trial's.
    server = begin('server_type', personality, *PORT, 'directory', work,
                   environment={**ENVIRONMENT, **tend.refusing('exec:EAGAIN:*+1, fexecve:EAGAIN:*')})
    restart(server, 'No restart: ')
    assert say(server.address, 'cwd') == str(work)
    assert target(server.pid, 'cwd') == str(work)


# ---- as another user ----

@as_root
def test_start_that_the_new_user_may_not_enter(begin, home, work):
    """NS-FIX-56, NS-HUP-15: there is no way back for a restart; the log says so before anybody tries."""
    home.chmod(0o700)
    server = begin('server_type', 'PreFork', *PORT, 'user', 'nobody', 'directory', work, 'port',
                   'socket|unix', 'pid_file', 'pid', listeners=2)
    server.wait_log(r'Signal HUP will not restart: it cannot go back to the directory of its start')
    assert say(server.address, 'cwd') == str(work)
    restart(server, r'cannot restart in place: it cannot go back .*; going on as before')
    assert say(server.address, 'cwd') == str(work)
    assert server.stop() == 0


@where_others_come_in
@as_root
def test_start_that_the_new_user_may_enter(begin, home, work):
    """NS-FIX-56, NS-HUP-15"""
    work.chmod(0o700)
    os.chown(work, NOBODY.pw_uid, NOBODY.pw_gid)
    server = begin('server_type', 'PreFork', *PORT, 'user', 'nobody', 'directory', '../work')
    for _ in range(2):
        assert say(server.address, 'cwd') == str(work)
        restart(server)
    assert 'will not restart' not in server.log()


@as_root
@pytest.mark.parametrize('mode', [[], ['background', 1]], ids=['foreground', 'background'])
def test_directory_that_the_new_user_may_not_enter(begin, home, work, mode):
    """NS-FIX-56: root may, but it is not root who works there."""
    work.chmod(0o700)
    server = begin('server_type', 'PreFork', 'port', 'socket|unix', 'pid_file', 'pid', 'user', 'nobody',
                   'directory', work, *mode, listeners=0)
    assert server.wait() == EX_NOPERM
    lines = [line for line in server.log().splitlines() if 'cannot work in' in line]
    assert len(lines) == 1, server.log()
    assert f"'{work}'" in lines[0] and f'uid {NOBODY.pw_uid}' in lines[0] and 'directory' in lines[0]
    assert 'permission denied' in lines[0]
    # What nobody may not remove there he empties.
    assert not (home / 'pid').exists() or (home / 'pid').read_text() == ''


@as_root
def test_relative_directory_inside_of_a_chroot(begin, directory, home, work):
    """NS-FIX-56, NS-DMN-16: a path inside, in any spelling; and no way out of it."""
    (work / 'inside').mkdir()
    for spelt in ('/inside', 'inside', './inside/../inside/'):
        server = begin('server_type', 'PreFork', *PORT, 'chroot', work, 'user', 'nobody', 'directory', spelt)
        assert say(server.address, 'cwd') == '/inside'
        for pid in everybody(server):
            assert target(pid, 'cwd') == str(work / 'inside') and target(pid, 'root') == str(work)
            directories = [fd for fd in tend.open_descriptors(pid) if os.path.isdir(f'/proc/{pid}/fd/{fd}')]
            assert directories == []
        # A sanitizer that looks for leaks at the end needs /proc.
        assert server.stop() == 0 or tend.SANITIZED


@as_root
def test_directory_outside_of_the_chroot_does_not_exist(begin, directory, home, work):
    """NS-FIX-56: one line, and the end."""
    server = begin('server_type', 'PreFork', *PORT, 'chroot', work, 'directory', home, listeners=0)
    assert server.wait() == EX_NOINPUT or tend.SANITIZED
    lines = [line for line in server.log().splitlines() if 'cannot work in' in line]
    assert len(lines) == 1 and f"'{home}' inside of chroot {work}" in lines[0], server.log()


@as_root
def test_program_inside_of_a_chroot(start, home, work):
    """NS-FIX-56, NS-DMN-17: a relative path to it begins at its root."""
    (work / 'inside').mkdir()
    server = start('run', 'server_type', 'Fork', *PORT, 'chroot', work, 'directory', 'inside', '--',
                   './no/program', cwd=home)
    with server.client() as c:
        c.expect_end()
    server.wait_log('Cannot run /./no/program')


# ---- what cannot be ----

@pytest.mark.parametrize('words, status, said', [
    (['--directory=/no/such/place'], EX_NOINPUT, "'/no/such/place': no such file or directory"),
    (['--directory=absent'], EX_NOINPUT, "/absent': no such file or directory"),
    (['--directory=/dev/null'], EX_NOINPUT, "'/dev/null': not a directory"),
    (['--directory=~nobody'], EX_CONFIG, "'~nobody'"),
    pytest.param(['--directory=~', 'user', 54321, 'group', 54321], EX_NOUSER, '54321', marks=as_root),
], ids=lambda value: ' '.join(map(str, value)) if isinstance(value, list) else None)
def test_impossible_directory_is_refused_with_one_line(directory, words, status, said):
    """NS-FIX-56, NS-FLW-05: `tend check` says so as well."""
    for command in ('check', 'PreFork'):
        done = tend.run(command, 'port', f'{directory}/socket|unix', *words, cwd=directory)
        assert done.returncode == status, done.stderr
        assert len(done.stderr.splitlines()) == 1 and said in done.stderr, done.stderr
    assert not (directory / 'socket').exists()


@where_others_come_in
@as_root
def test_who_starts_it_must_be_able_to_enter(directory, work):
    """NS-FIX-56: without user it is found by the check."""
    work.chmod(0o700)
    done = tend.run('check', *PORT, 'directory', work, user=NOBODY.pw_uid, group=NOBODY.pw_gid,
                    extra_groups=[])
    assert done.returncode == EX_NOPERM and 'permission denied' in done.stderr
    assert subprocess.run([find_program(), 'check', 'directory', work], check=False).returncode == 0
