import { hostDataDigest, initdataAnnotation } from '@kata-agent/config';
import { CommandError, ExitCode, readInput } from '@kata-agent/cli';
import { readManifests, WorkloadError } from '@kata-agent/workloads';
import { envelopeIn, initdataOf, parseEnvelope, type PodInitdata } from './pod-initdata.js';

/** Initdata, and of what it is. */
export interface FoundInitdata {
  /** `Pod web (pod.yaml:2:1)`, or the file. */
  readonly title: string;
  /** Of the workload; empty for a file. */
  readonly name: string;
  readonly initdata: PodInitdata;
}

/**
 * Reads the initdata of a file, which its first bytes tell: Kubernetes objects with annotated pods, the value of such an annotation, initdata,
 * or a disk image of it; `-` is standard input. Throws a CommandError; with exit code 4 if no object has initdata.
 */
export function findInitdata(file: string): readonly [FoundInitdata, ...FoundInitdata[]] {
  const bytes = readInput(file);
  const envelope = envelopeIn(file, bytes);
  if (envelope !== undefined) return [{ title: file, name: '', initdata: parseEnvelope(envelope, file) }];
  const [first, ...others] = ofObjects(file, new TextDecoder().decode(bytes));
  if (first !== undefined) return [first, ...others];
  throw new CommandError(ExitCode.Mismatch, `${file}: no pod has initdata`, {
    help: [`annotate it: kata-agent-ctl annotate -f ${file}`],
  });
}

/** Reads initdata as `findInitdata` does. Throws a CommandError (2) if several objects have it. */
export function findOneInitdata(file: string): PodInitdata {
  const [first, second] = findInitdata(file);
  if (second === undefined) return first.initdata;
  throw new CommandError(ExitCode.Usage, `${first.title} and ${second.title} have initdata`, {
    help: ['pass the object of one pod'],
  });
}

function ofObjects(file: string, text: string): readonly FoundInitdata[] {
  try {
    return readManifests([{ file, text }]).workloads.flatMap((workload) => {
      const initdata = initdataOf(workload);
      const { kind, name, place } = workload;
      return initdata === undefined ? [] : [{ title: `${kind} ${name} (${place})`, name, initdata }];
    });
  } catch (error) {
    if (!(error instanceof WorkloadError)) throw error;
    throw new CommandError(ExitCode.Failed, error.message, {
      help: [`pass objects with ${initdataAnnotation}, its value, initdata.toml or its image`],
      cause: error,
    });
  }
}

/** Values that the host must pass to the hardware at launch: HOSTDATA of SNP, MRCONFIGID of TDX. */
export interface LaunchValues {
  readonly hostData: Uint8Array;
  readonly mrConfigId: Uint8Array;
}

/** Returns what binds initdata to a guest. */
export function launchValues({ envelope, algorithm }: PodInitdata): LaunchValues {
  return {
    hostData: hostDataDigest({ envelope, algorithm }, 'HOSTDATA'),
    mrConfigId: hostDataDigest({ envelope, algorithm }, 'MRCONFIGID'),
  };
}
