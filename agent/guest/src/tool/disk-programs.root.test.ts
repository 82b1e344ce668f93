import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { arch } from 'node:process';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type DeviceNumber, deviceNumber } from '../device/device-number.js';
import { makeFileSystem } from '../storage/drivers/blank-disk.js';
import { LoopDevice } from '../testing/loop-device.js';
import { skipWithout } from '../testing/real-guest.js';
import { DiskPrograms, type DiskTool } from './disk-programs.js';

const MiB = 1024 * 1024;
const skip = skipWithout('mkfs.ext4', 'e2fsck', 'perl');

function loopDevice(context: TestContext): LoopDevice {
  const disk = new LoopDevice(64 * MiB);
  context.after(() => disk.remove());
  return disk;
}

function numberOf(disk: LoopDevice): DeviceNumber {
  return deviceNumber(statSync(disk.path, { bigint: true }).rdev);
}

/** A program in place of one that works on disks: what somebody would run who has taken that over. */
function perl(context: TestContext, script: string, ...args: readonly string[]): DiskTool {
  const directory = mkdtempSync(join(tmpdir(), 'kata-disk-program-'));
  context.after(() => rmSync(directory, { recursive: true }));
  // Not with -e: perl would open /dev/null.
  const file = join(directory, 'script');
  writeFileSync(file, script);
  chmodSync(directory, 0o755);
  return { program: 'perl', package: 'perl', args: [file, ...args], files: [file] };
}

/** The text at the beginning of a disk. */
function textOn(disk: LoopDevice): string {
  const text = Buffer.alloc(MiB);
  const fd = openSync(disk.file, 'r');
  try {
    readSync(fd, text, 0, text.length, 0);
  } finally {
    closeSync(fd);
  }
  return text.toString().replace(/\0.*$/s, '');
}

test('a confined mkfs.ext4 makes a file system that e2fsck finds intact', { skip }, async (context) => {
  const disk = loopDevice(context);
  await makeFileSystem(disk.path, 'ext4', new DiskPrograms());
  const checked = execFileSync('e2fsck', ['-fn', disk.path], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  assert.match(checked, /1[01]\/\d+ files/);
});

test('a disk without space for a file system is an error that says so', { skip }, async (context) => {
  const disk = loopDevice(context);
  disk.grow(4096);
  await assert.rejects(makeFileSystem(disk.path, 'ext4', new DiskPrograms()), {
    kind: 'internal',
    message: /mkfs\.ext4 ended with exit code 1: .*(too small|Not enough space)/s,
  });
});

const calls: Readonly<Record<string, number>> =
  arch === 'arm64'
    ? {
        ptrace: 117,
        mount: 40,
        unshare: 97,
        setns: 268,
        setuid: 146,
        capset: 91,
        bpf: 280,
        keyctl: 219,
        process_vm_readv: 270,
        open_by_handle_at: 265,
      }
    : {
        ptrace: 101,
        mount: 165,
        unshare: 272,
        setns: 308,
        setuid: 105,
        capset: 126,
        bpf: 321,
        keyctl: 250,
        process_vm_readv: 310,
        open_by_handle_at: 304,
      };

/** Attempts, each an expression of Perl that is true if it succeeds; the disk is $disk, another one $other. */
const attempts: Readonly<Record<string, { readonly code: string; readonly outcome: string }>> = {
  'read the disk': { code: 'sysseek($d, 1024, 0) && sysread($d, my $x, 512)', outcome: 'done' },
  'read its size': { code: 'ioctl($d, 0x80081272, my $size = "\\0" x 8)', outcome: 'done' },
  'send a SCSI command': { code: 'ioctl($d, 0x2285, my $query = "\\0" x 88)', outcome: 'EPERM' },
  'read the partition table again': { code: 'ioctl($d, 0x125f, 0)', outcome: 'EPERM' },
  'detach the loop device': { code: 'ioctl($d, 0x4c01, 0)', outcome: 'EPERM' },
  'read /etc/passwd': { code: 'open(my $f, "<", "/etc/passwd")', outcome: 'ENOENT' },
  'read /proc': { code: 'open(my $f, "<", "/proc/self/status")', outcome: 'ENOENT' },
  'read /sys': { code: 'opendir(my $f, "/sys")', outcome: 'ENOENT' },
  'open another disk': { code: 'open(my $f, "<", "/dev/$other")', outcome: 'ENOENT' },
  'leave the root': { code: 'open(my $f, "<", "/../../etc/shadow")', outcome: 'ENOENT' },
  'write a library': { code: 'open(my $f, ">", "/usr/lib/x")', outcome: 'EROFS' },
  'write the root': { code: 'open(my $f, ">", "/x")', outcome: 'EROFS' },
  'remove the node': { code: 'unlink("/disk")', outcome: 'EROFS' },
  'use the network': { code: 'socket(my $s, 2, 1, 0)', outcome: 'ENOSYS' },
  'use a Unix socket': { code: 'socket(my $s, 1, 1, 0)', outcome: 'ENOSYS' },
  'use netlink': { code: 'socket(my $s, 16, 3, 0)', outcome: 'ENOSYS' },
  'start a process': { code: 'defined(my $p = fork())', outcome: 'EPERM' },
  'signal the agent': { code: 'kill(0, getppid())', outcome: 'ENOSYS' },
  'raise its limits': { code: 'syscall($call{prlimit64}, getppid(), 7, 0, 0) == 0', outcome: 'EPERM' },
  'trace the agent': { code: 'syscall($call{ptrace}, 16, getppid(), 0, 0) == 0', outcome: 'ENOSYS' },
  ...Object.fromEntries(
    Object.keys(calls)
      .filter((name) => name !== 'ptrace')
      .map((name) => [name, { code: `syscall($call{${name}}, 0, 0, 0, 0, 0) == 0`, outcome: 'ENOSYS' }]),
  ),
  'become root': { code: '$> = 0; syscall($call{geteuid}) == 0', outcome: 'not root' },
};

test('a program that was taken over reaches its disk alone', { skip }, async (context) => {
  const disk = loopDevice(context);
  const other = loopDevice(context);
  const numbers = {
    ...calls,
    ...(arch === 'arm64' ? { prlimit64: 261, geteuid: 175 } : { prlimit64: 302, geteuid: 107 }),
  };
  const script = [
    'use Errno;',
    'my $disk = pop @ARGV; my $other = shift @ARGV; my %call = @ARGV;',
    'open(my $d, "+<", $disk) or die "no disk: $!";',
    'my $report = "";',
    'sub outcome { for my $name (keys %!) { return $name if $!{$name} && $name ne "EWOULDBLOCK" } "failed" }',
    ...Object.entries(attempts).map(
      ([name, { code, outcome }]) =>
        `$! = 0; $report .= "${name}: " . (eval { ${code} } ? "done" : ${outcome === 'not root' ? '"not root"' : 'outcome()'}) . "\\n";`,
    ),
    '$report .= "users: $< $>\\n";',
    'opendir(my $r, "/"); $report .= "root: " . join(" ", sort grep { !/^\\./ } readdir $r) . "\\n";',
    'sysseek($d, 0, 0); syswrite($d, $report) == length $report or die "cannot write: $!";',
  ].join('\n');
  const args = Object.entries(numbers).flatMap(([name, number]) => [name, String(number)]);
  await new DiskPrograms().run(
    perl(context, script, other.path.slice('/dev/'.length), ...args),
    numberOf(disk),
  );
  const report = textOn(disk).split('\n');
  assert.deepEqual(
    report.slice(0, Object.keys(attempts).length),
    Object.entries(attempts).map(([name, { outcome }]) => `${name}: ${outcome}`),
  );
  assert.ok(report.includes('users: 2113929220 2113929220'), report.join('\n'));
  assert.match(report.join('\n'), /^root: disk (lib\S* )*tmp usr$/m);
});

test('a program that takes more memory than its bound ends', { skip }, async (context) => {
  await assert.rejects(
    new DiskPrograms().run(perl(context, 'my $x = "x" x (1 << 30);'), numberOf(loopDevice(context))),
    {
      kind: 'internal',
      message: /Out of memory/,
    },
  );
});

test('a program that does not end is killed, and only so many wait', { skip }, async (context) => {
  const disk = loopDevice(context);
  const programs = new DiskPrograms({ milliseconds: 2_000, running: 1 });
  const first = programs.run(perl(context, 'sleep 1000'), numberOf(disk));
  const outcome = assert.rejects(first, { kind: 'deadline', message: /perl did not end within 2 seconds/ });
  await assert.rejects(programs.run(perl(context, '1'), numberOf(disk)), { kind: 'exhausted' });
  await outcome;
});

test('a program ends with the agent', { skip }, async (context) => {
  const disk = loopDevice(context);
  const module = JSON.stringify(new URL('./disk-programs.js', import.meta.url).href);
  const script = '$| = 1; open(my $d, "+<", $ARGV[0]) or die; syswrite($d, "pid $$\\n"); sleep 1000;';
  const agent = spawn(process.execPath, [
    '--input-type=module',
    '-e',
    `const { DiskPrograms } = await import(${module});
     await new DiskPrograms().run(${JSON.stringify(perl(context, script))}, ${JSON.stringify(numberOf(disk))});`,
  ]);
  context.after(() => agent.kill('SIGKILL'));
  let pid: string | undefined;
  const failed = once(agent, 'exit').then(() => assert.ok(pid !== undefined, 'the agent ended'));
  while (pid === undefined) {
    execFileSync('blockdev', ['--flushbufs', disk.path]);
    pid = /^pid (\d+)$/m.exec(textOn(disk))?.[1];
    await Promise.race([delay(20), failed]);
  }
  assert.match(readFileSync(`/proc/${pid}/status`, 'utf8'), /^Name:\s+perl$/m);
  agent.kill('SIGKILL');
  while (existsSync(`/proc/${pid}/exe`)) await delay(20);
});

test('a process that cannot be confined runs no program', { skip }, async (context) => {
  const disk = loopDevice(context);
  const before = Buffer.from('before');
  const fd = openSync(disk.file, 'r+');
  writeSync(fd, before, 0, before.length, 0);
  closeSync(fd);
  const tool = perl(context, 'open(my $d, "+<", "/disk"); syswrite($d, "after!");');
  // The second copy of a read-only file cannot be placed.
  await assert.rejects(
    new DiskPrograms().run({ ...tool, files: [...tool.files, '/etc/passwd', '/etc/passwd'] }, numberOf(disk)),
    { kind: 'internal', message: /perl cannot be confined: .*EROFS/ },
  );
  execFileSync('blockdev', ['--flushbufs', disk.path]);
  assert.equal(textOn(disk), 'before');
});
