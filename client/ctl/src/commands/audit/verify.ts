import {
  type CheckedCheckpoint,
  formatHead,
  head as readHead,
  parseHead,
  type Position,
  type Problem,
  type TrustedCheckpoint,
  verify,
  type VerifyReport,
} from '@kata-agent/audit';
import {
  type CommandDefinition,
  CommandError,
  ExitCode,
  keyOptions,
  type OptionRow,
  type Options,
  print,
  printReport,
  readCheckpoint,
  type Style,
  styleFor,
  trustedKeys,
  trustText,
} from '@kata-agent/cli';
import { type BoundCheckpoint, boundCheckpoint, readEvidence } from '../evidence/bound-checkpoint.js';
import { collateralOptions } from '../evidence/inputs.js';
import { logOperand, withLog } from './records.js';

/** The options of `readBoundCheckpoint`. */
const evidenceOptions: readonly OptionRow[] = [
  {
    flags: '--evidence <file>',
    description:
      'a bundle of attest, which binds the log’s key and a tree; without --checkpoint, its checkpoint',
  },
  { flags: '--reference <file>', description: 'the reference values for the evidence: values.json' },
  ...collateralOptions,
];

/** The options of `storedHead` and `trustedCheckpoint`. */
export const anchorOptions: readonly OptionRow[] = [
  {
    flags: '--head <sequence:hash>',
    description:
      'a head that audit head printed earlier; the log must contain it, and have rotated before it',
  },
  {
    flags: '--checkpoint <file>',
    description: 'a checkpoint that audit checkpoint printed; the log must have its records',
  },
  ...keyOptions,
];

export const auditVerify: CommandDefinition = {
  path: 'audit verify',
  summary: 'verify the hash chain of an audit log',
  details: [
    'Detects changed bytes and records that were removed, added or reordered. With --head, it also detects a truncated or rewritten log. The log can be in use. Exits with 4 if verification fails, or if the log is missing or empty. With --checkpoint, the records of its start of the agent must be exactly those of a checkpoint, up to its last one and as far as rotation has left them, and the checkpoint must be worth something: bound by evidence, cosigned by witnesses, or signed by a key that you know. Evidence binds a log to the guest that signed it, and not to the one to which a key broker gave a secret: that a guest asked for a sealed secret is in its own log alone. What only a record after the head or the checkpoint explains is a failure too: that rotation removed records, and which ones it kept. Without --head or --checkpoint, success means only that the records are consistent with each other: a writer of the file could have replaced all of it.',
  ],
  operands: [logOperand],
  options: [...anchorOptions, ...evidenceOptions],
  examples: [
    {
      line: 'kata-agent-ctl audit verify /run/kata-agent/audit.log --head "$(cat head)"',
      description: 'Verifies the log against a stored head.',
    },
    {
      line: 'kata-agent-ctl audit verify audit.log --checkpoint checkpoint --key "$(cat log.key)"',
      description: 'Verifies a copy of the log against a checkpoint of a known key.',
    },
    {
      line: 'kata-agent-ctl audit verify audit.log --evidence bundle.json --reference values.json',
      description: 'Verifies a copy of the log by evidence of the agent that wrote it.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const file = invocation.operands[0] ?? '';
    const head = storedHead(invocation.options);
    const checkpoint = trustedCheckpoint(invocation.options, await readBoundCheckpoint(invocation.options));
    const report = await withLog(file, ExitCode.Mismatch, () => verify(file, { head, checkpoint }));
    const isAnchored = head !== undefined || checkpoint !== undefined;
    const style = styleFor(invocation.io.stdout, invocation.io.environment);
    await printReport(invocation, report, () => reportText(report, isAnchored, style));
    return report.ok ? ExitCode.Success : ExitCode.Mismatch;
  },
};

/** Returns the head of `--head`. Throws a CommandError. */
export function storedHead(options: Options): Position | undefined {
  const text = options.text('head');
  if (text === undefined) return undefined;
  const head = parseHead(text.trim());
  if (head !== undefined) return head;
  throw new CommandError(ExitCode.Usage, `--head '${text}': must be a sequence number, a colon and a hash`, {
    help: ['pass the output of kata-agent-ctl audit head'],
  });
}

/** Returns the checkpoint of `--checkpoint`, or the one that evidence binds, with the keys to trust. Throws a CommandError. */
export function trustedCheckpoint(
  options: Options,
  bound: BoundCheckpoint | undefined,
): TrustedCheckpoint | undefined {
  const keys = trustedKeys(options);
  const path = options.text('checkpoint');
  if (bound !== undefined) {
    if (keys.key !== undefined && keys.key.toString() !== bound.key?.toString())
      throw new CommandError(ExitCode.Mismatch, '--key is not the key of the log that the evidence binds');
    return { ...keys, ...bound, ...(path === undefined ? {} : { checkpoint: readCheckpoint(path) }) };
  }
  if (path !== undefined) return { checkpoint: readCheckpoint(path), ...keys };
  if (keys.key === undefined && keys.witnesses.length === 0) return undefined;
  throw new CommandError(ExitCode.Usage, '--key and --witness are of a checkpoint: give --checkpoint');
}

function reportText(report: VerifyReport, anchored: boolean, style: Style): string {
  const range = report.first === undefined ? '' : `, ${report.first} to ${report.last ?? report.first}`;
  const segments = report.segments.length === 1 ? '1 segment' : `${report.segments.length} segments`;
  const lines = [
    `${report.ok ? style.green('ok') : style.red('not ok')}: ${report.records} records${range}, in ${segments}`,
  ];
  if (report.removed > 0)
    lines.push(`records 1 to ${report.removed} were removed by rotation; ${report.kept} of them were kept`);
  if (report.unfinishedBytes > 0)
    lines.push(`the last line is incomplete (${report.unfinishedBytes} bytes): it is being written`);
  for (const problem of report.problems) lines.push(style.red(problemText(problem)));
  if (report.unlisted > 0) lines.push(`and ${report.unlisted} more problems`);
  lines.push(...checkpointLines(report.checkpoint, style));
  lines.push(`head: ${formatHead(report.head)}`);
  if (report.ok && !anchored) {
    lines.push('without --head or --checkpoint, a truncated or rewritten log is not detected');
  }
  return lines.map((line) => `${line}\n`).join('');
}

function checkpointLines(checked: CheckedCheckpoint | undefined, style: Style): readonly string[] {
  if (checked === undefined) return [];
  const { origin, size, last, removed, witnesses, trust, problem } = checked;
  const gone = removed === 0 ? '' : `, of which ${removed} were removed by rotation`;
  const range = last === undefined ? '' : `, to record ${last}${gone}`;
  const worth = trust === undefined ? '' : `: ${trustText(trust)}`;
  return [
    `checkpoint of ${origin}: ${size} records${range}${worth}`,
    ...(trust?.kind === 'evidence' && problem === undefined ? [notBound] : []),
    ...witnesses.map(({ name, time }) => `cosigned by ${name} at ${timeText(time)}`),
    ...(problem === undefined ? [] : [style.red(`checkpoint: ${problem}`)]),
  ];
}

/** Identical guests have the same measurements, and a key broker decides by these. */
const notBound =
  'not bound: that a key broker gave its secrets to this guest alone; what this guest asked for is in its records';

/** A witness can state any time, also one out of the range of a Date. */
function timeText(seconds: number): string {
  const time = new Date(seconds * 1_000);
  return Number.isNaN(time.getTime()) ? `${seconds} seconds after 1970` : time.toISOString();
}

function problemText({ segment, line, sequence, what }: Problem): string {
  const place = segment === undefined ? '' : `${segment}${line === undefined ? '' : `:${line}`}: `;
  return `${place}${sequence === undefined ? '' : `record ${sequence}: `}${what}`;
}

/**
 * Verifies the evidence of `--evidence`, and returns its checkpoint with the key and the tree that it binds. Undefined: the option
 * is not given. Throws a CommandError, with the link that broke.
 */
async function readBoundCheckpoint(options: Options): Promise<BoundCheckpoint | undefined> {
  const path = options.text('evidence');
  const reference = options.text('reference');
  if (path === undefined && reference === undefined) return undefined;
  if (path === undefined || reference === undefined)
    throw new CommandError(ExitCode.Usage, '--evidence and --reference belong together', {
      help: ['pass --evidence bundle.json --reference values.json; docs/evidence.md has both forms'],
    });
  const evidence = await readEvidence(path, reference, options);
  const bound = boundCheckpoint(path, evidence);
  if (bound === undefined)
    throw new CommandError(ExitCode.Mismatch, `${path}: ${evidence.verification.result}`, {
      help: [`kata-agent-ctl evidence verify ${path} --reference ${reference} prints each link`],
    });
  return bound;
}

export const auditHead: CommandDefinition = {
  path: 'audit head',
  summary: 'print the head of an audit log, to be stored elsewhere',
  details: [
    'Prints the sequence number and hash of the last record. Store the head where the writer of the log cannot change it. audit verify --head then detects a truncated or rewritten log. Store a newer one when the log rotates: what a record after the head says about removed records is not believed.',
  ],
  operands: [logOperand],
  examples: [
    {
      line: 'kata-agent-ctl audit head /run/kata-agent/audit.log > head',
      description: 'Stores the head in a file.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const file = invocation.operands[0] ?? '';
    const position = await withLog(file, ExitCode.CannotApply, () => readHead(file));
    await print(invocation, position, () => `${formatHead(position)}\n`);
    return ExitCode.Success;
  },
};
