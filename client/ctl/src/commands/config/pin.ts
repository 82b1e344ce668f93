import { type CommandDefinition, ExitCode, type Invocation, print } from '@kata-agent/cli';
import { type PassedOver, passedOverText, type WorkloadImages } from '@kata-agent/workloads';
import { imageOptions } from '../../images/images-of-pods.js';
import { imagesInFiles, pinFiles, pinText, unpinnedImages } from '../../images/pin-files.js';
import { programName } from '../../program-name.js';
import {
  editOptions,
  joinFiles,
  printsObjects,
  readEditedFiles,
  writeEditedFiles,
} from './manifest-files.js';
import { podTemplateOption } from './pod-files.js';

export const configPin: CommandDefinition = {
  path: 'config pin',
  summary: 'write the digests of images into the pods',
  details: [
    'Prints the Kubernetes objects that it reads with a digest at the name of each image: nginx:1.27 becomes nginx:1.27@sha256:…. Images are those of containers of each kind, and of volumes. Everything else of the objects stays as it is, and so do images that have a digest.',
    'The digest is what the registry has for the name now, of the index if there is one, as docker pull prints it. Of an OCI layout it is the one there, which a registry has only if the copy kept it.',
    'With --check asks no registry, and names the images without a digest; exits with 4 if there are any.',
  ],
  options: [
    ...editOptions,
    { flags: '--check', description: 'change nothing; exit with 4 if an image has no digest' },
    podTemplateOption,
    ...imageOptions,
  ],
  examples: [
    {
      line: 'kata-agent-ctl config pin -f manifests --in-place --images pull',
      description: 'Pins the images of a directory of manifests; a second run changes nothing.',
    },
    {
      line: 'kata-agent-ctl config pin -f manifests --check',
      description: 'In CI: fails if an image is named without its digest.',
    },
  ],
  formats: true,
  run: (invocation) => (invocation.options.flag('check') ? check(invocation) : pin(invocation)),
};

async function pin(invocation: Invocation): Promise<ExitCode> {
  const { options } = invocation;
  const before = readEditedFiles(options);
  const { files, workloads, passedOver } = await pinFiles(before, options);
  writeNotes(passedOver, invocation);
  writeEditedFiles(before, files, options);
  await print(
    invocation,
    {
      version: 1,
      workloads: workloads.map((workload) => ({
        ...ownerValue(workload),
        images: workload.images.map(({ path, place, image }) => ({
          path,
          place,
          image,
          pinned: workload.pins.find((each) => each.path === path)?.pinned ?? image,
        })),
      })),
      ...(printsObjects(options) ? { files } : {}),
    },
    () =>
      printsObjects(options)
        ? joinFiles(files)
        : workloads.flatMap((workload) => linesOf(workload, workload.pins.map(pinText))).join(''),
  );
  return ExitCode.Success;
}

async function check(invocation: Invocation): Promise<ExitCode> {
  const { workloads, passedOver } = imagesInFiles(readEditedFiles(invocation.options), invocation.options);
  writeNotes(passedOver, invocation);
  await print(
    invocation,
    {
      version: 1,
      workloads: workloads.map((workload) => ({
        ...ownerValue(workload),
        unpinned: unpinnedImages(workload).map(({ path, place, image }) => ({ path, place, image })),
      })),
    },
    () =>
      workloads
        .flatMap((workload) =>
          linesOf(
            workload,
            unpinnedImages(workload).map(({ path, image }) => `${path}: ${image} has no digest`),
          ),
        )
        .join(''),
  );
  return workloads.every((workload) => unpinnedImages(workload).length === 0)
    ? ExitCode.Success
    : ExitCode.Mismatch;
}

function writeNotes(passedOver: readonly PassedOver[], { io, options }: Invocation): void {
  if (options.json) return;
  for (const each of passedOver) io.stderr.write(`${programName}: note: ${passedOverText(each)}\n`);
}

function ownerValue({ kind, name, place }: WorkloadImages): object {
  return { kind, name, place };
}

function linesOf({ kind, name, place }: WorkloadImages, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [`${kind} ${name} (${place})\n`, ...lines.map((line) => `  ${line}\n`)];
}
