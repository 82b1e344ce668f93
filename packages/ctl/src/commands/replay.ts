import { readFileSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import type { CommandDefinition, Invocation } from '../cli/definition.js';
import type { Io } from '../cli/io.js';
import { CommandError } from '../command-error.js';
import { withAgent } from '../connection/with-agent.js';
import { ExitCode } from '../exit-code.js';
import { print } from '../output/print.js';
import { renderTable } from '../output/table.js';
import { printDiagnostics } from './config/diagnostics.js';
import { parseScenario } from '../replay/parse-scenario.js';
import { CallRecord, type RecordedCall } from '../replay/call-record.js';
import { replayScenario } from '../replay/replay-scenario.js';
import type { Scenario } from '../replay/scenario.js';
import { fillIn } from '../replay/scenario-text.js';

export const replay: CommandDefinition = {
  path: 'replay',
  summary: 'make the calls of a runtime for a pod, in its order, and see whether all comes as it should',
  details: [
    'A scenario describes a pod, what is done to it, and what has to come of that, in YAML; examples/scenarios has some. The calls are those of one of Kata’s runtimes, in the order in which it makes them.',
    'Ends with 4 when something does not come as the scenario says. What was made in the guest is removed in any case.',
  ],
  operands: [{ syntax: '<scenario>', says: 'a file in YAML' }],
  options: [
    {
      flags: '--runtime <name>',
      says: "which of Kata's runtimes calls: the one in Go, or runtime-rs",
      choices: ['go', 'rs'],
      fallback: 'rs',
    },
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
    { flags: '--step', says: 'wait for a line on standard input before each phase' },
  ],
  examples: [
    {
      line: 'kata-agent-ctl replay examples/scenarios/shared-namespaces.yaml --set rootfs=/rootfs -a unix:///run/agent.sock',
      says: 'A pod of three containers, from its sandbox to its end.',
    },
  ],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const { io, options } = invocation;
    const runtime = options.text('runtime') === 'go' ? 'go' : 'rs';
    const scenario = readScenario(invocation);
    const stepper = options.flag('step') ? new Stepper(io) : undefined;
    const { failures, calls } = await withAgent(invocation, async (agent) => {
      const record = new CallRecord(agent, (call) => {
        if (!options.json) io.stdout.write(line(call));
      });
      const failed = await replayScenario(record, scenario, {
        runtime,
        ...(stepper === undefined ? {} : { before: (phase) => stepper.before(phase) }),
      });
      return { failures: failed, calls: record.calls };
    }).finally(() => stepper?.close());
    const ok = failures.length === 0;
    const value = { scenario: scenario.title, runtime, ok, failures, calls };
    await print(invocation, value, () =>
      ok
        ? `${calls.length} calls, all as they should be\n`
        : failures.map((text) => `not so: ${text}\n`).join(''),
    );
    return ok ? ExitCode.Fine : ExitCode.Mismatch;
  },
};

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
