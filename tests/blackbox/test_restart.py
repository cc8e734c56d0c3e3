"""Restarting in place: nothing is lost, the pid stays, and what cannot serve never takes over.

restarting.c and restarted.c are two builds of one service. A restart is over when the log says
"Restarted:"; a return to the image before says so as well, after its reason.
"""

import os
import re
import shutil
import socket
from pathlib import Path
from signal import SIGHUP, SIGQUIT, SIGTERM

import pytest

import pools
import tend
from daemons import as_root, needs_ipv6, where_others_come_in
from pools import EVENTED, MULTIPLEX, POOLS, Storm, ask, wait_for_workers
from tend import EX_UNAVAILABLE, Client, eventually, find_program, is_alive

DONE = r'Restarted: '
REFUSED = r'No restart: .*; going on as before'
# PreForkSimple differs from PreFork in numbers only.
FORKING = ['Fork', 'PreFork', 'Multiplex', 'Thread']

# Enough to be served, few enough to be born quickly.
FEW = ['max_servers', 4, 'workers', 2, 'log_level', 3]

# The program is run from a copy, which does not find the library by where it lies itself.
ENVIRONMENT = {'LD_LIBRARY_PATH': str(tend.BUILD / 'src')}


@pytest.fixture
def begin(start, directory):
    """Starts restarting.c from a copy in the test's directory, with a conf file if `conf` is given."""
    def begin_server(personality, *words, conf=None, port='127.0.0.1:0', **options):
        program = directory / 'program'
        if not program.exists():
            shutil.copy(find_program('restarting'), program)
        words = [*words] if port is None else ['port', port, *words]
        if conf is not None:
            write_conf(directory, conf)
            words += ['conf_file', directory / 'conf']
        kind, options['environment'] = pools.choose(personality, options.get('environment', ENVIRONMENT))
        if personality is None:
            kind = []
        return start(*kind, *FEW, *words, program=str(program), **options)

    return begin_server


@pytest.fixture(params=[*tend.PERSONALITIES, EVENTED])
def kind(request):
    """Each personality that accepts its clients itself, and both moods of Multiplex."""
    return request.param


def write_conf(directory, text):
    """As an editor does: the old file's text is overwritten."""
    (directory / 'conf').write_text(text)


def count(server, pattern):
    return len(re.findall(pattern, server.log(), re.MULTILINE))


def restart(server, times=1, pattern=DONE):
    """HUP, and waits for what is expected to come of it."""
    for _ in range(times):
        before = count(server, pattern)
        server.signal(SIGHUP)
        server.wait_log(pattern, count=before + 1)


def say(server, line, which=0):
    with server.client(which) as c:
        return ask(c, line)


def load(server):
    """Clients without end, until it is told to stop."""
    return Storm(server, '--half-close', concurrency=4, seconds=600)


def expect_new(server, **answers):
    """What the new image answers; an old worker may still take a client that it was woken for."""
    for question, answer in answers.items():
        eventually(lambda: say(server, question) == answer, what=f'{question} is {answer}')


def replace_program(directory, source):
    """As a package manager does: another file under the same name."""
    shutil.copy(source, directory / 'program.new')
    os.replace(directory / 'program.new', directory / 'program')


def script(directory, text):
    path = directory / 'program.script'
    path.write_text(text)
    path.chmod(0o755)
    return path


# ---- nothing is lost ----

def test_fifty_restarts_under_load_lose_nobody(begin, directory, kind):
    """NS-TST-51, NS-HUP-01, -04, -09, NS-HUP-14: the same pid, every client served, no descriptor
    more. NS-HUP-09 differs: old children finish. MX-T34, MX-122."""
    server = begin(kind, 'pid_file', directory / 'pid', 'log_file', directory / 'log',
                   'log_level', 2, log_path=directory / 'log')
    restart(server)
    before = server.fds()
    with load(server) as storm:
        restart(server, 48)
        storm.stop()
        assert storm.expect_all_served()['connections'] > 100
    restart(server)
    assert server.is_alive()
    assert (directory / 'pid').read_text() == f'{server.pid}\n'
    eventually(lambda: server.fds() <= before, what=f'{before} descriptors as after one restart')


@pytest.mark.parametrize('personality', ['Fork', 'PreFork', *MULTIPLEX, 'Thread'])
def test_twenty_upgrades_under_load_lose_nobody(begin, directory, personality):
    """NS-HUP-12: what the file at the program's path is now."""
    server = begin(personality, 'log_level', 2)
    with load(server) as storm:
        for i in range(20):
            version = ['two', 'one'][i % 2]
            replace_program(directory, find_program('restarted' if version == 'two' else 'restarting'))
            restart(server)
            expect_new(server, version=version)
        storm.stop()
        storm.expect_all_served()
    assert server.is_alive()


def test_client_of_the_old_image_is_served_to_its_end(begin, kind):
    """NS-HUP-08, -10, NS-HUP-23, NS-TST-54, MX-123: also where there is one process only, after which
    comes the restart."""
    server = begin(kind)
    with server.client() as c:
        pid = ask(c, 'pid')
        if kind == 'Single':
            server.signal(SIGHUP)
            assert ask(c, 'still there?') == 'still there?'
        else:
            restart(server)
            eventually(lambda: say(server, 'pid') != pid)
        assert ask(c, 'pid') == pid
        c.half_close()
        c.expect_end()
    server.wait_log(DONE)
    assert say(server, 'parent') == str(server.pid)
    if kind in POOLS:
        wait_for_workers(server, 4 if kind == 'PreForkSimple' else len(server.children()))
    if kind != 'Single':
        eventually(lambda: not is_alive(int(pid)), what='the old child is gone')


def test_storm_of_hups_ends_in_one_or_two_restarts(begin, personality):
    """NS-HUP-21, NS-FIX-03: none is fatal, none is forgotten, there are never two at once."""
    server = begin(personality, 'log_level', 2)
    for _ in range(10):
        server.signal(SIGHUP)
    server.wait_log(DONE)
    restart(server)
    for _ in range(3):
        server.signal(SIGHUP)
    assert say(server, 'hello') == 'hello'
    server.wait_log(DONE, count=3)
    assert server.is_alive() and 'No restart' not in server.log()


def test_term_during_a_restart_stops(begin, personality):
    """Whenever it comes: during the trial, or in the new image."""
    server = begin(personality)
    server.signal(SIGHUP)
    server.wait_log('About to restart')
    assert server.stop() == 0
    server = begin(personality)
    server.signal(SIGHUP)
    server.wait_log('Restarting: executing')
    assert server.stop() == 0
    assert server.leftovers() == []


def test_strangers_that_are_left_alone_do_not_hide_the_trial(begin):
    """NW-62b: the child that tries the new image is ours."""
    for personality in ('Single', 'PreFork'):
        restart(begin(personality, 'strangers', 'leave'), 2)


# ---- what passes, and what does not ----

def test_process_is_as_it_was_started(begin, directory):
    """NS-HUP-12, -13, NS-FIX-39: arguments, environment, directory, file mask; NS-TST-53"""
    (directory / 'here').mkdir()
    server = begin('PreFork', 'a b', '', 'x;|y', cwd=directory / 'here',
                   environment={**ENVIRONMENT, 'MARK': 'a; b|c', 'PATH': '/nowhere'},
                   before_exec=lambda: os.umask(0o026))
    questions = ['arguments', 'env MARK', 'env PATH', 'env TEND_HANDOVER', 'cwd', 'umask', 'parent']
    before = [say(server, question) for question in questions]
    environ = Path(f'/proc/{server.pid}/environ').read_bytes
    restart(server, 2)
    assert [say(server, question) for question in questions] == before
    assert before[0] == 'a b||x;|y|' and before[3] == 'not set'
    assert b'TEND_HANDOVER' not in environ()


def test_hooks_run_in_order(begin, directory):
    """NS-FLW-02, NS-HUP-03: stopping and before_restart in the old image, after_restart before
    anything is bound in the new one."""
    trace = directory / 'trace'
    server = begin('PreFork', 'trace', trace)
    replace_program(directory, find_program('restarted'))
    restart(server)
    server.stop()
    assert trace.read_text().split('\n')[:-1] == [
        'one configured', 'one bound', 'one ready', 'one stopping', 'one before_restart',
        'two configured', 'two after_restart', 'two bound', 'two ready', 'two stopping',
        'two children_gone']


def test_pid_file_stays_locked_and_is_removed_in_the_end(begin, directory):
    """NS-HUP-06, NS-DMN-33"""
    pid_file = directory / 'pid'
    server = begin('PreFork', 'pid_file', pid_file)
    inode = pid_file.stat().st_ino
    restart(server)
    assert pid_file.stat().st_ino == inode and pid_file.read_text() == f'{server.pid}\n'
    second = begin('PreFork', 'pid_file', pid_file, listeners=0)
    assert second.wait() == EX_UNAVAILABLE
    assert f'already running as process {server.pid}' in second.log()
    server.stop()
    assert not pid_file.exists()


def test_pid_file_moves_with_the_configuration(begin, directory):
    """NS-HUP-05"""
    server = begin('PreFork', conf=f'pid_file {directory}/one\n')
    write_conf(directory, f'pid_file {directory}/two\n')
    restart(server)
    assert (directory / 'two').read_text() == f'{server.pid}\n'
    assert not (directory / 'one').exists()
    write_conf(directory, '')
    restart(server)
    assert not (directory / 'two').exists()


def test_log_is_opened_again(begin, directory):
    """NS-HUP-07: HUP serves rotation; a background server does not detach again."""
    log = directory / 'log'
    server = begin('PreFork', 'log_file', log, 'background', 1, 'pid_file', directory / 'pid',
                   log_path=log, listeners=0)
    assert server.wait() == 0
    pid = int((directory / 'pid').read_text())
    server.adopt(pid)
    os.rename(log, directory / 'log.1')
    os.kill(pid, SIGHUP)
    server.wait_log(DONE)
    assert int((directory / 'pid').read_text()) == pid
    server.refresh_endpoints()
    os.kill(pid, SIGTERM)
    eventually(lambda: not is_alive(pid))


# ---- endpoints ----

def free_ports(how_many):
    sockets = [socket.create_server(('127.0.0.1', 0)) for _ in range(how_many)]
    numbers = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return numbers


def test_endpoints_come_and_go_with_the_configuration(begin, directory):
    """NS-HUP-03, -04, -05, NS-TST-52: kept, added, removed; a unix path keeps its socket."""
    a, b = free_ports(2)
    kept, gone = directory / 'kept', directory / 'gone'
    server = begin('PreFork', port=None, listeners=3,
                   conf=f'port 127.0.0.1:{a}\nport {kept}|unix\nport {gone}|unix\n')
    inode = kept.stat().st_ino
    write_conf(directory, f'port 127.0.0.1:{a}\nport {kept}|unix\nport 127.0.0.1:{b}\n')
    restart(server)
    server.wait_log(r'Restarted: 2 sockets taken over, 1 opened, 1 closed')
    assert kept.stat().st_ino == inode and not gone.exists()
    for address in (('127.0.0.1', a), ('127.0.0.1', b), str(kept)):
        with Client(address) as c:
            assert ask(c, 'hello') == 'hello'
    write_conf(directory, f'port 127.0.0.1:{b}\n')
    restart(server)
    eventually(lambda: not tend.listens(('127.0.0.1', a)), what=f'port {a} is closed')
    assert not kept.exists()
    with Client(('127.0.0.1', b)) as c:
        assert ask(c, 'hello') == 'hello'


@pytest.mark.parametrize('personality', ['Single', 'PreFork', 'Multiplex'])
def test_address_of_a_port_can_change(begin, directory, personality):
    """NS-HUP-26, NS-FIX-38: from one address to all and back, although they are in each other's way."""
    port, = free_ports(1)
    server = begin(personality, port=None, conf=f'port 127.0.0.1:{port}\n')
    for host in ('0.0.0.0', '127.0.0.1', '0.0.0.0'):
        write_conf(directory, f'port {host}:{port}\n')
        restart(server)
        assert say(server, 'hello') == 'hello'


@needs_ipv6
def test_dual_stack_listener_serves_as_before(begin):
    """NS-HUP-25, NS-FIX-01"""
    server = begin('PreFork', 'ipv', '*', port='0')
    restart(server)
    for host in ('127.0.0.1', '::1'):
        with Client((host, server.port)) as c:
            assert ask(c, 'hello') == 'hello'
    assert 'Restarted: 1 sockets taken over' in server.log()


def test_personality_changes_with_the_configuration(begin, directory):
    """Each to each: children of the old kind finish."""
    program = ['conf_file', directory / 'conf']
    write_conf(directory, 'server_type PreFork\n')
    server = begin(None, *program)
    for kind in ['Fork', 'PreForkSimple', 'Single', 'PreFork', 'Single', 'Multiplex', 'Thread', 'Fork']:
        with server.client() as c:
            ask(c, 'pid')
            write_conf(directory, f'server_type {kind}\n')
            before = count(server, DONE)
            server.signal(SIGHUP)
            assert ask(c, 'going on') == 'going on'
        server.wait_log(DONE, count=before + 1)
        server.wait_log(rf'type {kind}\) starting')
        assert say(server, 'hello') == 'hello'


@pytest.mark.parametrize('personality', ['Single', 'PreFork'])
def test_control_and_metrics_go_on_and_upgrade(begin, directory, personality):
    """The sockets of the administrator pass as well, with a user that may not make them anew."""
    a, = free_ports(1)
    server = begin(personality, 'control', directory / 'control', 'metrics', f'127.0.0.1:{a}')
    inode = (directory / 'control').stat().st_ino
    replace_program(directory, find_program('restarted'))
    done = tend.run('ctl', '--control', directory / 'control', 'upgrade')
    assert done.returncode == 0, done.stderr
    server.wait_log('Upgrading: executing')
    server.wait_log(DONE)
    expect_new(server, version='two')
    assert (directory / 'control').stat().st_ino == inode
    done = tend.run('ctl', '--control', directory / 'control', 'status')
    assert done.returncode == 0, done.stderr
    with Client(('127.0.0.1', a)) as c:
        c.send('GET /metrics HTTP/1.0\r\n\r\n')
        assert b'# EOF' in c.recv_all()
    assert server.stop() == 0
    assert not (directory / 'control').exists()


# ---- what cannot serve does not take over ----

def test_broken_conf_keeps_the_old_server_and_says_why(begin, directory, kind):
    """NS-HUP-20, NS-FIX-02, NS-TST-53, MX-124, MX-T35"""
    server = begin(kind, conf='word first\n')
    for text, why in [('listen many\n', r'conf:1'), ('user nobody-of-this-name\n', 'nobody-of-this')]:
        write_conf(directory, text)
        restart(server, pattern=rf'No restart: .*{why}.*; going on as before')
    (directory / 'conf').unlink()
    restart(server, pattern=r'No restart: .*conf.*no such file')
    assert say(server, 'word') == 'first'
    write_conf(directory, 'word second\n')
    restart(server)
    expect_new(server, word='second')


@pytest.mark.parametrize('personality, what', [
    *[('PreFork', what) for what in ('gone', 'not executable', 'ends', 'crashes', 'is another program')],
    *[(personality, 'not executable') for personality in [*MULTIPLEX, 'Thread']]])
def test_unusable_program_keeps_the_old_server(begin, directory, personality, what):
    """NS-HUP-12, NS-FIX-02, MX-124, MX-T35: and the next restart, with a good one, works."""
    server = begin(personality)
    program = directory / 'program'
    if what == 'gone':
        program.unlink()
        why = 'cannot execute it: no such file'
    elif what == 'not executable':
        program.chmod(0o644)
        why = 'cannot execute it: permission denied'
    elif what == 'ends':
        replace_program(directory, script(directory, '#!/bin/sh\necho out of order >&2\nexit 3\n'))
        why = 'ended with status 3 before it could serve: out of order'
    elif what == 'crashes':
        replace_program(directory, script(directory, '#!/bin/sh\nkill -SEGV $$\n'))
        why = 'was ended by signal SEGV'
    else:
        replace_program(directory, shutil.which('true'))
        why = 'ended with status 0 before it could serve'
    restart(server, pattern=rf'No restart: .*{why}')
    assert say(server, 'version') == 'one'
    replace_program(directory, find_program('restarted'))
    restart(server)
    expect_new(server, version='two')


@pytest.mark.parametrize('personality, hook', [
    ('Single', 'bound'), ('Fork', 'ready'), ('PreForkSimple', 'ready'), ('PreFork', 'configured'),
    ('PreFork', 'bound')])
def test_start_that_fails_goes_back_to_the_old_image(begin, directory, personality, hook):
    """NS-HUP-20: with the old program and the old configuration, although both files have changed;
    nobody is refused meanwhile."""
    refuse = directory / 'refuse'
    server = begin(personality, 'refuse', refuse, 'pid_file', directory / 'pid', conf='word first\n')
    write_conf(directory, 'word second\n')
    refuse.write_text(f'two {hook}')
    replace_program(directory, find_program('restarted'))
    with load(server) as storm:
        server.signal(SIGHUP)
        server.wait_log(f'did not become ready: the hook {hook} was told to refuse')
        server.wait_log(DONE)
        storm.stop()
        result = storm.result()
    assert result['ok'] == result['connections']
    assert [say(server, word) for word in ('word', 'version')] == ['first', 'one']
    assert (directory / 'pid').read_text() == f'{server.pid}\n'
    refuse.unlink()
    restart(server)
    expect_new(server, word='second', version='two')


@pytest.mark.parametrize('personality', ['PreFork', 'Multiplex', 'Thread'])
def test_workers_that_cannot_start_lead_back(begin, directory, personality):
    """The old workers accept until new ones have come up: nobody waits for those that never do."""
    refuse = directory / 'refuse'
    server = begin(personality, 'refuse', refuse)
    pid = say(server, 'pid')
    refuse.write_text('two child_start')
    replace_program(directory, find_program('restarted'))
    server.signal(SIGHUP)
    server.wait_log('no child may start')
    assert say(server, 'hello') == 'hello'
    server.wait_log('The new image did not become ready: its workers end')
    assert say(server, 'hello') == 'hello'
    eventually(lambda: not is_alive(int(pid)), what='workers of the first image are gone')


@pytest.mark.parametrize('personality', [*MULTIPLEX, 'Thread'])
def test_workers_that_cannot_open_their_inlets_lead_back(begin, directory, personality):
    """They have not come up before they can be spoken to: the old ones are not let go of for them."""
    refuse = directory / 'refuse'
    server = begin(personality, 'refuse', refuse)
    refuse.write_text('two inlets')
    replace_program(directory, find_program('restarted'))
    server.signal(SIGHUP)
    server.wait_log('The new image did not become ready: its workers end')
    server.wait_log(DONE)
    assert say(server, 'version') == 'one'


def test_port_in_use_leads_back(begin, directory):
    """NS-HUP-05: what cannot be bound is refused with a sentence; the old ports are as they were."""
    a, = free_ports(1)
    server = begin('PreFork', port=None, conf=f'port 127.0.0.1:{a}\nport {directory}/old|unix\n',
                   listeners=2)
    with socket.create_server(('127.0.0.1', 0)) as other:
        taken = other.getsockname()[1]
        write_conf(directory, f'port 127.0.0.1:{taken}\nport {directory}/new|unix\n')
        restart(server, pattern=rf'The new image did not become ready: cannot bind tcp port {taken}')
        server.wait_log(DONE)
    with Client(('127.0.0.1', a)) as c:
        assert ask(c, 'hello') == 'hello'
    with Client(str(directory / 'old')) as c:
        assert ask(c, 'hello') == 'hello'
    assert not (directory / 'new').exists()


def test_restart_that_cannot_be_executed_ends_no_worker(start, directory):
    """NS-HUP-20: the word that HUP is the master's does not outlive a restart that never was, nor the
    way back that was not to be had."""
    server = start('server_type', 'PreForkSimple', 'max_servers', 1, 'port', '127.0.0.1:0',
                   'hup', 'hook', 'control', directory / 'control', program=find_program('passing'),
                   environment=tend.refusing('exec:EACCES:*+1, fexecve:EACCES:*'))
    worker, = wait_for_workers(server, 1)
    assert tend.run('ctl', '--control', directory / 'control', 'upgrade').returncode == 0
    server.wait_log('No upgrade: permission denied; going on as before')
    os.kill(worker, SIGHUP)
    server.wait_log('Signal 1 in the child')
    assert server.children() == [worker]


def test_one_failure_after_another_leads_back(begin, directory):
    """NS-HUP-20: the second time with the configuration that the first time came back with."""
    server = begin('PreFork', conf='word first\n')
    with socket.create_server(('127.0.0.1', 0)) as other:
        taken = other.getsockname()[1]
        write_conf(directory, f'word second\nmetrics 127.0.0.1:{taken}\n')
        for _ in range(3):
            restart(server)
    assert count(server, 'The new image did not become ready: ') == 3
    assert say(server, 'word') == 'first'


# ---- old children ----

@pytest.mark.parametrize('personality', FORKING)
def test_old_children_have_so_much_time(begin, personality):
    """NS-HUP-09: graceful_timeout is for them as well; then they are ended."""
    server = begin(personality, 'graceful_timeout', 0.3)
    with server.client() as c:
        pid = int(ask(c, 'pid'))
        restart(server)
        assert c.is_cut()
        eventually(lambda: not is_alive(pid))


@pytest.mark.parametrize('personality', FORKING)
def test_old_children_may_be_left_alone(begin, personality):
    """NS-HUP-10, NS-OPT-65: no limit is for them."""
    server = begin(personality, 'graceful_timeout', 0.1, 'leave_children_open_on_hup', 1)
    with server.client() as c:
        pid = ask(c, 'pid')
        restart(server)
        pools.pause(0.5)
        assert ask(c, 'pid') == pid


@pytest.mark.parametrize('personality', FORKING)
def test_old_children_end_with_the_server(begin, personality):
    """NS-SHD-03, -07: TERM is for all generations."""
    server = begin(personality)
    with server.client() as c, server.client() as d:
        ask(c, 'pid')
        restart(server)
        ask(d, 'pid')
        assert server.stop() == 0
        assert c.is_cut() and d.is_cut()


@pytest.mark.parametrize('personality', FORKING)
def test_quit_waits_for_old_children(begin, personality):
    """NS-SHD-04, -05"""
    server = begin(personality)
    with server.client() as c:
        ask(c, 'pid')
        restart(server)
        server.signal(SIGQUIT)
        server.wait_log('Stopping gracefully')
        assert ask(c, 'still there?') == 'still there?'
    assert server.wait() == 0


def test_old_children_count_in_fork(begin):
    """NS-HUP-11: max_servers is a limit of clients."""
    server = begin('Fork', 'max_servers', 1)
    with server.client() as c:
        ask(c, 'pid')
        restart(server)
        assert not pools.is_served(server, timeout=0.3)
        c.half_close()
    assert say(server, 'hello') == 'hello'


# ---- where it is not possible ----

@where_others_come_in
@as_root
def test_dropped_user_restarts(begin, directory):
    """NS-HUP-15: sockets are inherited; what only root may do is refused, and the old one goes on."""
    directory.chmod(0o777)
    server = begin('PreFork', port=None, conf='user nobody\nport 127.0.0.1:0\nport 127.0.0.1:991\n',
                   listeners=2)
    restart(server)
    assert say(server, 'hello') == 'hello' and say(server, 'hello', 1) == 'hello'
    write_conf(directory, 'user nobody\nport 127.0.0.1:0\nport 127.0.0.1:991\nport 127.0.0.1:992\n')
    restart(server, pattern=r'did not become ready: cannot bind tcp port 992.*permission denied')
    server.wait_log(DONE, count=2)
    assert say(server, 'hello') == 'hello' and say(server, 'hello', 1) == 'hello'
    write_conf(directory, 'user root\nport 127.0.0.1:0\n')
    restart(server, pattern=REFUSED)


@where_others_come_in
@as_root
def test_dropped_user_without_the_conf_file_is_told_at_the_start(begin, directory):
    (directory / 'conf').touch()
    (directory / 'conf').chmod(0o600)
    server = begin('PreFork', 'user', 'nobody', conf='word first\n')
    server.wait_log(r'Signal HUP will not restart: .*conf cannot be read any more')
    restart(server, pattern=r'No restart: .*conf.*permission denied')
    assert say(server, 'word') == 'first'


@as_root
def test_chroot_refuses_and_says_so_at_the_start(begin, directory):
    """NS-HUP-16"""
    server = begin('PreFork', 'chroot', directory)
    server.wait_log(r'Signal HUP will not restart: .*chroot')
    restart(server, pattern=r'cannot restart in place: .*chroot; going on as before')
    assert say(server, 'hello') == 'hello'


def test_stray_handover_is_no_harm(begin, directory):
    """Nobody but the process that it was made for believes it."""
    for value in ('7', '-1', 'x'):
        server = begin('PreFork', environment={**ENVIRONMENT, 'TEND_HANDOVER': value})
        assert say(server, 'env TEND_HANDOVER') == 'not set'
        assert 'Restarted' not in server.log()
        server.stop()
