// Fails if a module of the guest calls on its own what may wait for the host (S42). What the threads for the host's share and disks
// run is found from their table of tasks; nothing else lists it.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import { hostMediaFaults } from './host-media-faults.js';

const source = join(root, 'agent', 'guest', 'src');
const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts') && !path.startsWith('testing/'))
  .map((path) => [path, readFileSync(join(source, path), 'utf8')] as const);
const faults = hostMediaFaults(new Map(files));
for (const fault of faults) console.error(fault);
process.exit(faults.length === 0 ? 0 : 1);
