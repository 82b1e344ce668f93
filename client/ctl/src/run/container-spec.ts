import { kataDirectory } from '@kata-agent/catalogue';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { alwaysReadOnly } from '@kata-agent/gate';
import type { CreateContainerRequestSchema, StorageSchema } from '@kata-agent/protocol/agent';
import type { ProcessSchema } from '@kata-agent/protocol/oci';
import { CommandError, ExitCode } from '@kata-agent/cli';
import { defaultMounts, defaultNamespaces, maskedPaths } from './defaults.js';

/**
 * Where writes to the rootfs go.
 * - `layer`: to an overlay above the directory, which is removed with the container.
 * - `read-only`: writes fail.
 * - `writable`: to the directory itself.
 */
export type RootfsMode = 'layer' | 'read-only' | 'writable';

/** A container that runs one program in a directory of the guest. */
export interface ContainerRequest {
  readonly id: string;
  /** A directory in the guest. */
  readonly rootfs: string;
  readonly rootfsMode: RootfsMode;
  readonly hostname: string;
  readonly process: MessageInitShape<typeof ProcessSchema>;
}

/** Kata's storage option for an overlay whose upper directory the agent creates next to the rootfs and removes. */
const ownUpperLayer = 'io.katacontainers.fs-opt.overlay-rw';

/** The identifiers that an agent accepts (S8). */
const identifier = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;

/** Returns the CreateContainer request. Throws a CommandError (wrong use). */
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

/** The agent mounts a directory outside Kata's own only read-only: a writable one must be a storage. */
function placeRoot({ id, rootfs, rootfsMode }: ContainerRequest): Root {
  if (!rootfs.startsWith('/')) {
    throw new CommandError(ExitCode.Usage, `rootfs '${rootfs}': must be an absolute path`, {
      help: ['pass a directory in the guest'],
    });
  }
  const mountPoint = `${kataDirectory}/${id}/rootfs`;
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
          `rootfs '${rootfs}': an overlay does not support a path with : , or \\`,
          {
            help: ['pass --read-only or --writable, or a directory with another name'],
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
  throw new CommandError(ExitCode.Usage, `${what} '${text}' is not a valid ID`, {
    help: ['an ID has at most 128 letters, digits, _ . and -, and starts with a letter or digit'],
  });
}
