import { type CommandDefinition, CommandError, ExitCode, print } from '@kata-agent/cli';
import { type FoundInitdata, findInitdata, launchValues } from '../annotate/found-initdata.js';
import type { PodInitdata } from '../annotate/pod-initdata.js';

export const configShow: CommandDefinition = {
  path: 'config show',
  summary: 'print what initdata has: of pods, of an annotation, of a file or of a disk image',
  details: [
    'Reads Kubernetes objects with annotated pods, the value of such an annotation, an initdata file, or the disk image of one; - is standard input. Prints the files of the initdata, and its digests as HOSTDATA and MRCONFIGID have them.',
    'With --file prints only that file, as it is.',
  ],
  operands: [{ syntax: '<file>', description: 'objects, an annotation, initdata or its image' }],
  options: [
    { flags: '--file <name>', description: 'print only this file of the initdata, such as kata-agent.toml' },
    {
      flags: '--name <name>',
      description: 'the workload, if several have initdata',
    },
  ],
  examples: [
    {
      line: 'kata-agent-ctl config show pod.yaml --file kata-agent.toml > config.toml',
      description: 'The document that annotate wrote into a pod.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const { operands, options, io } = invocation;
    const [file = ''] = operands;
    const name = options.text('name');
    const all = findInitdata(file);
    const found = name === undefined ? all : all.filter((each) => each.name === name);
    if (found.length === 0)
      throw new CommandError(ExitCode.Mismatch, `${file}: no ${name} has initdata`, {
        help: [`annotate it: kata-agent-ctl annotate -f ${file}`],
      });
    const wanted = options.text('file');
    if (wanted === undefined)
      await print(invocation, found.map(shownValue), () => found.map(shownText).join('\n'));
    else io.stdout.write(textOf(found, wanted));
    return ExitCode.Success;
  },
};

function textOf(found: readonly FoundInitdata[], name: string): string {
  const [first, second] = found;
  if (first !== undefined && second !== undefined)
    throw new CommandError(ExitCode.Usage, `${first.title} and ${second.title} have initdata`, {
      help: ['name one of them: --name NAME'],
    });
  const files = first?.initdata.files ?? new Map<string, string>();
  const text = files.get(name);
  if (text !== undefined) return text;
  throw new CommandError(ExitCode.Mismatch, `${first?.title}: the initdata has no ${name}`, {
    help: [`it has ${[...files.keys()].join(', ') || 'no files'}`],
  });
}

function digestsOf(initdata: PodInitdata): { readonly hostdata: string; readonly mrconfigid: string } {
  const { hostData, mrConfigId } = launchValues(initdata);
  return {
    hostdata: Buffer.from(hostData).toString('hex'),
    mrconfigid: Buffer.from(mrConfigId).toString('hex'),
  };
}

function shownText({ title, initdata }: FoundInitdata): string {
  const { hostdata, mrconfigid } = digestsOf(initdata);
  return [
    `${title}: initdata, ${initdata.algorithm}\n`,
    `  HOSTDATA    ${hostdata}\n`,
    `  MRCONFIGID  ${mrconfigid}\n`,
    ...[...initdata.files].map(
      ([name, text]) => `\n  ${name}\n${text.replace(/^(?=.)/gm, '    ').replace(/\n*$/, '\n')}`,
    ),
  ].join('');
}

function shownValue({ title, name, initdata }: FoundInitdata): object {
  const { algorithm, files } = initdata;
  return {
    title,
    ...(name === '' ? {} : { name }),
    algorithm,
    ...digestsOf(initdata),
    files: Object.fromEntries(files),
  };
}
