import type { KillPoint } from './kill-point.js';

/** What a client does with a pod and one of its containers. The agent is killed within one of these steps. */
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

/** How far the container (in `sandbox`: the pod) is found after a restart. `gone`: nothing of it is left. */
type Found = 'gone' | 'created' | 'running' | 'paused' | 'stopped';

export interface NamedKillPoint {
  readonly name: string;
  readonly during: Step;
  readonly found: Found;
  readonly at: KillPoint;
  /** Of a container that is found stopped: the exit code that it is told to have had. */
  readonly code?: number;
}

/** The container that the points are about. */
export const victim = 'victim';

/** What its first process exits with, when it is told to end. */
export const victimExit = 7;

type Place = Pick<KillPoint, 'call' | 'matching' | 'nth'>;

const before = (place: Place): KillPoint => ({ ...place, when: 'before' });
const during = (place: Place): KillPoint => ({ ...place, when: 'during' });
const after = (place: Place): KillPoint => ({ ...place, when: 'after' });

/** The n-th writing of a record. Of the container: 1 making, 2 made, 3 exec or exit, 4 waited for, 5 removing. */
const record = (nth: number): Place => ({
  call: 'renameSync',
  matching: `containers/${victim}\\.json$`,
  nth,
});
/** 1 making, 2 made, 3 its first container, 4 destroying. */
const sandbox = (nth: number): Place => ({ call: 'renameSync', matching: 'sandbox\\.json$', nth });
/** 1 and 2 are the sandbox's own storage; then, two for each, those of the container. */
const storages = (nth: number): Place => ({ call: 'renameSync', matching: 'storages\\.json$', nth });
/** The first is the sandbox's; then one for each container, which takes what it writes. */
const memory = (nth: number): Place => ({ call: 'mount', matching: '^tmpfs .* tmpfs ', nth });
/** The first is the bystander's. */
const overlay: Place = { call: 'mount', matching: '^overlay .* overlay ', nth: 2 };
const runtime = (command: string): Place => ({ call: 'spawn', matching: `runc .* ${command} .*${victim}$` });
const bundle = (call: string, more: string): Place => ({
  call,
  matching: `/run/kata-agent/bundles/${victim}${more}`,
});
/** By descriptor and name; 512: a directory. */
const unlinked = (name: string, flags: string): Place => ({
  call: 'unlinkat',
  matching: `^\\d+ ${name} ${flags}`,
});
const freezer: Place = { call: 'writeFileSync', matching: '/freezer.state FROZEN' };
const rootUnmount: Place = { call: 'umount2', matching: '/rootfs' };

type Row = readonly [found: Found, name: string, at: KillPoint, code?: number];

/** In the order in which an agent passes them. */
const table: Readonly<Record<Step, readonly Row[]>> = {
  sandbox: [
    ['gone', 'the sandbox is written down, and nothing of it made', after(sandbox(1))],
    ['gone', 'the storage of the sandbox is mounted', after(memory(1))],
    ['created', 'the sandbox is made', after(sandbox(2))],
  ],
  create: [
    ['gone', 'nothing but its record is written', after(record(1))],
    ['gone', 'its bundle is made', after(bundle('mkdirSync', ' '))],
    ['gone', 'its first storage is written down', after(storages(3))],
    ['gone', 'the layer that it writes to is mounted', after(memory(3))],
    ['gone', 'its root is mounted', after(overlay)],
    ['gone', 'its config.json is written', after(bundle('writeFileSync', '/config.json'))],
    ['gone', 'the runtime is making it', during(runtime('create'))],
    ['gone', 'the runtime has made it', after(runtime('create'))],
    ['gone', 'it is made, and about to be written down', before(record(2))],
    ['created', 'it is made and written down', after(record(2))],
  ],
  start: [
    ['created', 'it is about to be started', before(runtime('start'))],
    ['running', 'the runtime is starting it', during(runtime('start'))],
    ['running', 'it is started', after(runtime('start'))],
  ],
  exec: [
    ['running', 'the runtime is starting an exec', during(runtime('exec'))],
    ['running', 'an exec runs, and is about to be written down', before(record(3))],
    ['running', 'an exec runs and is written down', after(record(3))],
  ],
  pause: [
    ['paused', 'the runtime is pausing it', during(runtime('pause'))],
    ['paused', 'it is paused', after(runtime('pause'))],
  ],
  resume: [['running', 'it is resumed', after(runtime('resume'))]],
  exit: [
    ['stopped', 'it has ended, and that is about to be written down', before(record(3)), 255],
    ['stopped', 'it has ended, and that is written down', after(record(3)), victimExit],
  ],
  kill: [['paused', 'it is frozen, to be killed', after(freezer)]],
  remove: [
    ['gone', 'its removal is written down', after(record(5))],
    ['gone', 'the runtime is deleting it', during(runtime('delete'))],
    ['gone', 'the runtime has deleted it', after(runtime('delete'))],
    ['gone', 'its root is unmounted', after(rootUnmount)],
    ['gone', 'its bundle is half removed', after(unlinked('config.json', ''))],
    ['gone', 'its bundle is removed', after(unlinked(victim, '512'))],
  ],
  destroy: [['gone', 'the end of the sandbox is written down', after(sandbox(4))]],
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
