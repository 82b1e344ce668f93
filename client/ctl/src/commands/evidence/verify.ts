import { createHash } from 'node:crypto';
import { configurationDigest } from '@kata-agent/config';
import {
  type CommandDefinition,
  CommandError,
  ExitCode,
  type Invocation,
  printReport,
  readInput,
  readReference,
  type Style,
  styleFor,
  withEvidence,
} from '@kata-agent/cli';
import { namedFiles, rootOption } from '../config/load-file.js';
import { findOneInitdata, launchValues } from '../annotate/found-initdata.js';
import type { PodInitdata } from '../annotate/pod-initdata.js';
import { collateralOptions, parseNonce, readCollateral } from './inputs.js';

export const evidenceVerify: CommandDefinition = {
  path: 'evidence verify',
  summary: 'verify a bundle that attest wrote, offline',
  details: [
    'Checks in this order: the signature of the hardware and where its key comes from; the measurements of the boot against the values file; the event logs; and only then what the claims say. Each link is ok, failed or not checked. Exits with 4 unless each is ok, or is not checked and waived by its name in the values file: docs/evidence.md has the names and the form of the file.',
  ],
  operands: [{ syntax: '<file>', description: 'the bundle' }],
  options: [
    { flags: '--reference <file>', description: 'the reference values: values.json' },
    {
      flags: '--config <file>',
      description: 'a document of the configuration, the base document first; may be repeated',
      repeatable: true,
    },
    {
      flags: '--initdata <file>',
      description:
        'the initdata that is the last document: an annotated pod, initdata, or its disk image; - is standard input',
    },
    rootOption,
    ...collateralOptions,
    { flags: '--nonce <hex>', description: 'the nonce that you chose' },
    { flags: '--channel <channel>', description: 'the channel that attest printed' },
    { flags: '--pin <pin>', description: "the agent's public key, spki:sha256:HEX, as attest printed it" },
  ],
  examples: [
    {
      line: 'kata-agent-ctl evidence verify bundle.json --reference values.json --config base.toml --nonce "$NONCE"',
      description: 'Prints each link, and the result.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const { operands, options, io } = invocation;
    const path = operands[0] ?? '';
    const reference = options.text('reference');
    if (reference === undefined)
      throw new CommandError(ExitCode.Usage, 'no values to verify against', {
        help: ['pass --reference values.json; docs/evidence.md has its form'],
      });
    const nonce = options.text('nonce');
    const channel = options.text('channel');
    const tlsSpki = await pinOf(options.text('pin'));
    const file = options.text('initdata');
    const initdata = file === undefined ? undefined : findOneInitdata(file);
    const digest = digestOf(invocation, initdata);
    const { parseBundle, verifyEvidence } = await import('@kata-agent/evidence');
    const values = await readReference(reference);
    const inputs = {
      ...(await readCollateral(options)),
      ...(initdata === undefined ? {} : launchValues(initdata)),
    };
    const verification = await withEvidence(ExitCode.Mismatch, () =>
      verifyEvidence(
        parseBundle(readInput(path)),
        values,
        {
          ...(nonce === undefined ? {} : { nonce: Buffer.from(parseNonce(nonce)).toString('hex') }),
          ...(channel === undefined ? {} : { channel }),
          ...(tlsSpki === undefined ? {} : { tlsSpki }),
          ...(digest === undefined ? {} : { configuration: digest }),
        },
        inputs,
      ),
    );
    const style = styleFor(io.stdout, io.environment);
    await printReport(invocation, verification, () => textOf(verification, style));
    return verification.verified ? ExitCode.Success : ExitCode.Mismatch;
  },
};

async function pinOf(text: string | undefined): Promise<string | undefined> {
  if (text === undefined) return undefined;
  const { parsePin } = await import('@kata-agent/x509');
  const pin = parsePin(text);
  if (pin !== undefined) return pin;
  throw new CommandError(ExitCode.Usage, `--pin '${text}': must be spki:sha256: and 64 hex digits`);
}

/** Returns the digest of the configuration that the options name, as config digest prints it. Undefined: they name none. */
function digestOf({ options }: Invocation, initdata: PodInitdata | undefined): string | undefined {
  const documents = options.texts('config').map(readInput);
  if (initdata !== undefined) documents.push(initdata.envelope);
  const [base] = documents;
  if (base === undefined) return undefined;
  return configurationDigest(
    documents.map((bytes) => ({ sha256: createHash('sha256').update(bytes).digest('hex') })),
    options.texts('config').length === 0 ? [] : namedFiles(base, options.text('root')),
  );
}

interface Verification {
  readonly verified: boolean;
  readonly result: string;
  readonly links: readonly {
    readonly name: string;
    readonly state: string;
    readonly what: string;
    readonly waived: boolean;
  }[];
}

function textOf({ verified, result, links }: Verification, style: Style): string {
  const colors: Readonly<Record<string, (text: string) => string>> = {
    ok: style.green,
    failed: style.red,
    'not checked': style.yellow,
  };
  const width = Math.max(...links.map(({ name }) => name.length));
  const lines = links.map(({ name, state, what, waived }) => {
    const color = colors[state] ?? ((text: string) => text);
    return `${color(state.padEnd(11))}  ${name.padEnd(width)}  ${what}${waived ? ' (waived)' : ''}\n`;
  });
  return `${lines.join('')}${verified ? style.green(result) : style.red(result)}\n`;
}
