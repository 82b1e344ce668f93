// An image with another agent, which this one is in front of (docs/forward-mode.md): systemd is init, and starts both.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import { wrapperProgram } from '../program/wrapper.js';
import type { Entry } from './entry.js';

/** The address of the inner agent in image/systemd/forward/agent.toml. */
export const innerAddress = 'unix:///run/kata-agent-inner/agent.sock';

const unitDirectory = '/usr/lib/systemd/system';
const initScript = '/usr/lib/kata-agent/systemd-init.sh';

/** Returns the inner agent, its file, the units of image/systemd, and the first program. */
export function innerAgentFiles(program: string): readonly Entry[] {
  const file = (path: string, name: string, mode = 0o644): Entry => ({
    path,
    data: readFileSync(join(root, 'image', 'systemd', name)),
    mode,
  });
  return [
    { path: '/usr/bin/kata-agent-inner', data: readFileSync(program), mode: 0o755 },
    file('/etc/kata-agent-inner/agent.toml', 'forward/agent.toml'),
    file(`${unitDirectory}/kata-agent-inner.service`, 'forward/kata-agent-inner.service'),
    file(`${unitDirectory}/kata-agent.service.d/forward.conf`, 'forward/forward.conf'),
    file(`${unitDirectory}/kata-agent.service`, 'kata-agent.service'),
    file(`${unitDirectory}/kata-containers.target`, 'kata-containers.target'),
    file(initScript, 'init.sh'),
    // As of the agent: no parameter of the kernel command line is in the environment of the script.
    ...['/init', '/usr/sbin/init'].map((path) => ({
      path,
      data: wrapperProgram(['/usr/bin/busybox', 'sh', initScript]),
      mode: 0o755,
    })),
    // With a read-only root systemd mounts another one over it.
    { path: '/etc/machine-id', data: Buffer.alloc(0), mode: 0o444 },
    // The programs of the units.
    ...['env', 'sync'].map((name): Entry => ({ path: `/usr/bin/${name}`, link: 'busybox' })),
  ];
}
