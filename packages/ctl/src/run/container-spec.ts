import type { MessageInitShape } from '@bufbuild/protobuf';
import { alwaysReadOnly } from '@kata-agent/gate';
import type { CreateContainerRequestSchema, StorageSchema } from '@kata-agent/protocol/agent';
import type { ProcessSchema } from '@kata-agent/protocol/oci';
import { CommandError } from '../command-error.js';
import { ExitCode } from '../exit-code.js';
import { defaultMounts, defaultNamespaces, maskedPaths } from './defaults.js';

/**
 * What becomes of writes to the rootfs.
 * - `layer`: they go to a layer over the directory, which goes with the container.
 * - `read-only`: there are none.
 * - `writable`: they go to the directory, and stay.
 */
export type RootfsMode = 'layer' | 'read-only' | 'writable';

/** A container of one program in a directory of the guest. */
export interface ContainerRequest {
  readonly id: string;
  /** A directory in the guest. */
  readonly rootfs: string;
  readonly rootfsMode: RootfsMode;
  readonly hostname: string;
  readonly process: MessageInitShape<typeof ProcessSchema>;
}

/** Where an agent has a container's rootfs, if a storage brings it: Kata's place for it. */
const kataFolder = '/run/kata-containers';
/** Kata's option for an overlay whose upper layer the agent makes beside the rootfs, and removes. */
const ownUpperLayer = 'io.katacontainers.fs-opt.overlay-rw';

/** S8 of the threat model: what an agent takes as an identifier. */
const identifier = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;

/** The request that creates the container. Throws a CommandError (wrong use). */
export function containerSpec(
  request: ContainerRequest,
): MessageInitShape<typeof CreateContainerRequestSchema> {
  checkIdentifier(request.id, '--name');
  const root = placeRoot(request);
  return {
    containerId: request.id,
    execId: request.id,
    storages: root.storages,
    OCI: {
      Version: '1.0.2',
      Process: request.process,
      Root: { Path: root.path, Readonly: request.rootfsMode === 'read-only' },
      Hostname: request.hostname,
      Mounts: defaultMounts.map((row) => ({ ...row, options: [...row.options] })),
      Linux: {
        Namespaces: defaultNamespaces.map((type) => ({ Type: type })),
        MaskedPaths: [...maskedPaths],
        ReadonlyPaths: [...alwaysReadOnly],
      },
    },
  };
}

interface Root {
  readonly path: string;
  readonly storages: MessageInitShape<typeof StorageSchema>[];
}

/** An agent takes a directory outside Kata's own only to read from it; what is written to comes as a storage. */
function placeRoot({ id, rootfs, rootfsMode }: ContainerRequest): Root {
  if (!rootfs.startsWith('/')) {
    throw new CommandError(ExitCode.Usage, `rootfs '${rootfs}': it has to be an absolute path`, {
      help: ['It is a directory in the guest, where the agent runs.'],
    });
  }
  const mountPoint = `${kataFolder}/${id}/rootfs`;
  switch (rootfsMode) {
    case 'read-only':
      return { path: rootfs, storages: [] };
    case 'writable':
      return {
        path: mountPoint,
        storages: [{ driver: 'bind', source: rootfs, fstype: 'bind', mountPoint, options: ['bind'] }],
      };
    case 'layer': {
      if (/[:,\\]/.test(rootfs)) {
        throw new CommandError(
          ExitCode.Usage,
          `rootfs '${rootfs}': a layer cannot lie over a path with : , or \\`,
          {
            help: ['Use --read-only or --writable, or a directory of another name.'],
          },
        );
      }
      const options = [`lowerdir=${rootfs}`, ownUpperLayer];
      const layer = { driver: 'overlayfs', source: 'overlay', fstype: 'overlay', mountPoint, options };
      return { path: mountPoint, storages: [layer] };
    }
  }
}

export function checkIdentifier(text: string, what: string): void {
  if (identifier.test(text)) return;
  throw new CommandError(ExitCode.Usage, `${what} '${text}' is not an identifier`, {
    help: ['It has letters, digits, _ . and -, starts with a letter or digit, and has at most 128 of them.'],
  });
}
