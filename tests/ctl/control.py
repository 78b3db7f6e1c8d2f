#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The control socket of a machine that has nothing to boot."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

SOURCE = os.environ.get('S', '.')
BUILD = os.environ.get('B', os.path.join(SOURCE, 'build'))
PROGRAM = os.path.join(BUILD, 'backplane')
SLOW = float(os.environ.get('BP_TEST_SLOW', '1'))


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30 * SLOW)
        # the socket has its name a moment before it listens
        for left in range(50, -1, -1):
            try:
                self.socket.connect(path)
                break
            except ConnectionRefusedError:
                if not left:
                    raise
                time.sleep(0.1)
        self.file = self.socket.makefile('rw')
        self.events = []
        self.greeting = json.loads(self.file.readline())

    def send(self, text):
        self.file.write(text + '\n')
        self.file.flush()

    def answer(self):
        while True:
            reply = json.loads(self.file.readline())
            if 'event' not in reply:
                return reply
            self.events.append(reply['event'])

    def execute(self, name, **arguments):
        self.send(json.dumps({'execute': name, 'arguments': arguments}))
        return self.answer()


class Machine:
    def __init__(self, *options):
        self.folder = tempfile.mkdtemp(prefix='bpctl.')
        self.path = os.path.join(self.folder, 'ctl')
        self.process = subprocess.Popen(
            [PROGRAM, 'run', '--headless', '--memory', '64M', '--ctl',
             self.path] + list(options), stdin=subprocess.DEVNULL)
        end = time.monotonic() + 20 * SLOW
        while not os.path.exists(self.path):
            assert self.process.poll() is None, 'the machine ended'
            assert time.monotonic() < end, 'no control socket'
            time.sleep(0.02)

    def ctl(self, *words):
        return subprocess.run([PROGRAM, 'ctl', '--socket', self.path] +
                              list(words), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True,
                              timeout=60 * SLOW)

    def said(self, *words):
        done = self.ctl(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout.rstrip('\n')

    def wait_text(self, text):
        end = time.monotonic() + 30 * SLOW
        while text not in self.said('screentext'):
            assert time.monotonic() < end, self.said('screentext')
            time.sleep(0.1)

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder)


def requests_and_answers():
    with Machine() as m:
        c = Client(m.path)
        assert 'backplane' in c.greeting['QMP']['version'], c.greeting
        assert c.execute('qmp_capabilities') == {'return': {}}
        assert c.execute('query-status')['return']['status'] == 'running'
        c.send('{"execute": "query-status", "id": [1, "x"]}')
        assert c.answer()['id'] == [1, 'x']
        for wrong in ('nonsense', '[]', '{"execute": 1}', '{}',
                      '{"execute": "no-such"}',
                      '{"execute": "sendkey", "arguments": []}',
                      '{"execute": "sendkey", "arguments": {"keys": 1}}',
                      '{"execute": "screendump"}',
                      '{"execute": "sendkey", "arguments": {"keys": "zz"}}'):
            c.send(wrong)
            assert 'desc' in c.answer()['error'], wrong
        # Half a request, the other half later; two in one write.
        c.file.write('{"execute": "query')
        c.file.flush()
        time.sleep(0.1)
        c.send('-status"}\n{"execute": "query-status"}')
        assert 'return' in c.answer() and 'return' in c.answer()


def events_reach_every_client():
    with Machine() as m:
        one, two = Client(m.path), Client(m.path)
        one.execute('stop')
        one.execute('system_reset')
        one.execute('cont')
        two.execute('query-status')
        assert one.events == ['STOP', 'RESET', 'RESUME'], one.events
        assert two.events == one.events, two.events


def too_long_and_too_many():
    with Machine() as m:
        c = Client(m.path)
        c.file.write('x' * 65600)
        c.file.flush()
        assert 'too long' in c.answer()['error']['desc']
        assert c.file.readline() == ''
        clients = [Client(m.path) for _ in range(16)]
        extra = socket.socket(socket.AF_UNIX)
        extra.connect(m.path)
        assert extra.recv(100) == b''
        assert clients[15].execute('query-status')['return']


def verbs():
    with Machine('--cdrom', '') as m:
        m.wait_text('SeaBIOS')
        m.wait_text('No bootable device')
        picture = os.path.join(m.folder, 'p.png')
        m.said('screenshot', picture)
        with open(picture, 'rb') as file:
            assert file.read(8) == b'\x89PNG\r\n\x1a\n'
        m.said('pause')
        assert m.said('status') == 'paused'
        one = m.said('hash')
        assert len(one) == 64 and m.said('hash') == one
        m.said('resume')
        assert m.said('status') == 'running'
        for topic in ('map', 'ports', 'pci', 'wires', 'cpu', 'devices',
                      'block', 'i8254'):
            assert m.said('info', topic), topic
        assert m.ctl('info', 'weather').returncode == 1
        m.said('sendkey', 'ctrl-alt-delete')
        m.said('type', 'Hello, World!')
        m.said('mouse', '1', '2', '0')
        iso = os.path.join(m.folder, 'x.iso')
        with open(iso, 'wb') as file:
            file.write(bytes(4096))
        m.said('change-media', 'cd0', iso)
        assert 'x.iso' in m.said('info', 'block')
        m.said('eject')
        assert '(empty)' in m.said('info', 'block')
        assert m.ctl('eject', 'hd7').returncode == 1
        assert m.ctl('change-media', 'cd0', iso + '2').returncode == 1
        assert m.ctl('fly').returncode == 2
        assert m.ctl('sendkey').returncode == 2
        m.said('reset')
        m.wait_text('No bootable device')
        m.said('quit')
        assert m.process.wait(20 * SLOW) == 0
        assert not os.path.exists(m.path)
        assert m.ctl('status').returncode == 1


def commands_of_devices():
    with Machine() as m:
        text = m.said('help')
        for part in ('screenshot', 'kvp-set KEY VALUE [POOL]', 'heartbeat',
                     'copy-file SOURCE DESTINATION [overwrite] [create]'):
            assert part in text, text
        assert m.said('heartbeat') == 'no-contact'
        assert json.loads(m.said('--json', 'heartbeat')) == {
            'status': 'no-contact'}
        assert 'startup: 64' in m.said('memory')
        assert json.loads(m.said('--json', 'status'))['running']
        # two words or one; errors of the machine, and of the command line
        for words in (['kvp', 'list'], ['kvp-list'], ['shutdown', 'force'],
                      ['kvp', 'set', 'key=a', 'value=b=c'],
                      ['memory', '64M'], ['hvsock', '99'],
                      ['heartbeat', 'device=fdc']):
            done = m.ctl(*words)
            assert done.returncode == 1, (words, done)
            assert done.stderr.count('\n') == 1, done.stderr
        for words in (['kvp'], ['kvp', 'set', 'a'], ['heartbeat', 'x'],
                      ['kvp', 'list', 'a', 'b'], ['hvsock', 'x']):
            done = m.ctl(*words)
            assert done.returncode == 2, (words, done)
        # several under way on one connection; events with data
        c = Client(m.path)
        for number in range(3):
            c.send(json.dumps({'execute': 'heartbeat', 'id': number}))
        assert {c.answer()['id'] for _ in range(3)} == {0, 1, 2}
        assert 'desc' in c.execute('heartbeat', beat=1)['error']
        assert 'desc' in c.execute('kvp-get')['error']
        assert 'desc' in c.execute('kvp-get', key=[])['error']
        assert [k for k in c.execute('query-commands')['return']
                if k['name'] == 'freeze' and k['device'] == 'ic-vss']
        assert m.ctl('save', os.path.join(m.folder, 's'),
                     'quiesce').returncode == 1
        assert m.said('status') == 'running'


def followed():
    with Machine() as m:
        process = subprocess.Popen(
            [PROGRAM, 'ctl', '--socket', m.path, 'events'],
            stdout=subprocess.PIPE, text=True)
        time.sleep(0.5 * SLOW)
        m.said('pause')
        m.said('quit')
        events = [json.loads(line)['event'] for line in process.stdout]
        assert process.wait(20 * SLOW) == 0
        assert events == ['STOP', 'SHUTDOWN'], events


def translator():
    for option, works in (('on', True), ('off', False), ('check', True)):
        with Machine('--jit', option) as m:
            m.wait_text('No bootable device')
            text = m.said('jit', 'stats')
            cpu = Client(m.path).execute('query-jit')['return']['cpus'][0]
            if not cpu['enabled']:
                assert 'not translated' in text, text
                assert option != 'check'
                continue
            assert works and 'units translated' in text, text
            assert cpu['jit']['units translated'] > 100, cpu
            assert 0 < cpu['jit']['code bytes'] <= \
                cpu['jit']['code bytes at most']
            assert cpu['handlers']
            if option == 'check':
                assert cpu['check']['instructions compared'] > 100000, cpu
            assert m.ctl('jit').returncode == 2
            assert m.ctl('jit', 'art').returncode == 2
    done = subprocess.run(
        [PROGRAM, 'run', '--headless', '--jit', 'check', '--cpus', '2'],
        stderr=subprocess.PIPE, text=True, timeout=60 * SLOW)
    assert done.returncode and 'one processor' in done.stderr, done


def saved_and_restored():
    with Machine() as m:
        m.wait_text('No bootable device')
        state = os.path.join(m.folder, 'state')
        m.said('save', state)
        assert m.said('status') == 'paused'
        assert m.ctl('save', '/nonexistent/x').returncode == 1
        before = m.said('hash')
        with Machine('--restore', state) as n:
            n.wait_text('No bootable device')
            n.said('pause')
        assert m.said('hash') == before


def other_machines_refuse(options, part):
    def run():
        with Machine() as m:
            state = os.path.join(m.folder, 'state')
            m.said('save', state)
            done = subprocess.run(
                [PROGRAM, 'run', '--headless', '--memory', '64M', '--restore',
                 state] + options, stderr=subprocess.PIPE, text=True,
                timeout=60 * SLOW)
            assert done.returncode == 1, done.returncode
            assert part in done.stderr, done.stderr
            assert done.stderr.count('\n') == 1, done.stderr
    return run


def save_command():
    with Machine() as m:
        state = os.path.join(m.folder, 'state')
        done = subprocess.run([PROGRAM, 'save', '--socket', m.path, state],
                              timeout=60 * SLOW)
        assert done.returncode == 0
        assert m.process.wait(20 * SLOW) == 0
        assert os.path.getsize(state) > 1000


def one_socket_one_machine():
    with Machine() as m:
        done = subprocess.run([PROGRAM, 'run', '--headless', '--ctl', m.path],
                              stderr=subprocess.PIPE, text=True,
                              timeout=60 * SLOW)
        assert done.returncode == 1
        assert 'belongs to a machine' in done.stderr
        assert m.said('status') == 'running'


def a_signal_ends_it():
    with Machine() as m:
        m.process.terminate()
        assert m.process.wait(20 * SLOW) == 0


CASES = {
    'requests-and-answers': requests_and_answers,
    'events-reach-every-client': events_reach_every_client,
    'too-long-and-too-many': too_long_and_too_many,
    'verbs': verbs,
    'commands-of-devices': commands_of_devices,
    'followed': followed,
    'translator': translator,
    'saved-and-restored': saved_and_restored,
    'refuses-state-with-more-memory':
        other_machines_refuse(['--memory', '65M'], 'memory='),
    'refuses-state-with-more-cpus':
        other_machines_refuse(['--cpus', '2'], 'cpus='),
    'refuses-state-with-another-device':
        other_machines_refuse(['--isa-debug-exit'], 'device'),
    'save-command': save_command,
    'one-socket-one-machine': one_socket_one_machine,
    'a-signal-ends-it': a_signal_ends_it,
}

failed = False
for name, case in CASES.items():
    if sys.argv[1:] and name not in sys.argv[1:]:
        continue
    try:
        case()
        print('ok', name, flush=True)
    except Exception as problem:
        failed = True
        print('# %s: %r' % (type(problem).__name__, problem))
        print('not ok', name, flush=True)
sys.exit(failed)
