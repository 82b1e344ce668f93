import { dirname } from 'node:path';
import { create, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { YamlText } from '@kata-agent/analysis';
import { CommandError, ExitCode } from '@kata-agent/cli';
import type { Diagnostic } from '@kata-agent/config';
import { CreateSandboxRequestSchema } from '@kata-agent/protocol/agent';
import { ARPNeighborSchema, InterfaceSchema, RouteSchema } from '@kata-agent/protocol/types';
import { parseContainer, parseVolume } from './parse-container.js';
import { type Network, parseMessage, type Scenario, type ScenarioNode } from './scenario.js';
import { parseStep } from './parse-step.js';

/** A scenario, or all errors in the file. */
export type ParsedScenario =
  | { readonly ok: true; readonly scenario: Scenario }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

export interface ScenarioOptions {
  /** The parent cgroup of the containers, in the guest: `/kata-replay`. */
  readonly cgroupParent: string;
}

const keys = ['scenario', 'variables', 'network', 'sandbox', 'volumes', 'containers', 'steps'];

/**
 * Parses a scenario after substitution of its variables. Relative paths on the host are relative to the file's
 * directory.
 */
export function parseScenario(text: string, file: string, options: ScenarioOptions): ParsedScenario {
  const yaml = new YamlText(text, file);
  if (yaml.diagnostics.length > 0) return { ok: false, diagnostics: yaml.diagnostics };
  const root = yaml.members(yaml.root, 'the file', keys);
  const title = yaml.text(root.get('scenario'), 'scenario');
  if (title === undefined && !root.has('scenario'))
    yaml.error(
      'KA2004',
      yaml.root,
      'the key scenario is missing',
      'describe in a sentence what the scenario shows',
    );
  const network = parseNetwork(yaml, root.get('network'));
  const sandbox = parseMessage(yaml, CreateSandboxRequestSchema, root.get('sandbox'), 'sandbox');
  const volumes = yaml
    .entries(root.get('volumes'), 'volumes')
    .flatMap((node) => parseVolume(yaml, node) ?? []);
  const containers = yaml
    .entries(root.get('containers'), 'containers')
    .flatMap((node) => parseContainer(yaml, node, { ...options, directory: dirname(file) }) ?? []);
  const names = containers.map(({ name }) => name);
  if (containers.length === 0)
    yaml.error('KA2004', yaml.root, 'no containers', 'list them in the key containers');
  const steps = yaml
    .entries(root.get('steps'), 'steps')
    .flatMap((node) => parseStep(yaml, node, names) ?? []);
  if (yaml.diagnostics.length > 0) return { ok: false, diagnostics: yaml.diagnostics };
  return {
    ok: true,
    scenario: {
      title: title ?? '',
      network,
      sandbox: sandbox ?? create(CreateSandboxRequestSchema),
      volumes,
      containers,
      steps,
    },
  };
}

function parseNetwork(yaml: YamlText, node: ScenarioNode | undefined): Network {
  if (node === undefined) return { interfaces: [], routes: [], neighbours: [] };
  const members = yaml.members(node, 'network', ['interfaces', 'routes', 'neighbours']);
  const all = <T extends DescMessage>(key: string, schema: T): readonly MessageShape<T>[] =>
    yaml.entries(members.get(key), key).flatMap((entry) => parseMessage(yaml, schema, entry, key) ?? []);
  return {
    interfaces: all('interfaces', InterfaceSchema),
    routes: all('routes', RouteSchema),
    neighbours: all('neighbours', ARPNeighborSchema),
  };
}

/**
 * Substitutes the variables in a scenario's text: `variables` declares each name with its meaning, and `${name}` uses
 * it. Throws CommandError if a variable has no value, or if a value has no variable.
 */
export function fillIn(text: string, file: string, values: ReadonlyMap<string, string>): string {
  const yaml = new YamlText(text, file);
  const value: unknown = yaml.root === undefined ? undefined : yaml.value(yaml.root);
  const declared =
    typeof value === 'object' && value !== null && 'variables' in value ? value.variables : undefined;
  const meanings = new Map(
    Object.entries(declared ?? {}).map(([name, description]) => [name, String(description)]),
  );
  for (const name of values.keys()) {
    if (meanings.has(name)) continue;
    throw new CommandError(ExitCode.Usage, `--set ${name}: ${file} has no such variable`, {
      help: [`variables: ${[...meanings.keys()].join(', ') || 'none'}`],
    });
  }
  const missing = [...meanings].filter(([name]) => !values.has(name));
  if (missing.length > 0) {
    throw new CommandError(
      ExitCode.Usage,
      `${file} needs a value for ${missing.map(([name]) => name).join(', ')}`,
      { help: missing.map(([name, description]) => `--set ${name}=VALUE: ${description}`) },
    );
  }
  return [...values].reduce((filled, [name, given]) => filled.replaceAll(`\${${name}}`, given), text);
}
