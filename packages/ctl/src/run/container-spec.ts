import type { MessageInitShape } from '@bufbuild/protobuf';
import type { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import type { ProcessSchema } from '@kata-agent/protocol/oci';
import { CommandError } from '../command-error.js';
import { ExitCode } from '../exit-code.js';
import { defaultMounts, defaultNamespaces, maskedPaths, readonlyPaths } from './defaults.js';

/** A container of one program in a directory of the guest. */
export interface ContainerRequest {
  readonly id: string;
  /** A directory in the guest. */
  readonly rootfs: string;
  readonly readonlyRootfs: boolean;
  readonly hostname: string;
  readonly process: MessageInitShape<typeof ProcessSchema>;
}

/** S8 of the threat model: what an agent takes as an identifier. */
const identifier = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;

/** The request that creates the container. Throws a CommandError (wrong use). */
export function containerSpec(
  request: ContainerRequest,
): MessageInitShape<typeof CreateContainerRequestSchema> {
  checkIdentifier(request.id, '--name');
  if (!request.rootfs.startsWith('/')) {
    throw new CommandError(ExitCode.Usage, `rootfs '${request.rootfs}': it has to be an absolute path`, {
      help: ['It is a directory in the guest, where the agent runs.'],
    });
  }
  return {
    containerId: request.id,
    execId: request.id,
    OCI: {
      Version: '1.0.2',
      Process: request.process,
      Root: { Path: request.rootfs, Readonly: request.readonlyRootfs },
      Hostname: request.hostname,
      Mounts: defaultMounts.map((row) => ({ ...row, options: [...row.options] })),
      Linux: {
        Namespaces: defaultNamespaces.map((type) => ({ Type: type })),
        MaskedPaths: [...maskedPaths],
        ReadonlyPaths: [...readonlyPaths],
      },
    },
  };
}

export function checkIdentifier(text: string, what: string): void {
  if (identifier.test(text)) return;
  throw new CommandError(ExitCode.Usage, `${what} '${text}' is not an identifier`, {
    help: ['It has letters, digits, _ . and -, starts with a letter or digit, and has at most 128 of them.'],
  });
}
