import {
  type ImageConfigs,
  parseImageConfig,
  readWorkloads,
  type RuntimeSetup,
  type Workload,
  WorkloadError,
} from '@kata-agent/analysis';
import type { OptionRow } from '../../cli/definition.js';
import type { Options } from '../../cli/options.js';
import { CommandError } from '../../command-error.js';
import { ExitCode } from '../../exit-code.js';
import { readTextInput } from '../../input/read-input.js';

/** The options by which commands are told of workloads and of the cluster that runs them. */
export const podOptions: readonly OptionRow[] = [
  {
    flags: '--pod <file>',
    says: 'Kubernetes objects in YAML or JSON; may be given several times, for ConfigMaps and Secrets too',
    repeatable: true,
  },
  {
    flags: '--image-config <image=file>',
    says: "an image's OCI configuration, as `skopeo inspect --config` prints it; may be given several times",
    repeatable: true,
  },
  {
    flags: '--runtime <name>',
    says: "which of Kata's runtimes starts the pods: the one in Go, or runtime-rs",
    choices: ['go', 'rs'],
    fallback: 'rs',
  },
  {
    flags: '--guest <kind>',
    says: 'whether the host shares files with the guest, or, as for confidential guests, none',
    choices: ['shared-fs', 'confidential'],
    fallback: 'shared-fs',
  },
];

/** What the options say. */
export interface Pods {
  readonly workloads: readonly Workload[];
  readonly images: ImageConfigs;
  readonly setup: RuntimeSetup;
}

/** Reads the files that the options name. Throws a CommandError: one is not what it should be (1) or cannot be read (3). */
export function readPods(options: Options): Pods {
  const files = options.texts('pod').map((file) => ({ file, text: readTextInput(file) }));
  const images = new Map(
    options.texts('imageConfig').map((option) => {
      const split = option.indexOf('=');
      if (split < 1) {
        throw new CommandError(ExitCode.Usage, `--image-config '${option}': it has to be IMAGE=FILE`);
      }
      return [option.slice(0, split), readImage(option.slice(split + 1))] as const;
    }),
  );
  try {
    return { workloads: readWorkloads(files), images, setup: setupOf(options) };
  } catch (error) {
    if (!(error instanceof WorkloadError)) throw error;
    throw new CommandError(ExitCode.Failed, error.message, { cause: error });
  }
}

function setupOf(options: Options): RuntimeSetup {
  return {
    runtime: options.text('runtime') === 'go' ? 'go' : 'rs',
    guest: options.text('guest') === 'confidential' ? 'confidential' : 'shared-fs',
  };
}

function readImage(file: string): ReturnType<typeof parseImageConfig> {
  const text = readTextInput(file);
  try {
    return parseImageConfig(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(ExitCode.Failed, `${file} is no OCI image configuration: ${reason}`, {
      help: ['skopeo inspect --config docker://IMAGE prints one'],
      cause: error,
    });
  }
}
