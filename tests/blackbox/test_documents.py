"""The documents keep their word: their programs compile and serve, their commands print what they
say, and nothing public is left out.

A block of README.md or of a manual page is run when a mark stands before it, `<!-- test -->` or
`; test`. Every C block of README.md is compiled, marked or not. A mark may say more:

    send "TEXT"      what the client of a server sends; for others, nothing
    expect "TEXT"    what must come back, or be printed

In shell blocks, port 7007 stands for a free one, and `nc` is a small client of our own. A comment
behind a command is what it must print.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys

import pytest

import tend

DOC = tend.ROOT / 'doc'
README = tend.ROOT / 'README.md'
PAGES = sorted([*DOC.glob('*.scd'), *DOC.glob('*.scd.in')])
HEADERS = tend.ROOT / 'include' / 'tend'

MARKED = {'md': (r'<!--\s*test:?(?P<mark>.*?)-->', r'\n'), 'scd': (r';\s*test:?(?P<mark>[^\n]*)', '')}

# A client as nc is, that waits until somebody listens.
NC = '''#!%s
import socket, sys, time
end = time.monotonic() + %f
while True:
    try:
        s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
        break
    except ConnectionRefusedError:
        if time.monotonic() > end:
            raise
        time.sleep(0.01)
s.settimeout(%f)
s.sendall(sys.stdin.buffer.read())
s.shutdown(socket.SHUT_WR)
while True:
    data = s.recv(4096)
    if not data:
        break
    sys.stdout.buffer.write(data)
''' % (sys.executable, tend.DEADLINE, tend.DEADLINE)


class Block:
    """A piece of a document: where it stands, its mark (None: not marked), its text."""

    def __init__(self, path, number, mark, language, text):
        self.name = f'{path.name}-{number}'
        self.mark = mark
        self.language = language
        self.text = text

    def words(self, key):
        """The texts of `key "TEXT"` in the mark."""
        return [json.loads(f'"{text}"') for text in re.findall(key + r' "([^"]*)"', self.mark or '')]

    @property
    def is_program(self):
        return '#include' in self.text and 'main(' in self.text


def blocks(path):
    kind = 'md' if path.suffix == '.md' else 'scd'
    mark, gap = MARKED[kind]
    pattern = re.compile(rf'^(?:{mark}\n{gap}?)?```(?P<language>\w*)\n(?P<text>.*?)^```$', re.M | re.S)
    found = []
    for number, m in enumerate(pattern.finditer(path.read_text()), 1):
        text = m['text']
        if kind == 'scd':
            # Inside a block, scdoc still takes a backslash as "the next one literally".
            text = re.sub(r'\\(.)', r'\1', text)
        language = m['language'] or ('c' if '#include' in text else 'sh')
        found.append(Block(path, number, m['mark'], language, text))
    return found


ALL = [block for path in [README, *PAGES] for block in blocks(path)]
PROGRAMS = [b for b in ALL if b.language == 'c' and (b.mark is not None or b.name.startswith('README'))]
COMMANDS = [b for b in ALL if b.language == 'sh' and b.mark is not None]


def by_name(block):
    return block.name


# ---- programs ----

def build_options():
    """What the build was told, by option."""
    rows = json.loads((tend.BUILD / 'meson-info' / 'intro-buildoptions.json').read_text())
    return {row['name']: row['value'] for row in rows}


def compiler():
    """The compiler of the build, so that sanitizers fit."""
    commands = json.loads((tend.BUILD / 'compile_commands.json').read_text())
    words = commands[0]['command'].split()
    return words[:next(i for i, word in enumerate(words) if word.startswith('-'))]


def compile_program(block, directory):
    """Compiles as a user would, against the static library. Returns the program's path."""
    source, program = directory / 'program.c', directory / 'program'
    source.write_text(block.text)
    libraries = ['-ldl']
    if '#define HAVE_PCRE2 1' in (tend.BUILD / 'config.h').read_text():
        libraries.append('-lpcre2-8')
    sanitize = build_options().get('b_sanitize', 'none')
    if isinstance(sanitize, list):
        sanitize = ','.join(sanitize)
    flags = [] if sanitize in ('', 'none') else [f'-fsanitize={sanitize}']
    done = subprocess.run(
        [*compiler(), '-std=gnu11', '-Wall', '-Wextra', '-Werror', *flags, f'-I{HEADERS.parent}',
         str(source), str(tend.BUILD / 'src' / 'libtend.a'), *libraries, '-o', str(program)],
        capture_output=True, text=True, timeout=120 * tend.SLOW)
    assert done.returncode == 0, done.stderr
    return str(program)


@pytest.mark.parametrize('block', PROGRAMS, ids=by_name)
def test_program_does_what_its_document_says(block, tmp_path):
    assert block.is_program, 'a C block is a whole program'
    program = compile_program(block, tmp_path)
    if 'tend_main(' in block.text:
        answer = talk_to(program, block, tmp_path)
    else:
        answer = subprocess.run([program], capture_output=True, text=True, check=True,
                                timeout=tend.DEADLINE).stdout
    for text in block.words('expect'):
        assert text in answer


def talk_to(program, block, directory):
    server = tend.Server('port', '127.0.0.1:0', program=program, directory=directory)
    try:
        with socket.create_connection(server.address, tend.DEADLINE) as client:
            client.sendall(''.join(block.words('send')).encode())
            client.shutdown(socket.SHUT_WR)
            return b''.join(iter(lambda: client.recv(4096), b'')).decode()
    finally:
        server.close()


# ---- commands ----

def expected_lines(script):
    """What the comments behind commands say will be printed; here-documents are no commands."""
    expected, until = [], None
    for line in script.splitlines():
        if until is not None:
            until = None if line == until else until
            continue
        here = re.search(r"<<'?(\w+)'?", line)
        until = here[1] if here else None
        comment = re.search(r'\S\s+# (.+)$', line)
        if comment:
            expected.append(comment[1])
    return expected


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def run_script(script, directory):
    """Runs it with our nc and the command of the build first in PATH. Returns what it printed."""
    tools = directory / 'tools'
    tools.mkdir()
    (tools / 'nc').write_text(NC)
    (tools / 'nc').chmod(stat.S_IRWXU)
    (tools / 'tend').symlink_to(tend.find_program())
    environment = {key: value for key, value in os.environ.items() if key not in ('IPV', 'NO_IPV6')}
    environment['PATH'] = f'{tools}:/usr/bin:/bin:/usr/sbin:/sbin'
    with open(directory / 'printed', 'wb') as out, open(directory / 'errors', 'wb') as err:
        shell = subprocess.Popen(['sh', '-e', '-c', script], cwd=directory, env=environment,
                                 stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                 start_new_session=True)
        try:
            status = shell.wait(3 * tend.DEADLINE)
            tend.eventually(lambda: not of_session(shell.pid), what='its servers have ended')
        finally:
            for pid in of_session(shell.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            shell.wait()
    errors = (directory / 'errors').read_text()
    assert status == 0, errors
    return (directory / 'printed').read_text(), errors


def of_session(leader):
    return [one.pid for one in tend.processes() if leader in (one.session, one.group)]


@pytest.mark.parametrize('block', COMMANDS, ids=by_name)
def test_commands_print_what_their_document_says(block, tmp_path):
    port = str(free_port())
    printed, errors = run_script(block.text.replace('7007', port), tmp_path)
    expected = expected_lines(block.text)
    assert expected, 'a marked block says what it prints'
    for text in expected:
        assert text.replace('7007', port) in printed, errors


# ---- completeness ----

def test_every_public_function_is_in_the_manual():
    manual = (DOC / 'libtend.3.scd').read_text()
    declared = set()
    for header in HEADERS.glob('*.h'):
        text = re.sub(r'/\*.*?\*/', '', header.read_text(), flags=re.S)
        declared |= set(re.findall(r'^TEND_API\b[^;(]*?\b(tend_\w+)\(', text, re.M))
    assert len(declared) > 50
    assert [name for name in sorted(declared) if not re.search(rf'\b{name}\b', manual)] == []


def test_every_hook_is_in_the_manual():
    text = re.sub(r'/\*.*?\*/', '', (HEADERS / 'service.h').read_text(), flags=re.S)
    members = re.search(r'struct tend_hooks \{(.*?)\n\};', text, re.S)[1]
    hooks = re.findall(r'\(\*(\w+)\)', members)
    manual = (DOC / 'tend.7.scd').read_text()
    assert len(hooks) > 30
    assert [name for name in hooks if not re.search(rf'\b_?{name}_?\b', manual)] == []


@pytest.mark.parametrize('page', PAGES, ids=lambda p: p.name)
def test_manual_page_is_well_formed(page):
    if shutil.which('scdoc') is None:
        pytest.skip('needs scdoc')
    done = subprocess.run(['scdoc'], input=page.read_bytes(), capture_output=True)
    assert done.returncode == 0, done.stderr


def parity_rows():
    for line in (DOC / 'parity.md').read_text().splitlines():
        if re.match(r'\| (?:NS|NW|DS|MX)-', line):
            yield [cell.strip() for cell in re.split(r'(?<!\\)\|', line)[1:-1]]


def test_every_parity_row_has_a_state():
    rows = list(parity_rows())
    assert len(rows) > 1000
    state = re.compile(r'done|better|not for C|open \(\w+\)')
    assert [row for row in rows if len(row) != 5 or not state.fullmatch(row[2])] == []


def test_tests_that_parity_names_exist():
    missing = []
    for number, _, _, _, test in parity_rows():
        for folder, name, functions in re.findall(r'\b(unit|blackbox)/(\w+)(?::([\w, ]+))?', test):
            path = tend.ROOT / 'tests' / folder / (name + ('.c' if folder == 'unit' else '.py'))
            text = path.read_text() if path.exists() else ''
            wanted = re.findall(r'\b[a-z]\w*_\w+\b', functions)
            missing += [(number, folder, name, f) for f in wanted or [''] if not text or f not in text]
    assert missing == []
