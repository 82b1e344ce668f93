import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const examples = fileURLToPath(new URL('../../../../examples/', import.meta.url));

/** Those of other programs: guest components, containerd, Kata, a realm. */
const others = /^attested-pod\/(?:aa|cdh|host\/.*|dial\/realm)\.toml$/;

/** The paths of the repository's examples in TOML: configurations of the agent, and files of other programs. */
export function exampleFiles(): {
  readonly configurations: readonly string[];
  readonly ofOthers: readonly string[];
} {
  const names = readdirSync(examples, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.toml'),
  );
  const paths = (isOfOthers: boolean): readonly string[] =>
    names.filter((name) => others.test(name) === isOfOthers).map((name) => join(examples, name));
  return { configurations: paths(false), ofOthers: paths(true) };
}
