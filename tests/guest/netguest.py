# SPDX-License-Identifier: Apache-2.0
"""Guests with a network: the test RAM disk with netload in it, and the other
end of it on this host.
"""

import gzip
import os
import re
import shutil
import stat
import subprocess

from vmdriver import BUILD, SOURCE, Failure, guest

KERNEL = 'kernel-amd64'
OUT = os.path.join(BUILD, 'tests', 'guest')
PROGRAM = os.path.join(OUT, 'netload')
CODE = os.path.join(SOURCE, 'tests', 'guest', 'netload.c')
GATEWAY = '10.0.2.2'


def archive(entries):
    """A newc archive of (name, mode, data)."""
    out = bytearray()
    for number, (name, mode, data) in enumerate(
            entries + [('TRAILER!!!', 0, b'')]):
        fields = (number + 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0,
                  len(name) + 1, 0)
        out += b'070701' + b''.join(b'%08x' % field for field in fields)
        out += name.encode() + b'\0'
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return bytes(out)


def program():
    os.makedirs(OUT, exist_ok=True)
    if not os.path.exists(PROGRAM) or \
            os.path.getmtime(PROGRAM) < os.path.getmtime(CODE):
        subprocess.run(
            [os.environ.get('CC', 'gcc'), '-std=gnu17', '-D_GNU_SOURCE',
             '-O2', '-static', '-Wall', '-o', PROGRAM + '.new', CODE],
            check=True)
        os.replace(PROGRAM + '.new', PROGRAM)
    return PROGRAM


def modules(names):
    """Files of these modules, in the order in which they load."""
    folder = guest(KERNEL)
    with open(os.path.join(folder, 'version')) as file:
        version = file.read().strip()
    files = []
    for name in names:
        said = subprocess.run(
            ['/sbin/modprobe', '-d', folder, '-S', version,
             '--show-depends', name], stdout=subprocess.PIPE, text=True,
            check=True).stdout
        for line in said.split('\n'):
            words = line.split()
            if words[:1] == ['insmod'] and words[1] not in files:
                files.append(words[1])
    return files


def tools(names):
    """Entries of an archive: these programs of the host, which is a Debian of
    the guest's release, and their libraries.  Those it has not are left out.
    """
    entries = []
    files = set()
    for name in names:
        path = shutil.which(name, path=os.environ['PATH'] + ':/usr/sbin')
        if not path:
            continue
        said = subprocess.run(['ldd', path], stdout=subprocess.PIPE,
                              text=True, check=True).stdout
        files.update(re.findall(r'(/\S+) \(0x', said))
        with open(path, 'rb') as file:
            entries.append(('bin/' + name, stat.S_IFREG | 0o755, file.read()))
    folders = {'lib64', 'lib/x86_64-linux-gnu'} if files else ()
    entries += [(name, stat.S_IFDIR | 0o755, b'') for name in sorted(folders)]
    for path in sorted(files):
        with open(path, 'rb') as file:
            entries.append((path[1:], stat.S_IFREG | 0o755, file.read()))
    return entries


def initrd(extra=(), programs=()):
    """The test RAM disk, netload, these modules in /extra, and programs."""
    path = os.path.join(OUT, '-'.join(
        ('netload-initrd',) + tuple(extra) + tuple(programs)) + '.img')
    with open(program(), 'rb') as file:
        entries = [('bin/netload', stat.S_IFREG | 0o755, file.read()),
                   ('extra', stat.S_IFDIR | 0o755, b'')]
    for number, name in enumerate(modules(extra)):
        with open(name, 'rb') as file:
            entries.append(('extra/%02d.ko' % number,
                            stat.S_IFREG | 0o644, file.read()))
    entries += tools(programs)
    with open(guest('initramfs-amd64', 'initrd.img'), 'rb') as file:
        base = file.read()
    with open('%s.%d' % (path, os.getpid()), 'wb') as file:
        file.write(base + bytes(-len(base) % 4) +
                   gzip.compress(archive(entries), 1, mtime=0))
    os.replace('%s.%d' % (path, os.getpid()), path)
    return path


class Server:
    """netload's other end, on this host."""

    def __enter__(self):
        self.process = subprocess.Popen([program(), 'serve', '0'],
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])
        return self

    def __exit__(self, kind, value, trace):
        self.process.kill()
        self.process.wait()


def parse(said):
    """MB/s of a line of netload."""
    found = re.search(r'(\d+) bytes ([0-9.]+) s (\w+)', said)
    if not found or found.group(3) != 'OK':
        raise Failure('netload says: %s' % said.strip())
    return int(found.group(1)) / float(found.group(2)) / 1e6


def load(vm, server, way, megabytes, check=False, timeout=300,
         address=GATEWAY):
    """Moves this much out of ('send') or into ('recv') the guest; MB/s."""
    return parse(vm.run('netload %s %s %d %d%s' % (
        way, address, server.port, megabytes << 20,
        ' check' if check else ''), timeout))


def up(vm, interface='eth0', address='10.0.2.15/24', gateway=GATEWAY):
    """Sets a static address."""
    vm.run('ip link set lo up; ip link set %s up' % interface)
    vm.run('ip addr add %s dev %s' % (address, interface))
    if gateway:
        vm.run('ip route add default via %s' % gateway)
