import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { whyWithout } from '../harness/prerequisites.js';
import { repository } from '../harness/repository.js';

type Architecture = 'x64' | 'arm64';

/** What the scripts export; they are JavaScript. */
const { wrapperProgram } = (await import(`${repository}scripts/image-wrapper.mjs`)) as {
  readonly wrapperProgram: (argv: readonly string[], architecture?: string) => Buffer;
};
const folder = mkdtempSync(join(tmpdir(), 'kata-wrapper-'));
after(() => rmSync(folder, { recursive: true }));

const base = 0x400000;
const codeStart = 64 + 56;
const number = '(0x[0-9a-f]+)';

/** All that a wrapper does, as a disassembler reads it; @ is an address or a length. Not one of these instructions jumps. */
const programs: Readonly<Record<Architecture, string>> = {
  x64: `
    mov @,%edi
    mov @,%esi
    mov @,%edx
    mov $0x3b,%eax
    syscall
    mov $0x2,%edi
    mov @,%esi
    mov @,%edx
    mov $0x1,%eax
    syscall
    mov $0x2,%edi
    mov $0x5409,%esi
    mov $0x1,%edx
    mov $0x10,%eax
    syscall
    mov $0x7f,%edi
    mov $0x3c,%eax
    syscall`,
  arm64: `
    adr x0, @
    adr x1, @
    adr x2, @
    mov w8, #0xdd
    svc #0x0
    mov w0, #0x2
    adr x1, @
    mov w2, @
    mov w8, #0x40
    svc #0x0
    mov w0, #0x2
    mov w1, #0x5409
    mov w2, #0x1
    mov w8, #0x1d
    svc #0x0
    mov w0, #0x7f
    mov w8, #0x5d
    svc #0x0`,
};

/** One of them as a pattern; where the disassembler has a number for @, it is captured. */
function pattern(architecture: Architecture): RegExp {
  const lines = programs[architecture].trim().split('\n');
  const escaped = lines.map((line) => line.trim().replace(/[$]/g, '\\$').replace('@', `[#$]?${number}`));
  return new RegExp(`^${escaped.join('\n')}$`);
}

const disassemblers: Readonly<Record<Architecture, readonly [command: string, machine: string]>> = {
  x64: ['objdump', 'i386:x86-64'],
  arm64: ['aarch64-linux-gnu-objdump', 'aarch64'],
};

const strippers: Readonly<Record<Architecture, string>> = {
  x64: 'strip',
  arm64: 'aarch64-linux-gnu-strip',
};

const machineNames: Readonly<Record<Architecture, string>> = {
  x64: 'Advanced Micro Devices X86-64',
  arm64: 'AArch64',
};

/** What a program says of a file. */
function read(command: string, words: readonly string[], file: Buffer): string {
  const path = join(folder, 'read');
  writeFileSync(path, file);
  const { status, stdout, stderr } = spawnSync(command, [...words, path], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return stdout;
}

/** The instructions between the headers and the data, one a line: mnemonic and operands. */
function disassembled(architecture: Architecture, program: Buffer, end: number): readonly string[] {
  const [command, machine] = disassemblers[architecture];
  const range = [`--start-address=${base + codeStart}`, `--stop-address=${end}`];
  const form = ['-D', '-b', 'binary', '-m', machine, `--adjust-vma=${base}`, '--no-show-raw-insn'];
  const listing = read(command, [...form, ...range], program);
  const lines = [...listing.matchAll(/^ +[0-9a-f]+:\t(.+)$/gm)].map(([, text = '']) =>
    text
      .replace(/\s*\/\/.*/, '')
      .trim()
      .replace(/\s+/g, ' '),
  );
  // What fills up to a multiple of eight.
  return lines.at(-1) === 'udf #0' ? lines.slice(0, -1) : lines;
}

function textAt(program: Buffer, at: number): string {
  return program.toString('utf8', at - base, program.indexOf(0, at - base));
}

function textsAt(program: Buffer, at: number): readonly string[] {
  const texts: string[] = [];
  for (let offset = at - base; ; offset += 8) {
    const pointer = Number(program.readBigUInt64LE(offset));
    if (pointer === 0) return texts;
    texts.push(textAt(program, pointer));
  }
}

/** What runs programs of an architecture here: nothing, an emulator, or (undefined) it cannot be done. */
function runner(architecture: Architecture): readonly string[] | undefined {
  if (process.arch === architecture) return [];
  return architecture === 'arm64' ? ['qemu-aarch64'] : undefined;
}

function whyNotDisassembled(architecture: Architecture): string | undefined {
  return whyWithout(architecture === process.arch ? 'binutils' : 'binutils-aarch64-linux-gnu');
}

function whyNotRun(architecture: Architecture): string | undefined {
  if (process.arch === architecture) return undefined;
  return architecture === 'arm64' ? whyWithout('qemu-user') : `this machine is ${process.arch}`;
}

/** Runs a wrapper as an enemy would: with arguments and an environment that its program would listen to. */
function runWrapper(
  architecture: Architecture,
  argv: readonly string[],
  before: readonly string[] = [],
): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  const path = join(folder, `run-${architecture}`);
  writeFileSync(path, wrapperProgram(argv, architecture), { mode: 0o755 });
  const [command, ...words] = [...(runner(architecture) ?? []), ...before, path, '--help', '-c', '/x'];
  const env = { PATH: process.env['PATH'] ?? '', NODE_OPTIONS: '--require=/nowhere.js', X: 'y' };
  return spawnSync(command, words, { encoding: 'utf8', env });
}

for (const architecture of ['x64', 'arm64'] as const) {
  describe(`the program before the agent, for ${architecture}`, () => {
    // The last word puts the message at an odd address, to which `adr` has to reach as well.
    const argv = ['/usr/bin/node', '/usr/lib/kata-agent/kata-agent.mjs', 'x'];

    it('is execve, write, a wait for the console and exit, with these arguments and no environment', {
      skip: whyNotDisassembled(architecture) ?? false,
    }, () => {
      const program = wrapperProgram(argv, architecture);
      const headers = read('readelf', ['-hlW'], program);
      assert.match(headers, new RegExp(`Machine: +${machineNames[architecture]}\n`));
      assert.match(headers, /Entry point address: +0x400078\n/);
      assert.equal(headers.match(/^ +LOAD /gm)?.length, 1);
      assert.match(headers, / R E 0x10000\n/, 'to be read and executed, not written');
      // The data begins with the array of arguments, whose address the second instruction has.
      const all = disassembled(architecture, program, base + program.length);
      const data = Number(new RegExp(number).exec(all[1] ?? '')?.[1]);
      const code = disassembled(architecture, program, data);
      const found = pattern(architecture).exec(code.join('\n'));
      assert.ok(found, code.join('\n'));
      const [path = 0, args = 0, environment = 0, message = 0, length = 0] = found.slice(1).map(Number);
      assert.equal(textAt(program, path), '/usr/bin/node');
      assert.deepEqual(textsAt(program, args), argv);
      assert.deepEqual(textsAt(program, environment), []);
      const text = program.toString('utf8', message - base, message - base + length);
      assert.equal(text, 'kata-agent: /usr/bin/node cannot be run\n');
    });

    it('comes out of strip(1) as it went in: Kata’s osbuilder strips the agent that it is given', {
      skip: whyNotDisassembled(architecture) ?? false,
    }, () => {
      const program = wrapperProgram(argv, architecture);
      const [path, stripped] = [join(folder, 'whole'), join(folder, 'stripped')];
      writeFileSync(path, program);
      const { status, stderr } = spawnSync(strippers[architecture], ['-o', stripped, path], {
        encoding: 'utf8',
      });
      assert.equal(status, 0, stderr);
      const end = program.indexOf('\0.text');
      assert.ok(end > codeStart);
      assert.deepEqual(readFileSync(stripped).subarray(64, end), program.subarray(64, end));
    });

    it('lets no argument and no variable through', { skip: whyNotRun(architecture) ?? false }, () => {
      const told = 'JSON.stringify([process.argv0, process.argv.slice(1), process.execArgv, process.env])';
      const { status, stdout, stderr } = runWrapper(architecture, [process.execPath, '-p', told]);
      assert.equal(status, 0, stderr);
      assert.deepEqual(JSON.parse(stdout), [process.execPath, [], ['-p', told], {}]);
    });

    it('says that its program cannot be run, and ends with 127', {
      skip: whyNotRun(architecture) ?? false,
    }, () => {
      const { status, stderr } = runWrapper(architecture, ['/nowhere', 'word']);
      assert.deepEqual([status, stderr], [127, 'kata-agent: /nowhere cannot be run\n']);
    });
  });
}

describe('the program before the agent', () => {
  it('is refused for other architectures', () => {
    assert.throws(() => wrapperProgram(['/usr/bin/node'], 'riscv64'), /no wrapper for riscv64: .*x64, arm64/);
  });

  it('makes four calls on aarch64, as the emulator tells of them', {
    skip: process.arch === 'arm64' ? 'no emulator is needed here' : (whyNotRun('arm64') ?? false),
  }, () => {
    const { stderr } = runWrapper('arm64', ['/nowhere'], ['-strace']);
    const calls = [...stderr.matchAll(/^\d+ (\w+)\(/gm)].map(([, name]) => name);
    assert.deepEqual(calls, ['execve', 'write', 'ioctl', 'exit']);
  });
});
