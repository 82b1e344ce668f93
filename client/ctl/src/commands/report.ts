import { createHash } from 'node:crypto';
import { type AuditRecord, verify } from '@kata-agent/audit';
import {
  type CommandDefinition,
  CommandError,
  ExitCode,
  type Invocation,
  type Options,
  print,
  readInput,
  styleFor,
  version,
  writeOutputFile,
} from '@kata-agent/cli';
import type { Configuration } from '@kata-agent/config';
import type { Mark } from '../report/model/activity-reader.js';
import type { VerifiedEvidence, VerifiedLog } from '../report/model/proof.js';
import type { ReportModel } from '../report/model/report-model.js';
import { withLog } from './audit/records.js';
import { anchorOptions, storedHead, trustedCheckpoint } from './audit/verify.js';
import { faulty, loadFile, rootOption } from './config/load-file.js';
import {
  aboutTheCall,
  type BoundCheckpoint,
  boundCheckpoint,
  readEvidence,
} from './evidence/bound-checkpoint.js';
import { collateralOptions, parseNonce } from './evidence/inputs.js';

export const report: CommandDefinition = {
  path: 'report',
  summary: 'write a page about what a host could do, what it did, and what is proved',
  details: [
    'Writes one HTML file, without scripts, that loads nothing from a network: for people who do not use this program. It says which methods each listener and document serves and under which rules; with an audit log, who called what, what was denied and when; and for each link from configuration and log to a guest whether it is proved, failed, not proved or not given.',
    'The log is verified as audit verify does, the evidence as evidence verify does, and a log is compared with the checkpoint that the evidence binds. The nonce, the connection and the TLS key of the call that returned the evidence need not be known: without --nonce the report says that the evidence can be old.',
    'Exits with 4 if the log or the evidence does not verify, or if a start in the log had another configuration: the report is written, and says so at its beginning.',
  ],
  operands: [
    { syntax: '<config>', description: 'a configuration in TOML' },
    { syntax: '[audit]', description: 'an audit log; older segments beside it are read too' },
    { syntax: '[evidence]', description: 'a bundle that attest wrote' },
  ],
  options: [
    { flags: '--html <file>', description: 'the file to write' },
    {
      flags: '--later <file>',
      description: 'a further document, in the order of delivery; may be repeated',
      repeatable: true,
    },
    rootOption,
    ...anchorOptions,
    { flags: '--reference <file>', description: 'the reference values for the evidence: values.json' },
    ...collateralOptions,
    { flags: '--nonce <hex>', description: 'the nonce that you chose for the evidence' },
  ],
  examples: [
    {
      line: 'kata-agent-ctl report examples/minimal.toml --html report.html',
      description: 'What a host could do with this configuration.',
    },
    {
      line: 'kata-agent-ctl report config.toml audit.log bundle.json --reference values.json --html report.html',
      description: 'Also what it did, and what of it is proved.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const { io, operands, options } = invocation;
    const [file = '', auditFile, evidenceFile] = operands;
    const out = options.text('html');
    if (out === undefined)
      throw new CommandError(ExitCode.Usage, 'no file to write', { help: ['pass --html report.html'] });
    const later = options.texts('later');
    const configuration = await loaded(invocation, file, later);
    const evidence = await verifiedEvidence(options, evidenceFile, configuration);
    const log = await verifiedLog(options, auditFile, evidence?.bound);
    const { reportModel } = await import('../report/model/report-model.js');
    const model = reportModel({
      configuration,
      log,
      evidence: evidence?.verified,
      file,
      texts: textsOf(configuration, [file, ...later]),
      made: new Date().toISOString(),
      version,
    });
    const { renderReport } = await import('../report/page/page.js');
    writeOutputFile(out, renderReport(model));
    const isSound = model.findings.every(({ kind }) => kind !== 'bad');
    const style = styleFor(io.stdout, io.environment);
    await print(
      invocation,
      { ok: isSound, file: out, findings: model.findings },
      () =>
        `${out}: ${isSound ? style.green('written') : style.red('written, with failed verifications')}\n${badLines(model)}`,
    );
    return isSound ? ExitCode.Success : ExitCode.Mismatch;
  },
};

function badLines({ findings }: ReportModel): string {
  return findings
    .filter(({ kind }) => kind === 'bad')
    .map(({ text }) => `${text}\n`)
    .join('');
}

async function loaded(
  invocation: Invocation,
  file: string,
  later: readonly string[],
): Promise<Configuration> {
  const result = await loadFile(file, { later, root: invocation.options.text('root') });
  if (result.ok) return result.configuration;
  throw faulty(invocation, result.diagnostics, {
    message: `${file} cannot be loaded`,
    help: `fix the errors; kata-agent-ctl config check ${[file, ...later].join(' ')} prints them too`,
    exitCode: result.exitCode,
  });
}

/** Returns the texts of the documents that were loaded. One that cannot be read twice, such as a pipe, is left out. */
function textsOf(configuration: Configuration, files: readonly string[]): ReadonlyMap<string, string> {
  const digests = new Map(configuration.documents.map(({ file, sha256 }) => [file, sha256]));
  const texts = new Map<string, string>();
  for (const file of files) {
    if (file === '-') continue;
    const bytes = readInput(file);
    if (createHash('sha256').update(bytes).digest('hex') === digests.get(file))
      texts.set(file, new TextDecoder().decode(bytes));
  }
  return texts;
}

interface Evidence {
  readonly verified: VerifiedEvidence;
  /** Undefined: the evidence is not verified, so it binds no log. */
  readonly bound: BoundCheckpoint | undefined;
}

async function verifiedEvidence(
  options: Options,
  file: string | undefined,
  configuration: Configuration,
): Promise<Evidence | undefined> {
  const reference = options.text('reference');
  if (file === undefined && reference === undefined) return undefined;
  if (file === undefined || reference === undefined)
    throw new CommandError(ExitCode.Usage, 'evidence and --reference belong together', {
      help: ['kata-agent-ctl report config.toml audit.log bundle.json --reference values.json'],
    });
  const nonce = options.text('nonce');
  const read = await readEvidence(file, reference, options, {
    configuration: configuration.digest,
    ...(nonce === undefined ? {} : { nonce: Buffer.from(parseNonce(nonce)).toString('hex') }),
  });
  return {
    verified: { file, verification: read.verification, aboutTheCall },
    bound: boundCheckpoint(file, read),
  };
}

async function verifiedLog(
  options: Options,
  file: string | undefined,
  bound: BoundCheckpoint | undefined,
): Promise<VerifiedLog | undefined> {
  const head = storedHead(options);
  const checkpoint = trustedCheckpoint(options, bound);
  if (file === undefined) {
    if (head === undefined && checkpoint === undefined) return undefined;
    throw new CommandError(ExitCode.Usage, 'a head or a checkpoint without an audit log', {
      help: ['name the log after the configuration'],
    });
  }
  const { ActivityReader } = await import('../report/model/activity-reader.js');
  return await withLog(file, ExitCode.Mismatch, async () => {
    // Which record a checkpoint covers last is known after a first verification. All that the report says is of the one below.
    const covered =
      checkpoint === undefined ? undefined : (await verify(file, { head, checkpoint })).checkpoint;
    const marks: readonly Mark[] = [
      ...(head === undefined ? [] : [{ sequence: head.sequence, text: 'the stored head' }]),
      ...(covered?.last === undefined || covered.problem !== undefined
        ? []
        : [{ sequence: covered.last, text: 'the last record that the checkpoint covers' }]),
    ];
    const reader = new ActivityReader(marks);
    const each = (record: AuditRecord | undefined): void =>
      record === undefined ? reader.unreadable() : reader.add(record);
    const verified = await verify(file, { head, checkpoint, each });
    if (verified.checkpoint?.last !== covered?.last)
      throw new CommandError(ExitCode.Mismatch, `${file} was replaced while it was read`, {
        help: ['verify it, and run the command again'],
      });
    return { file, report: verified, head, activity: reader.activity };
  });
}
