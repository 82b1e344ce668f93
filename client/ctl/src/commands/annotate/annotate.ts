import { generatedChanges } from '@kata-agent/analysis';
import {
  type InitdataAlgorithm,
  initdataAnnotation,
  initdataKey,
  initdataPolicyKey,
} from '@kata-agent/config';
import {
  type CommandDefinition,
  CommandError,
  ExitCode,
  type Options,
  print,
  readTextInput,
} from '@kata-agent/cli';
import { annotatePods, type ObjectFile, type Workload, WorkloadError } from '@kata-agent/workloads';
import { type Pin, pinFiles, pinText } from '../../images/pin-files.js';
import { programName } from '../../program-name.js';
import {
  editOptions,
  joinFiles,
  printsObjects,
  readEditedFiles,
  writeEditedFiles,
} from '../config/manifest-files.js';
import { leavesOpen } from '../config/generated-document.js';
import { clusterOptions, inputNotes, type Pods, readPods } from '../config/pod-files.js';
import { type DeliveredDocument, deliveredDocument, writtenHere } from './delivered-document.js';
import { encodeInitdata, initdataOf, mergeInitdata, type PodInitdata } from './pod-initdata.js';

export const annotate: CommandDefinition = {
  path: 'annotate',
  summary: 'write the configuration of pods into the pods, as initdata',
  details: [
    `Prints the Kubernetes objects that it reads with one annotation more for each workload, ${initdataAnnotation}: initdata with a document that restricts the agent of its guest to what the pod needs. Everything else of the objects stays as it is, comments too. The runtime delivers it if cc_init_data is among its enable_annotations.`,
    'The document restricts the base document of the guest image, which must accept initdata. With --base both are loaded and checked with the pod: exits with 4, and prints the objects, if the pod would not run. Without it, exits with 4 if the pod needs more of the base document than endpoints.',
    '--allow opens what kubectl needs, on the listener of the runtime too; --operators opens a listener of the tenant’s own.',
    'Initdata that a pod has already keeps its other files, such as aa.toml and cdh.toml. A kata-agent.toml that this command did not write is not replaced: pass its text with --document, which is appended.',
    'With --check nothing is printed but what differs, by the field of the pod; exits with 4 if an annotation is missing or not up to date.',
  ],
  options: [
    ...editOptions,
    { flags: '--check', description: 'change nothing; exit with 4 if an annotation is not up to date' },
    {
      flags: '--pin',
      description: 'write the digests of images into the objects first, as config pin does',
    },
    { flags: '--base <file>', description: 'the base document of the guest image' },
    {
      flags: '--operators <listener>',
      description:
        'a listener of the base document (--base), beside the runtime’s, on which operators run any command and read all output; other listeners gain nothing',
    },
    { flags: '--document <file>', description: 'TOML that is appended to each document' },
    {
      flags: '--aa <file>',
      description: 'the configuration of the attestation agent: aa.toml of the initdata',
    },
    { flags: '--cdh <file>', description: 'the configuration of the data hub: cdh.toml of the initdata' },
    {
      flags: '--algorithm <name>',
      description: 'digest algorithm of new initdata',
      choices: ['sha-256', 'sha-384', 'sha-512'],
      fallback: 'sha-256',
    },
    {
      flags: '--strict',
      description:
        'exit with 4 if a field of a container is not constrained, since its value is not in the input',
    },
    ...clusterOptions,
  ],
  examples: [
    {
      line: 'kata-agent-ctl annotate -f shop.yaml --base base.toml | kubectl apply -f -',
      description:
        'Annotates what is applied. With Helm: helm template shop | kata-agent-ctl annotate -f - …; kustomize build alike.',
    },
    {
      line: 'kata-agent-ctl annotate -f manifests --check --base base.toml',
      description: 'In CI: fails if a manifest was changed and its annotation was not.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const { io, options } = invocation;
    const files = readEditedFiles(options);
    const pins = options.flag('pin') ? await pinFiles(files, options) : undefined;
    const pods = await readPods(options, pins?.files ?? files, pins?.images);
    const parts = { more: moreText(options), others: otherFiles(options) };
    const { base, operators } = { base: options.text('base'), operators: options.text('operators') };
    const results: Annotated[] = [];
    for (const [index, workload] of pods.workloads.entries()) {
      const document = await deliveredDocument(
        workload,
        pods,
        { base, operators, more: parts.more },
        invocation,
      );
      results.push(
        annotated(
          workload,
          document,
          { others: parts.others, pins: pins?.workloads[index]?.pins ?? [] },
          options,
        ),
      );
    }
    const changed = (pins?.files ?? files).map((file) => annotatedFile(file, results, options));
    const notes = [...inputNotes(pods), ...results.flatMap((each) => each.notes)];
    if (!options.json) for (const note of notes) io.stderr.write(`${programName}: note: ${note}\n`);
    writeEditedFiles(files, changed, options);
    await print(
      invocation,
      {
        version: 1,
        workloads: results.map(annotatedValue),
        ...(printsObjects(options) ? { files: changed } : {}),
      },
      () => (printsObjects(options) ? joinFiles(changed) : results.flatMap(changeLines).join('')),
    );
    return isComplete(results, pods, options) ? ExitCode.Success : ExitCode.Mismatch;
  },
};

/** A workload, and what its annotation is to be. */
interface Annotated {
  readonly workload: Workload;
  readonly document: DeliveredDocument;
  readonly initdata: PodInitdata;
  /** The new value; undefined: the annotation stays as it is. */
  readonly value: string | undefined;
  /** How it and the images differ from what the pod has, in words. */
  readonly changes: readonly string[];
  readonly notes: readonly string[];
}

function annotated(
  workload: Workload,
  document: DeliveredDocument,
  { others, pins }: { readonly others: ReadonlyMap<string, string>; readonly pins: readonly Pin[] },
  options: Options,
): Annotated {
  const current = initdataOf(workload);
  const before = current?.files.get(initdataKey);
  if (before !== undefined && !before.startsWith(`# ${writtenHere}`))
    throw new CommandError(
      ExitCode.Mismatch,
      `${workload.place}: its initdata has a ${initdataKey} that this command did not write`,
      {
        help: ['remove the annotation, and pass the text with --document'],
      },
    );
  const algorithm = options.text('algorithm') as InitdataAlgorithm;
  const initdata = mergeInitdata(current, { document: document.text, algorithm, others });
  return {
    workload,
    document,
    initdata,
    value: initdata === current ? undefined : encodeInitdata(initdata, workload.place),
    changes: [
      ...pins.map(pinText),
      ...(current === undefined ? ['it has no initdata'] : changesOf(current, initdata)),
    ],
    notes: [...document.notes, ...policyNotes(workload, initdata)],
  };
}

function changesOf(before: PodInitdata, after: PodInitdata): readonly string[] {
  if (before === after) return [];
  const others = [...after.files]
    .filter(([name, text]) => name !== initdataKey && before.files.get(name) !== text)
    .map(([name]) => `${name}: another text`);
  const [old, now] = [before, after].map(({ files }) => files.get(initdataKey));
  if (old === undefined) return [`no ${initdataKey} yet`, ...others];
  const changes = generatedChanges(old, now ?? '');
  return [...(changes.length === 0 && old !== now ? ['comments'] : changes), ...others];
}

function policyNotes({ place }: Workload, { files }: PodInitdata): readonly string[] {
  if (!files.has(initdataPolicyKey)) return [];
  return [
    `${place}: its initdata has a ${initdataPolicyKey}, for Kata's own agent: this one starts only if it is a list of defaults, or the base document has unused_initdata = "record"`,
  ];
}

function moreText(options: Options): string {
  const file = options.text('document');
  return file === undefined ? '' : `\n${readTextInput(file)}`;
}

function otherFiles(options: Options): ReadonlyMap<string, string> {
  return new Map(
    (['aa', 'cdh'] as const).flatMap((name) => {
      const file = options.text(name);
      return file === undefined ? [] : [[`${name}.toml`, readTextInput(file)] as const];
    }),
  );
}

/** Returns a file with the annotations of its workloads. */
function annotatedFile(file: ObjectFile, results: readonly Annotated[], options: Options): ObjectFile {
  const own = results.filter(({ workload }) => workload.file === file.file);
  try {
    const text = annotatePods(file, {
      key: initdataAnnotation,
      templates: options.texts('podTemplate'),
      values: own.map(({ value }) => value),
    });
    return { ...file, text };
  } catch (error) {
    if (!(error instanceof WorkloadError)) throw error;
    throw new CommandError(ExitCode.Failed, error.message, { cause: error });
  }
}

function changeLines({ workload: { kind, name, place }, changes }: Annotated): readonly string[] {
  if (changes.length === 0) return [];
  return [`${kind} ${name} (${place})\n`, ...changes.map((change) => `  ${change}\n`)];
}

function annotatedValue({ workload, document, initdata, changes, notes }: Annotated): object {
  const { kind, name, namespace, place } = workload;
  return {
    kind,
    name,
    ...(namespace === undefined ? {} : { namespace }),
    place,
    sufficient: document.sufficient,
    changed: changes.length > 0,
    changes,
    score: document.plan.score,
    unconstrained: document.plan.open,
    document: document.text,
    initdata: { algorithm: initdata.algorithm, text: Buffer.from(initdata.envelope).toString() },
    notes,
  };
}

function isComplete(results: readonly Annotated[], pods: Pods, options: Options): boolean {
  if (!results.every(({ document }) => document.sufficient)) return false;
  if (options.flag('check') && results.some(({ changes }) => changes.length > 0)) return false;
  return !(
    options.flag('strict') &&
    leavesOpen(
      pods,
      results.map(({ document }) => document.plan),
    )
  );
}
