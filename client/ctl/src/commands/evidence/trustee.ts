import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type CommandDefinition,
  CommandError,
  ExitCode,
  print,
  readReference,
  reasonOf,
} from '@kata-agent/cli';
import { findInitdata, launchValues } from '../annotate/found-initdata.js';

const files = { message: 'rvps-message.json', policy: 'resource-policy.rego' } as const;

export const evidenceTrustee: CommandDefinition = {
  path: 'evidence trustee',
  summary: 'write reference values and a resource policy for Trustee',
  details: [
    `Writes two files. ${files.message} has the values of SNP and TDX in the values file, as a message of the kind "sample", by the names that Trustee's shipped policy for processors asks for. ${files.policy} gives resources to guests that Trustee affirms and that were started with this initdata, which annotate writes into pods.`,
    'Trustee has one list for each name, so that values of several tuples are mixed; a minimum TCB becomes the list of the levels from it on. docs/evidence.md says what is left out, and what was tried with its key broker.',
  ],
  options: [
    { flags: '--reference <file>', description: 'the reference values: values.json' },
    {
      flags: '--initdata <file>',
      description:
        'what has the initdata of accepted guests: annotated pods, initdata, or its disk image; - is standard input; may be repeated',
      repeatable: true,
    },
    {
      flags: '--resource <path>',
      description: 'a resource that such guests get, as REPOSITORY/TYPE/TAG; may be repeated; default: all',
      repeatable: true,
    },
    { flags: '--out <dir>', description: 'the directory of the files; it is made' },
  ],
  examples: [
    {
      line: 'kata-agent-ctl evidence trustee --reference values.json --initdata pod.yaml --resource default/key/1 --out trustee',
      description: 'Writes both files, and prints the commands that use them.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const { options } = invocation;
    const [reference, out] = [options.text('reference'), options.text('out')];
    const initdata = options.texts('initdata');
    if (reference === undefined || out === undefined || initdata.length === 0)
      throw new CommandError(ExitCode.Usage, '--reference, --initdata or --out is missing', {
        help: ['pass all three; kata-agent-ctl annotate -f pod.yaml writes initdata into a pod'],
      });
    const resources = options.texts('resource');
    const wrong = resources.find((path) => !/^[A-Za-z0-9_.-]+(?:\/[A-Za-z0-9_.-]+){2}$/.test(path));
    if (wrong !== undefined)
      throw new CommandError(ExitCode.Usage, `--resource '${wrong}': must be REPOSITORY/TYPE/TAG`);
    const { resourcePolicy, sampleMessage, trusteeValues } = await import('@kata-agent/evidence');
    const values = trusteeValues(await readReference(reference));
    if (Object.keys(values).length === 0)
      throw new CommandError(ExitCode.Usage, `${reference} has no values of snp or tdx`, {
        help: [
          'Trustee’s shipped policy asks for those of processors; for a TPM it knows only the RSA keys of its own attester',
        ],
      });
    const bound = initdata.flatMap(findInitdata).map((found) => {
      const { hostData, mrConfigId } = launchValues(found.initdata);
      return {
        hostData: Buffer.from(hostData).toString('hex'),
        mrConfigId: Buffer.from(mrConfigId).toString('hex'),
      };
    });
    const message = join(out, files.message);
    const policy = join(out, files.policy);
    try {
      mkdirSync(out, { recursive: true });
      writeFileSync(message, sampleMessage(values));
      writeFileSync(policy, resourcePolicy(bound, resources));
    } catch (error) {
      throw new CommandError(ExitCode.CannotApply, `cannot write to ${out}: ${reasonOf(error)}`, {
        cause: error,
      });
    }
    const commands = [
      `rvps-tool register --path ${message} --addr http://127.0.0.1:50003`,
      `kbs-client --url http://127.0.0.1:8080 config --admin-token-file admin-token set-resource-policy --policy-file ${policy}`,
    ];
    await print(invocation, { message, policy, values, commands }, () =>
      [`wrote ${message} and ${policy}; to use them:`, ...commands, ''].join('\n'),
    );
    return ExitCode.Success;
  },
};
