import { writeFileSync } from 'node:fs';
import {
  type InitdataAlgorithm,
  initdataKey,
  parseInitdata,
  renderDiagnostic,
  settings,
  writeInitdata,
  writeInitdataImage,
} from '@kata-agent/config';
import type { CommandDefinition } from '../../cli/definition.js';
import { CommandError } from '../../command-error.js';
import { ExitCode } from '../../exit-code.js';
import { print } from '../../output/print.js';
import { readInput } from '../../input/read-input.js';
import { reasonOf } from '../../input/reason-of.js';
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
  settings.find(({ section, key }) => section === 'measurement' && key === 'pcr')?.default,
);

export const configDigest: CommandDefinition = {
  path: 'config digest',
  summary: 'print the digests of a configuration, and the lines that deliver and bind it',
  details: [
    'Prints the digests of the file, of the initdata that carries it, and of the whole configuration; what a register holds once it was measured; and the lines for a kernel command line, fw_cfg, HOSTDATA, MRCONFIGID and a pod’s annotation. At the end, or alone with --format json, reference values for a verifier.',
    'What a register holds is foretold for one that was all zeros and that nobody else extends. Whether the configuration is right is not looked at: config check does that.',
  ],
  operands: [{ syntax: '<file>', says: 'the document that is delivered, or the only one' }],
  options: [
    {
      flags: '--base <file>',
      says: 'a document that comes before it: the base first; may be repeated',
      repeatable: true,
    },
    { flags: '--initdata <file>', says: `initdata of yours that holds the file under "${initdataKey}"` },
    {
      flags: '--algorithm <name>',
      says: 'of the initdata that is made',
      choices: algorithms,
      fallback: 'sha-256',
    },
    { flags: '--pcr <number>', says: 'the register of the TPM, as in [measurement]', fallback: defaultPcr },
    { flags: '--out <image>', says: 'write the initdata as an image for a block device' },
  ],
  examples: [
    {
      line: 'kata-agent-ctl config digest examples/minimal.toml',
      says: 'Every digest, and the lines to copy.',
    },
    {
      line: 'kata-agent-ctl config digest narrow.toml --base base.toml --out initdata.img',
      says: 'What base.toml and narrow.toml are measured as together, and the disk that delivers narrow.toml.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const { operands, options } = invocation;
    const file = operands[0] ?? '';
    const document = readInput(file);
    const initdata = options.text('initdata');
    const made = options.text('algorithm') as InitdataAlgorithm;
    const inputs: DigestInputs = {
      document,
      before: options.texts('base').map(readInput),
      ...(initdata === undefined
        ? envelopeOf(document, file, made)
        : givenEnvelope(initdata, document, file)),
      pcr: pcrOf(options.whole('pcr', 0, 23) ?? 0),
    };
    const out = options.text('out');
    if (out !== undefined) write(out, writeInitdataImage(inputs.envelope));
    const values = referenceValues(inputs);
    const lines = readyLines(inputs, values, file);
    await print(invocation, { ...values, lines }, () => textOf(file, values, lines));
    return ExitCode.Fine;
  },
};

/** Registers 17 to 22 begin with ones and take extends from other localities only (TCG PC Client Platform TPM Profile). */
function pcrOf(pcr: number): number {
  if (pcr < 17 || pcr > 22) return pcr;
  const message = `PCR ${pcr} belongs to the dynamic root of trust: a TPM refuses it to an agent`;
  throw new CommandError(ExitCode.Usage, message, { help: ['Take one from 8 to 15, or 23.'] });
}

type Envelope = Pick<DigestInputs, 'envelope' | 'algorithm'>;

function envelopeOf(document: Uint8Array, file: string, algorithm: InitdataAlgorithm): Envelope {
  try {
    return { envelope: writeInitdata(document, algorithm), algorithm };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new CommandError(ExitCode.Failed, `${file} is not UTF-8: no agent takes it`, { cause: error });
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
  if (parsed.document !== undefined && Buffer.compare(parsed.document, document) === 0) {
    return { envelope, algorithm: parsed.algorithm };
  }
  const found = parsed.document === undefined ? 'has nothing' : 'has another document';
  throw new CommandError(
    ExitCode.Mismatch,
    `${path} ${found} under "${initdataKey}" in [data], not ${file}`,
    {
      help: [`Put the text of ${file} there, or leave --initdata out to have one made.`],
    },
  );
}

function write(path: string, bytes: Uint8Array): void {
  try {
    writeFileSync(path, bytes);
  } catch (error) {
    throw new CommandError(ExitCode.CannotApply, `cannot write ${path}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

function textOf(file: string, values: ReferenceValues, lines: ReadyLines): string {
  const { document, initdata, configuration } = values;
  return [
    section(`document ${file}`, [
      ['sha256', document.sha256],
      ['sha384', document.sha384],
      ['sha512', document.sha512],
      ['pin', lines.pin],
    ]),
    section('initdata that carries it', [
      ['sha256', initdata.sha256],
      ['HOSTDATA', initdata.hostdata],
      ['MRCONFIGID', initdata.mrconfigid],
      ['pin', lines.initdataPin],
    ]),
    section('configuration', configurationRows(configuration.asIs)),
    section('configuration, when it comes as initdata', configurationRows(configuration.asInitdata)),
    line('kernel command line, measured', lines.kernelLineTooLong ?? lines.kernelLine),
    line('QEMU, fw_cfg', lines.fwCfg),
    line('QEMU, an SNP guest that is given the initdata', lines.snp),
    line('QEMU, a TDX guest that is given the initdata', lines.tdx),
    line('annotation of a pod', lines.annotation),
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
