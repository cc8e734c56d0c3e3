"""The control socket: what it tells agrees with what is seen from outside, what it is asked for
happens and is in the log, and nobody who asks can hold the server up (NS-PF-48, NS-FIX-46)."""

import os
import re
import signal
import socket
import stat

import pytest

import looking
import pools
import tend
from daemons import where_others_come_in
from looking import Control, ctl, echo, start_watched, status, wait_status
from tend import EX_CONFIG, EX_NOPERM, EX_UNAVAILABLE, EX_USAGE, eventually

FORKING = ['Fork', *pools.POOLS]

# A sanitizer looks for leaks with the help of /proc, which a chroot may not have.
NO_LEAK_CHECK = {'ASAN_OPTIONS': 'detect_leaks=0'} if tend.SANITIZED else None


@pytest.fixture(params=FORKING)
def watched(request, start, directory):
    return start_watched(start, directory, request.param)


@pytest.fixture
def pool(start, directory):
    """Three workers, always."""
    return start_watched(start, directory, 'PreForkSimple', 'log_level', 2)


# ---- what it tells ----

def test_counts_agree_with_the_load_generator(watched):
    """Every connection of the storm is counted once, whoever served it, and every byte of it."""
    result = pools.storm(watched, connections=300, concurrency=5, line='storm')
    s = wait_status(watched, lambda s: s['active'] == 0, 'nobody is served')
    assert s['accepted'] == result['connections'] == 300
    assert s['bytes_received'] == s['bytes_sent'] == result['bytes'] == 300 * len('storm\n')
    assert s['denied_rules'] == s['refused_max_servers'] == s['timed_out'] == 0


def test_counts_outlive_the_workers(start, directory):
    server = start_watched(start, directory, 'PreForkSimple', 'max_requests', 10)
    pools.storm(server, connections=200, concurrency=3)
    s = wait_status(server, lambda s: s['active'] == 0, 'nobody is served')
    assert s['accepted'] == 200 and s['bytes_sent'] == 1200
    assert sum(child['served'] for child in s['children']) < 200


def test_children_are_those_of_proc(watched):
    """Each child with its pid, what it does, and whom it serves."""
    with echo(watched) as one, echo(watched) as two:
        s = wait_status(watched, lambda s: s['active'] == 2, 'two are served')
        assert s['pid'] == watched.pid
        assert sorted(child['pid'] for child in s['children']) == watched.children()
        busy = [child for child in s['children'] if child['state'] == 'busy']
        assert len(busy) == s['busy'] == 2
        names = {'%s:%d' % client.sock.getsockname() for client in (one, two)}
        assert {child['client'] for child in busy} == names
        assert all(child['clients'] == 1 and child['age'] >= 0 for child in busy)
        assert s['busy'] + s['waiting'] + s['leaving'] == len(watched.children())
    s = wait_status(watched, lambda s: s['active'] == 0, 'both have left')
    assert all(child['client'] is None for child in s['children'])
    assert s['accepted'] == 2


def test_client_of_a_killed_child_is_shown_no_more(start, directory):
    """The next child in its slot has none yet, or another."""
    server = start_watched(start, directory, 'Fork')
    with echo(server):
        s = wait_status(server, lambda s: s['active'] == 1, 'one is served')
        os.kill(s['children'][0]['pid'], signal.SIGKILL)
        wait_status(server, lambda s: s['active'] == 0 and s['children'] == [], 'it is buried')
    with echo(server) as client:
        s = wait_status(server, lambda s: s['active'] == 1, 'one is served')
        assert s['children'][0]['client'] == '%s:%d' % client.sock.getsockname()


def test_many_clients_of_one_child_are_counted(start, directory):
    """Multiplex: each child says how many it has; none of them is shown."""
    server = start_watched(start, directory, 'Multiplex', 'workers', 2)
    clients = [echo(server) for _ in range(7)]
    s = status(server)
    assert s['active'] == s['accepted'] == sum(child['clients'] for child in s['children']) == 7
    assert sorted(child['pid'] for child in s['children']) == server.children()
    assert all(child['client'] is None for child in s['children'])
    for client in clients:
        client.close()
    s = wait_status(server, lambda s: s['active'] == 0, 'all have left')
    assert (s['waiting'], s['bytes_received'], s['bytes_sent']) == (2, 42, 42)
    pools.storm(server, connections=200, concurrency=20)
    wait_status(server, lambda s: (s['accepted'], s['bytes_sent'], s['active']) == (207, 1242, 0),
                'the storm is counted')
    assert ctl(server, 'resize', 4).stdout == 'max_servers 4\n'
    pools.wait_for_workers(server, 4)
    assert ctl(server, 'set', 'idle_timeout', 99).returncode == 0
    assert status(server)['max_servers'] == 4
    assert ctl(server, 'resize', 1).returncode == 0
    pools.wait_for_workers(server, 1)


def test_status_is_told_as_text_too(pool):
    with echo(pool) as client, Control(pool.control) as control:
        lines = control.get('status')
        name = '%s:%d' % client.sock.getsockname()
    values = dict(line.split(' ', 1) for line in lines if not line.startswith('child '))
    assert values['pid'] == str(pool.pid) and values['server_type'] == 'PreForkSimple'
    assert values['state'] == 'serving' and values['ready'] == 'yes'
    assert values['endpoint'] == f'tcp 127.0.0.1 {pool.port}'
    children = [line.split() for line in lines if line.startswith('child ')]
    assert len(children) == 3 and [child[8] for child in children if child[3] == 'busy'] == [name]


def test_tend_status_is_for_people_and_for_programs(pool):
    pools.storm(pool, connections=10)
    shown = tend.run('status', '--control', pool.control)
    assert shown.returncode == 0 and shown.stderr == ''
    assert f'PreForkSimple, pid {pool.pid}' in shown.stdout
    assert re.search(r'^connections +10 accepted, 0 active', shown.stdout, re.M)
    assert re.search(rf'^listens at +127.0.0.1:{pool.port} \(tcp\)', shown.stdout, re.M)
    pids = re.findall(r'^ *(\d+) worker ', shown.stdout, re.M)
    assert sorted(map(int, pids)) == pool.children()
    done = tend.run('status', f'--control={pool.control}', '--format=json')
    assert done.returncode == 0 and '"accepted":10,' in done.stdout


def test_denied_clients_are_counted_by_reason(start, directory):
    server = start_watched(start, directory, 'PreFork', 'cidr_deny', '127.0.0.0/8')
    for _ in range(3):
        server.client().is_cut()
    s = wait_status(server, lambda s: s['denied_rules'] == 3, 'three were denied')
    assert s['accepted'] == 3


def test_refused_clients_are_counted(start, directory):
    server = start_watched(start, directory, 'Fork', 'max_servers', 1, 'full', 'refuse')
    with echo(server):
        server.client().is_cut()
        s = wait_status(server, lambda s: s['refused_max_servers'] == 1, 'one was refused')
        assert (s['accepted'], s['active'], s['max_servers']) == (2, 1, 1)


@pytest.mark.parametrize('kind', ['PreFork', 'Multiplex'])
def test_clients_refused_by_a_shared_limit_are_counted(start, directory, kind):
    server = start_watched(start, directory, kind, 'max_per_source', 1)
    with echo(server):
        server.client().is_cut()
        s = wait_status(server, lambda s: s['refused_max_per_source'] == 1, 'one was refused')
        assert (s['accepted'], s['active']) == (2, 1)


def test_clients_whose_time_is_over_are_counted(start, directory):
    server = start_watched(start, directory, 'PreFork', 'first_byte_timeout', '0.1')
    server.client().is_cut()
    wait_status(server, lambda s: s['timed_out'] == 1, 'one ran out of time')


def test_single_answers_between_two_clients(start, directory):
    server = start_watched(start, directory, 'Single')
    pools.storm(server, connections=5)
    s = status(server)
    assert (s['accepted'], s['children'], s['max_servers']) == (5, [], 0)
    with echo(server), Control(server.control) as control:
        control.client.send_line('status json')
        # Whoever asks meanwhile waits for the client to leave.
    assert ctl(server, 'resize', 3).returncode == EX_UNAVAILABLE
    assert ctl(server, 'stop').returncode == 0
    assert server.wait() == 0


def test_nothing_of_it_is_there_unless_it_was_asked_for(start, directory):
    """No socket, no descriptor, no ledger in the workers."""
    def shared(server):
        return sum('zero (deleted)' in line for line in
                   open(f'/proc/{server.pid}/maps', errors='replace'))

    plain = start('echo', 'server_type', 'PreForkSimple', 'max_servers', 2, 'port', '127.0.0.1:0')
    pools.wait_for_workers(plain, 2)
    watched = start_watched(start, directory, 'PreForkSimple', 'max_servers', 2)
    pools.wait_for_workers(watched, 2)
    assert shared(watched) == shared(plain) + 1
    for pid in watched.children():
        assert [link for link in tend.links_of(pid) if 'control' in link] == []
    assert watched.fds(watched.children()[0]) == plain.fds(plain.children()[0])


# ---- who may ----

def test_socket_is_for_its_owner_from_its_first_moment(pool):
    info = os.stat(pool.control)
    assert stat.S_IMODE(info.st_mode) == 0o600 and info.st_uid == os.geteuid()


@where_others_come_in
@pytest.mark.skipif(os.geteuid() != 0, reason='needs root')
def test_other_users_are_refused_even_where_the_mode_lets_them_in(pool):
    os.chmod(pool.control, 0o666)
    done = ctl(pool, 'stop', user=65534, group=65534)
    assert done.returncode == EX_NOPERM and 'for root and for uid 0' in done.stderr
    pool.wait_log(r'Control: uid 65534, pid \d+ is neither root nor ours')
    os.chmod(pool.control, 0o600)
    done = ctl(pool, 'stop', user=65534, group=65534)
    assert done.returncode == EX_NOPERM and 'Permission denied' in done.stderr
    assert pool.is_alive()


@where_others_come_in
@pytest.mark.skipif(os.geteuid() != 0, reason='needs root')
def test_the_user_that_the_server_becomes_may_ask(start, directory):
    server = start_watched(start, directory, 'PreFork', 'user', 'nobody')
    assert os.stat(server.control).st_uid == 65534
    done = ctl(server, 'get', 'user', user=65534, group=65534)
    assert done.stdout == 'user nobody\n'
    assert ctl(server, 'get', 'user').returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason='needs root')
def test_socket_that_cannot_be_removed_is_told_of(start, directory):
    """And in a chroot it is found by its directory, where that may be written."""
    server = start_watched(start, directory, 'PreFork', 'user', 'nobody')
    assert server.stop() == 0
    server.wait_log('Cannot remove the socket file .*control: permission denied')
    os.unlink(server.control)
    os.chown(directory, 65534, 65534)
    (directory / 'root').mkdir()
    server = start_watched(start, directory, 'PreFork', 'user', 'nobody', 'chroot',
                           directory / 'root', environment=NO_LEAK_CHECK)
    assert status(server)['pid'] == server.pid
    assert server.stop() == 0
    assert not os.path.exists(server.control)


def test_socket_goes_with_its_server(pool):
    assert pool.stop() == 0
    assert not os.path.exists(pool.control)


def test_stale_socket_is_replaced_and_other_files_are_not(start, directory):
    path = directory / 'control'
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(path))
    server = start_watched(start, directory, 'PreFork')
    assert status(server)['pid'] == server.pid
    words = ['echo', 'port', '127.0.0.1:0', 'control']
    taken = tend.run(*words, path)
    assert taken.returncode == EX_UNAVAILABLE and 'another server listens there' in taken.stderr
    server.stop()
    (directory / 'precious').write_text('kept')
    path.symlink_to('precious')
    refused = tend.run(*words, path)
    assert refused.returncode != 0 and 'no socket has this name' in refused.stderr
    assert (directory / 'precious').read_text() == 'kept' and path.is_symlink()


@pytest.mark.parametrize('words, why', [
    (['control', '@name'], 'abstract socket'),
    (['control', '/tmp/' + 'x' * 120], 'longer than a socket'),
    (['control', '1'], 'no option pid_file'),
    (['control', '/nowhere/x'], 'directory'),
    (['control', '/tmp/tend-x', 'server_type', 'INET'], 'server_type INET serves one client'),
    (['metrics', '99999'], '99999'),
])
def test_impossible_places_end_the_start_with_a_reason(words, why):
    done = tend.run('echo', 'port', '127.0.0.1:0', *words)
    assert done.returncode in (EX_CONFIG, tend.EX_CANTCREAT, tend.EX_NOINPUT), done.stderr
    assert why in done.stderr


def test_socket_is_found_by_pid_file_and_by_conf_file(start, directory):
    conf = directory / 'tend.conf'
    conf.write_text(f'pid_file {directory}/pid\ncontrol\nserver_type PreFork\nport 127.0.0.1:0\n')
    server = start('echo', '--conf_file', conf)
    for words in (['--conf_file', conf], ['--pid_file', directory / 'pid'],
                  ['--control', directory / 'pid.control']):
        done = tend.run('ctl', *words, 'get', 'pid_file')
        assert done.stdout == f'pid_file {directory}/pid\n', done.stderr
    assert server.stop() == 0
    done = tend.run('status', '--conf_file', conf)
    assert done.returncode == EX_UNAVAILABLE and 'no server answers at' in done.stderr


# ---- who asks badly ----

@pytest.mark.parametrize('line, number, why', [
    ('', 64, 'empty'),
    ('   ', 64, 'empty'),
    ('sttus', 64, 'did you mean status'),
    ('status xml', 64, 'as text or as json'),
    ('stop now', 64, 'usage: stop'),
    ('get', 64, 'usage: get OPTION'),
    ('get nothing', 64, "no option 'nothing'"),
    ('set', 64, 'usage: set OPTION VALUE'),
    ('set nothing 1', 64, "no option 'nothing'"),
    ('set port 80', 69, 'port cannot change while the server runs'),
    ('set max_servers many', 78, 'max_servers'),
    ('set idle_timeout -1', 78, 'idle_timeout'),
    ('set log_level 9', 64, 'from 0 to 4'),
    ('resize 0', 64, 'a number from 1 to'),
    ('resize 1000000', 64, 'room that was made'),
    ('resize', 64, 'usage: resize NUMBER'),
    ('loglevel loud', 64, 'from 0 to 4'),
    ('get \x1b[2J', 64, 'no text'),
])
def test_bad_requests_have_their_sentence(pool, line, number, why):
    """And the conversation goes on, as does the server with its old values."""
    with Control(pool.control) as control:
        head, lines = control.ask(line)
        assert head.startswith(f'error {number} ') and why in head and lines == []
        assert control.get('get max_servers') == ['max_servers 3']


def test_a_line_without_end_ends_the_conversation(pool):
    with Control(pool.control) as control:
        control.client.send('x' * 1500)
        head, _ = control.read()
        assert head == 'error 64 a line of more than 1024 bytes'
        control.client.expect_end()


def test_requests_may_come_together_and_in_pieces(pool):
    with Control(pool.control) as control:
        control.client.send('get max_servers\nget port\r\nget ma')
        assert control.read() == ('ok', ['max_servers 3'])
        assert control.read() == ('ok', ['port 127.0.0.1:0'])
        control.client.send('x_requests\n')
        assert control.read() == ('ok', ['max_requests 1000'])


def test_slow_clients_do_not_hold_up_the_master(pool):
    """Half a line; answers that nobody reads; meanwhile workers are replaced, others answered."""
    half, deaf = Control(pool.control), Control(pool.control)
    half.client.send('stat')
    deaf.client.sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            deaf.client.sock.send(b'status json\n' * 100)
    victim = pool.children()[0]
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: victim not in pool.children() and len(pool.children()) == 3,
               what='the killed worker is replaced')
    assert status(pool)['waiting'] == 3
    half.client.send('us\n')
    assert half.read()[0] == 'ok'
    half.client.close()
    deaf.client.close()


def test_one_client_too_many_is_told_so(pool):
    crowd = [Control(pool.control) for _ in range(16)]
    for control in crowd:
        control.get('get port')
    with Control(pool.control) as control:
        assert control.read()[0] == 'error 75 too many ask at the same time; try again'
    done = ctl(pool, 'status')
    assert done.returncode == 75 and 'too many' in done.stderr
    crowd.pop().client.close()
    eventually(lambda: ctl(pool, 'status').returncode == 0, what='there is a place again')
    for control in crowd:
        control.client.close()


# ---- what it does ----

@pytest.mark.parametrize('kind', pools.POOLS)
def test_resize_moves_the_number_of_workers(start, directory, kind):
    server = start_watched(start, directory, kind)
    assert ctl(server, 'resize', 6).stdout == 'max_servers 6\n'
    pools.wait_for_workers(server, 6)
    assert ctl(server, 'resize', 2).stdout == 'max_servers 2\n'
    if kind == 'PreForkSimple':
        pools.wait_for_workers(server, 2)
    assert status(server)['max_servers'] == 2
    # A number that is set is that number, whatever was moved before.
    assert ctl(server, 'set', 'max_servers', 4).returncode == 0
    assert status(server)['max_servers'] == 4
    server.wait_log(rf'Control: uid {os.getuid()}, pid \d+: resize 6')


def test_fewer_workers_by_option_are_fewer_at_once(pool):
    assert ctl(pool, 'set', 'max_servers', 1).returncode == 0
    pools.wait_for_workers(pool, 1)


def test_another_option_does_not_undo_a_resize(pool):
    ctl(pool, 'resize', 5)
    assert ctl(pool, 'set', 'idle_timeout', 20).returncode == 0
    assert status(pool)['max_servers'] == 5
    assert ctl(pool, 'get', 'max_servers').stdout == 'max_servers 5\n'


def test_resize_of_fork_is_how_many_clients_at_once(start, directory):
    server = start_watched(start, directory, 'Fork', 'max_servers', 1)
    with echo(server):
        with server.client() as waiting:
            waiting.send_line('second')
            assert ctl(server, 'resize', 2).returncode == 0
            assert waiting.recv_line() == 'second'


def test_log_level_changes_in_every_process_at_once(pool):
    """Also in workers that are there already: the CONNECT line is theirs."""
    pids = pool.children()
    echo(pool).close()
    assert 'CONNECT' not in pool.log()
    assert ctl(pool, 'loglevel', 3).returncode == 0
    echo(pool).close()
    pool.wait_log('CONNECT TCP')
    assert pool.children() == pids
    assert ctl(pool, 'get', 'log_level').stdout == 'log_level 3\n'
    assert ctl(pool, 'set', 'log_level', 0).returncode == 0
    lines = len(pool.log().splitlines())
    echo(pool).close()
    assert status(pool)['log_level'] == 0 and len(pool.log().splitlines()) == lines


def test_an_option_of_workers_changes_with_new_ones(pool):
    """Those that are there finish their clients under the old value."""
    before = pool.children()
    with echo(pool) as old:
        assert ctl(pool, 'set', 'first_byte_timeout', '0.2').returncode == 0
        eventually(lambda: len(set(pool.children()) - set(before)) >= 2, what='new workers')
        old.send_line('still there')
        assert old.recv_line() == 'still there'
        pool.client().is_cut()
    eventually(lambda: not set(pool.children()) & set(before), what='the old ones have left')
    assert status(pool)['timed_out'] == 1


def test_a_refused_change_leaves_everything_as_it_was(start, directory):
    server = start_watched(start, directory, 'PreFork')
    done = ctl(server, 'set', 'min_servers', 50)
    assert done.returncode == EX_CONFIG and 'min_servers (50)' in done.stderr
    assert ctl(server, 'get', 'min_servers').stdout == 'min_servers 3\n'
    server.wait_log(r'Control: uid \d+, pid \d+: set min_servers 50: refused: ')


def test_drain_serves_those_that_are_there(watched):
    with echo(watched) as client, Control(watched.control) as control:
        assert control.get('drain') == []
        watched.wait_log('Server closing!')
        s = control.status()
        assert s['state'] == 'stopping' and not s['ready'] and s['active'] == 1
        client.send_line('more')
        assert client.recv_line() == 'more'
    assert watched.wait() == 0


def test_stop_is_answered_before_it_happens(watched):
    done = ctl(watched, 'stop')
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
    assert watched.wait() == 0
    watched.wait_log(rf'Control: uid {os.getuid()}, pid \d+: stop')


def test_commands_that_come_together_all_happen(watched):
    """In one turn of the loop: what comes second does not take the place of the first."""
    with Control(watched.control) as control:
        control.client.sock.sendall(b'stop\nreopen\n')
        assert control.read() == ('ok', [])
    assert watched.wait() == 0


def test_reload_is_what_the_signal_is(pool):
    assert ctl(pool, 'reload').returncode == 0
    pool.wait_log(r'Control: uid \d+, pid \d+: reload')
    pool.wait_log(r'Restarted: ')


def test_reopen_follows_a_rotated_log(start, directory):
    log = directory / 'log'
    server = start_watched(start, directory, 'PreFork', 'log_file', log, log_path=log)
    log.rename(directory / 'log.old')
    assert ctl(server, 'reopen').returncode == 0
    eventually(log.exists, what='a new log')
    ctl(server, 'set', 'idle_timeout', 9)
    server.wait_log('set idle_timeout 9')


def test_manual_lists_the_options_that_can_change():
    table = (tend.ROOT / 'src' / 'config' / 'options_table.c').read_text()
    rows = re.findall(r'\.name = "(\w+)",[^{}]*?\bROW_LIVE(?:_WORKERS)?\b', table)
    manual = (tend.ROOT / 'doc' / 'tend.conf.5.scd.in').read_text()
    section = manual.split('# OPTIONS THAT CAN CHANGE AT WORK')[1].split('\n# ')[0]
    named = re.findall(r'\*(\w+)\*', section)
    assert len(rows) > 20 and sorted(set(named)) == sorted(rows)


# ---- the commands ----

@pytest.mark.parametrize('words, status, why', [
    (['status'], EX_USAGE, 'which server'),
    (['top'], EX_USAGE, 'which server'),
    (['ctl', 'stop'], EX_USAGE, 'which server'),
    (['ctl', '--control', '/nowhere/x', 'stop'], EX_UNAVAILABLE, 'no server answers at /nowhere/x'),
    (['ctl', '--control', '/nowhere/x'], EX_USAGE, 'tend ctl --help'),
    (['ctl', '--contrl', '/nowhere/x', 'stop'], EX_USAGE, "no option '--contrl'"),
    (['status', '--control', '/nowhere/x', 'json'], EX_USAGE, "'json' is no option"),
    (['status', '--control', '/nowhere/x', '--format', 'xml'], EX_USAGE, 'text or json'),
    (['ctl', '--control', '/x', 'set', 'a\nstop'], EX_USAGE, 'one line'),
    (['status', '--control', '/' + 'x' * 300], EX_USAGE, 'which server'),
])
def test_commands_say_in_one_line_what_is_wrong(words, status, why):
    done = tend.run(*words)
    assert done.returncode == status and why in done.stderr, done.stderr
    assert done.stdout == '' and done.stderr.count('\n') == 1


@pytest.mark.parametrize('command', ['status', 'top', 'ctl'])
def test_commands_have_help(command):
    done = tend.run(command, '--help')
    assert done.returncode == 0 and done.stdout.startswith(f'usage: tend {command} ')


# ---- process titles ----

def test_process_titles_say_what_status_says(start, directory):
    """The process list shows who is busy, and with which client."""
    server = start_watched(start, directory, 'PreForkSimple', 'process_titles', 1)

    def title(pid):
        return open(f'/proc/{pid}/cmdline').read().rstrip('\0 ')

    with echo(server):
        s = wait_status(server, lambda s: s['active'] == 1, 'one is served')
        for child in s['children']:
            mark = r'\*:1' if child['state'] == 'busy' else r'-:( \[-\d+\])?'
            assert re.fullmatch(rf'tend echo \| {mark}', title(child['pid']))
