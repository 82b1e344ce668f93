import { create, type Message } from '@bufbuild/protobuf';
import type { Condition, MethodName, Phase, RuntimeCall } from '@kata-agent/catalogue';
import { AgentService } from '@kata-agent/protocol/agent';
import { Health } from '@kata-agent/protocol/health';
import { findCall } from '../calls.js';
import { CallError } from '@kata-agent/cli';
import { asSentBy, firstProcess } from './container-request.js';
import { removeVolume, writeVolume } from './kubelet-volume.js';
import { OomEvents } from './oom-events.js';
import { performStep } from './perform-step.js';
import { callsOf, checkIntervalMs, type ReplayedCalls, type Runtime } from './replayed-calls.js';
import { RunningProcess } from './running-process.js';
import type { Scenario, ScenarioContainer } from './scenario.js';

export interface ReplayOptions {
  readonly runtime: Runtime;
  /** Called before each phase; the replay continues when it resolves. */
  readonly before?: (phase: Phase) => Promise<void>;
}

/** Differences from the scenario, one line each; empty on success. */
export type Failures = readonly string[];

/** Makes a runtime's calls for a scenario, in order. Sandbox and containers are removed even after a failure. */
export async function replayScenario(
  record: ReplayedCalls,
  scenario: Scenario,
  options: ReplayOptions,
): Promise<Failures> {
  return new Replay(record, scenario, options).run();
}

class Replay {
  readonly #record: ReplayedCalls;
  readonly #scenario: Scenario;
  readonly #runtime: Runtime;
  readonly #before: (phase: Phase) => Promise<void>;
  readonly #oom = new OomEvents();
  readonly #processes: Map<string, RunningProcess> = new Map();
  readonly #failures: string[] = [];
  #execs = 0;

  constructor(record: ReplayedCalls, scenario: Scenario, options: ReplayOptions) {
    this.#record = record;
    this.#scenario = scenario;
    this.#runtime = options.runtime;
    this.#before = options.before ?? (() => Promise.resolve());
  }

  async run(): Promise<Failures> {
    const { volumes } = this.#scenario;
    const beat = setInterval(() => {
      this.#check().catch((error: Error) => this.#failures.push(error.message));
    }, checkIntervalMs[this.#runtime]);
    try {
      for (const volume of volumes) writeVolume(volume);
      await this.#sandbox();
    } finally {
      clearInterval(beat);
      for (const volume of volumes) removeVolume(volume);
    }
    return this.#failures;
  }

  async #sandbox(): Promise<void> {
    await this.#check();
    try {
      if (await this.#phase('sandbox')) await this.#containers();
    } finally {
      await this.#oom.stop();
      await this.#phase('destroy');
    }
  }

  async #containers(): Promise<void> {
    const made: ScenarioContainer[] = [];
    try {
      for (const container of this.#scenario.containers) {
        made.unshift(container);
        if (!(await this.#phase('create', container))) return;
        if (!(await this.#phase('start', container))) return;
      }
      await this.#steps();
    } finally {
      for (const container of made) await this.#phase('stop', container);
    }
  }

  async #steps(): Promise<void> {
    await this.#before('exec');
    const pod = {
      record: this.#record,
      runtime: this.#runtime,
      processes: this.#processes,
      oom: this.#oom,
      nextExecId: () => `exec-${(this.#execs += 1)}`,
    };
    for (const step of this.#scenario.steps) {
      const found = await performStep(step, pod).catch(failureOf);
      if (found !== undefined) {
        this.#failures.push(`${step.name}: ${found}`);
        return;
      }
    }
    const expected = this.#scenario.steps.flatMap((step) => (step.kind === 'oom' ? [step.container] : []));
    const reported = this.#oom.reported;
    if (reported.length > expected.length)
      this.#failures.push(`OOM events: ${reported.join(', ')}; expected only ${expected.length}`);
  }

  /** Makes all calls of a phase. Returns false if one failed and the next phases make no sense. */
  async #phase(phase: Phase, container?: ScenarioContainer): Promise<boolean> {
    await this.#before(phase);
    for (const row of callsOf(this.#runtime, phase)) {
      if (!this.#applies(row.condition, container)) continue;
      const failure = await this.#row(row, container).then(
        () => undefined,
        (error: unknown) => failureOf(error, row),
      );
      if (failure === undefined) continue;
      this.#failures.push(`${container?.name ?? 'sandbox'}: ${failure}`);
      // Cleanup continues after errors.
      if (phase !== 'stop' && phase !== 'destroy') return false;
    }
    return true;
  }

  async #row(row: RuntimeCall, container: ScenarioContainer | undefined): Promise<void> {
    const { phase, method } = row;
    if (method === 'GetOOMEvent') return this.#oom.start(this.#record, phase, this.#runtime);
    if (container !== undefined && isOfProcess(method)) return this.#process(row, container);
    for (const request of this.#requests(method, container)) {
      await this.#record.call({ phase, about: container?.name ?? '' }, findCall(method), request);
      if (method === 'DestroySandbox') return;
    }
  }

  /** Skips reads and waits: RunningProcess makes them concurrently. A stop only waits for their end. */
  async #process({ phase, method }: RuntimeCall, container: ScenarioContainer): Promise<void> {
    const { name, request, stdin } = container;
    if (phase === 'stop') {
      await this.#processes.get(name)?.exit;
    } else if (method === 'ReadStdout') {
      const target = { containerId: name, execId: firstProcess(this.#runtime, name) };
      const terminal = request.OCI?.Process?.Terminal === true;
      const attachment = { phase, about: name, runtime: this.#runtime, terminal, stdin };
      this.#processes.set(name, new RunningProcess(this.#record, target, attachment));
    }
  }

  #applies(condition: Condition | undefined, container: ScenarioContainer | undefined): boolean {
    const { network } = this.#scenario;
    switch (condition) {
      case undefined:
        return true;
      case 'the network has static neighbours':
        return network.neighbours.length > 0;
      case 'there is no shared filesystem':
        return (container?.copies.length ?? 0) > 0;
      case 'the process has a terminal':
        return container?.request.OCI?.Process?.Terminal === true;
      case 'the process has standard input':
        return container?.stdin !== undefined;
      default:
        return false;
    }
  }

  #requests(method: MethodName, container: ScenarioContainer | undefined): readonly Message[] {
    const { network, sandbox } = this.#scenario;
    const of = (fields: Readonly<Record<string, unknown>>): readonly Message[] => [
      Object.assign(create(findCall(method).input), fields),
    ];
    switch (method) {
      case 'UpdateInterface':
        return network.interfaces.flatMap((one) => of({ interface: one }));
      case 'UpdateRoutes':
        return network.routes.length === 0
          ? []
          : [create(AgentService.method.updateRoutes.input, { routes: { Routes: [...network.routes] } })];
      case 'AddARPNeighbors':
        return [
          create(AgentService.method.addARPNeighbors.input, {
            neighbors: { ARPNeighbors: [...network.neighbours] },
          }),
        ];
      case 'CreateSandbox':
        return [sandbox];
      case 'GetGuestDetails':
        return of({ memBlockSize: true, memHotplugProbe: true });
      case 'CopyFile':
        return container?.copies ?? [];
      case 'CreateContainer':
        return container === undefined ? [] : [asSentBy(this.#runtime, container.request)];
      case 'SignalProcess':
        return of({ containerId: container?.name, execId: '', signal: 9 });
      case 'GetDiagnosticData':
        return of({ containerId: container?.name, logType: 'termination_log' });
      case 'TtyWinResize':
        return of({
          containerId: container?.name,
          execId: firstProcess(this.#runtime, container?.name ?? ''),
          row: 24,
          column: 80,
        });
      case 'StartContainer':
      case 'RemoveContainer':
        return of({ containerId: container?.name });
      default:
        return of({});
    }
  }

  async #check(): Promise<void> {
    await this.#record.call({ phase: 'beside', about: '' }, Health.method.check, {});
  }
}

const ofProcess: ReadonlySet<MethodName> = new Set<MethodName>([
  'ReadStdout',
  'ReadStderr',
  'WaitProcess',
  'WriteStdin',
  'CloseStdin',
]);

function isOfProcess(method: MethodName): boolean {
  return ofProcess.has(method);
}

/**
 * Returns the failure that a failed call means for the runtime; undefined if the runtime continues. A process that
 * has ended cannot be killed: both runtimes recognise the agent's message for that.
 */
function failureOf(error: unknown, row?: RuntimeCall): string | undefined {
  if (!(error instanceof CallError)) throw error;
  if (row?.method === 'SignalProcess' && error.serverMessage.includes('ESRCH: No such process'))
    return undefined;
  if (row?.refused === 'continues' && error.status === 'UNIMPLEMENTED') return undefined;
  return error.message;
}
