import { readFileSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import type { JsonValue } from '@bufbuild/protobuf';
import { type ExpectedCall, expectedCalls } from '@kata-agent/workloads';
import { findCall, messageToJson } from '../calls.js';
import {
  type CommandDefinition,
  CommandError,
  ExitCode,
  type Invocation,
  type Io,
  print,
  printReport,
  renderTable,
  withAgent,
} from '@kata-agent/cli';
import { printDiagnostics } from './config/load-file.js';
import { knownOf, podOptions, readPods } from './config/pod-files.js';
import { fillIn, parseScenario } from '../replay/parse-scenario.js';
import { ReplayedCalls, type RecordedCall } from '../replay/replayed-calls.js';
import { replayPod } from '../replay/replay-pod.js';
import { replayScenario } from '../replay/replay-scenario.js';
import type { Scenario } from '../replay/scenario.js';

export const replay: CommandDefinition = {
  path: 'replay',
  summary: 'replay a runtime’s calls for a pod, in order, and check the results',
  details: [
    'A scenario is a YAML file with a pod, steps, and expected results; examples/scenarios has some. The calls and their order are those of one of Kata’s runtimes.',
    'With --pod, makes the calls that are expected for a pod’s manifest, without a cluster: identifiers and addresses are samples, and only denials count. It tests a configuration on a real agent, as config check --pod does without one.',
    'Exits with 4 if a result differs from the scenario, or if a call of the pod is denied. Sandbox and containers are removed in any case.',
  ],
  operands: [{ syntax: '[scenario]', description: 'a scenario in YAML' }],
  options: [
    ...podOptions,
    { flags: '--workload <name>', description: 'the workload to replay, if the files have several' },
    {
      flags: '--set <name=value>',
      description: "a value for one of the scenario's variables; may be repeated",
      repeatable: true,
    },
    {
      flags: '--cgroup-parent <path>',
      description: 'the parent cgroup of the containers, in the guest',
      fallback: '/kata-replay',
    },
    {
      flags: '--list',
      description:
        'with --pod: print the calls, and with --format json their requests, without calling an agent',
    },
    { flags: '--step', description: 'wait for a line on standard input before each phase' },
  ],
  examples: [
    {
      line: 'kata-agent-ctl replay examples/scenarios/shared-namespaces.yaml --set rootfs=/rootfs -a unix:///run/agent.sock',
      description: 'Runs a pod of three containers, from sandbox creation to removal.',
    },
    {
      line: 'kata-agent-ctl replay --pod pod.yaml --runtime go -a unix:///run/agent.sock',
      description: 'Checks whether an agent and its configuration serve everything that this pod needs.',
    },
  ],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const { operands, options } = invocation;
    const ofPod = options.texts('pod').length > 0;
    if (ofPod === operands.length > 0) {
      throw new CommandError(ExitCode.Usage, 'pass either a scenario or a pod', {
        help: ['kata-agent-ctl replay SCENARIO.yaml, or kata-agent-ctl replay --pod POD.yaml'],
      });
    }
    return ofPod ? runPod(invocation) : runScenario(invocation);
  },
};

async function runScenario(invocation: Invocation): Promise<number> {
  const { io, options } = invocation;
  const { runtime } = knownOf(options);
  if (runtime === 'remote')
    throw new CommandError(
      ExitCode.Usage,
      '--runtime remote is for pods: scenarios have the calls of go or rs',
      {
        help: ['kata-agent-ctl replay --pod POD.yaml --runtime remote'],
      },
    );
  const scenario = readScenario(invocation);
  const stepper = options.flag('step') ? new Stepper(io) : undefined;
  const { result, calls } = await recorded(invocation, (record) =>
    replayScenario(record, scenario, {
      runtime,
      ...(stepper === undefined ? {} : { before: (phase) => stepper.before(phase) }),
    }),
  ).finally(() => stepper?.close());
  const ok = result.length === 0;
  const value = { scenario: scenario.title, runtime, ok, failures: result, calls };
  await print(invocation, value, () =>
    ok ? `${calls.length} calls, all as expected\n` : result.map((text) => `failed: ${text}\n`).join(''),
  );
  return ok ? ExitCode.Success : ExitCode.Mismatch;
}

async function runPod(invocation: Invocation): Promise<number> {
  const { options } = invocation;
  const { workloads, images, setup } = await readPods(options);
  const wanted = options.text('workload');
  const named = workloads.filter(({ name }) => wanted === undefined || name === wanted);
  const [workload, second] = named;
  if (workload === undefined || second !== undefined) {
    const names = workloads.map(({ name }) => name).join(', ');
    throw new CommandError(ExitCode.Usage, 'an agent runs one pod: choose one workload', {
      help: [`--workload NAME, one of ${names}`],
    });
  }
  const expected = expectedCalls(workload, setup, images);
  if (options.flag('list')) {
    await print(invocation, expected.map(listed), () => expected.map(listedLine).join(''));
    return ExitCode.Success;
  }
  const { result, calls } = await recorded(invocation, (record) => replayPod(record, expected));
  const { refused, failed } = result;
  const ok = refused.length === 0;
  const value = { workload: workload.name, ...setup, ok, refused, failed, calls };
  await printReport(invocation, value, () =>
    [
      ...failed.map(
        ({ method, because, serverMessage }) =>
          `not possible here: ${method} (${because}): ${serverMessage}\n`,
      ),
      ...refused.map(
        ({ method, because, serverMessage }) => `refused: ${method} (${because}): ${serverMessage}\n`,
      ),
      ...(ok ? [`${calls.length} calls, none denied\n`] : []),
    ].join(''),
  );
  return ok ? ExitCode.Success : ExitCode.Mismatch;
}

function listed({ method, because, request }: ExpectedCall): JsonValue {
  return { method, because, request: messageToJson(findCall(method).input, request) };
}

function listedLine({ method, because }: ExpectedCall): string {
  return `${method.padEnd(31)} ${because}\n`;
}

/** Runs `work` with a call record of a connected agent, and prints each call when it is answered. */
function recorded<T>(
  invocation: Invocation,
  work: (record: ReplayedCalls) => Promise<T>,
): Promise<{ readonly result: T; readonly calls: readonly RecordedCall[] }> {
  const { io, options } = invocation;
  return withAgent(invocation, async (agent) => {
    const record = new ReplayedCalls(agent, (call) => {
      if (!options.json) io.stdout.write(line(call));
    });
    const result = await work(record);
    return { result, calls: record.calls };
  });
}

function readScenario({ operands, options, io }: Invocation): Scenario {
  const file = operands[0] ?? '';
  const text = readText(file);
  const values = new Map(options.texts('set').map(pair));
  const parsed = parseScenario(fillIn(text, file, values), file, {
    cgroupParent: options.text('cgroupParent') ?? '',
  });
  if (parsed.ok) return parsed.scenario;
  printDiagnostics(io, parsed.diagnostics);
  throw new CommandError(ExitCode.Failed, `${file} is not a scenario`);
}

function pair(option: string): readonly [string, string] {
  const split = option.indexOf('=');
  if (split > 0) return [option.slice(0, split), option.slice(split + 1)];
  throw new CommandError(ExitCode.Usage, `--set '${option}': must be NAME=VALUE`);
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(ExitCode.CannotApply, `cannot read ${file}: ${reason}`, { cause: error });
  }
}

function line({ phase, method, about, status, serverMessage }: RecordedCall): string {
  const cells = [phase.padEnd(8), method.padEnd(31), about.padEnd(24), status, serverMessage ?? ''];
  return renderTable([cells]);
}

/** Prints the next phase on standard error, and continues at the next line of standard input, or at its end. */
class Stepper {
  readonly #io: Io;
  readonly #input: Interface;
  readonly #lines: AsyncIterator<string>;

  constructor(io: Io) {
    this.#io = io;
    this.#input = createInterface({ input: io.stdin });
    this.#lines = this.#input[Symbol.asyncIterator]();
  }

  async before(phase: string): Promise<void> {
    this.#io.stderr.write(`next: ${phase}\n`);
    await this.#lines.next();
  }

  close(): void {
    this.#input.close();
  }
}
