import assert from 'node:assert/strict';
import {
  type Configuration,
  type DeliveredDocument,
  type DeliverySource,
  type DocumentReader,
  type Inputs,
  loadConfiguration,
  renderDiagnostic,
} from './index.js';

export const open: string = '[api]\nallowed_endpoints = ["*"]\n';
export const pod: string = '[api]\nallowed_endpoints = ["@pod"]\n';

/** A document that a later one can be, and what it closes. */
export const narrow: string = '[api]\nblocked_endpoints = ["ExecProcess"]\n';

/** A base document that serves everything and asks for further documents. */
export function asking(delivery: string): string {
  return `${open}[delivery]\n${delivery}\n`;
}

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

/** A way of delivery that brings these documents, whole or in an envelope. */
export function delivering(
  name: DeliverySource['name'],
  files: Readonly<Record<string, string>>,
  more: Partial<DeliveredDocument> = {},
): DeliverySource {
  const documents = Object.entries(files).map(([file, text]): DeliveredDocument => {
    const bytes = Buffer.from(text);
    return { file, bytes, envelope: bytes, algorithm: 'sha-256', ...more };
  });
  return { name, collect: () => ({ ok: true, documents }) };
}

export function dropIns(files: Readonly<Record<string, string>>): DeliverySource {
  return delivering('drop_ins', files);
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
export async function fails(
  document: string | undefined,
  inputs: Partial<Inputs> = {},
  exitCode: 1 | 3 = 1,
): Promise<string> {
  const loaded = await loadConfiguration(inputsOf(document, inputs));
  assert.ok(!loaded.ok);
  assert.equal(loaded.exitCode, exitCode);
  return loaded.diagnostics.map((diagnostic) => renderDiagnostic(diagnostic)).join('\n');
}

export function warnings({ warnings }: Configuration): readonly string[] {
  return warnings.map(({ message }) => message);
}
