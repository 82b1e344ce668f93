// What a bundle is built with, worked out of a configuration: which methods it never serves, and the facts that the
// program keeps of its build. Pure but for reading the file and the compiled packages.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

/** A reason why there can be no such bundle; its text is for people. */
export class NoSuchBundle extends Error {}

/**
 * The build facts for a configuration's file; without one the program has everything. A method is left out when no listener is ever served with it: later documents can
 * only narrow, so the base document alone decides.
 */
export async function planBundle({ file, requireConfig, embed }) {
  if (file === undefined) return { leftOut: [], requireConfig };
  const { methodNames } = await import('@kata-agent/catalogue');
  const { compileGate } = await import('@kata-agent/gate');
  const bytes = readFileSync(file);
  const name = basename(file);
  const configuration = await load({ name, bytes });
  const listeners = configuration.listeners.map((listener) => listener.name);
  const gate = compileGate(configuration, { listeners });
  const served = new Set(listeners.flatMap((listener) => gate.served(listener)));
  const facts = {
    leftOut: methodNames.filter((method) => !served.has(method)),
    builtFor: { name, sha256: createHash('sha256').update(bytes).digest('hex') },
    ...(embed ? { document: bytes.toString('utf8') } : {}),
    requireConfig: requireConfig || embed,
  };
  // The program must take the document that it was built for.
  await load({ name, bytes }, served);
  return facts;
}

/** The configuration that an agent would have of this base document, whatever is delivered to it later. */
async function load(builtIn, handlers) {
  const { loadConfiguration, renderDiagnostic } = await import('@kata-agent/config');
  const loaded = await loadConfiguration({
    flags: {},
    builtIn,
    environment: {},
    files: { read: (path) => ({ ok: false, missing: true, message: `${path} is not read here`, help: '' }) },
    rules: async () => (await import('@kata-agent/gate/rules')).createRuleChecker(),
    delivery: [],
    offline: { later: [] },
    hostData: () => ({ ok: false, message: 'a build has no host data', help: '' }),
    ...(handlers === undefined ? {} : { handlers }),
  });
  if (loaded.ok) return loaded.configuration;
  throw new NoSuchBundle(loaded.diagnostics.map((diagnostic) => renderDiagnostic(diagnostic)).join('\n'));
}
