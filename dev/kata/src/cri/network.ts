// The network of the pods: a namespace of their own, without an interface.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The address that a pod is said to have. */
const podAddress = '10.88.0.2';

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

/** Writes the plugins and their configuration, and returns the directory. */
export function writeNetwork(work: string): string {
  const directory = join(work, 'network');
  mkdirSync(directory);
  // containerd runs the plugin for loopback too.
  for (const name of ['none', 'loopback']) writeFileSync(join(directory, name), plugin, { mode: 0o755 });
  const configuration = { cniVersion: '0.4.0', name: 'none', plugins: [{ type: 'none' }] };
  writeFileSync(join(directory, '10-none.conflist'), JSON.stringify(configuration));
  return directory;
}
