import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The behaviours of a fake machine. */
export type Behaviour =
  /** KVM opens, and cannot run the guest: output and behaviour of QEMU 10 on a machine with paravirtual KVM. */
  | 'internal error'
  /** The same after the agent listens. */
  | 'late internal error'
  /** QEMU aborts while it creates the first CPU, since KVM rejects one of its registers. */
  | 'abort'
  /** The device exists, without KVM behind it. */
  | 'no module'
  | 'no disk'
  | 'listens'
  | 'prints nothing'
  | 'keeps printing'
  | 'panics and stays'
  | 'panics and is not reset'
  | 'panics and is reset'
  | 'disk full'
  | 'panics, as its device reports'
  | 'does not answer';

/** Read from the kernel file: a behaviour by accelerator, and a file for its starts. */
interface Behaviours {
  readonly kvm?: Behaviour;
  readonly tcg?: Behaviour;
  readonly starts: string;
}

interface Start {
  readonly accelerator: string;
  readonly pid: number;
}

/** A program that replaces QEMU. */
export class FakeQemu {
  readonly #directory: string;
  readonly #starts: string;

  /** Installs it in a directory, which must be in PATH. */
  constructor(directory: string, command: string) {
    this.#directory = directory;
    this.#starts = join(directory, 'starts');
    const program = fileURLToPath(import.meta.url);
    writeFileSync(join(directory, command), `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`, {
      mode: 0o755,
    });
  }

  /** Returns a file for `-kernel`. Earlier starts are forgotten. */
  kernel(behaviours: Omit<Behaviours, 'starts'>): string {
    writeFileSync(this.#starts, '');
    const path = join(this.#directory, 'kernel');
    writeFileSync(path, JSON.stringify({ ...behaviours, starts: this.#starts }));
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

/** The sequence after the QMP handshake: the output, and the state in which the machine stops. */
const sequences: Readonly<Partial<Record<Behaviour, Sequence>>> = {
  'internal error': { own: internalError, state: 'internal-error' },
  'late internal error': { console: listening, own: internalError, state: 'internal-error' },
  listens: { console: listening },
  'prints nothing': {},
  'panics and stays': {
    console: `${panic}[    6.05] ---[ end Kernel panic - not syncing: Attempted to kill init! ]---\n`,
  },
  'panics and is not reset': { console: panic },
  'disk full': { console: listening, state: 'io-error' },
  'panics, as its device reports': { console: listening, state: 'guest-panicked' },
};

interface Sequence {
  readonly console?: string;
  readonly own?: string;
  readonly state?: string;
}

function run(words: readonly string[]): void {
  const after = (option: string): string => words[words.indexOf(option) + 1] ?? '';
  const behaviours = JSON.parse(readFileSync(after('-kernel'), 'utf8')) as Behaviours;
  const accelerator = after('-accel');
  appendFileSync(behaviours.starts, `${JSON.stringify({ accelerator, pid: process.pid })}\n`);
  const behaviour = behaviours[accelerator as 'kvm' | 'tcg'] ?? 'listens';
  // Until it is killed.
  setInterval(() => undefined, 1 << 30);
  if (behaviour === 'no module') {
    endWith(1, '-accel kvm: Could not access KVM kernel module: No such device');
  } else if (behaviour === 'no disk') {
    endWith(1, "-drive file=/kvm/none: Could not open '/kvm/none': No such file or directory");
  } else if (behaviour === 'abort') {
    process.stderr.write(
      'qemu: error: failed to set MSR 0x10a\nkvm.c:3877: kvm_buf_set_msrs: Assertion failed.\n',
      () => process.kill(process.pid, 'SIGABRT'),
    );
  } else if (behaviour !== 'does not answer') serve(behaviour);
}

function endWith(code: number, text: string): void {
  process.stderr.write(`qemu: ${text}\n`, () => process.exit(code));
}

/** QMP, as QEMU serves it at the descriptor that `-chardev` names. */
function serve(behaviour: Behaviour): void {
  const socket = new Socket({ fd: 3 });
  const send = (message: object): void => void socket.write(`${JSON.stringify(message)}\n`);
  let status = 'running';
  const answers: Readonly<Record<string, () => unknown>> = {
    qmp_capabilities: () => ({}),
    'query-status': () => ({ status, running: status === 'running' }),
    'human-monitor-command': () => '',
  };
  let queries = 0;
  send({ QMP: { version: {}, capabilities: [] } });
  createInterface({ input: socket }).on('line', (line) => {
    const { execute, id } = JSON.parse(line) as { readonly execute: string; readonly id: number };
    send({ return: answers[execute]?.() ?? {}, id });
    if (execute !== 'query-status' || ++queries > 1) return;
    if (behaviour === 'keeps printing') setInterval(() => process.stdout.write('.\n'), 50);
    if (behaviour === 'panics and is reset') process.stdout.write(panic, () => process.exit(0));
    const { console = '', own = '', state } = sequences[behaviour] ?? {};
    process.stdout.write(console);
    process.stderr.write(own);
    if (state === undefined) return;
    status = state;
    send({ event: 'STOP', data: {} });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) run(process.argv.slice(2));
