import { fromJson, isMessage, type JsonValue, type Message } from '@bufbuild/protobuf';
import { isMethodName, type MethodName } from '@kata-agent/catalogue';
import type { Diagnostic, Span } from '@kata-agent/config';
import {
  programWithoutRoot,
  type RuleContainer,
  type RuleContext,
  type RuleImage,
  type RuleImageConfig,
  type RuleMember,
  type RuleMemberMount,
  type RulePeer,
} from '@kata-agent/gate';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import type { Node } from 'yaml';
import { asRuntimesSend, requestSchema } from '../offline-requests.js';
import { YamlText } from './yaml-text.js';

const origins = ['host', 'pause_bundle', 'pulled'] as const;

const configKeys = ['entrypoint', 'cmd', 'env', 'user', 'working_dir', 'volumes', 'stop_signal'];

/** A suite, or all errors in the file. */
export type ParsedSuite =
  | { readonly ok: true; readonly suite: TestSuite }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

const caseKeys = [
  'name',
  'method',
  'listener',
  'peer',
  'container',
  'sandbox',
  'image',
  'request',
  'expect',
  'rule',
];

/** Parses a file of cases, in YAML or JSON. Requests are proto3 JSON; field names can be those of the .proto file. */
export function parseSuite(text: string, file: string): ParsedSuite {
  const yaml = new YamlText(text, file);
  if (yaml.diagnostics.length > 0) return { ok: false, diagnostics: yaml.diagnostics };
  const root = yaml.members(yaml.root, 'the file', ['configuration', 'fragments', 'tests']);
  const configuration = yaml.text(root.get('configuration'), 'configuration');
  const fragments = yaml
    .entries(root.get('fragments'), 'fragments')
    .flatMap((node) => yaml.text(node, 'a fragment') ?? []);
  const tests = yaml.entries(root.get('tests'), 'tests');
  if (tests.length === 0) yaml.error('KA2004', yaml.root, 'no tests', 'list them in the key tests');
  const cases = tests.flatMap((node) => parseCase(yaml, node) ?? []);
  if (yaml.diagnostics.length > 0) return { ok: false, diagnostics: yaml.diagnostics };
  return {
    ok: true,
    suite: { file, fragments, cases, ...(configuration === undefined ? {} : { configuration }) },
  };
}

function parseCase(yaml: YamlText, node: Node): TestCase | undefined {
  const members = yaml.members(node, 'a test', caseKeys);
  for (const key of ['name', 'method', 'expect'])
    if (!members.has(key)) yaml.error('KA2004', node, `a test has no ${key}`, `add the key ${key}`);
  const name = yaml.text(members.get('name'), 'name');
  const method = parseMethod(yaml, members.get('method'));
  const expect = yaml.oneOf(members.get('expect'), 'expect', ['allow', 'deny', 'audit'] as const);
  const rule = yaml.text(members.get('rule'), 'rule');
  if (rule !== undefined && expect === 'allow')
    yaml.error(
      'KA2007',
      members.get('rule'),
      'no rule decides on an allowed call',
      'remove it, or expect deny or audit',
    );
  const listener = yaml.text(members.get('listener'), 'listener');
  const peer = parsePeer(yaml, members.get('peer'));
  const container = parseContainer(yaml, members.get('container'));
  const sandbox = parseSandbox(yaml, members.get('sandbox'));
  const image = members.has('image') ? parseImage(yaml, members.get('image')) : undefined;
  const request = method === undefined ? undefined : parseRequest(yaml, method, members.get('request'));
  if (name === undefined || method === undefined || expect === undefined || request === undefined)
    return undefined;
  return {
    name,
    span: yaml.spanOf(members.get('name')),
    method,
    request,
    expect,
    ...(listener === undefined ? {} : { listener }),
    ...(peer === undefined ? {} : { peer }),
    ...(container === undefined ? {} : { container }),
    ...(sandbox === undefined ? {} : { sandbox }),
    ...(image === undefined ? {} : { image: withProgram(image, request) }),
    ...(rule === undefined ? {} : { rule }),
  };
}

function parseMethod(yaml: YamlText, node: Node | undefined): MethodName | undefined {
  const name = yaml.text(node, 'method');
  if (name === undefined || isMethodName(name)) return name;
  yaml.error('KA2005', node, `unknown method ${JSON.stringify(name)}`, 'kata-agent-ctl endpoints lists them');
  return undefined;
}

function parseRequest(yaml: YamlText, method: MethodName, node: Node | undefined): Message | undefined {
  const schema = requestSchema(method);
  try {
    const value = node === undefined ? {} : (yaml.value(node) as JsonValue);
    return fromJson(schema, method === 'CreateContainer' ? asRuntimesSend(value) : value);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const unknown = /key "(.*?)" is unknown/.exec(error.message)?.[1];
    const at = node !== undefined && unknown !== undefined ? yaml.keyBelow(node, unknown) : undefined;
    yaml.error(
      'KA2006',
      at ?? node,
      error.message,
      `write a ${schema.name}; kata-agent-ctl call ${method} --template prints one`,
    );
    return undefined;
  }
}

function parsePeer(yaml: YamlText, node: Node | undefined): RulePeer | undefined {
  if (node === undefined) return undefined;
  const members = yaml.members(node, 'peer', ['kind', 'cid', 'uid', 'subject', 'sans', 'claimed_operator']);
  const kind = yaml.oneOf(members.get('kind'), 'kind', ['unix', 'vsock', 'tls'] as const);
  if (!members.has('kind')) yaml.error('KA2004', node, 'peer has no kind', 'set kind to unix, vsock or tls');
  const cid = yaml.whole(members.get('cid'), 'cid');
  const uid = yaml.whole(members.get('uid'), 'uid');
  const subject = yaml.text(members.get('subject'), 'subject');
  const sans = members.has('sans') ? texts(yaml, members.get('sans'), 'sans') : undefined;
  const claimedOperator = yaml.text(members.get('claimed_operator'), 'claimed_operator');
  if (kind === undefined) return undefined;
  return {
    kind,
    ...(cid === undefined ? {} : { cid }),
    ...(uid === undefined ? {} : { uid }),
    ...(subject === undefined ? {} : { subject }),
    ...(sans === undefined ? {} : { sans }),
    ...(claimedOperator === undefined ? {} : { claimedOperator }),
  };
}

function parseContainer(yaml: YamlText, node: Node | undefined): Partial<RuleContainer> | undefined {
  if (node === undefined) return undefined;
  const members = yaml.members(node, 'container', ['id', 'state', 'claimed']);
  const states = ['none', 'created', 'running', 'paused', 'stopped'] as const;
  const id = yaml.text(members.get('id'), 'id');
  const state = yaml.oneOf(members.get('state'), 'state', states);
  const claimed = members.has('claimed') ? parseClaimed(yaml, members.get('claimed')) : undefined;
  return {
    ...(id === undefined ? {} : { id }),
    ...(state === undefined ? {} : { state }),
    ...(claimed === undefined ? {} : { claimed }),
  };
}

function parseClaimed(yaml: YamlText, node: Node | undefined): RuleContainer['claimed'] {
  const members = yaml.members(node, 'claimed', ['image', 'annotations']);
  const image = yaml.text(members.get('image'), 'image', true) ?? '';
  const annotations = members.get('annotations');
  const value: unknown = annotations === undefined ? {} : yaml.value(annotations);
  if (isTexts(value)) return { image, annotations: value };
  yaml.error('KA2003', annotations, 'annotations must be a mapping of strings', 'put each value in quotes');
  return { image, annotations: {} };
}

function isTexts(value: unknown): value is Readonly<Record<string, string>> {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).every((entry) => typeof entry === 'string')
  );
}

function parseSandbox(yaml: YamlText, node: Node | undefined): TestCase['sandbox'] {
  if (node === undefined) return undefined;
  const members = yaml.members(node, 'sandbox', ['id', 'containers', 'members']);
  return {
    id: yaml.text(members.get('id'), 'id', true) ?? '',
    containers: texts(yaml, members.get('containers'), 'containers'),
    ...(members.has('members')
      ? {
          members: yaml
            .entries(members.get('members'), 'members')
            .flatMap((entry) => parseMember(yaml, entry)),
        }
      : {}),
  };
}

function parseMember(yaml: YamlText, node: Node): readonly RuleMember[] {
  const members = yaml.members(node, 'an entry of members', ['name', 'state', 'exit_code', 'mounts']);
  const states = ['created', 'running', 'paused', 'stopped', 'removed'] as const;
  const name = yaml.text(members.get('name'), 'name', true) ?? '';
  const state = yaml.oneOf(members.get('state'), 'state', states);
  const exitCode = yaml.whole(members.get('exit_code'), 'exit_code');
  const mounts = yaml.entries(members.get('mounts'), 'mounts').map((entry) => parseMount(yaml, entry));
  return state === undefined
    ? []
    : [{ name, state, mounts, ...(exitCode === undefined ? {} : { exitCode }) }];
}

function parseMount(yaml: YamlText, node: Node): RuleMemberMount {
  const members = yaml.members(node, 'an entry of mounts', ['destination', 'source']);
  const destination = yaml.text(members.get('destination'), 'destination') ?? '';
  return { destination, source: yaml.text(members.get('source'), 'source') ?? '' };
}

function texts(yaml: YamlText, node: Node | undefined, what: string): readonly string[] {
  return yaml.entries(node, what).flatMap((entry) => yaml.text(entry, `an entry of ${what}`) ?? []);
}

/** Parses the image of a case, in the names that rules use; undefined if it is invalid. */
function parseImage(yaml: YamlText, node: Node | undefined): RuleImage | undefined {
  const members = yaml.members(node, 'image', ['from', 'reference', 'digest', 'manifest_digest', 'config']);
  const from = members.has('from') ? yaml.oneOf(members.get('from'), 'from', origins) : 'pulled';
  const reference = yaml.text(members.get('reference'), 'reference');
  const digest = yaml.text(members.get('digest'), 'digest');
  const manifestDigest = yaml.text(members.get('manifest_digest'), 'manifest_digest');
  const config = members.has('config') ? parseConfig(yaml, members.get('config')) : undefined;
  if (from === undefined) return undefined;
  return {
    from,
    ...(reference === undefined ? {} : { reference }),
    ...(digest === undefined ? {} : { digest }),
    ...(manifestDigest === undefined ? {} : { manifestDigest }),
    ...(config === undefined ? {} : { config }),
  };
}

function parseConfig(yaml: YamlText, node: Node | undefined): RuleImageConfig {
  const members = yaml.members(node, 'config', configKeys);
  const text = (key: string): string => yaml.text(members.get(key), key, true) ?? '';
  const texts = (key: string): readonly string[] =>
    yaml
      .entries(members.get(key), key)
      .flatMap((entry) => yaml.text(entry, `an entry of ${key}`, true) ?? []);
  return {
    entrypoint: texts('entrypoint'),
    cmd: texts('cmd'),
    env: texts('env'),
    user: text('user'),
    workingDir: text('working_dir'),
    volumes: texts('volumes'),
    stopSignal: text('stop_signal'),
  };
}

/** Adds what is known of the program of the request without the root of the image. */
function withProgram(image: RuleImage, request: Message): RuleImage {
  if (image.config === undefined || !isMessage(request, CreateContainerRequestSchema)) return image;
  return { ...image, program: programWithoutRoot(request, image.config) };
}

/** `audit`: the call is allowed, and the record names a rule that would have denied it. */
export type Expectation = 'allow' | 'deny' | 'audit';

/** One request and its expected decision. */
export interface TestCase {
  readonly name: string;
  /** The position in the file. */
  readonly span: Span;
  readonly method: MethodName;
  readonly request: Message;
  /** Absent: the first listener of the configuration. */
  readonly listener?: string;
  /** Absent: the host. */
  readonly peer?: RulePeer;
  /** The state of the container in the request; absent: it runs, and claims nothing. */
  readonly container?: Partial<RuleContainer>;
  readonly sandbox?: RuleContext['sandbox'];
  /** The image of the container; absent: the guest does not have it yet, or does not pull it. */
  readonly image?: RuleImage;
  readonly expect: Expectation;
  /** The rule that must decide; absent: any rule, or the gate. */
  readonly rule?: string;
}

/** A file of cases. */
export interface TestSuite {
  readonly file: string;
  /** The configuration under test, relative to the file; absent: the caller names it. */
  readonly configuration?: string;
  /** `[api]` fragments that are applied in order, as by SetPolicy; relative to the file. */
  readonly fragments: readonly string[];
  readonly cases: readonly TestCase[];
}
