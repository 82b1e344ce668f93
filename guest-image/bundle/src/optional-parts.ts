import type { Metafile } from 'esbuild';

/** A part of the agent that most configurations do not ask for. */
interface OptionalPart {
  /** What asks for it. */
  readonly for: string;
  /** Files, or directories that end with `/`, below the repository. */
  readonly modules: readonly string[];
}

/** The parts of the agent that it loads on demand. An agent without them has neither their code nor their libraries in memory. */
export const optionalParts: readonly OptionalPart[] = [
  {
    for: '[image] puller = "built-in"',
    modules: ['agent/puller/', 'agent/server/dist/image/make-built-in-puller.js'],
  },
  { for: 'trusted_root in [image] signatures', modules: ['node_modules/@sigstore/'] },
  {
    for: 'images that the guest has itself',
    modules: [
      'agent/guest/dist/image/own-root.js',
      'agent/guest/dist/image/program/',
      'agent/guest/dist/image/store/stored-image.js',
    ],
  },
  {
    for: 'guest components',
    modules: [
      'agent/server/dist/components/guest-components.js',
      'agent/server/dist/components/manifest.js',
      'agent/server/dist/components/running-component.js',
      'agent/server/dist/components/data-hub-client.js',
      'agent/guest/dist/confidential/secret-volumes.js',
      'agent/guest/dist/confidential/unseal-environment.js',
      'lib/ttrpc/dist/client/',
    ],
  },
  { for: '[evidence]', modules: ['lib/evidence/', 'agent/server/dist/evidence/attester.js'] },
  {
    for: '[measurement]',
    modules: [
      'agent/server/dist/measurement/registers.js',
      'agent/server/dist/measurement/checkpoint-register.js',
      'agent/measurement/dist/register-log.js',
      'agent/measurement/dist/tpm-command.js',
      'agent/measurement/dist/tpm-register.js',
      'agent/measurement/dist/tpm-transport.js',
    ],
  },
  {
    for: 'TLS listeners, and guests that dial out',
    modules: [
      'agent/server/dist/listeners/tls/tls-listeners.js',
      'agent/server/dist/listeners/tls/tls-engine.js',
      'agent/server/dist/listeners/dial/dial-out.js',
      'agent/server/dist/listeners/dial/connect-server.js',
      'lib/connection-limits/dist/index.js',
      'lib/connection-limits/dist/handshake-servers.js',
      'lib/connection-limits/dist/measured-stream.js',
      'lib/connection-limits/dist/pre-auth-limiter.js',
    ],
  },
  {
    for: '[[witness]]',
    modules: ['agent/server/dist/witnesses/witnesses.js', 'lib/tlog/dist/witness/'],
  },
  { for: 'forward', modules: ['agent/server/dist/forward/'] },
  { for: 'mem_agent_enable', modules: ['agent/guest/dist/memory-agent/memory-agent.js'] },
  {
    for: 'a configuration',
    modules: ['lib/config/dist/toml/parse-toml.js', 'node_modules/toml-eslint-parser/'],
  },
  {
    for: 'rules',
    modules: ['lib/gate/dist/rules/', 'node_modules/@bufbuild/cel/', 'node_modules/@bufbuild/re2/'],
  },
  { for: '--explain', modules: ['lib/config/dist/explain/render-explanation.js'] },
  { for: 'CDI devices', modules: ['node_modules/yaml/'] },
  { for: 'GetMetrics', modules: ['node_modules/prom-client/'] },
];

/** What an agent loads at its start if its configuration asks for nothing else. */
const startModules: ReadonlySet<string | undefined> = new Set([
  'agent/server/dist/main.js',
  'agent/server/dist/program.js',
  'agent/server/dist/backend/guest-backend.js',
]);

/** @throws Error if a bundle loads an optional part at the agent's start. */
export function checkOptionalParts({ outputs }: Pick<Metafile, 'outputs'>): void {
  const loaded = loadedAtStart(outputs);
  for (const { for: wanted, modules } of optionalParts)
    for (const module of modules) {
      const found = loaded.find(
        (path) => path === module || (module.endsWith('/') && path.startsWith(module)),
      );
      if (found !== undefined)
        throw new Error(
          `the agent loads ${found} at its start, which only ${wanted} needs\nhelp: import it on demand (guest-image/bundle/src/optional-parts.ts)`,
        );
    }
}

/** Returns the modules that the agent loads at its start if its configuration asks for nothing else, relative to the repository. */
export function loadedAtStart(outputs: Metafile['outputs']): readonly string[] {
  const files = new Set(
    Object.entries(outputs).flatMap(([file, { entryPoint }]) => (startModules.has(entryPoint) ? [file] : [])),
  );
  for (const file of files)
    for (const { path, kind } of outputs[file]?.imports ?? [])
      if (kind === 'import-statement' && outputs[path] !== undefined) files.add(path);
  return [...files].flatMap((file) =>
    Object.entries(outputs[file]?.inputs ?? {}).flatMap(([path, { bytesInOutput }]) =>
      bytesInOutput === 0 ? [] : [path],
    ),
  );
}
