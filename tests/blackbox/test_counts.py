"""What tend status, tend top and the metrics say agrees with what clients have counted and with
/proc, however clients are served: by processes, by threads, or many of them on a loop (NS-PF-48)."""

import os
import signal
import time

import pytest

import pools
import tend
from looking import (KINDS, Control, echo, metrics, rows, shown, start_kind, start_watched, status,
                     wait_status)
from tend import eventually

COUNT, SUM = 'tend_connection_duration_seconds_count', 'tend_connection_duration_seconds_sum'
MANY = [kind for kind in KINDS if kind.split()[0] in ('Multiplex', 'evented', 'Thread')]
ON_A_LOOP = [kind for kind in MANY if not kind.startswith('Thread')]
THREADS = ['Thread', 'Thread two']


@pytest.fixture(params=KINDS)
def watched(request, start, directory):
    server = start_kind(start, directory, request.param, 'metrics', '0')
    server.kind = request.param
    return server


def name(client):
    return '%s:%d' % client.sock.getsockname()


def close(clients):
    for client in clients:
        client.close()


def age(pid):
    """Seconds since the process was forked."""
    with open(f'/proc/{pid}/stat') as file:
        began = int(file.read().rsplit(')', 1)[1].split()[19]) / tend.TICKS
    return time.clock_gettime(time.CLOCK_BOOTTIME) - began


# ---- with the load generator ----

def test_storm_is_counted_once_and_to_the_byte(watched):
    result = pools.storm(watched, connections=300, concurrency=5, line='storm')
    s = wait_status(watched, lambda s: s['active'] == s['busy'] == 0, 'nobody is served')
    assert s['accepted'] == result['connections'] == 300
    assert s['bytes_received'] == s['bytes_sent'] == result['bytes'] == 300 * len('storm\n')
    assert s['timed_out'] == s['denied_rules'] == s['refused_max_servers'] == 0
    if watched.kind != 'Fork':
        assert sum(child['served'] for child in s['children']) == 300
    lines = shown(watched)
    assert any(line.split()[1:5] == ['300', 'accepted,', '0', 'active,'] for line in lines)
    assert any(line.split() == ['bytes', '1800', 'received,', '1800', 'sent'] for line in lines)
    assert any(' 0 now, 300 accepted' in line for line in shown(watched, 'top'))


def test_every_connection_has_its_duration(watched):
    """None is left out, and none took longer than the generator saw it take."""
    result = pools.storm(watched, connections=100, concurrency=4)
    values = eventually(lambda: (lambda m: m if m[COUNT] == 100 else None)(metrics(watched)))
    assert values['tend_connections_accepted_total'] == 100
    assert 0 < values[SUM] < 100 * result['seconds']
    with echo(watched):
        began = time.monotonic()
        assert metrics(watched)[COUNT] == 100
        eventually(lambda: time.monotonic() - began > 0.3)
    values = eventually(lambda: (lambda m: m if m[COUNT] == 101 else None)(metrics(watched)))
    assert values[SUM] >= 0.3


@pytest.mark.parametrize('kind', MANY)
def test_threads_and_loops_outlive_their_clients_and_so_do_counts(start, directory, kind):
    """And those of workers that are gone."""
    server = start_kind(start, directory, kind, 'max_requests', 20)
    pools.storm(server, connections=200, concurrency=3)
    s = wait_status(server, lambda s: s['active'] == 0, 'nobody is served')
    assert s['accepted'] == 200 and s['bytes_sent'] == s['bytes_received'] == 1200


# ---- clients that stay ----

def test_clients_that_are_there_are_those_of_the_rows(watched):
    clients = [echo(watched) for _ in range(3)]
    s = wait_status(watched, lambda s: s['active'] == 3, 'three are served')
    children = {child['pid']: child for child in s['children']}
    assert sorted(children) == watched.children() and s['accepted'] == 3
    assert sum(child['clients'] for child in s['children']) == 3
    assert sum(child['served'] for child in s['children']) == 3
    assert all((child['state'] == 'busy') == (child['clients'] > 0) for child in s['children'])
    assert s['busy'] == sum(child['clients'] > 0 for child in s['children'])
    for lines, column in ((shown(watched), 5), (shown(watched, 'top'), 4)):
        table = [row for row in rows(lines) if '#' not in row[1] + row[4]]
        assert {int(row[0]): int(row[column]) for row in table} == \
            {pid: child['clients'] for pid, child in children.items()}
    close(clients)
    s = wait_status(watched, lambda s: s['active'] == 0, 'nobody is served')
    assert all(child['clients'] == 0 and child['client'] is None for child in s['children'])


def test_ages_are_those_of_proc(watched):
    with echo(watched):
        s = wait_status(watched, lambda s: s['active'] == 1, 'one is served')
        for child in s['children']:
            lived = age(child['pid'])
            assert lived - 2 * tend.SLOW < child['age'] <= lived + 0.1
            assert 0 <= child['since'] <= child['age'] + 0.1


def test_bytes_of_clients_that_stay_are_seen_at_once(watched):
    """Not when some client leaves."""
    with echo(watched, 'hello') as client, echo(watched, 'hello'):
        # What is on its way to the client already may be counted a moment later.
        s = wait_status(watched, lambda s: s['bytes_sent'] == 12, 'two lines have gone')
        assert s['active'] == 2 and s['bytes_received'] == 12
        client.send('x' * 100000)
        client.recv_exactly(100000)
        s = wait_status(watched, lambda s: s['bytes_sent'] == 100012, 'more has gone')
        assert s['active'] == 2 and s['bytes_received'] == 100012


@pytest.mark.parametrize('kind', MANY)
def test_worker_that_retires_with_its_clients_is_leaving(start, directory, kind):
    """Nobody has told it to: it has had its share. Its row says what the sum says."""
    server = start_kind(start, directory, kind, 'max_requests', 1)
    with echo(server):
        s = wait_status(server, lambda s: s['leaving'] == 1, 'one is leaving')
        leaving, = [child for child in s['children'] if child['state'] == 'leaving']
        assert leaving['clients'] == s['active'] == 1


# ---- durations and those who have none ----

@pytest.mark.parametrize('kind', MANY)
def test_refused_clients_have_no_duration(start, directory, kind):
    server = start_kind(start, directory, kind, 'metrics', '0', 'max_per_source', 1)
    with echo(server):
        for _ in range(3):
            server.client().is_cut()
    values = eventually(lambda: (lambda m: m if m[COUNT] == 1 else None)(metrics(server)))
    assert values['tend_connections_accepted_total'] == 4


@pytest.mark.parametrize('kind', ON_A_LOOP)
def test_clients_that_are_awaited_are_counted_whether_they_speak_or_not(start, directory, kind):
    # Over TCP the kernel would keep a silent client to itself for longer.
    server = start_kind(start, directory, kind, 'metrics', '0', 'defer_accept', 1,
                        'first_byte_timeout', '0.2', 'port', f'{directory}/socket|unix', listeners=2)
    server.client(1).is_cut()
    echo(server).close()
    values = eventually(lambda: (lambda m: m if m[COUNT] == 2 else None)(metrics(server)))
    assert values['tend_connections_accepted_total'] == 2 and values[SUM] >= 0.2
    assert values['tend_connections_timed_out_total'] == 1


@pytest.mark.parametrize('kind', KINDS)
def test_clients_whose_time_is_over_are_counted_once(start, directory, kind):
    server = start_kind(start, directory, kind, 'idle_timeout', '0.1')
    server.client().is_cut()
    s = wait_status(server, lambda s: s['active'] == 0, 'it was let go of')
    assert (s['timed_out'], s['accepted']) == (1, 1)


def test_child_of_a_handler_counts_nothing(start, directory):
    """It has come back from the handler; its parent tells of the client."""
    server = start_watched(start, directory, 'Thread', 'metrics', '0',
                           program=tend.find_program('threads'))
    with server.client() as client:
        client.send_line('return')
        assert sorted(client.recv_line() for _ in range(2)) == ['child', 'parent 0']
        thread, = [t for t in status(server)['threads'] if t['state'] == 'busy']
        assert thread['client'] == name(client)
    wait_status(server, lambda s: s['active'] == 0, 'nobody is served')
    values = metrics(server)
    assert values[COUNT] == 1 and values['tend_received_bytes_total'] == len('return\n')
    assert values['tend_sent_bytes_total'] == len('parent 0\n')


# ---- threads ----

@pytest.mark.parametrize('kind', THREADS)
def test_each_thread_has_a_row(start, directory, kind):
    server = start_kind(start, directory, kind)
    clients = [echo(server) for _ in range(6)]
    s = wait_status(server, lambda s: s['active'] == 6 and len(server.children()) ==
                    len({t['pid'] for t in s['threads']}), 'six are served')
    busy = [t for t in s['threads'] if t['state'] == 'busy']
    assert len(busy) == s['threads_busy'] == 6
    assert {t['client'] for t in busy} == {name(client) for client in clients}
    assert {t['pid'] for t in s['threads']} == set(server.children())
    for pid in server.children():
        mine = [t for t in s['threads'] if t['pid'] == pid]
        child, = [child for child in s['children'] if child['pid'] == pid]
        assert sum(t['clients'] for t in mine) == child['clients']
        assert sum(t['served'] for t in mine) == child['served']
        assert all(t['age'] <= child['age'] + 0.1 and t['since'] <= t['age'] + 0.1 for t in mine)
        assert len({t['thread'] for t in mine}) == len(mine)
        # And the main thread, which serves nobody; a sanitizer may have one of its own.
        eventually(lambda: len(os.listdir(f'/proc/{pid}/task')) - 1 - bool(tend.SANITIZED)
                   <= len([t for t in status(server)['threads'] if t['pid'] == pid]))
    values = metrics(server)
    assert values['tend_threads{state="busy"}'] == 6
    assert values['tend_threads{state="waiting"}'] >= 1
    close(clients)
    s = wait_status(server, lambda s: s['threads_busy'] == 0, 'nobody is served')
    assert all(t['client'] is None for t in s['threads'])


def test_thread_shows_how_long_it_has_had_its_client(start, directory):
    server = start_kind(start, directory, 'Thread')
    with echo(server) as first:
        eventually(lambda: status(server)['threads'][0]['since'] > 0.3)
        with echo(server) as second:
            since = {t['client']: t['since'] for t in status(server)['threads']}
            assert since[name(first)] > since[name(second)]
            # Whoever has worked longest comes first.
            told = [row[-1] for row in rows(shown(server)) if row[1].startswith('#')]
            assert told == [name(first), name(second)]


def test_hundreds_of_threads_leave_status_readable(start, directory):
    """A table of busy ones as long as a screen, and how many there are besides; JSON has all."""
    server = start_kind(start, directory, 'Thread', 'max_servers', 256)
    clients = [server.client() for _ in range(256)]
    for client in clients:
        client.send_line('hello')
    for client in clients:
        client.recv_line()
    s = wait_status(server, lambda s: s['active'] == 256, 'all are served')
    assert len({t['client'] for t in s['threads'] if t['state'] == 'busy'}) == 256
    lines = shown(server)
    assert len([row for row in rows(lines) if row[1].startswith('#')]) == 20
    assert lines[-1] == '... and 236 more threads that are busy (--threads, or --format json)'
    assert any(line.split() == ['threads', '0', 'waiting,', '256', 'busy'] for line in lines)
    assert len(rows(shown(server, 'status', '--threads', 256))) == 257
    assert len(rows(shown(server, 'status', '--threads', 0))) == 1
    assert len(rows(shown(server, 'top'))) == 257
    close(clients)


def test_threads_of_others_are_none(start, directory):
    server = start_kind(start, directory, 'PreForkSimple')
    s = status(server)
    assert s['threads'] == [] and s['threads_busy'] == s['threads_waiting'] == 0
    assert not any('threads' in line for line in shown(server) + shown(server, 'top'))
    assert 'tend_threads{state="busy"}' not in metrics(server)


# ---- a restart ----

@pytest.mark.parametrize('kind', ['PreForkSimple', 'evented', 'Thread'])
def test_counts_begin_with_a_restart_and_status_says_so(start, directory, kind):
    server = start_kind(start, directory, kind)
    echo(server).close()
    wait_status(server, lambda s: s['active'] == 0 and s['accepted'] == 1, 'one was served')
    assert status(server)['began_by'] == 'start'
    started = metrics(server)['process_start_time_seconds']
    server.signal(signal.SIGHUP)
    server.wait_log('Restarted: ')
    s = status(server)
    assert (s['began_by'], s['accepted'], s['bytes_sent'], s['pid']) == ('restart', 0, 0, server.pid)
    assert metrics(server)['process_start_time_seconds'] > started
    assert any('since its restart' in line for line in shown(server))


def test_text_of_the_protocol_has_the_same_rows(start, directory):
    """A line for each thread, with its number where a child has its kind."""
    server = start_kind(start, directory, 'Thread')
    with echo(server) as client, Control(server.control) as control:
        lines = [line.split() for line in control.get('status')]
        threads = [line for line in lines if line[0] == 'thread']
        busy, = [line for line in threads if line[3] == 'busy']
        assert busy[1] == str(server.children()[0]) and busy[2].isdigit()
        assert busy[6:] == ['1', '1', name(client)]
