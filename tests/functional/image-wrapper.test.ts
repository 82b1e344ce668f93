import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { whyWithout } from '../harness/prerequisites.js';
import { wrapperProgram } from '@kata-agent/tool-guest-image/program/wrapper';

type Architecture = 'x64' | 'arm64';

const directory = mkdtempSync(join(tmpdir(), 'kata-wrapper-'));
after(() => rmSync(directory, { recursive: true }));

const base = 0x400000;
const codeStart = 64 + 56;
const number = '(0x[0-9a-f]+)';

/** The complete disassembly of a wrapper; @ is an address or a length. It has no jumps. */
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

/** Converts an instruction into a pattern; a number at @ is captured. */
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

/** Returns the file's properties. */
function read(command: string, words: readonly string[], file: Buffer): string {
  const path = join(directory, 'read');
  writeFileSync(path, file);
  const { status, stdout, stderr } = spawnSync(command, [...words, path], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return stdout;
}

/** Returns the instructions between headers and data, one per line: mnemonic and operands. */
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
  // Padding to a multiple of eight.
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

/** Returns how to run programs of an architecture here: directly, by an emulator, or (undefined) not at all. */
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

/** Runs a wrapper as an attacker would: with arguments and an environment that affect its program. */
function runWrapper(
  architecture: Architecture,
  argv: readonly string[],
  before: readonly string[] = [],
): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  const path = join(directory, `run-${architecture}`);
  writeFileSync(path, wrapperProgram(argv, architecture), { mode: 0o755 });
  const [command, ...words] = [...(runner(architecture) ?? []), ...before, path, '--help', '-c', '/x'];
  const env = { PATH: process.env['PATH'] ?? '', NODE_OPTIONS: '--require=/nowhere.js', X: 'y' };
  return spawnSync(command, words, { encoding: 'utf8', env });
}

for (const architecture of ['x64', 'arm64'] as const) {
  describe(`the program before the agent, for ${architecture}`, () => {
    // The last word places the message at an odd address, which `adr` must reach too.
    const argv = ['/usr/bin/node', '/usr/lib/kata-agent/kata-agent.cjs', 'x'];

    it('is execve, write, a wait for the console and exit, with these arguments and no environment', {
      skip: whyNotDisassembled(architecture) ?? false,
    }, () => {
      const program = wrapperProgram(argv, architecture);
      const headers = read('readelf', ['-hlW'], program);
      assert.match(headers, new RegExp(`Machine: +${machineNames[architecture]}\n`));
      assert.match(headers, /Entry point address: +0x400078\n/);
      assert.equal(headers.match(/^ +LOAD /gm)?.length, 1);
      assert.match(headers, / R E 0x10000\n/, 'is readable and executable, but not writable');
      // The data begins with the array of arguments, whose address is in the second instruction.
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

    it('is unchanged by strip(1): Kata’s osbuilder strips the agent', {
      skip: whyNotDisassembled(architecture) ?? false,
    }, () => {
      const program = wrapperProgram(argv, architecture);
      const [path, stripped] = [join(directory, 'whole'), join(directory, 'stripped')];
      writeFileSync(path, program);
      const { status, stderr } = spawnSync(strippers[architecture], ['-o', stripped, path], {
        encoding: 'utf8',
      });
      assert.equal(status, 0, stderr);
      const end = program.indexOf('\0.text');
      assert.ok(end > codeStart);
      assert.deepEqual(readFileSync(stripped).subarray(64, end), program.subarray(64, end));
    });

    it('passes on no argument and no variable', { skip: whyNotRun(architecture) ?? false }, () => {
      const told = 'JSON.stringify([process.argv0, process.argv.slice(1), process.execArgv, process.env])';
      const { status, stdout, stderr } = runWrapper(architecture, [process.execPath, '-p', told]);
      assert.equal(status, 0, stderr);
      assert.deepEqual(JSON.parse(stdout), [process.execPath, [], ['-p', told], {}]);
    });

    it('reports that its program cannot be run, and exits with 127', {
      skip: whyNotRun(architecture) ?? false,
    }, () => {
      const { status, stderr } = runWrapper(architecture, ['/nowhere', 'word']);
      assert.deepEqual([status, stderr], [127, 'kata-agent: /nowhere cannot be run\n']);
    });
  });
}

describe('the program before the agent', () => {
  it('is rejected for other architectures', () => {
    assert.throws(() => wrapperProgram(['/usr/bin/node'], 'riscv64'), /no wrapper for riscv64: .*x64, arm64/);
  });

  it('makes four syscalls on aarch64, according to the emulator', {
    skip: process.arch === 'arm64' ? 'no emulator is needed here' : (whyNotRun('arm64') ?? false),
  }, () => {
    const { stderr } = runWrapper('arm64', ['/nowhere'], ['-strace']);
    const calls = [...stderr.matchAll(/^\d+ (\w+)\(/gm)].map(([, name]) => name);
    assert.deepEqual(calls, ['execve', 'write', 'ioctl', 'exit']);
  });
});
