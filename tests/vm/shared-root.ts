import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from '../harness/repository.js';

/**
 * examples/start.toml for roots that lie on a share. For those Debian's runc is too old (it lacks the fixes for names that the
 * host changes), unless privileged containers are allowed.
 */
export function configForSharedRoots(): string {
  const text = readFileSync(join(repository, 'examples', 'start.toml'), 'utf8');
  return text.replace(/^\[agent\]$/m, '[agent]\nprivileged_containers = "allow"');
}
