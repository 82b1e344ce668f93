// The network of the pods: a namespace of their own, without an interface.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

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
