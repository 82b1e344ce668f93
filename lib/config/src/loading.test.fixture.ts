import assert from 'node:assert/strict';
import {
  type Configuration,
  type DeliveredDocument,
  type DeliverySource,
  type DocumentReader,
  type InitdataEnvelope,
  type Inputs,
  loadConfiguration,
  renderDiagnostic,
} from './index.js';

export const open: string = '[api]\nallowed_endpoints = ["*"]\n';
export const pod: string = '[api]\nallowed_endpoints = ["@pod"]\n';

/** A further document, and what it blocks. */
export const narrow: string = '[api]\nblocked_endpoints = ["ExecProcess"]\n';

/** Returns a base document that serves everything and requests further documents. */
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
        ? {
            ok: false,
            missing: true,
            code: 'KA1603',
            message: `there is no document at "${path}"`,
            help: 'create it',
          }
        : { ok: true, bytes: Buffer.from(text) };
    },
  };
}

/** Creates a delivery source with these documents. That of initdata has one, as `kata-agent.toml` of a device. */
export function delivering(
  name: DeliverySource['name'],
  files: Readonly<Record<string, string>>,
  more: Partial<DeliveredDocument> = {},
): DeliverySource {
  const documents = Object.entries(files).map(([file, text]): DeliveredDocument => {
    const bytes = Buffer.from(text);
    return { file, bytes, envelope: bytes, algorithm: 'sha-256', ...more };
  });
  const [device] = documents;
  if (name !== 'initdata' || device === undefined) return { name, collect: () => ({ ok: true, documents }) };
  const { file, bytes, envelope, algorithm } = device;
  return initdataDevice({ 'kata-agent.toml': Buffer.from(bytes).toString() }, { file, envelope, algorithm });
}

/** Creates an initdata device with these files. */
export function initdataDevice(
  files: Readonly<Record<string, string>>,
  more: Partial<InitdataEnvelope> = {},
): DeliverySource {
  const initdata: InitdataEnvelope = {
    file: 'initdata (/dev/vdb)',
    envelope: Buffer.from(JSON.stringify(files)),
    algorithm: 'sha-256',
    files: new Map(Object.entries(files)),
    ...more,
  };
  return { name: 'initdata', collect: () => ({ ok: true, documents: [], initdata }) };
}

export function dropIns(files: Readonly<Record<string, string>>): DeliverySource {
  return delivering('drop_ins', files);
}

/** Returns minimal inputs with this document, or none. */
export function inputsOf(document: string | undefined, inputs: Partial<Inputs> = {}): Inputs {
  return {
    flags: {},
    environment: {},
    files: filesOf(document === undefined ? {} : { '/c.toml': document }),
    ...(document === undefined ? {} : { configFlag: '/c.toml' }),
    rules: async () => ({ check: () => ({ faults: [], needsGuest: [] }), patternFault: () => undefined }),
    delivery: [],
    hostData: () => ({ ok: false, message: 'this machine has no host data', help: 'use another one' }),
    ...inputs,
  };
}

/** Loads a document; fails the test when it is rejected. */
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

/** Loads a document that must be rejected, and returns its rendered errors. */
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
