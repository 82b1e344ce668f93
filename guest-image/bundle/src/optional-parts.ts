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
    modules: ['packages/image/', 'packages/agent/dist/image/make-built-in-puller.js'],
  },
  { for: 'trusted_root in [image] signatures', modules: ['node_modules/@sigstore/'] },
  {
    for: 'images that the guest has itself',
    modules: [
      'packages/guest/dist/image/own-root.js',
      'packages/guest/dist/image/program/',
      'packages/guest/dist/image/store/stored-image.js',
    ],
  },
  {
    for: 'guest components',
    modules: [
      'packages/agent/dist/components/guest-components.js',
      'packages/agent/dist/components/manifest.js',
      'packages/agent/dist/components/running-component.js',
      'packages/agent/dist/components/data-hub-client.js',
      'packages/guest/dist/confidential/secret-volumes.js',
      'packages/guest/dist/confidential/unsealed-copy.js',
      'packages/guest/dist/confidential/unseal-environment.js',
      'packages/ttrpc/dist/client/',
    ],
  },
  { for: '[evidence]', modules: ['packages/evidence/', 'packages/agent/dist/evidence/open-attester.js'] },
  {
    for: '[measurement]',
    modules: [
      'packages/agent/dist/startup/registers.js',
      'packages/agent/dist/startup/checkpoint-register.js',
      'packages/measurement/dist/register-log.js',
      'packages/measurement/dist/tpm-command.js',
      'packages/measurement/dist/tpm-register.js',
      'packages/measurement/dist/tpm-transport.js',
    ],
  },
  {
    for: 'TLS listeners, and guests that dial out',
    modules: [
      'packages/agent/dist/listeners/tls/tls-listeners.js',
      'packages/agent/dist/listeners/tls/tls-engine.js',
      'packages/agent/dist/listeners/dial/dial-out.js',
      'packages/agent/dist/listeners/dial/connect-server.js',
      'packages/admission/dist/index.js',
      'packages/admission/dist/handshake-servers.js',
      'packages/admission/dist/measured-stream.js',
      'packages/admission/dist/strangers.js',
    ],
  },
  {
    for: '[[witness]]',
    modules: ['packages/agent/dist/witnesses/witnesses.js', 'packages/tlog/dist/witness/'],
  },
  { for: 'forward', modules: ['packages/agent/dist/forward/'] },
  { for: 'mem_agent_enable', modules: ['packages/guest/dist/memory-agent/memory-agent.js'] },
  {
    for: 'a configuration',
    modules: ['packages/config/dist/toml/parse-toml.js', 'node_modules/toml-eslint-parser/'],
  },
  {
    for: 'rules',
    modules: ['packages/gate/dist/rules/', 'node_modules/@bufbuild/cel/', 'node_modules/@bufbuild/re2/'],
  },
  { for: '--explain', modules: ['packages/config/dist/explain/render-explanation.js'] },
  { for: 'CDI devices', modules: ['node_modules/yaml/'] },
  { for: 'GetMetrics', modules: ['node_modules/prom-client/'] },
];

/** What an agent loads at its start if its configuration asks for nothing else. */
const startModules: ReadonlySet<string | undefined> = new Set([
  'packages/agent/dist/main.js',
  'packages/agent/dist/program.js',
  'packages/agent/dist/backend/guest-backend.js',
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
          `the agent loads ${found} at its start, which only ${wanted} needs\nhelp: import it on demand (tools/bundle/src/optional-parts.ts)`,
        );
    }
}

function loadedAtStart(outputs: Metafile['outputs']): readonly string[] {
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
