import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError, ExitCode, unreadable } from '@kata-agent/cli';

const suffix = /\.test\.(?:ya?ml|json)$/;

/** Returns a file as given, and the files below a directory whose names end as tests do, sorted. */
export function testFiles(path: string): readonly string[] {
  if (!tell(path, () => statSync(path)).isDirectory()) return [path];
  const names = tell(path, () => readdirSync(path, { recursive: true, encoding: 'utf8' }));
  const found = names
    .filter((name) => suffix.test(name))
    .sort()
    .map((name) => join(path, name));
  if (found.length > 0) return found;
  throw new CommandError(ExitCode.Usage, `no tests found below ${path}`, {
    help: ['test files end in .test.yaml, .test.yml or .test.json'],
  });
}

function tell<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw unreadable(path, error);
  }
}
