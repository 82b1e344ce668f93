import { create, fromJson, type JsonObject, type JsonValue } from '@bufbuild/protobuf';
import type { YamlText } from '@kata-agent/analysis';
import { Code, codeName } from '@kata-agent/ttrpc';
import { calls } from '../calls.js';
import { parseDuration } from '@kata-agent/cli';
import { parseTexts, parseVolume } from './parse-container.js';
import type { CallExpectation, ScenarioNode, Step, StepAction } from './scenario.js';

const codes: readonly string[] = Object.values(Code).map((code) => codeName(code));
const common = ['name', 'within'];

/** The key that selects the kind of a step, and the other keys that it allows. */
const kinds = {
  exec: ['args', 'stdin', 'status', 'stdout', 'stderr'],
  call: ['request', 'reply', 'fails', 'says'],
  output: ['matches'],
  exit: ['status'],
  oom: [],
  volume: [],
} as const satisfies { readonly [K in StepAction['kind']]: readonly string[] };

type Members = ReadonlyMap<string, ScenarioNode>;

/** Parses one step of a scenario. Returns undefined and reports a diagnostic if it is invalid. */
export function parseStep(
  yaml: YamlText,
  node: ScenarioNode,
  containers: readonly string[],
): Step | undefined {
  const all = Object.keys(kinds) as readonly StepAction['kind'][];
  const found = yaml.members(node, 'a step', [...common, ...all, ...Object.values(kinds).flat()]);
  const [kind, second] = all.filter((name) => found.has(name));
  if (kind === undefined || second !== undefined) {
    yaml.error(
      'KA2004',
      node,
      'a step has one action or one condition',
      `use one of the keys ${all.join(', ')}`,
    );
    return undefined;
  }
  const members = yaml.members(node, `a step with ${kind}`, [...common, kind, ...kinds[kind]]);
  const subject = kind === 'volume' ? '' : (yaml.text(members.get(kind), kind) ?? '');
  if (kind !== 'call' && kind !== 'volume' && !containers.includes(subject)) {
    yaml.error(
      'KA2005',
      members.get(kind),
      `unknown container ${JSON.stringify(subject)}`,
      containers.join(', '),
    );
  }
  const action = parseAction(yaml, kind, subject, members);
  if (action === undefined) return undefined;
  return {
    ...action,
    name: yaml.text(members.get('name'), 'name') ?? `${kind} ${subject}`.trim(),
    withinMs: parseWithin(yaml, members.get('within')),
  };
}

function parseAction(
  yaml: YamlText,
  kind: StepAction['kind'],
  subject: string,
  members: Members,
): StepAction | undefined {
  const status = (): number => yaml.whole(members.get('status'), 'status') ?? 0;
  switch (kind) {
    case 'exec': {
      const stdin = yaml.text(members.get('stdin'), 'stdin', true);
      const stdout = parsePattern(yaml, members.get('stdout'), 'stdout');
      const stderr = parsePattern(yaml, members.get('stderr'), 'stderr');
      return {
        kind,
        container: subject,
        args: parseTexts(yaml, members.get('args'), 'args'),
        ...(stdin === undefined ? {} : { stdin }),
        expect: {
          status: status(),
          ...(stdout === undefined ? {} : { stdout }),
          ...(stderr === undefined ? {} : { stderr }),
        },
      };
    }
    case 'call':
      return parseCall(yaml, subject, members);
    case 'output':
      return {
        kind,
        container: subject,
        pattern: parsePattern(yaml, members.get('matches'), 'matches') ?? /./,
      };
    case 'exit':
      return { kind, container: subject, status: status() };
    case 'oom':
      return { kind, container: subject };
    case 'volume': {
      const node = members.get(kind);
      const volume = node === undefined ? undefined : parseVolume(yaml, node);
      return volume === undefined ? undefined : { kind, volume };
    }
  }
}

function parseCall(yaml: YamlText, name: string, members: Members): StepAction | undefined {
  const method = calls.get(name);
  if (method === undefined) {
    yaml.error(
      'KA2005',
      members.get('call'),
      `unknown method ${JSON.stringify(name)}`,
      'kata-agent-ctl endpoints',
    );
    return undefined;
  }
  const node = members.get('request');
  const request = (node === undefined ? {} : yaml.value(node)) as JsonObject;
  try {
    create(method.input, fromJson(method.input, request));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    yaml.error('KA2006', node, `request: ${message}`, `kata-agent-ctl call ${name} --template`);
    return undefined;
  }
  return { kind: 'call', method: name, request, expect: parseExpectation(yaml, members) };
}

function parseExpectation(yaml: YamlText, members: Members): CallExpectation {
  const code = yaml.oneOf(members.get('fails'), 'fails', codes);
  const says = parsePattern(yaml, members.get('says'), 'says');
  const reply = members.get('reply');
  if (code !== undefined) return { code, ...(says === undefined ? {} : { says }) };
  return { code: 'OK', ...(reply === undefined ? {} : { reply: yaml.value(reply) as JsonValue }) };
}

function parsePattern(yaml: YamlText, node: ScenarioNode | undefined, what: string): RegExp | undefined {
  const text = yaml.text(node, what, true);
  if (text === undefined) return undefined;
  try {
    return new RegExp(text, 'm');
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    yaml.error('KA2003', node, `${what}: ${message}`, 'write a regular expression');
    return undefined;
  }
}

function parseWithin(yaml: YamlText, node: ScenarioNode | undefined): number {
  const text = yaml.text(node, 'within');
  if (text === undefined) return 0;
  try {
    return parseDuration(text, 'within');
  } catch (error) {
    yaml.error('KA2003', node, error instanceof Error ? error.message : String(error), 'within: 5s');
    return 0;
  }
}
