import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { loadSyscalls } from '@kata-agent/linux';
import type { OciProcess, OciSpec } from '../../request/oci-spec.js';
import { readProgram } from './read-program.js';

const syscalls = loadSyscalls();
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'guest-program-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function file(path: string, content: string | Buffer = '', mode = 0o755): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
  chmodSync(join(root, path), mode);
}

function link(path: string, target: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  symlinkSync(target, join(root, path));
}

/** An ELF file with PT_INTERP and DT_RUNPATH, 64 bit and little-endian. */
function elf(interpreter: string, runpath: string): Buffer {
  const bytes = Buffer.alloc(1024);
  bytes.write('\x7fELF\x02\x01\x01', 'latin1');
  bytes.writeBigUInt64LE(64n, 32);
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(3, 56);
  const strings = 0x40_0000 + 600;
  const headers = [
    { type: 1, offset: 0, address: 0x40_0000, size: 1024 },
    { type: 2, offset: 400, address: 0x40_0190, size: 48 },
    { type: 3, offset: 300, address: 0x40_012c, size: interpreter.length + 1 },
  ];
  for (const [index, { type, offset, address, size }] of headers.entries()) {
    const at = 64 + index * 56;
    bytes.writeUInt32LE(type, at);
    bytes.writeBigUInt64LE(BigInt(offset), at + 8);
    bytes.writeBigUInt64LE(BigInt(address), at + 16);
    bytes.writeBigUInt64LE(BigInt(size), at + 32);
  }
  bytes.write(interpreter, 300, 'latin1');
  for (const [index, value] of [5, strings, 29, 1, 0, 0].entries())
    bytes.writeBigUInt64LE(BigInt(value), 400 + index * 8);
  bytes.write(runpath, 601, 'latin1');
  return bytes;
}

const read = (
  process: Partial<OciProcess>,
  {
    user = '',
    ...spec
  }: Partial<OciSpec> & {
    readonly user?: string;
    readonly sharedMounts?: readonly { readonly destinationPath: string }[];
  } = {},
) =>
  readProgram(
    root,
    { ...spec, process: { args: [], cwd: '/', user: { uid: 0, gid: 0 }, ...process } },
    user,
    syscalls,
  );

const found = (process: Partial<OciProcess>): readonly string[] => read(process)?.files ?? [];

test('a program is found in PATH, with each candidate and each link', () => {
  file('opt/app-1.2/serve');
  link('opt/app', 'app-1.2');
  link('usr/local/bin/serve', '/etc/alternatives/serve');
  link('etc/alternatives/serve', '../../opt/app/serve');
  link('bin', 'usr/bin');
  const files = found({ args: ['serve'], env: ['PATH=/first:/usr/local/bin:/bin'] });
  for (const path of [
    '/first/serve',
    '/usr/local/bin/serve',
    '/etc/alternatives/serve',
    '/opt/app',
    '/opt/app-1.2/serve',
    '/bin',
    '/usr/bin/serve',
    '/etc/ld.so.preload',
  ])
    assert.ok(files.includes(path), `${path} of ${files.join(' ')}`);
});

test('without PATH the engine’s is searched, and a path is of the working directory', () => {
  file('usr/local/bin/a');
  assert.ok(found({ args: ['a'] }).includes('/usr/local/bin/a'));
  file('srv/run.sh');
  assert.ok(found({ args: ['./run.sh'], cwd: '/srv' }).includes('/srv/run.sh'));
  assert.equal(read({ args: ['./run.sh'], cwd: '/' }), undefined);
});

test('interpreters of scripts belong to the program, also what env starts', () => {
  file('app/run', '#! /usr/bin/env -S A=1 node --flag\n');
  file('usr/bin/env', elf('/lib64/ld.so', ''));
  file('lib64/ld.so');
  assert.equal(read({ args: ['/app/run'], env: ['PATH=/opt/node/bin'] }), undefined);
  file('opt/node/bin/node');
  const files = found({ args: ['/app/run'], env: ['PATH=/opt/node/bin'] });
  for (const path of ['/app/run', '/usr/bin/env', '/lib64/ld.so', '/opt/node/bin/node'])
    assert.ok(files.includes(path), path);
  file('loop', '#!/loop\n');
  assert.equal(read({ args: ['/loop'] }), undefined);
});

test('what env starts is found as env starts it, or the program is unknown', () => {
  file('usr/bin/env');
  file('opt/a/tool');
  file('opt/b/tool');
  file('opt/b/tool --flag');
  file('bin/tool');
  const env = ['PATH=/opt/a', 'P=/opt/b', 'T=tool'];
  const startedBy = (line: string): readonly string[] | undefined => {
    file('app/run', `#!/usr/bin/env ${line}\n`);
    return read({ args: ['/app/run'], env })?.files.filter((path) => /tool/.test(path));
  };
  const cases: readonly (readonly [string, readonly string[] | undefined])[] = [
    ['tool', ['/opt/a/tool']],
    // All behind the path is one argument.
    ['tool --flag', undefined],
    ['A=1 tool', undefined],
    ['-S PATH=/opt/b tool --flag', ['/opt/b/tool']],
    ['-S -i tool', ['/usr/local/bin/tool', '/bin/tool', '/usr/bin/tool']],
    ['-iS tool', ['/usr/local/bin/tool', '/bin/tool', '/usr/bin/tool']],
    ['-S -u PATH tool', ['/usr/local/bin/tool', '/bin/tool', '/usr/bin/tool']],
    ['-S -uPATH - PATH=/opt/b tool', ['/opt/b/tool']],
    ['-S --unset=P --split-string="tool x"', ['/opt/a/tool']],
    ['--split-string=PATH=${P} ${T} x', ['/opt/b/tool']],
    ['-S "PATH=/opt/b" \'tool --flag\'', ['/opt/b/tool --flag']],
    ['-S PATH=/opt/b tool\\_--flag', ['/opt/b/tool']],
    ['-S PATH=/opt/b "tool\\_--flag"', ['/opt/b/tool --flag']],
    ['-S -- tool # a comment', ['/opt/a/tool']],
    ['-S -C /opt tool', undefined],
    ['-S --unknown tool', undefined],
    ['-S tool\\q', undefined],
    ['-S "tool', undefined],
    ['-S $T', undefined],
    ['-S env tool', undefined],
    ['-S PATH=relative tool', undefined],
    ['-S', undefined],
    ['', undefined],
  ];
  for (const [line, expected] of cases) assert.deepEqual(startedBy(line), expected, line);
  const byArgs = read({ args: ['env', '-u', 'X', 'PATH=/opt/b', 'tool'], env: ['PATH=/usr/bin:/opt/a'] });
  assert.ok(byArgs?.files.includes('/opt/b/tool'));
  assert.equal(read({ args: ['env', 'X=1'], env: ['PATH=/usr/bin'] }), undefined);
});

test('an environment that env makes has its own libraries', () => {
  file('usr/bin/env');
  file('opt/tool');
  file('app/run', '#!/usr/bin/env -S LD_LIBRARY_PATH=/opt/own LD_PRELOAD=/opt/hook.so /opt/tool\n');
  const program = read({ args: ['/app/run'] });
  assert.ok(program?.directories.includes('/opt/own'));
  assert.ok(program?.files.includes('/opt/hook.so'));
  assert.ok(program?.files.includes('/bin/sh'));
});

test('the first line is read as the kernel reads it', () => {
  file('usr/bin/tool');
  file('usr/bin/tool\r');
  const interpreter = (head: string | Buffer): string | undefined => {
    file('app/run', head);
    return read({ args: ['/app/run'] })?.files.find((path) => path.startsWith('/usr/bin/tool'));
  };
  assert.equal(interpreter('#! \t/usr/bin/tool \t x y\n'), '/usr/bin/tool');
  assert.equal(interpreter('#!/usr/bin/tool'), '/usr/bin/tool');
  assert.equal(interpreter('#!/usr/bin/tool\r\n'), '/usr/bin/tool\r');
  assert.equal(interpreter('#!/usr/bin/tool\0x\n'), '/usr/bin/tool');
  assert.equal(interpreter('#!\n/usr/bin/tool\n'), undefined);
  assert.equal(interpreter('#!  \n'), undefined);
  assert.equal(interpreter(Buffer.from('#!/usr/bin/tool\xff\n', 'latin1')), undefined);
  // The kernel uses 255 bytes: an interpreter that ends there could be a longer one.
  const padded = (bytes: number): string =>
    `#!${' '.repeat(bytes - 2 - '/usr/bin/tool'.length)}/usr/bin/tool`;
  assert.equal(interpreter(`${padded(254)}\n`), '/usr/bin/tool');
  assert.equal(interpreter(`${padded(254)} x\n`), '/usr/bin/tool');
  assert.equal(interpreter(`${padded(255)}\n`), undefined);
  assert.equal(interpreter(`${padded(255)}more\n`), undefined);
});

test('directories with libraries are those of the linker, of its configuration, of the file and of variables', () => {
  link('lib', 'usr/lib');
  file('opt/app/bin/serve', elf('/lib/ld.so', '$ORIGIN/../lib:/opt/run'));
  file('usr/lib/ld.so');
  file('etc/ld.so.conf', 'include /etc/ld.so.conf.d/*.conf\n');
  file('etc/ld.so.conf.d/a.conf', '# a comment\n/opt/vendor/lib\n');
  file('etc/ld-musl-x86_64.path', '/opt/musl:/opt/musl2');
  const program = read({
    args: ['/opt/app/bin/serve'],
    env: ['LD_LIBRARY_PATH=/opt/env', 'LD_PRELOAD=/opt/hook.so libname.so'],
  });
  for (const path of [
    '/usr/lib',
    '/opt/app/lib',
    '/opt/run',
    '/opt/vendor/lib',
    '/opt/musl',
    '/opt/musl2',
    '/opt/env',
  ])
    assert.ok(program?.directories.includes(path), path);
  assert.ok(program?.files.includes('/usr/lib/ld.so'));
  assert.ok(program?.files.includes('/opt/hook.so'));
  assert.ok(program?.files.includes('/etc/ld.so.conf.d/a.conf'));
});

test('empty entries and names of the linker in lists of libraries are where glibc searches', () => {
  file('lib/ld.so');
  file('opt/app/serve', elf('/lib/ld.so', ':$ORIGIN/lib:/opt/$LIB/x'));
  const of = (...env: readonly string[]) => read({ args: ['/opt/app/serve'], env, cwd: '/srv' });
  assert.ok(of()?.directories.includes('/srv'), 'DT_RUNPATH');
  assert.ok(of()?.directories.includes('/opt/app/lib'));
  assert.ok(of()?.directories.includes('/opt'));
  file('opt/app/serve', elf('/lib/ld.so', '/opt/run'));
  for (const list of [
    ':/opt/env',
    '/opt/env:',
    '/opt/env;;/x',
    '.',
    '$ORIGIN/../../srv',
    '/srv/$LIB',
    '/srv/x${PLATFORM}/y',
  ])
    assert.ok(of(`LD_LIBRARY_PATH=${list}`)?.directories.includes('/srv'), list);
  assert.ok(of('LD_PRELOAD=/srv/$LIB/hook.so')?.directories.includes('/srv'));
  assert.ok(of('LD_AUDIT=/srv/audit.so')?.files.includes('/srv/audit.so'));
  for (const env of [[], ['LD_LIBRARY_PATH=']]) assert.ok(!of(...env)?.directories.includes('/srv'));
});

test('libraries that the program names by a path belong to it', () => {
  file('lib/ld.so');
  // DT_NEEDED instead of DT_RUNPATH.
  const program = elf('/lib/ld.so', '/opt/vendor/libx.so');
  program.writeBigUInt64LE(1n, 416);
  file('serve', program);
  assert.ok(found({ args: ['/serve'] }).includes('/opt/vendor/libx.so'));
});

test('a directory that .. leaves leads to the program, and so does a shared mount', () => {
  file('opt/bin/serve');
  mkdirSync(join(root, 'opt/a/b'), { recursive: true });
  assert.ok(found({ args: ['/opt/a/b/../../bin/serve'] }).includes('/opt/a/b'));
  link('data', '/opt/bin');
  const program = read({ args: ['/opt/bin/serve'] }, { sharedMounts: [{ destinationPath: '/data/serve' }] });
  assert.deepEqual(program?.replaced, ['/opt/bin/serve']);
});

test('what is not there, or not known, gives no program', () => {
  file('data', 'x', 0o644);
  file('script', '#!/missing\n');
  file('linked', elf('/missing', ''));
  link('endless', 'endless');
  mkdirSync(join(root, 'directory'));
  file('bin/a');
  for (const args of [[], [''], ['/data'], ['/script'], ['/linked'], ['/endless'], ['/directory'], ['/none']])
    assert.equal(read({ args }), undefined, args.join());
  assert.equal(read({ args: ['a'], env: ['PATH=:/bin'] }), undefined);
  assert.equal(read({ args: ['a'], env: ['PATH=relative:/bin'] }), undefined);
  assert.notEqual(read({ args: ['a'], env: ['PATH=/bin'] }), undefined);
});

test('a damaged ELF file has no interpreter, and is read within bounds', () => {
  const whole = elf('/lib/ld.so', '/opt');
  file('lib/ld.so');
  for (let length = 0; length < whole.length; length += 7) {
    file('cut', whole.subarray(0, length));
    read({ args: ['/cut'] });
  }
  const wild = Buffer.from(whole);
  wild.fill(0xff, 32, 64);
  file('wild', wild);
  assert.ok(found({ args: ['/wild'] }).includes('/wild'));
});

test('links never leave the root', () => {
  link('etc/passwd', '/../../../../etc/passwd');
  link('a', '../../../../../../../../bin/sh');
  assert.equal(read({ args: ['/a'] }), undefined);
  file('bin/sh');
  assert.ok(found({ args: ['/a'] }).includes('/bin/sh'));
});

test('destinations, devices and masked paths are where they lead', () => {
  file('bin/a');
  link('config', '/bin');
  link('dev/link', '/bin/a');
  const program = read(
    { args: ['/bin/a'] },
    {
      mounts: [{ destination: '/config/x' }, { destination: '/data/' }],
      linux: {
        devices: [{ path: '/dev/link', type: 'c', major: 1, minor: 3 }],
        maskedPaths: ['/config/a'],
      },
    },
  );
  assert.deepEqual(program?.mounts, ['/bin/x', '/data']);
  assert.deepEqual(program.replaced, ['/bin/a', '/bin/a']);
});

test('users and groups are those of the image, as engines resolve them', () => {
  file('bin/a');
  file('etc/passwd', 'root:x:0:0::/:/bin/sh\nbroken\napp:x:1000:2000::/:\nother:x:7:70::/:\n');
  file('etc/group', 'root:x:0:\nstaff:x:50:app,other\nwheel:x:10:other\nnames:x:60\n');
  const declared = (user: string) => read({ args: ['/bin/a'] }, { user })?.declared;
  assert.deepEqual(declared(''), { uid: 0, gid: 0, groups: [] });
  assert.deepEqual(declared('app'), { uid: 1000, gid: 2000, groups: [50] });
  assert.deepEqual(declared('1000'), { uid: 1000, gid: 2000, groups: [50] });
  assert.deepEqual(declared('app:staff'), { uid: 1000, gid: 50, groups: [50] });
  assert.deepEqual(declared('7:8'), { uid: 7, gid: 8, groups: [50, 10] });
  assert.deepEqual(declared('4000'), { uid: 4000, gid: 0, groups: [] });
  for (const unknown of ['nobody', 'app:nobody', ':', '-1', '99999999999'])
    assert.equal(declared(unknown), undefined, unknown);
  const { requested } = read({ args: ['/bin/a'], user: { uid: 7, gid: 1 } }) ?? {};
  assert.deepEqual(requested, { uid: 7, gid: 70, groups: [50, 10] });
});
