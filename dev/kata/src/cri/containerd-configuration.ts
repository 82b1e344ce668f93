// The configuration of containerd, whose form depends on its release.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PartSkipped } from '../plan/part.js';
import { pauseImageName } from './image.js';

/** The name of the runtime in containerd's configuration. */
export const runtimeHandler = 'kata';

/** `native` copies the layers, `overlayfs` mounts them. */
export type Snapshotter = 'native' | 'overlayfs';

export interface ContainerdRelease {
  readonly major: number;
  readonly minor: number;
}

/** Parses what `containerd --version` prints, also of a distribution's package. Undefined: it has another form. */
export function containerdRelease(text: string): ContainerdRelease | undefined {
  const [, major, minor] = /^containerd \S+ v?(\d+)\.(\d+)/.exec(text) ?? [];
  return major === undefined ? undefined : { major: Number(major), minor: Number(minor) };
}

/** Throws a skip if Kata does not support this release: it names 1.7 as the oldest. `text`: of `containerd --version`. */
export function supportedRelease(text: string): ContainerdRelease {
  const help = 'install containerd 1.7 or later';
  const release = containerdRelease(text);
  if (release === undefined)
    throw new PartSkipped(`containerd does not state its version (${text}); help: ${help}`);
  if (release.major < 1 || (release.major === 1 && release.minor < 7))
    throw new PartSkipped(
      `Kata does not support containerd ${release.major}.${release.minor}; help: ${help}`,
    );
  return release;
}

export interface ContainerdOptions {
  /** The directory of the part. */
  readonly work: string;
  readonly socket: string;
  /** The path of the configuration of Kata's runtime. */
  readonly kata: string;
  readonly snapshotter: Snapshotter;
  /** The directories of the CNI plugins and of their configuration. */
  readonly network: { readonly plugins: string; readonly configurations: string };
}

/** Returns containerd's configuration: of version 2 for 1.7, of version 3 for 2. Pure. */
export function containerdConfiguration(release: ContainerdRelease, options: ContainerdOptions): string {
  const { work, socket } = options;
  return `version = ${release.major >= 2 ? 3 : 2}
root = "${join(work, 'containerd')}"
state = "/run/containerd"

[grpc]
address = "${socket}"

[plugins."io.containerd.internal.v1.opt"]
path = "${join(work, 'opt')}"

${release.major >= 2 ? criOf2(release, options) : criOf1(options)}`;
}

function criOf1({ kata, snapshotter, network }: ContainerdOptions): string {
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  return `[${cri}]
sandbox_image = "${pauseImageName}"
disable_apparmor = true
restrict_oom_score_adj = true

[${cri}.cni]
bin_dir = "${network.plugins}"
conf_dir = "${network.configurations}"

[${cri}.containerd]
snapshotter = "${snapshotter}"
default_runtime_name = "${runtimeHandler}"

${runtimeOf(cri, kata)}`;
}

/** A file of version 2 starts containerd 2, which then ignores its CNI. */
function criOf2({ major, minor }: ContainerdRelease, options: ContainerdOptions): string {
  const { kata, snapshotter, network } = options;
  const runtime = 'plugins."io.containerd.cri.v1.runtime"';
  const images = 'plugins."io.containerd.cri.v1.images"';
  // 2.1 deprecates bin_dir, and 2.3 removes it.
  const hasList = major > 2 || minor >= 1;
  return `[${images}]
snapshotter = "${snapshotter}"

[${images}.pinned_images]
sandbox = "${pauseImageName}"

[${runtime}]
disable_apparmor = true
restrict_oom_score_adj = true

[${runtime}.cni]
${hasList ? `bin_dirs = ["${network.plugins}"]` : `bin_dir = "${network.plugins}"`}
conf_dir = "${network.configurations}"

[${runtime}.containerd]
default_runtime_name = "${runtimeHandler}"

${runtimeOf(runtime, kata)}`;
}

function runtimeOf(cri: string, kata: string): string {
  return `[${cri}.containerd.runtimes.${runtimeHandler}]
runtime_type = "io.containerd.kata.v2"
privileged_without_host_devices = true
pod_annotations = ["io.katacontainers.*"]

[${cri}.containerd.runtimes.${runtimeHandler}.options]
ConfigPath = "${kata}"
`;
}

/** Returns the arguments of ctr that import images: with containerd 2 by ctr itself, since its service unpacks for one snapshotter. */
export function importArguments(
  { major }: ContainerdRelease,
  snapshotter: Snapshotter,
  archive: string,
): readonly string[] {
  return ['images', 'import', ...(major >= 2 ? ['--local'] : []), '--snapshotter', snapshotter, archive];
}

/**
 * Returns what made ctr fail; undefined: it has succeeded, whatever it prints. Its warnings, as of a deprecated setting, are not the
 * cause of a failure. `status`: null if it was killed or could not be started.
 */
export function ctrFailure(status: number | null, stderr: string): string | undefined {
  if (status === 0) return undefined;
  const isWarning = (line: string): boolean => /\blevel=warning\b|^WARN(ING)?\b/.test(line);
  const lines = stderr.split('\n').filter((line) => line.trim() !== '' && !isWarning(line));
  return lines.length === 0 ? `exit code ${status ?? 'none'}` : lines.join('\n');
}

/** The address that a pod is said to have. */
const podAddress = '10.88.0.2';

/** The name of the plugin, and of its file. */
const pluginName = 'none';

/**
 * The network, as the Container Network Interface defines it. containerd 2 takes a file or directory with the name of a network for its
 * plugins, so it must not be that of the plugin.
 */
export const networkConfiguration: {
  readonly name: string;
  readonly plugins: readonly { readonly type: string }[];
} = { name: 'kata-pods', plugins: [{ type: pluginName }] };

/**
 * A plugin as the Container Network Interface defines it. It adds no interface, but reports one: containerd starts no pod
 * without an address.
 */
const plugin = `#!/bin/sh
case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"0.4.0","supportedVersions":["0.3.1","0.4.0","1.0.0"]}' ;;
ADD) cat <<END
{"cniVersion":"0.4.0","interfaces":[{"name":"$CNI_IFNAME","sandbox":"$CNI_NETNS"}],
"ips":[{"version":"4","interface":0,"address":"${podAddress}/16"}]}
END
;;
esac
`;

// The network of the pods: a namespace of their own, without an interface.

/** Writes the plugins and their configuration, and returns their directories. */
export function writeNetwork(work: string): { readonly plugins: string; readonly configurations: string } {
  const plugins = join(work, 'network', 'bin');
  const configurations = join(work, 'network', 'configuration');
  mkdirSync(plugins, { recursive: true });
  mkdirSync(configurations);
  // containerd runs the plugin for loopback too.
  for (const name of [pluginName, 'loopback']) writeFileSync(join(plugins, name), plugin, { mode: 0o755 });
  writeFileSync(
    join(configurations, '10-pods.conflist'),
    JSON.stringify({ cniVersion: '0.4.0', ...networkConfiguration }),
  );
  return { plugins, configurations };
}
