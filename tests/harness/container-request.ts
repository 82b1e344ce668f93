import type { MessageInitShape } from '@bufbuild/protobuf';
import { alwaysMasked, alwaysReadOnly } from '@kata-agent/gate';
import type { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import type { ProcessSchema } from '@kata-agent/protocol/oci';

/** Parameters of a test's container. */
interface ContainerOptions {
  readonly id: string;
  readonly rootfs: string;
  readonly args: readonly string[];
  readonly terminal?: boolean;
  readonly env?: readonly string[];
  readonly memoryLimit?: bigint;
  /** Annotations of the spec: the host's claims. */
  readonly annotations?: Readonly<Record<string, string>>;
}

const capabilities = ['CAP_CHOWN', 'CAP_KILL', 'CAP_SETUID', 'CAP_SETGID'];

/** The parent cgroup of all containers from `containerRequest`. */
export const cgroupParent: string = `kata-agent-test-${process.pid}`;

/** Returns a process as a runtime describes it. */
export function processRequest(
  args: readonly string[],
  options: { readonly terminal?: boolean; readonly env?: readonly string[] } = {},
): MessageInitShape<typeof ProcessSchema> {
  return {
    Terminal: options.terminal ?? false,
    User: { UID: 0, GID: 0 },
    Args: [...args],
    Env: ['PATH=/bin', ...(options.env ?? [])],
    Cwd: '/',
    Capabilities: { Bounding: capabilities, Effective: capabilities, Permitted: capabilities },
    NoNewPrivileges: true,
  };
}

/** Returns a CreateContainer request as Kata's runtimes send it for a root on a shared file system. */
export function containerRequest(
  options: ContainerOptions,
): MessageInitShape<typeof CreateContainerRequestSchema> {
  const { id, rootfs, args, memoryLimit, annotations = {} } = options;
  return {
    containerId: id,
    execId: id,
    OCI: {
      Version: '1.0.2',
      Process: processRequest(args, options),
      Root: { Path: rootfs, Readonly: false },
      Hostname: 'pod',
      Annotations: { ...annotations },
      Mounts: [
        { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
        {
          destination: '/dev',
          type: 'tmpfs',
          source: 'tmpfs',
          options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
        },
        {
          destination: '/dev/pts',
          type: 'devpts',
          source: 'devpts',
          options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
        },
      ],
      Linux: {
        MaskedPaths: [...alwaysMasked],
        ReadonlyPaths: [...alwaysReadOnly],
        CgroupsPath: `/${cgroupParent}/${id}`,
        Namespaces: [{ Type: 'pid' }, { Type: 'ipc' }, { Type: 'uts' }, { Type: 'mount' }],
        ...(memoryLimit === undefined ? {} : { Resources: { Memory: { Limit: memoryLimit } } }),
      },
    },
  };
}
