import assert from 'node:assert/strict';
import {
  type Configuration,
  type DocumentReader,
  type Inputs,
  loadConfiguration,
  renderDiagnostic,
} from './index.js';

export const open: string = '[api]\nallowed_endpoints = ["*"]\n';
export const pod: string = '[api]\nallowed_endpoints = ["@pod"]\n';

/** Documents in memory, by path; `asked` lists the paths that were read. */
export function filesOf(
  files: Readonly<Record<string, string>>,
): DocumentReader & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    read(path) {
      asked.push(path);
      const text = files[path];
      return text === undefined
        ? { ok: false, missing: true, message: `there is no document at "${path}"`, help: 'create it' }
        : { ok: true, bytes: Buffer.from(text) };
    },
  };
}

/** Inputs of an agent with this document, or none, and nothing else that is not given. */
export function inputsOf(document: string | undefined, inputs: Partial<Inputs> = {}): Inputs {
  return {
    flags: {},
    environment: {},
    files: filesOf(document === undefined ? {} : { '/c.toml': document }),
    ...(document === undefined ? {} : { configFlag: '/c.toml' }),
    rules: async () => ({ check: () => [] }),
    delivery: [],
    hostData: () => ({ ok: false, message: 'this machine has no host data', help: 'use another one' }),
    ...inputs,
  };
}

/** Loads a document, and fails the test when it is refused. */
export async function load(
  document: string | undefined,
  inputs: Partial<Inputs> = {},
): Promise<Configuration> {
  const loaded = await loadConfiguration(inputsOf(document, inputs));
  assert.ok(
    loaded.ok,
    loaded.ok ? '' : loaded.diagnostics.map((diagnostic) => diagnostic.message).join('\n'),
  );
  return loaded.configuration;
}

/** The rendered errors of a document that must be refused. */
export async function fails(document: string | undefined, inputs: Partial<Inputs> = {}): Promise<string> {
  const loaded = await loadConfiguration(inputsOf(document, inputs));
  assert.ok(!loaded.ok);
  assert.equal(loaded.exitCode, 1);
  return loaded.diagnostics.map((diagnostic) => renderDiagnostic(diagnostic)).join('\n');
}

export function warnings({ warnings }: Configuration): readonly string[] {
  return warnings.map(({ message }) => message);
}
