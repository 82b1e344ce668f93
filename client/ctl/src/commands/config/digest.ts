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
  print,
  readInput,
  writeOutputFile,
} from '@kata-agent/cli';
import { namedFiles, rootOption } from './load-file.js';
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
    'Register values are those after the event of the configuration, in a register that started at zero and that nothing else extends. With [evidence], the keys of the start and a separator follow in the same registers, and differ with each start: evidence verify replays them. The configuration is not checked: use config check.',
  ],
  operands: [{ syntax: '<file>', description: 'the delivered document, or the only one' }],
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
  ],
  formats: true,
  run: async (invocation) => {
    const { operands, options } = invocation;
    const file = operands[0] ?? '';
    const document = readInput(file);
    const initdata = options.text('initdata');
    const made = options.text('algorithm') as InitdataAlgorithm;
    const before = options.texts('base').map(readInput);
    const inputs: DigestInputs = {
      document,
      before,
      files: namedFiles(before[0] ?? document, options.text('root')),
      ...(initdata === undefined
        ? envelopeOf(document, file, made)
        : givenEnvelope(initdata, document, file)),
      pcr: pcrOf(options.whole('pcr', 0, 23) ?? 0),
    };
    const out = options.text('out');
    if (out !== undefined) writeOutputFile(out, writeInitdataImage(inputs.envelope));
    const values = referenceValues(inputs);
    const lines = readyLines(inputs, values, file);
    const note = hasEvidence(before[0] ?? document) ? keysFollow : '';
    await print(invocation, { ...values, lines }, () => textOf(file, values, lines, note));
    return ExitCode.Success;
  },
};

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

type Row = readonly [name: string, value: string];

function section(title: string, rows: readonly Row[]): string {
  return `${title}\n${rows.map(([name, value]) => `  ${name.padEnd(10)}  ${value}\n`).join('')}`;
}

function line(title: string, text: string): string {
  return `${title}\n  ${text}\n`;
}
