import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** What a machine comes to. */
export type Fate =
  /** KVM opens, and cannot run the guest: printed and done by QEMU 10 on a machine with paravirtual KVM. */
  | 'internal error'
  /** The same after the agent listens. */
  | 'late internal error'
  /** QEMU aborts while it makes the first processor, as KVM does not take one of its registers. */
  | 'abort'
  /** The device is there, and no KVM behind it. */
  | 'no module'
  | 'no disk'
  | 'listens'
  | 'says nothing'
  | 'goes on saying something'
  | 'panics and stays'
  | 'panics and is not reset'
  | 'panics and is reset'
  | 'disk full'
  | 'panics, as its device says'
  | 'does not answer';

/** What the stand-in finds in the place of the kernel: a fate by accelerator, and a file for its starts. */
interface Fates {
  readonly kvm?: Fate;
  readonly tcg?: Fate;
  readonly starts: string;
}

interface Start {
  readonly accelerator: string;
  readonly pid: number;
}

/** A program in the place of QEMU. */
export class StandInQemu {
  readonly #folder: string;
  readonly #starts: string;

  /** Puts it into a folder, from where PATH has to lead to it. */
  constructor(folder: string, command: string) {
    this.#folder = folder;
    this.#starts = join(folder, 'starts');
    const program = fileURLToPath(import.meta.url);
    writeFileSync(join(folder, command), `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`, {
      mode: 0o755,
    });
  }

  /** A file for the kernel. The starts so far are forgotten. */
  kernel(fates: Omit<Fates, 'starts'>): string {
    writeFileSync(this.#starts, '');
    const path = join(this.#folder, 'kernel');
    writeFileSync(path, JSON.stringify({ ...fates, starts: this.#starts }));
    return path;
  }

  starts(): readonly Start[] {
    const lines = readFileSync(this.#starts, 'utf8').trim().split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Start);
  }
}

const registers = `RAX=0000000001ad2b90 RBX=0000000004784b64 RCX=0000000001ad2b90 RDX=0000000000000005
RIP=000000000474235d RFL=00000006 [-----P-] CPL=0 II=0 A20=1 SMM=0 HLT=0
Code=05 83 fa 0f 77 b5 4d 01 fd 41 b8 01 00 00 00 89 c8 89 55 00 <c4> 42 69 f7 c0 49 8d 55 fc
`;
const internalError = `KVM internal error. Suberror: 1
extra data[0]: 0x0000000000000001
emulation failure
${registers}`;
const panic = '[    6.04] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000000\n';
const listening = '{"msg":"listening"}\n';

/** How it comes to that, once QMP is agreed on: what is printed, and the state in which the machine stops. */
const courses: Readonly<Partial<Record<Fate, Course>>> = {
  'internal error': { own: internalError, state: 'internal-error' },
  'late internal error': { console: listening, own: internalError, state: 'internal-error' },
  listens: { console: listening },
  'says nothing': {},
  'panics and stays': {
    console: `${panic}[    6.05] ---[ end Kernel panic - not syncing: Attempted to kill init! ]---\n`,
  },
  'panics and is not reset': { console: panic },
  'disk full': { console: listening, state: 'io-error' },
  'panics, as its device says': { console: listening, state: 'guest-panicked' },
};

interface Course {
  readonly console?: string;
  readonly own?: string;
  readonly state?: string;
}

function run(words: readonly string[]): void {
  const after = (option: string): string => words[words.indexOf(option) + 1] ?? '';
  const fates = JSON.parse(readFileSync(after('-kernel'), 'utf8')) as Fates;
  const accelerator = after('-accel');
  appendFileSync(fates.starts, `${JSON.stringify({ accelerator, pid: process.pid })}\n`);
  const fate = fates[accelerator as 'kvm' | 'tcg'] ?? 'listens';
  // As long as it is not killed.
  setInterval(() => undefined, 1 << 30);
  if (fate === 'no module') {
    endWith(1, '-accel kvm: Could not access KVM kernel module: No such device');
  } else if (fate === 'no disk') {
    endWith(1, "-drive file=/kvm/none: Could not open '/kvm/none': No such file or directory");
  } else if (fate === 'abort') {
    process.stderr.write(
      'qemu: error: failed to set MSR 0x10a\nkvm.c:3877: kvm_buf_set_msrs: Assertion failed.\n',
      () => process.kill(process.pid, 'SIGABRT'),
    );
  } else if (fate !== 'does not answer') serve(fate);
}

function endWith(code: number, text: string): void {
  process.stderr.write(`qemu: ${text}\n`, () => process.exit(code));
}

/** QMP, as QEMU serves it at the descriptor that `-chardev` names. */
function serve(fate: Fate): void {
  const socket = new Socket({ fd: 3 });
  const send = (message: object): void => void socket.write(`${JSON.stringify(message)}\n`);
  let status = 'running';
  const answers: Readonly<Record<string, () => unknown>> = {
    qmp_capabilities: () => ({}),
    'query-status': () => ({ status, running: status === 'running' }),
    'human-monitor-command': () => '',
  };
  let looks = 0;
  send({ QMP: { version: {}, capabilities: [] } });
  createInterface({ input: socket }).on('line', (line) => {
    const { execute, id } = JSON.parse(line) as { readonly execute: string; readonly id: number };
    send({ return: answers[execute]?.() ?? {}, id });
    if (execute !== 'query-status' || ++looks > 1) return;
    if (fate === 'goes on saying something') setInterval(() => process.stdout.write('.\n'), 50);
    if (fate === 'panics and is reset') process.stdout.write(panic, () => process.exit(0));
    const { console = '', own = '', state } = courses[fate] ?? {};
    process.stdout.write(console);
    process.stderr.write(own);
    if (state === undefined) return;
    status = state;
    send({ event: 'STOP', data: {} });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) run(process.argv.slice(2));
