import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from '../harness/repository.js';

/**
 * examples/start.toml for roots on a share. Debian's runc is too old for those (it lacks the fixes for names that the
 * host changes), unless privileged containers are allowed.
 */
export function configForSharedRoots(): string {
  const text = readFileSync(join(repository, 'examples', 'start.toml'), 'utf8');
  return text.replace(/^\[agent\]$/m, '[agent]\nprivileged_containers = "allow"');
}
