import type { RuntimeName } from '@kata-agent/catalogue';
import {
  emptyDirModes,
  type ImageConfigs,
  type ObjectFile,
  type OperatorAccess,
  parseImageConfig,
  parseOperatorAccess,
  type PassedOver,
  passedOverText,
  readManifests,
  type RuntimeSetup,
  type Workload,
  WorkloadError,
} from '@kata-agent/workloads';
import { CommandError, ExitCode, type OptionRow, type Options, readTextInput } from '@kata-agent/cli';
import type { Configuration } from '@kata-agent/config';
import { imageOptions, imagesOf, platformOf } from '../../images/images-of-pods.js';
import { readManifestFiles } from './manifest-files.js';
import { type KnownSetup, readKataConfiguration } from './kata-configuration.js';
import { layerOptions, readLayers } from './layer-files.js';

export const listenerOption: OptionRow = {
  flags: '--listener <name>',
  description: 'the listener that the runtime calls (default: the first)',
};

const runtimeNames: readonly RuntimeName[] = ['go', 'rs', 'remote'];

/** The namespace of the forwarder of cloud-api-adaptor (podvm/files/etc/systemd/system/agent-protocol-forwarder.service). */
const podns = '/run/netns/podns';

const kataConfigOption: OptionRow = {
  flags: '--kata-config <file>',
  description:
    'the configuration.toml of the Kata runtime that starts the pods, with its config.d: instead of --runtime, --guest and --emptydir-mode',
};

export const podTemplateOption: OptionRow = {
  flags: '--pod-template <path>',
  description:
    'the path of the pod template in objects of other kinds than those of Kubernetes, such as spec.template of a Rollout; may be repeated',
  repeatable: true,
};

/** `assumed`: the runtimes without `--runtime`. */
const setupOptionsFor = (assumed: string): readonly OptionRow[] => [
  podTemplateOption,
  {
    flags: '--image-config <image=file>',
    description:
      "an image's OCI configuration, as `skopeo inspect --config` prints it, or what `docker inspect` prints for it; may be repeated",
    repeatable: true,
  },
  {
    flags: '--image-layout <image=dir>',
    description:
      'an OCI layout with an image that is named by its digest, as `skopeo copy --all --preserve-digests` makes it; may be repeated',
    repeatable: true,
  },
  {
    flags: '--allow <verb>',
    description:
      'what an operator may do with each container: logs, attach, top, or exec=COMMAND for exactly this command, without input and terminal; may be repeated',
    repeatable: true,
  },
  kataConfigOption,
  {
    flags: '--runtime <name>',
    description: `the Kata runtime that starts the pods: go, rs for runtime-rs, or remote for peer pods (default: ${assumed})`,
    choices: runtimeNames,
  },
  {
    flags: '--guest <kind>',
    description:
      'whether the host shares files with the guest; none for confidential guests and peer pods (default: shared-fs)',
    choices: ['shared-fs', 'confidential'],
  },
  {
    flags: '--snapshotter <name>',
    description:
      "containerd's snapshotter, with --runtime rs: with erofs the root of each container consists of disks (default: another)",
    choices: ['erofs'],
  },
  {
    flags: '--emptydir-mode <mode>',
    description:
      "`emptydir_mode` of the runtime's configuration (default: block-encrypted with --guest confidential, else shared-fs)",
    choices: emptyDirModes,
  },
  {
    flags: '--network-namespace <path>',
    description: `the network namespace of the guest that containers join (default with --runtime remote: ${podns})`,
  },
];

/** Options about the objects and the cluster that runs them; of images only those with files on this machine. */
export const setupOptions: readonly OptionRow[] = setupOptionsFor('rs');

/** The same, with those of images elsewhere and of layers. */
export const clusterOptions: readonly OptionRow[] = [...setupOptions, ...imageOptions, ...layerOptions];

/** The same, for a command that goes through both runtimes of local machines. */
export const runtimesOptions: readonly OptionRow[] = [
  ...setupOptionsFor('go and rs'),
  ...imageOptions,
  ...layerOptions,
];

/** The same, with the option that names the objects. */
export const podOptions: readonly OptionRow[] = [
  {
    flags: '--pod <path>',
    description:
      'Kubernetes objects in YAML or JSON, ConfigMaps and Secrets included: a file, a directory with such files, or - for standard input; may be repeated',
    repeatable: true,
  },
  ...clusterOptions,
];

/** The workloads and images that the options name. */
export interface Pods {
  readonly workloads: readonly Workload[];
  readonly images: ImageConfigs;
  readonly setup: RuntimeSetup;
  /** Images with a file, of which no container is. */
  readonly unused: readonly string[];
  /** Objects of other kinds, with a pod template that no option names. */
  readonly passedOver: readonly PassedOver[];
}

/**
 * Reads the files that the options name. Throws a CommandError: a file is invalid (1) or cannot be read (3).
 *
 * @param known Images that the caller has found already.
 */
export async function readPods(
  options: Options,
  files: readonly ObjectFile[] = readManifestFiles(options.texts('pod')),
  known: ImageConfigs = new Map(),
): Promise<Pods> {
  const given = new Map(
    options.texts('imageConfig').map((option) => {
      const [image, file] = pairOf('--image-config', option, 'IMAGE=FILE');
      return [image, readImage(file)] as const;
    }),
  );
  for (const option of options.texts('imageLayout')) {
    const { readImageLayout } = await import('../../images/oci-layout.js');
    const [image, directory] = pairOf('--image-layout', option, 'IMAGE=DIR');
    given.set(image, await readImageLayout(image, directory, platformOf(options)));
  }
  try {
    const { workloads: read, passedOver } = readManifests(files, { templates: options.texts('podTemplate') });
    const operator = operatorOf(options);
    const workloads = read.map((workload) => ({ ...workload, operator }));
    const used = new Set(workloads.flatMap(({ containers }) => containers.map(({ image }) => image)));
    const others = [...used].filter((image) => !given.has(image) && !known.has(image));
    const images = new Map([...known, ...given, ...(await imagesOf(others, options))]);
    const verifiedLayers = await readLayers(options, workloads);
    const setup = setupOf(options);
    return {
      workloads,
      images,
      unused: unusedOf(given, workloads),
      passedOver,
      setup: verifiedLayers === undefined ? setup : { ...setup, verifiedLayers },
    };
  } catch (error) {
    if (!(error instanceof WorkloadError)) throw error;
    throw new CommandError(ExitCode.Failed, error.message, { cause: error });
  }
}

/** Returns what `--allow` says. Throws a CommandError (2) for a verb that cannot be allowed. */
function operatorOf(options: Options): OperatorAccess {
  const parsed = parseOperatorAccess(options.texts('allow'));
  if (parsed.ok) return parsed.access;
  throw new CommandError(ExitCode.Usage, `--allow: ${parsed.message}`, { help: [parsed.help] });
}

function unusedOf(images: ImageConfigs, workloads: readonly Workload[]): readonly string[] {
  const used = new Set(workloads.flatMap(({ containers }) => containers.map(({ image }) => image)));
  return [...images.keys()].filter((image) => !used.has(image));
}

/** Notes on what the options name and no workload uses, and on objects that are passed over. */
export function inputNotes(pods: Pods): readonly string[] {
  return [...pods.passedOver.map(passedOverText), ...unusedNotes(pods)];
}

/** Names the image that each unused file may be meant for: a registry or a tag is easily left out. */
function unusedNotes({ unused, workloads }: Pods): readonly string[] {
  const used = workloads.flatMap(({ containers }) => containers.map(({ image }) => image));
  return unused.map((image) => {
    const meant = used.find((each) => repositoryName(each) === repositoryName(image));
    const help =
      meant === undefined ? `images are ${[...new Set(used)].join(', ')}` : `did you mean "${meant}"?`;
    return `no container has the image ${image}, for which a file is given; help: ${help}`;
  });
}

/** Returns `redis` of `docker.io/library/redis:7.4`. */
function repositoryName(image: string): string {
  const [named = ''] = image.split('@');
  return named.slice(named.lastIndexOf('/') + 1).split(':')[0] ?? '';
}

function pairOf(flag: string, option: string, form: string): readonly [string, string] {
  const split = option.indexOf('=');
  if (split < 1) throw new CommandError(ExitCode.Usage, `${flag} '${option}': must be ${form}`);
  return [option.slice(0, split), option.slice(split + 1)];
}

function setupOf(options: Options): RuntimeSetup {
  const known = knownOf(options);
  const { runtime } = known;
  const networkNamespace = options.text('networkNamespace') ?? (runtime === 'remote' ? podns : undefined);
  return {
    ...known,
    ...snapshotterOf(options, runtime),
    ...(networkNamespace === undefined ? {} : { networkNamespace }),
  };
}

/** Returns what --kata-config or the options instead of it say. Throws a CommandError (2) for both. */
export function knownOf(options: Options): KnownSetup {
  const file = options.text('kataConfig');
  if (file !== undefined) {
    const twice = (['runtime', 'guest', 'emptydirMode'] as const).find(
      (name) => options.text(name) !== undefined,
    );
    if (twice === undefined) return readKataConfiguration(file);
    const flag = twice === 'emptydirMode' ? '--emptydir-mode' : `--${twice}`;
    throw new CommandError(ExitCode.Usage, `--kata-config and ${flag}: the file says it`, {
      help: ['pass one of the two'],
    });
  }
  const runtime = runtimeOf(options) ?? 'rs';
  const isConfidential = runtime === 'remote' || options.text('guest') === 'confidential';
  return { runtime, guest: isConfidential ? 'confidential' : 'shared-fs', ...emptyDirsOf(options) };
}

function emptyDirsOf(options: Options): Pick<RuntimeSetup, 'emptyDirs'> {
  const emptyDirs = emptyDirModes.find((mode) => mode === options.text('emptydirMode'));
  return emptyDirs === undefined ? {} : { emptyDirs };
}

/** Returns the value of `--snapshotter`. Throws a CommandError (2): only runtime-rs passes layers to the guest. */
export function snapshotterOf(
  options: Options,
  runtime: RuntimeName | undefined,
): Pick<RuntimeSetup, 'snapshotter'> {
  if (options.text('snapshotter') === undefined) return {};
  if (runtime === 'rs') return { snapshotter: 'erofs' };
  throw new CommandError(
    ExitCode.Usage,
    '--snapshotter erofs: only runtime-rs passes EROFS layers to the guest',
    {
      help: ['add --runtime rs'],
    },
  );
}

/** Returns the value of `--runtime`; undefined if it is not given and has no default. */
export function runtimeOf(options: Options): RuntimeName | undefined {
  return runtimeNames.find((name) => name === options.text('runtime'));
}

function readImage(file: string): ReturnType<typeof parseImageConfig> {
  const text = readTextInput(file);
  try {
    return parseImageConfig(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(ExitCode.Failed, `${file} is not an OCI image configuration: ${reason}`, {
      help: ['skopeo inspect --config docker://IMAGE prints one'],
      cause: error,
    });
  }
}

/**
 * Returns the listener that the option names; undefined without it. Throws a CommandError (2) for an unknown one, which
 * would look like one that serves nothing.
 */
export function listenerOf(options: Options, { listeners }: Configuration): string | undefined {
  const listener = options.text('listener');
  const names = listeners.map(({ name }) => name);
  if (listener === undefined || names.includes(listener)) return listener;
  throw new CommandError(ExitCode.Usage, `--listener '${listener}': the configuration has no such listener`, {
    help: [`listeners: ${names.join(', ')}`],
  });
}
