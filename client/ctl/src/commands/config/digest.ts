import {
  hasEvidence,
  type InitdataAlgorithm,
  initdataKey,
  parseInitdata,
  renderDiagnostic,
  settings,
  writeInitdata,
  writeInitdataImage,
} from '@kata-agent/config';
import {
  type CommandDefinition,
  CommandError,
  ExitCode,
  type Invocation,
  print,
  readInput,
  writeOutputFile,
} from '@kata-agent/cli';
import { programName } from '../../program-name.js';
import { findDocuments, type FoundDocument, type Unread } from './digest-documents.js';
import { faulty, loadText, namedFiles, rootOption } from './load-file.js';
import {
  type ConfigurationValues,
  type DigestInputs,
  type ReadyLines,
  readyLines,
  type ReferenceValues,
  referenceValues,
} from './digests.js';

const algorithms: readonly InitdataAlgorithm[] = ['sha-256', 'sha-384', 'sha-512'];
const defaultPcr = String(
  Number(settings.find(({ section, key }) => section === 'measurement' && key === 'pcr')?.default),
);

export const configDigest: CommandDefinition = {
  path: 'config digest',
  summary: 'print the digests of a configuration, and the lines to deliver and bind it',
  details: [
    'Prints the digests of the file, of the initdata that carries it, and of the whole configuration; the register value after measurement; and the lines for the kernel command line, fw_cfg, HOSTDATA, MRCONFIGID and a pod’s annotation. Ends with reference values for a verifier; --format json prints only those.',
    'Of a directory, of several files, of initdata and of Kubernetes objects with initdata it prints one entry for each document, with its digests and register values, each with the documents of --base before it. A document that does not load is an error, and the others are printed nevertheless.',
    'Register values are those after the event of the configuration, in a register that started at zero and that nothing else extends. With [evidence], the keys of the start and a separator follow in the same registers, and differ with each start: evidence verify replays them.',
  ],
  operands: [
    {
      syntax: '<path...>',
      description: 'the delivered document, or the only one; or files and directories with several',
    },
  ],
  options: [
    {
      flags: '--base <file>',
      description: 'a document before it, the base document first; may be repeated',
      repeatable: true,
    },
    {
      flags: '--initdata <file>',
      description: `your own initdata, which has the file under "${initdataKey}"`,
    },
    {
      flags: '--algorithm <name>',
      description: 'digest algorithm of the generated initdata',
      choices: algorithms,
      fallback: 'sha-256',
    },
    rootOption,
    { flags: '--pcr <number>', description: 'the TPM register, as in [measurement]', fallback: defaultPcr },
    { flags: '--out <image>', description: 'write the initdata as a block device image' },
  ],
  examples: [
    {
      line: 'kata-agent-ctl config digest examples/minimal.toml',
      description: 'Prints all digests and the lines to copy.',
    },
    {
      line: 'kata-agent-ctl config digest narrow.toml --base base.toml --out initdata.img',
      description:
        'The measurement of base.toml with narrow.toml, and a disk image that delivers narrow.toml.',
    },
    {
      line: 'kata-agent-ctl config digest manifests --base base.toml --format json',
      description: 'The register values of each annotated pod of a directory, after base.toml.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const { operands, options } = invocation;
    const shared: SharedInputs = {
      pcr: pcrOf(options.whole('pcr', 0, 23) ?? 0),
      // Read once: a path can be a pipe.
      before: options.texts('base').map((name) => ({ name, bytes: readInput(name) })),
    };
    const found = findDocuments(operands, options.texts('base'));
    const [first, ...others] = found;
    const isOne = others.length === 0 && operands[0] === first?.file;
    if (isOne && first !== undefined && (!('kind' in first) || first.kind === 'document')) {
      if (!('kind' in first)) throw first.error;
      return digestOne(first, shared, invocation);
    }
    for (const [name, flag] of [
      ['initdata', '--initdata'],
      ['out', '--out'],
    ] as const)
      if (options.text(name) !== undefined)
        throw new CommandError(ExitCode.Usage, `${flag} is of one document`, {
          help: ['pass the file of one document'],
        });
    return digestAll(found, shared, invocation);
  },
};

/** What all documents of an invocation have. */
interface SharedInputs {
  readonly pcr: number;
  /** The documents of `--base`. */
  readonly before: readonly { readonly name: string; readonly bytes: Uint8Array }[];
}

async function digestOne(
  found: FoundDocument,
  shared: SharedInputs,
  invocation: Invocation,
): Promise<ExitCode> {
  const { options } = invocation;
  const { file } = found;
  const inputs = await inputsOf(found, shared, invocation);
  const out = options.text('out');
  if (out !== undefined) writeOutputFile(out, writeInitdataImage(inputs.envelope));
  const values = referenceValues(inputs);
  const lines = readyLines(inputs, values, file);
  const note = hasEvidence(inputs.before[0] ?? inputs.document) ? keysFollow : '';
  await print(invocation, { ...values, lines }, () => textOf(file, values, lines, note));
  return ExitCode.Success;
}

/** Prints the values of each document, and after them what is wrong with the others. */
async function digestAll(
  found: readonly (FoundDocument | Unread)[],
  shared: SharedInputs,
  invocation: Invocation,
): Promise<ExitCode> {
  const { io, options } = invocation;
  const isDelivered = found.some((each) => 'initdata' in each);
  if (isDelivered && shared.before.length === 0 && !options.json)
    io.stderr.write(
      `${programName}: note: without --base, register values are of the initdata alone, without the base document of the image\n`,
    );
  const results: (DocumentValues | Unread)[] = [];
  for (const each of found) results.push('error' in each ? each : await valuesOf(each, shared, invocation));
  const read = results.flatMap((each) => ('error' in each ? [] : [each]));
  await print(
    invocation,
    results.map((each) => ('error' in each ? errorValue(each) : entryValue(each))),
    () => read.map(entryText).join('\n'),
  );
  const errors = results.flatMap((each) => ('error' in each ? [each.error] : []));
  const [error, ...others] = errors;
  if (error === undefined) return ExitCode.Success;
  if (others.length === 0) throw error;
  throw new CommandError(
    others.every(({ exitCode }) => exitCode === error.exitCode) ? error.exitCode : ExitCode.Failed,
    `${errors.length} of ${found.length} documents have no digest`,
    {
      help: errors.map(({ message }) => message),
      diagnostics: errors.flatMap((each) => each.diagnostics ?? []),
    },
  );
}

interface DocumentValues {
  readonly found: FoundDocument;
  readonly values: ReferenceValues;
  readonly note: string;
}

async function valuesOf(
  found: FoundDocument,
  shared: SharedInputs,
  invocation: Invocation,
): Promise<DocumentValues | Unread> {
  const { file, title } = found;
  try {
    const inputs = await inputsOf(found, shared, invocation);
    const note = hasEvidence(inputs.before[0] ?? inputs.document) ? keysFollow : '';
    return { found, values: referenceValues(inputs), note };
  } catch (error) {
    if (error instanceof CommandError) return { file, title, error };
    throw error;
  }
}

/** Rejects with a CommandError for a document that an agent would not load after the documents of `--base`. */
async function inputsOf(
  found: FoundDocument,
  shared: SharedInputs,
  invocation: Invocation,
): Promise<DigestInputs> {
  const { options } = invocation;
  const { bytes: document, file } = found;
  const initdata = options.text('initdata');
  const made = options.text('algorithm') as InitdataAlgorithm;
  const before = shared.before.map(({ bytes }) => bytes);
  const envelope =
    initdata === undefined
      ? (found.initdata ?? envelopeOf(document, file, made))
      : givenEnvelope(initdata, document, file);
  await refuseInvalid(found, shared, invocation);
  return {
    document,
    before,
    files: namedFiles(before[0] ?? document, options.text('root')),
    envelope: envelope.envelope,
    algorithm: envelope.algorithm,
    pcr: shared.pcr,
  };
}

async function refuseInvalid(
  { bytes, title }: FoundDocument,
  { before }: SharedInputs,
  invocation: Invocation,
): Promise<void> {
  const own = { name: title, bytes };
  const [base, ...delivered] = [...before, own].map(({ name, bytes: content }) => ({
    name,
    text: Buffer.from(content).toString('utf8'),
  }));
  const loaded = await loadText(base?.name ?? title, base?.text ?? '', {
    delivered,
    root: invocation.options.text('root'),
  });
  if (loaded.ok) return;
  throw faulty(invocation, loaded.diagnostics, {
    message: `${title} does not load${before.map(({ name }) => ` after ${name}`).join('')}`,
    help: 'fix the errors: an agent would not start with it',
    exitCode: loaded.exitCode,
  });
}

function entryValue({ found: { kind, file, title }, values }: DocumentValues): object {
  const { asIs, asInitdata } = values.configuration;
  // A document of initdata is measured by its envelope.
  const configuration = kind === 'document' ? { asIs, asInitdata } : { asInitdata };
  return { kind, file, title, ...values, configuration };
}

function errorValue({ file, title, error: { message, help, diagnostics } }: Unread): object {
  return { file, title, error: { message, help, diagnostics } };
}

function entryText({ found: { kind, title }, values, note }: DocumentValues): string {
  const { document, initdata, configuration } = values;
  return [
    section(title, [
      ['document', `sha256:${document.sha256}`],
      ['HOSTDATA', initdata.hostdata],
      ['MRCONFIGID', initdata.mrconfigid],
    ]),
    ...(kind === 'document'
      ? [indented(section('configuration', configurationRows(configuration.asIs)))]
      : []),
    indented(section('configuration, delivered as initdata', configurationRows(configuration.asInitdata))),
    note,
  ].join('');
}

/**
 * Registers 17 to 22 start with all ones and accept extends only from other localities (TCG PC Client Platform TPM
 * Profile).
 */
function pcrOf(pcr: number): number {
  if (pcr < 17 || pcr > 22) return pcr;
  const message = `PCR ${pcr} belongs to the dynamic root of trust: a TPM does not let an agent extend it`;
  throw new CommandError(ExitCode.Usage, message, { help: ['use a PCR from 8 to 15, or 23'] });
}

type Envelope = Pick<DigestInputs, 'envelope' | 'algorithm'>;

function envelopeOf(document: Uint8Array, file: string, algorithm: InitdataAlgorithm): Envelope {
  try {
    return { envelope: writeInitdata(document, algorithm), algorithm };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new CommandError(ExitCode.Failed, `${file} is not UTF-8: an agent would not load it`, {
      cause: error,
    });
  }
}

function givenEnvelope(path: string, document: Uint8Array, file: string): Envelope {
  const envelope = readInput(path);
  const parsed = parseInitdata(envelope, path);
  if (!parsed.ok) {
    throw new CommandError(
      ExitCode.Failed,
      parsed.diagnostics.map((one) => renderDiagnostic(one)).join('\n'),
    );
  }
  const found = parsed.files.get(initdataKey);
  if (found !== undefined && Buffer.compare(Buffer.from(found), document) === 0) {
    return { envelope, algorithm: parsed.algorithm };
  }
  throw new CommandError(
    ExitCode.Mismatch,
    `${path} ${found === undefined ? 'has no document' : 'has a different document'} under "${initdataKey}" in [data]; expected ${file}`,
    {
      help: [`put the text of ${file} there, or omit --initdata to generate one`],
    },
  );
}

const keysFollow =
  'with [evidence], the registers have these values before the keys of each start follow: use evidence verify\n';

function textOf(file: string, values: ReferenceValues, lines: ReadyLines, note: string): string {
  const { document, initdata, configuration } = values;
  return [
    section(`document ${file}`, [
      ['sha256', document.sha256],
      ['sha384', document.sha384],
      ['sha512', document.sha512],
      ['pin', lines.pin],
    ]),
    section('initdata with the document', [
      ['sha256', initdata.sha256],
      ['HOSTDATA', initdata.hostdata],
      ['MRCONFIGID', initdata.mrconfigid],
      ['pin', lines.initdataPin],
    ]),
    section('configuration', configurationRows(configuration.asIs)),
    section('configuration, delivered as initdata', configurationRows(configuration.asInitdata)) + note,
    line('kernel command line, measured', lines.kernelCommandLineTooLong ?? lines.kernelCommandLine),
    line('QEMU, fw_cfg', lines.fwCfg),
    line('QEMU, SNP guest with the initdata', lines.snp),
    line('QEMU, TDX guest with the initdata', lines.tdx),
    line('pod annotation', lines.annotation),
    line('reference values', JSON.stringify(values)),
  ].join('\n');
}

function configurationRows({ digest, measured, pcr, rtmr3 }: ConfigurationValues): readonly Row[] {
  return [
    ['digest', `sha256:${digest}`],
    ['measured', `sha256:${measured.sha256}`],
    [`PCR ${pcr.index}`, `sha256:${pcr.sha256}`],
    [`PCR ${pcr.index}`, `sha384:${pcr.sha384}`],
    ['RTMR 3', `sha384:${rtmr3.sha384}`],
  ];
}

function indented(text: string): string {
  return text.replace(/^(?=.)/gm, '  ');
}

type Row = readonly [name: string, value: string];

function section(title: string, rows: readonly Row[]): string {
  return `${title}\n${rows.map(([name, value]) => `  ${name.padEnd(10)}  ${value}\n`).join('')}`;
}

function line(title: string, text: string): string {
  return `${title}\n  ${text}\n`;
}
