import { readFileSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import type { JsonValue } from '@bufbuild/protobuf';
import { type ExpectedCall, expectedCalls } from '@kata-agent/analysis';
import { findCall } from '../calls/calls.js';
import { messageToJson } from '../calls/json.js';
import type { CommandDefinition, Invocation } from '../cli/definition.js';
import type { Io } from '../cli/io.js';
import { CommandError } from '../command-error.js';
import { withAgent } from '../connection/with-agent.js';
import { ExitCode } from '../exit-code.js';
import { print } from '../output/print.js';
import { renderTable } from '../output/table.js';
import { printDiagnostics } from './config/diagnostics.js';
import { podOptions, readPods } from './config/pod-files.js';
import { parseScenario } from '../replay/parse-scenario.js';
import { CallRecord, type RecordedCall } from '../replay/call-record.js';
import { replayPod } from '../replay/replay-pod.js';
import { replayScenario } from '../replay/replay-scenario.js';
import type { Scenario } from '../replay/scenario.js';
import { fillIn } from '../replay/scenario-text.js';

export const replay: CommandDefinition = {
  path: 'replay',
  summary: 'make the calls of a runtime for a pod, in its order, and see whether all comes as it should',
  details: [
    'A scenario describes a pod, what is done to it, and what has to come of that, in YAML; examples/scenarios has some. The calls are those of one of Kata’s runtimes, in the order in which it makes them.',
    'With --pod, the calls are those that a pod’s own description foretells, for a cluster that is not there: identifiers and addresses are samples, and only refusals count. It proves a configuration on an agent, as config check --pod does on paper.',
    'Ends with 4 when something does not come as the scenario says, or a call of the pod is refused. What was made in the guest is removed in any case.',
  ],
  operands: [{ syntax: '[scenario]', says: 'a file in YAML' }],
  options: [
    ...podOptions,
    { flags: '--workload <name>', says: 'of the workloads in the files, the one to replay' },
    {
      flags: '--set <name=value>',
      says: "a value for one of the scenario's variables; may be given several times",
      repeatable: true,
    },
    {
      flags: '--cgroup-parent <path>',
      says: 'the cgroup of the guest that holds those of the containers',
      fallback: '/kata-replay',
    },
    {
      flags: '--list',
      says: 'with --pod: print the calls, with --format json their requests too, and make none',
    },
    { flags: '--step', says: 'wait for a line on standard input before each phase' },
  ],
  examples: [
    {
      line: 'kata-agent-ctl replay examples/scenarios/shared-namespaces.yaml --set rootfs=/rootfs -a unix:///run/agent.sock',
      says: 'A pod of three containers, from its sandbox to its end.',
    },
    {
      line: 'kata-agent-ctl replay --pod pod.yaml --runtime go -a unix:///run/agent.sock',
      says: 'Whether an agent with its configuration serves all that this pod needs.',
    },
  ],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const { operands, options } = invocation;
    const ofPod = options.texts('pod').length > 0;
    if (ofPod === operands.length > 0) {
      throw new CommandError(ExitCode.Usage, 'it has to be either a scenario or a pod', {
        help: ['kata-agent-ctl replay SCENARIO.yaml, or kata-agent-ctl replay --pod POD.yaml'],
      });
    }
    return ofPod ? runPod(invocation) : runScenario(invocation);
  },
};

async function runScenario(invocation: Invocation): Promise<number> {
  const { io, options } = invocation;
  const runtime = options.text('runtime') === 'go' ? 'go' : 'rs';
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
    ok
      ? `${calls.length} calls, all as they should be\n`
      : result.map((text) => `not so: ${text}\n`).join(''),
  );
  return ok ? ExitCode.Fine : ExitCode.Mismatch;
}

async function runPod(invocation: Invocation): Promise<number> {
  const { options } = invocation;
  const { workloads, images, setup } = readPods(options);
  const wanted = options.text('workload');
  const named = workloads.filter(({ name }) => wanted === undefined || name === wanted);
  const [workload, second] = named;
  if (workload === undefined || second !== undefined) {
    const names = workloads.map(({ name }) => name).join(', ');
    throw new CommandError(ExitCode.Usage, 'an agent runs one pod, so one workload has to be named', {
      help: [`--workload NAME, one of ${names}`],
    });
  }
  const expected = expectedCalls(workload, setup, images);
  if (options.flag('list')) {
    await print(invocation, expected.map(listed), () => expected.map(listedLine).join(''));
    return ExitCode.Fine;
  }
  const { result, calls } = await recorded(invocation, (record) => replayPod(record, expected));
  const { refused, failed } = result;
  const ok = refused.length === 0;
  const value = { workload: workload.name, ...setup, ok, refused, failed, calls };
  await print(invocation, value, () =>
    [
      ...failed.map(
        ({ method, because, said }) => `could not be done here: ${method} (${because}): ${said}\n`,
      ),
      ...refused.map(({ method, because, said }) => `refused: ${method} (${because}): ${said}\n`),
      ...(ok ? [`${calls.length} calls, none refused\n`] : []),
    ].join(''),
  );
  return ok ? ExitCode.Fine : ExitCode.Mismatch;
}

function listed({ method, because, request }: ExpectedCall): JsonValue {
  return { method, because, request: messageToJson(findCall(method).input, request) };
}

function listedLine({ method, because }: ExpectedCall): string {
  return `${method.padEnd(31)} ${because}\n`;
}

/** Calls an agent, and prints each call as it is answered. */
function recorded<T>(
  invocation: Invocation,
  work: (record: CallRecord) => Promise<T>,
): Promise<{ readonly result: T; readonly calls: readonly RecordedCall[] }> {
  const { io, options } = invocation;
  return withAgent(invocation, async (agent) => {
    const record = new CallRecord(agent, (call) => {
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
  throw new CommandError(ExitCode.Failed, `${file} is no scenario`);
}

function pair(option: string): readonly [string, string] {
  const split = option.indexOf('=');
  if (split > 0) return [option.slice(0, split), option.slice(split + 1)];
  throw new CommandError(ExitCode.Usage, `--set '${option}': it has to be NAME=VALUE`);
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(ExitCode.CannotApply, `cannot read ${file}: ${reason}`, { cause: error });
  }
}

function line({ phase, method, about, status, said }: RecordedCall): string {
  const cells = [phase.padEnd(8), method.padEnd(31), about.padEnd(24), status, said ?? ''];
  return renderTable([cells]);
}

/** Says what comes next on standard error, and goes on with the next line of standard input, or its end. */
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
