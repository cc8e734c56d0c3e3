"""Conversations with a whole server: the same script under every personality and transport."""

import re
import selectors
import signal
import socket

import pytest

import tend
from pools import close_all
from tend import eventually

SOMAXCONN = int(open('/proc/sys/net/core/somaxconn').read())


# ---- tend echo: every byte comes back ----

def test_line_comes_back(echo):
    with echo.client() as c:
        c.send(b'hello\n')
        assert c.recv_exactly(6) == b'hello\n'


def test_bytes_sent_one_at_a_time_come_back(echo):
    with echo.client() as c:
        for byte in b'slowly\n':
            c.send(bytes([byte]))
            assert c.recv_exactly(1) == bytes([byte])


def test_every_byte_value_comes_back(echo):
    data = bytes(range(256)) + b'\0' * 300 + b'\r\n\r\n' + bytes(reversed(range(256)))
    with echo.client() as c:
        assert c.exchange(data) == data


def test_half_closed_client_gets_everything_then_the_end(echo):
    data = b'the last words, '.join(b'%d' % i for i in range(5000))
    with echo.client() as c:
        assert c.exchange(data, half_close=True) == data
        c.expect_end()


def test_client_that_says_nothing_gets_the_end(echo):
    with echo.client() as c:
        c.half_close()
        c.expect_end()


def test_a_mebibyte_comes_back(echo):
    data = bytes((i * 7 + (i >> 8)) & 255 for i in range(1 << 20))
    with echo.client() as c:
        assert c.exchange(data, half_close=True) == data
        c.expect_end()


def test_one_client_after_another_is_served(echo):
    """NS-SGL-01"""
    for i in range(20):
        with echo.client() as c:
            c.send(b'client %d\n' % i)
            assert c.recv_until(b'\n') == b'client %d\n' % i


def test_second_client_waits_its_turn(start, where):
    """NS-SGL-01: Single serves one at a time, the next is not refused."""
    server = start('echo', 'server_type', 'Single', 'port', where)
    with server.client() as first, server.client() as second:
        first.send(b'1\n')
        assert first.recv_until(b'\n') == b'1\n'
        second.send(b'2\n')
        second.sock.settimeout(0.2)
        with pytest.raises(socket.timeout):
            second.recv()
        second.sock.settimeout(tend.DEADLINE)
        first.close()
        assert second.recv_until(b'\n') == b'2\n'


def connect_many(server, count):
    clients = []
    try:
        for _ in range(count):
            clients.append(server.client())
    except BaseException:
        close_all(clients)
        raise
    return clients


def read_back(clients, lines):
    """Reads each client's line, in whatever order they come, and closes the client with it."""
    with selectors.DefaultSelector() as selector:
        for c, line in zip(clients, lines):
            selector.register(c.sock, selectors.EVENT_READ, [c, line])
        while selector.get_map():
            ready = selector.select(tend.DEADLINE)
            assert ready, f'{len(selector.get_map())} of {len(clients)} clients are not answered'
            for key, _ in ready:
                c, line = key.data
                c.buffer += c.sock.recv(4096) or b'(the end)\n'
                if b'\n' in c.buffer:
                    assert c.buffer == line
                    selector.unregister(c.sock)
                    c.close()


def test_thousand_clients_at_once_are_all_served(echo):
    """All are connected before the first sends; Single serves them in turn."""
    count = min(1000, SOMAXCONN // 2)
    clients = connect_many(echo, count)
    try:
        lines = [b'line of client %d\n' % i for i in range(count)]
        for c, line in zip(clients, lines):
            c.send(line)
        read_back(clients, lines)
    finally:
        close_all(clients)
    assert echo.is_alive()


def test_next_client_is_served_after_one_vanished(echo):
    """NS-CIO-10"""
    for _ in range(5):
        c = echo.client()
        c.send(b'half a conversation')
        c.recv_exactly(4)
        c.reset()
    with echo.client() as c:
        c.send(b'still there?\n')
        assert c.recv_until(b'\n') == b'still there?\n'
    assert echo.is_alive()


def test_next_client_is_served_after_one_vanished_with_output_waiting(echo):
    """NS-CIO-10: the server is inside a write when its reader goes away."""
    c = echo.client()
    c.sock.settimeout(0.2)
    with pytest.raises(socket.timeout):
        while True:
            c.send(b'x' * 65536)
    c.reset()
    with echo.client() as after:
        after.send(b'next\n')
        assert after.recv_until(b'\n') == b'next\n'


def test_client_that_leaves_at_once_does_no_harm(echo):
    for _ in range(50):
        echo.client().reset()
    with echo.client() as c:
        c.send(b'hello\n')
        assert c.recv_until(b'\n') == b'hello\n'


def test_many_clients_leave_no_descriptor_behind(start, where):
    server = start('echo', 'server_type', 'Single', 'port', where)

    def serve_some():
        for _ in range(20):
            with server.client() as c:
                c.send(b'x\n')
                c.recv_until(b'\n')

    serve_some()
    before = server.fds()
    for _ in range(5):
        serve_some()
    eventually(lambda: server.fds() <= before, what='the descriptors of the clients are closed')


# ---- the talkative echo of net-server ----

def greeted(server, which=0):
    """A client that has read the banner, and the pid in it."""
    c = server.client(which)
    return c, int(c.expect(r'Welcome to "tend" \((\d+)\)').group(1))


def test_banner_names_the_server_and_its_process(talkative, personality):
    """NS-ECH-01, NS-TST-13, NS-TST-14, NS-TST-18, NS-TST-19"""
    with talkative.client() as c:
        banner = c.recv_until(b'\n')
        found = re.fullmatch(rb'Welcome to "tend" \((\d+)\)\r\n', banner)
        assert found, banner
        pid = int(found.group(1))
        if personality == 'Single':
            assert pid == talkative.pid
        else:
            assert pid in talkative.children()


def test_line_is_quoted_back(talkative):
    """NS-ECH-02"""
    c, pid = greeted(talkative)
    with c:
        c.send(b'hello there\n')
        assert c.recv_until(b'\n') == b'tend:%d: You said "hello there"\r\n' % pid


def test_line_ends_are_not_quoted(talkative):
    """NS-ECH-02: the terminator and every CR before it are removed, other CRs stay."""
    c, pid = greeted(talkative)
    with c:
        c.send(b'one\r\ntwo\r\r\r\nth\rree\n\n')
        for line in (b'one', b'two', b'th\rree', b''):
            assert c.recv_until(b'\r\n') == b'tend:%d: You said "%s"\r\n' % (pid, line)


def test_last_line_without_newline_is_quoted(talkative):
    """NS-ECH-03"""
    c, pid = greeted(talkative)
    with c:
        c.send(b'no newline')
        c.half_close()
        assert c.recv_all() == b'tend:%d: You said "no newline"\r\n' % pid


def test_control_and_zero_bytes_pass(talkative):
    """NS-ECH-03"""
    line = bytes(b for b in range(256) if b not in b'\r\n')
    c, pid = greeted(talkative)
    with c:
        c.send(line + b'\n')
        assert c.recv_until(b'\r\n') == b'tend:%d: You said "%s"\r\n' % (pid, line)


@pytest.mark.parametrize('line', ['quit', 'please quit now', 'quit exit'])
def test_quit_closes_this_connection_only(talkative, line):
    """NS-ECH-02: the word counts anywhere in the line, and before exit."""
    c, pid = greeted(talkative)
    with c:
        c.send_line(line)
        assert c.recv_line() == f'tend:{pid}: You said "{line}"'
        c.expect_end()
    c, _ = greeted(talkative)
    c.close()
    assert talkative.is_alive()


def test_quit_is_case_sensitive(talkative):
    """NS-ECH-02"""
    c, pid = greeted(talkative)
    with c:
        c.send(b'QUIT\nstill here\n')
        assert c.recv_line() == f'tend:{pid}: You said "QUIT"'
        assert c.recv_line() == f'tend:{pid}: You said "still here"'


def test_exit_closes_the_server_with_status_0(talkative):
    """NS-ECH-02, NS-ECH-07, NS-SHD-10, NS-SHD-13, NS-TST-13, NS-TST-14, NS-TST-18, NS-TST-19"""
    c, _ = greeted(talkative)
    with c:
        c.send(b'exit\n')
        c.is_cut()
    assert talkative.wait() == 0
    eventually(lambda: not talkative.leftovers(), what='no process is left')


def test_two_endpoints_are_both_served(start, personality, directory):
    """NS-TST-13, NS-TST-18, NS-TST-19, NS-TST-25"""
    server = start(personality, 'port', '127.0.0.1:0', 'port', f'{directory}/socket|unix',
                   *tend.CONTROL, listeners=2)
    for which in (0, 1, 0, 1):
        c, _ = greeted(server, which)
        with c:
            c.send(b'quit\n')
            c.recv_line()
            c.expect_end()
    assert server.is_alive()


def send_endless_line(server, size=200 * 1024):
    """What came back, the end included, for a line that never ends."""
    c, _ = greeted(server)
    with c:
        try:
            for _ in range(size // 4096):
                c.send(b'x' * 4096)
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            return c.recv_all()
        except ConnectionResetError:
            return b''


def test_line_without_end_is_refused_at_the_limit(talkative):
    """Hard limits: the client is told and closed long before its deadline, the next is served."""
    answer = send_endless_line(talkative)
    assert len(answer) < 4096
    c, _ = greeted(talkative)
    c.close()


@pytest.mark.skipif(tend.SANITIZED, reason='memory of an instrumented program says nothing')
def test_lines_without_end_do_not_grow_the_server(start, where):
    server = start('Single', 'port', where)
    send_endless_line(server)
    before = server.rss()
    for _ in range(10):
        send_endless_line(server)
    assert server.rss() - before < 1 << 20


@pytest.mark.skipif(tend.SANITIZED, reason='memory of an instrumented program says nothing')
def test_worker_does_not_grow_with_what_it_relays(start, where):
    server = start('echo', 'server_type', 'Single', 'port', where)
    data = b'y' * (4 << 20)
    with server.client() as c:
        c.exchange(data[:1 << 20])
        before = server.rss()
        c.exchange(data)
        assert server.rss() - before < 1 << 20


# ---- the end of the server ----

@pytest.mark.parametrize('signo', [signal.SIGTERM, signal.SIGINT], ids=['TERM', 'INT'])
def test_stop_now_cuts_idle_and_busy_clients(echo, signo):
    """NS-TST-48, NS-SHD-01, NS-SHD-02, NS-SHD-03"""
    with echo.client() as busy, echo.client() as idle:
        busy.send(b'x\n')
        busy.recv_until(b'\n')
        assert echo.stop(signo) == 0
        assert busy.is_cut() and idle.is_cut()
    eventually(lambda: not echo.leftovers(), what='no process is left')


def test_socket_file_is_removed_at_the_end(start, personality, directory):
    """NS-SHD-14, NS-UNX-04"""
    server = start('echo', 'server_type', personality, 'port', f'{directory}/socket|unix')
    assert (directory / 'socket').is_socket()
    assert server.stop() == 0
    assert not (directory / 'socket').exists()
