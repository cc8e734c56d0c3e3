"""The documents keep their word: their programs compile and serve, their commands print what they
say, the names they use exist, and nothing public is left out.

A block of README.md, of doc/migration.md or of a manual page is run when a mark stands before it,
`<!-- test -->` or `; test`. Every C block of README.md and doc/migration.md is compiled, marked or
not. A mark may say more, in the order of the conversation:

    send "TEXT"      what the client of a server sends; for others, nothing
    expect "TEXT"    what must come back, or be printed

Port 7007 stands for a free one. Perl programs are run where their modules are installed. In shell
blocks `nc` is a small client of our own, and a comment behind a command is what it must print.
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
MIGRATION = DOC / 'migration.md'
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

    def steps(self):
        """What the mark says of the conversation: [('send' or 'expect', text)]."""
        found = re.findall(r'\b(send|expect) "([^"]*)"', self.mark or '')
        return [(what, json.loads(f'"{text}"')) for what, text in found]

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


ALL = [block for path in [README, MIGRATION, *PAGES] for block in blocks(path)]
PROGRAMS = [b for b in ALL if b.language == 'c' and (b.mark is not None or '.md-' in b.name)]
COMMANDS = [b for b in ALL if b.language == 'sh' and b.mark is not None]
SCRIPTS = [b for b in ALL if b.language == 'perl']
HANDLERS = [b for b in PROGRAMS if b.name.startswith('migration') and 'tend_main(' in b.text]


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


def compile_program(text, directory):
    """Compiles as a user would, against the static library. Returns the program's path."""
    source, program = directory / 'program.c', directory / 'program'
    source.write_text(text)
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


def converse(address, block):
    """One client that says and hears what the mark says, and then the server's end of it."""
    heard = ''
    with tend.eventually(lambda: connected(address), what=f'{block.name} listens') as client:
        for what, text in block.steps():
            if what == 'send':
                client.send(text)
                continue
            while text not in heard:
                data = client.recv()
                assert data, f'expected {text!r}, got {heard!r} and the end'
                heard += data.decode()
            heard = heard[heard.index(text) + len(text):]
        # It may have been closed, even reset, already.
        with contextlib.suppress(OSError):
            client.half_close()
        client.is_cut()


def connected(address):
    try:
        return tend.Client(address)
    except ConnectionRefusedError:
        return None


@pytest.mark.parametrize('block', PROGRAMS, ids=by_name)
def test_program_does_what_its_document_says(block, tmp_path):
    assert block.is_program, 'a C block is a whole program'
    port = free_port()
    program = compile_program(block.text.replace('7007', str(port)), tmp_path)
    if 'tend_main(' in block.text:
        talk_to(program, block, tmp_path)
    elif '7007' in block.text:
        # One that knows its port, and need not write our log.
        server = tend.Server(program=program, directory=tmp_path, listeners=0, cwd=tmp_path)
        try:
            converse(('127.0.0.1', port), block)
        finally:
            server.close()
    else:
        answer = subprocess.run([program], capture_output=True, text=True, check=True,
                                timeout=tend.DEADLINE).stdout
        assert block.steps() and all(text in answer for _, text in block.steps())


def talk_to(program, block, directory, *words):
    server = tend.Server('port', '127.0.0.1:0', *words, program=program, directory=directory)
    try:
        converse(server.address, block)
    finally:
        server.close()


@pytest.mark.parametrize('block', HANDLERS, ids=by_name)
def test_migrated_handler_runs_under_every_personality(block, tmp_path, personality):
    program = compile_program(block.text, tmp_path)
    words = ['max_servers', '3', 'min_servers', '1'] if personality == 'PreFork' else []
    talk_to(program, block, tmp_path, 'server_type', personality, *words)


# ---- Perl ----

def missing_module(text):
    """The first of our four that the program needs and that is not installed; None: none."""
    for name in re.findall(r"^use (?:base|parent) '((?:Net|Danga|IO)::[\w:]+)'", text, re.M):
        if subprocess.run(['perl', f'-M{name}', '-e', '1'], capture_output=True).returncode != 0:
            return name
    return None


@pytest.mark.parametrize('block', SCRIPTS, ids=by_name)
def test_perl_program_says_the_same(block, tmp_path):
    """What the page shows as "before" has the conversation that the program after it has."""
    assert block.mark is not None and block.steps(), 'a Perl block is run'
    if shutil.which('perl') is None:
        pytest.skip('needs perl')
    missing = missing_module(block.text)
    if missing:
        pytest.skip(f'needs {missing}')
    port = free_port()
    script = tmp_path / 'program.pl'
    script.write_text(block.text.replace('7007', str(port)))
    server = tend.Server(script, program='perl', directory=tmp_path, listeners=0, cwd=tmp_path)
    try:
        converse(('127.0.0.1', port), block)
    except AssertionError as e:
        raise AssertionError(f'{e}\n{server.log()}') from None
    finally:
        # Not close(): they leave workers behind now and then.
        server.kill()


def test_programs_before_and_after_have_the_same_conversation():
    pairs = [b for b in ALL if b.name.startswith('migration') and b.mark is not None]
    before, after = pairs[::2], pairs[1::2]
    assert [b.language for b in before] == ['perl'] * 4 and [b.language for b in after] == ['c'] * 4
    assert [b.steps() for b in before] == [b.steps() for b in after]


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

def headers():
    """The public headers without their comments."""
    texts = [header.read_text() for header in sorted(HEADERS.glob('*.h'))]
    return re.sub(r'/\*.*?\*/', '', '\n'.join(texts), flags=re.S)


def hook_names():
    members = re.search(r'struct tend_hooks \{(.*?)\n\};', headers(), re.S)[1]
    return re.findall(r'\(\*(\w+)\)', members)


def waiting_hooks():
    """Those that the manual says are not called by this version."""
    manual = (DOC / 'tend.7.scd').read_text()
    names = re.search(r'The\s+hooks? ((?:_\w+_[,\s]*(?:and\s+)?)+)ha(?:ve their places|s its place)', manual)[1]
    return re.findall(r'_(\w+)_', names)


def test_every_public_function_is_in_the_manual():
    manual = (DOC / 'libtend.3.scd').read_text()
    declared = set(re.findall(r'^TEND_API\b[^;(]*?\b(tend_\w+)\(', headers(), re.M))
    assert len(declared) > 50
    assert [name for name in sorted(declared) if not re.search(rf'\b{name}\b', manual)] == []


def plain_declarations(text):
    """What stands before each semicolon, blanks made one and without our attributes."""
    text = re.sub(r'\bTEND_(?:API|PRINTF\([^)]*\))', '', text)
    return [re.sub(r'\s+', ' ', one).strip().replace(' )', ')') for one in text.split(';')]


def test_manual_gives_functions_as_the_headers_do():
    """Each prototype of libtend(3), word for word."""
    page = (DOC / 'libtend.3.scd').read_text()
    shown = [one for text in re.findall(r'^```\n(.*?)^```$', page[:page.index('# EXAMPLES')], re.M | re.S)
             for one in plain_declarations(text) if '(' in one and not one.startswith('#include')]
    declared = [re.sub(r' {2,}', ' ', one) for one in plain_declarations(headers())]
    assert len(shown) > 80
    assert [one for one in shown if not any(other.endswith(one) for other in declared)] == []


def test_every_hook_is_in_the_manual():
    manual = (DOC / 'tend.7.scd').read_text()
    assert len(hook_names()) > 30
    assert [name for name in hook_names() if not re.search(rf'\b_?{name}_?\b', manual)] == []


@pytest.mark.parametrize('path', [README, MIGRATION, *PAGES, DOC / 'internals.md'], ids=lambda p: p.name)
def test_functions_that_documents_name_exist(path):
    known = set(re.findall(r'\btend_\w+', headers())) | {'tend_service'}
    metrics = re.findall(r'\btend_\w+', (tend.ROOT / 'src' / 'server' / 'metrics.c').read_text())
    known |= {name + end for name in metrics for end in ('', '_total')}
    named = set(re.findall(r'(?<![\w.])tend_[a-z]\w*', path.read_text()))
    assert sorted(named - known) == []


@pytest.mark.parametrize('path', [README, MIGRATION, DOC / 'internals.md', tend.ROOT / 'CONTRIBUTING.md',
                                  tend.ROOT / 'examples' / 'README.md'], ids=lambda p: p.name)
def test_files_that_documents_name_exist(path):
    text = path.read_text()
    named = re.findall(r'`((?:src|include|tests|doc|examples|bench|cmd)/[\w./*-]+)', text)
    missing = [name for name in named if not list(tend.ROOT.glob(name.rstrip('.'))) and
               not name.startswith('tests/unit/x_')]
    links = [link for link in re.findall(r'\]\((?!\w+:|#)([^)#]+)', text)
             if not (path.parent / link).exists()]
    assert missing + links == []


def test_migration_says_later_of_what_is_not_there():
    """No row promises a hook that nobody calls, and no option that this build refuses."""
    rows = [line for line in MIGRATION.read_text().splitlines() if line.startswith('| ')]
    table = (tend.ROOT / 'src' / 'config' / 'options_table.c').read_text()
    reserved = re.findall(r'\.name = "(\w+)",[^{}]*?(?:RESERVED\(|ROW_RESERVED)', table)
    waiting = [*waiting_hooks(), *reserved]
    assert len(waiting_hooks()) == 1 and len(reserved) > 10
    promised = [row for row in rows if 'later' not in row and not row.startswith('| evented')
                and not row.startswith('| datagrams')
                and any(re.search(rf'`{name}\b', row) for name in waiting)]
    assert promised == []


def test_every_difference_of_the_models_is_explained():
    table = (tend.ROOT / 'src' / 'config' / 'options_table.c').read_text()
    rows = re.findall(r'\.name = "(\w+)"[^{}]*?GROUP_(DIFFERENCES|WAITER)', table)
    page = (DOC / 'tend.conf.5.scd.in').read_text()
    section = page[page.index('# WHERE THE MODELS DIFFER'):page.index('# EXAMPLE')]
    assert len(rows) > 12
    assert [name for name, _ in rows if name not in section] == []


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
