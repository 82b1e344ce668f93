import type { KillPoint } from './kill-point.js';
import { runtimeName } from './oci-runtime.js';

/** A step of a client with a pod and one of its containers. The agent is killed during one of them. */
export type Step =
  | 'sandbox'
  | 'create'
  | 'start'
  | 'exec'
  | 'pause'
  | 'resume'
  | 'exit'
  | 'kill'
  | 'remove'
  | 'destroy';

/** The state of the container (in `sandbox`: of the pod) after a restart. `gone`: nothing remains. */
type Found = 'gone' | 'created' | 'running' | 'paused' | 'stopped';

export interface NamedKillPoint {
  readonly name: string;
  readonly during: Step;
  readonly found: Found;
  readonly at: KillPoint;
  /** The reported exit code of a container that is stopped after the restart. */
  readonly code?: number;
}

/** The container of the kill points. */
export const victim = 'victim';

/** The exit code of the container's first process after SIGTERM. */
export const victimExit = 7;

type Call = Pick<KillPoint, 'call' | 'matching' | 'nth'>;

const before = (call: Call): KillPoint => ({ ...call, when: 'before' });
const during = (call: Call): KillPoint => ({ ...call, when: 'during' });
const after = (call: Call): KillPoint => ({ ...call, when: 'after' });

/**
 * The n-th write of the container's state file: 1 creating, 2 created, 3 exec or first signal, 4 exit, 5 waited for, 6 removing.
 */
const record = (nth: number): Call => ({
  call: 'renameSync',
  matching: `containers/${victim}\\.json$`,
  nth,
});
/** The n-th write of the sandbox's state file: 1 creating, 2 created, 3 first container, 4 destroying. */
const sandbox = (nth: number): Call => ({ call: 'renameSync', matching: 'sandbox\\.json$', nth });
/** The n-th write of the storages: 1 and 2 for the sandbox's storage, then two for each storage of the container. */
const storages = (nth: number): Call => ({ call: 'renameSync', matching: 'storages\\.json$', nth });
/** The n-th mount of a tmpfs: 1 for the sandbox, then one for each container's upper directory. */
const memory = (nth: number): Call => ({ call: 'mount', matching: '^tmpfs .* tmpfs ', nth });
/** The first overlay is that of the other container. */
const overlay: Call = { call: 'mount', matching: '^overlay .* overlay ', nth: 2 };
const runtime = (command: string): Call => ({
  call: 'spawn',
  matching: `${runtimeName} .* ${command} .*${victim}$`,
});
const bundle = (call: string, more: string): Call => ({
  call,
  matching: `/run/kata-agent/bundles/${victim}${more}`,
});
/** The arguments are a file descriptor, a name and flags; 512 is AT_REMOVEDIR. */
const unlinked = (name: string, flags: string): Call => ({
  call: 'unlinkat',
  matching: `^\\d+ ${name} ${flags}`,
});
const freezer: Call = { call: 'writeFileSync', matching: '/freezer.state FROZEN' };
const rootUnmount: Call = { call: 'umount2', matching: '/rootfs' };

type Row = readonly [found: Found, name: string, at: KillPoint, code?: number];

/** The kill points of each step, in the order of execution. */
const table: Readonly<Record<Step, readonly Row[]>> = {
  sandbox: [
    ['gone', 'the sandbox is recorded, but not created yet', after(sandbox(1))],
    ['gone', 'the storage of the sandbox is mounted', after(memory(1))],
    ['created', 'the sandbox is created', after(sandbox(2))],
  ],
  create: [
    ['gone', 'only the state file of the container is written', after(record(1))],
    ['gone', 'the bundle is created', after(bundle('mkdirSync', ' '))],
    ['gone', 'the first storage is recorded', after(storages(3))],
    ['gone', 'the tmpfs of the overlay is mounted', after(memory(3))],
    ['gone', 'the root is mounted', after(overlay)],
    ['gone', 'config.json is written', after(bundle('writeFileSync', '/config.json'))],
    ['gone', 'the OCI runtime is creating the container', during(runtime('create'))],
    ['gone', 'the OCI runtime has created the container', after(runtime('create'))],
    ['gone', 'the container is created, but not recorded yet', before(record(2))],
    ['created', 'the container is created and recorded', after(record(2))],
  ],
  start: [
    ['created', 'the OCI runtime has not started the container yet', before(runtime('start'))],
    ['running', 'the OCI runtime is starting the container', during(runtime('start'))],
    ['running', 'the container is started', after(runtime('start'))],
  ],
  exec: [
    ['running', 'the OCI runtime is starting an exec', during(runtime('exec'))],
    ['running', 'an exec runs, but is not recorded yet', before(record(3))],
    ['running', 'an exec runs and is recorded', after(record(3))],
  ],
  pause: [
    ['paused', 'the OCI runtime is pausing the container', during(runtime('pause'))],
    ['paused', 'the container is paused', after(runtime('pause'))],
  ],
  resume: [['running', 'the container is resumed', after(runtime('resume'))]],
  exit: [
    ['running', 'the signal is recorded, and not sent yet', after(record(3))],
    ['stopped', 'the process has exited, but this is not recorded yet', before(record(4)), 255],
    ['stopped', 'the process has exited, and this is recorded', after(record(4)), victimExit],
  ],
  kill: [['paused', 'the container is frozen before the kill', after(freezer)]],
  remove: [
    ['gone', 'the removal is recorded', after(record(6))],
    ['gone', 'the OCI runtime is deleting the container', during(runtime('delete'))],
    ['gone', 'the OCI runtime has deleted the container', after(runtime('delete'))],
    ['gone', 'the root is unmounted', after(rootUnmount)],
    ['gone', 'the bundle is partly removed', after(unlinked('config.json', ''))],
    ['gone', 'the bundle is removed', after(unlinked(victim, '512'))],
  ],
  destroy: [['gone', 'the end of the sandbox is recorded', after(sandbox(4))]],
};

export const killPoints: readonly NamedKillPoint[] = Object.entries(table).flatMap(([step, rows]) =>
  rows.map(([found, name, at, code]) => ({
    name,
    during: step as Step,
    found,
    at,
    ...(code === undefined ? {} : { code }),
  })),
);
