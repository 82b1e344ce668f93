import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import {
  endpoints,
  guestCapabilities,
  sensitivePaths,
  type MethodName,
  methodNames,
} from '@kata-agent/catalogue';
import { privilegedReasons } from '@kata-agent/gate';
import {
  entrypointFunction,
  hasMacro,
  loopMacros,
  matchesFunction,
  ruleFunctions,
  ruleLimits,
  type RuleName,
  ruleNames,
  showType,
  type Type,
} from '@kata-agent/gate/rules';
import { AgentService } from '@kata-agent/protocol/agent';
import { code, markdownTable, pageHead } from './markdown.js';
import { type ExampleCall, ruleExamples } from './rule-examples.js';

/** The request message of each method, in the order of the .proto file. */
export const requests: ReadonlyMap<string, DescMessage> = new Map(
  AgentService.methods.map(({ name, input }) => [name, input]),
);

/** docs/reference/rules.md */
export function rulesPage(): string {
  return [
    pageHead(
      'Rules',
      'the descriptors of lib/protocol, the names and functions of lib/gate, and the examples in client/ctl/src/reference/rules',
    ),
    '\nRules decide which requests to a served method are allowed. A rule is one expression in ',
    '[CEL](https://cel.dev) that must be true for each request to the methods that it names:\n\n',
    beginning,
    '\nReady-made rules are in [examples/rules](../../examples/rules), with tests. ',
    '`kata-agent-ctl config generate --pod POD.yaml` writes the rules for a workload, `config learn` those for an audit log, and ',
    '`config test` evaluates rules against requests.\n',
    behaviour(),
    '\n## Names\n\nMacros add names of their own, such as `s` in `list.all(s, …)`.\n\n',
    markdownTable(
      ['name', 'type', 'meaning', 'where', 'example'],
      ruleNames.map((name) => [
        code(name.name),
        nameType(name),
        `${name.doc}${withForward(name, name.methods)}`,
        methodsText(name.methods),
        code(name.example),
      ]),
    ),
    ...recordTables(),
    privilegedTable(),
    '\n## Functions\n\n',
    markdownTable(
      ['written', 'result'],
      [...ruleFunctions, matchesFunction, entrypointFunction].map(({ form, doc }) => [
        formsOf(form).map(code).join(', '),
        doc,
      ]),
    ),
    processOfImage,
    language,
    '\n## Requests\n\nThe type of `request` for each method. Names are those of the .proto file and are case-sensitive. ',
    'Fields that a request does not set are empty, 0 or false.\n',
    ...methodNames.map(methodText),
    '\n## Messages\n\nTypes of fields of requests.\n',
    ...innerMessages().map(
      (message) =>
        `\n### ${message.name}\n\n${message.fields.length === 0 ? 'No fields.\n' : markdownTable(['field', 'type'], fieldRows(message))}`,
    ),
  ].join('');
}

const beginning = `\`\`\`toml
[api]
release = "4.1"
allowed_endpoints = ["@pod", "@exec"]

[[api.rule]]
name = "health-check"
endpoints = ["ExecProcess"]
expression = 'args == ["/bin/healthcheck"] && !terminal'
message = "only the health check may be run in this pod"
\`\`\`
`;

/** Returns the forms of a function: those outside of brackets are separated by commas. */
function formsOf(form: string): readonly string[] {
  return form.split(/, (?![^(]*\))/);
}

const processOfImage = `
### The process of an image

\`runs_image_entrypoint()\` is true if the container runs exactly what its image declares:

| of the request | must be |
| --- | --- |
| arguments | the entrypoint and the arguments of the image |
| environment | the variables of the image, each once; \`PATH\` is the engine's if the image has none |
| user | the image's: names, and the group of a user without one, are looked up in the image's \`/etc/passwd\` and \`/etc/group\`; supplementary groups are among those of the image |
| working directory | the image's, or \`/\` |
| mounts, shared mounts, devices, masked paths | none at or above the program, its interpreters (\`#!\`, that of an ELF file), links that lead to them, candidates in \`PATH\`, files that choose libraries; none at, above or below a directory with libraries |

A list is the arguments after the entrypoint, as \`args\` of a pod: \`runs_image_entrypoint(["--port=80"])\`. A map says what may differ:

| key | meaning |
| --- | --- |
| \`"args"\` | the arguments after the entrypoint |
| \`"env"\` | further variables, or other values: \`NAME\`, \`NAME=VALUE\`; \`*\` in a name is for any characters, and for no variable of the image |
| \`"mounts"\` | destinations of mounts that may cover a part of the program |
| \`"user"\` | users instead of the image's: \`UID\` with its group of the image, or \`UID:GID\` |
| \`"groups"\` | further supplementary groups |
| \`"cwd"\` | working directories instead of the image's |

\`\`\`cel
image.from == "pause_bundle" || image.digest == "sha256:…" && runs_image_entrypoint({
  "args": ["--port=80"], "env": ["HOSTNAME", "KUBERNETES_*", "MODE=production"], "mounts": ["/usr/lib/app/plugins"]})
\`\`\`

It is false for a root that the host provides, for the pause container, if the puller does not know what the image declares, and if the
program, an interpreter or the image's user is not in its root. The denial names the difference, never values. Scripts and files that
the program reads are not covered: restrict \`mounts\`.
`;

const language = [
  '\n## Operators and macros\n\n',
  '`!` `-` `*` `/` `%` `+` `<` `<=` `>` `>=` `==` `!=` `in` `&&` `||` `? :` `[ ]`, as in CEL. ',
  'Signed and unsigned numbers can be compared with each other, but not added.\n\n',
  markdownTable(
    ['macro', 'value'],
    [hasMacro, ...loopMacros].map(({ form, doc }) => [code(form), doc]),
  ),
].join('');

function behaviour(): string {
  const { source, nodes, nesting, steps } = ruleLimits;
  return [
    '\n## Evaluation\n\n',
    '- Rules are evaluated after decoding and before anything else: a denied request has no effect, is answered with `PERMISSION_DENIED` and the name and message of the rule, and is recorded.\n',
    '- All rules of a method must be true. A rule cannot allow a method that is not served.\n',
    '- Names, fields and types are checked when the document is loaded: a misspelt field is an error with line and column. A rule for several methods must be valid for each; `has()` guards fields that only some of them have.\n',
    '- An error during evaluation denies the request: an index out of range, an integer overflow, a string that is not UTF-8.\n',
    `- Evaluation is bounded: ${grouped(source)} characters, ${grouped(nodes)} nodes, brackets ${nesting} deep, and ${grouped(steps)} steps per evaluation. Exceeding a bound denies the request, and no \`||\` can absorb it. Regular expressions run in linear time.\n`,
    '- A rule has no clock, no state and no side effects.\n',
    '- `enforcement = "audit"` records what the rule would deny, and denies nothing.\n',
    '- For `ReadStdout` and `ReadStderr`, `on_denied_read = "eof"` answers with end of file instead of an error.\n',
  ].join('');
}

function nameType(name: RuleName): string {
  const types = new Set(name.methods.map((method) => typeText(name.typeFor(method))));
  const [only] = types;
  return types.size === 1 && only !== undefined ? only : '[the request](#requests)';
}

function methodsText(methods: readonly MethodName[]): string {
  if (methods.length === methodNames.length) return 'all methods';
  return methods.length > 4 ? `the ${methods.length} methods that name a container` : methods.join(', ');
}

function privilegedTable(): string {
  return [
    '\n### Privileged reasons\n\n',
    "What makes a container privileged. Kata's runtimes send none of this for a pod that does not request it. With ",
    '`privileged_containers = "refuse"`, the default if there is a configuration, the agent denies such a ',
    'request before rules are evaluated, and names the reasons; a key in the last column allows a single one. ',
    'For an exec only `capabilities` and `oom-score` apply.\n\n',
    'A missing seccomp profile is not a reason: Kata sends none by default (`disable_guest_seccomp`), and the kubelet does not request ',
    'one. If all pods have one, a rule can require it: `has(request.OCI.Linux.Seccomp)`.\n\n',
    markdownTable(
      ['reason', 'content of the request', 'requested by', 'allowed by'],
      Object.entries(privilegedReasons).map(([name, { description, pods, opens }]) => [
        code(name),
        description,
        pods,
        opens === undefined ? '' : code(opens),
      ]),
    ),
    '\n`capabilities` cannot name those with which a process leaves its container; only `privileged_containers = "allow"` gives them:\n\n',
    markdownTable(
      ['capability', 'with it'],
      [...guestCapabilities].map(([name, way]) => [code(name), way]),
    ),
    '\n`guest_paths` cannot open these for writing (`rw:`), since who writes there is root of the guest:\n\n',
    markdownTable(
      ['path', 'why'],
      sensitivePaths.map(({ path, tree, way }) => [tree ? `${code(path)} and below` : code(path), way]),
    ),
  ].join('');
}

/** Says for which methods a name or a field is state of the guest, which `[agent] forward` leaves unknown. */
function withForward({ ofGuest = [] }: Pick<RuleName, 'ofGuest'>, methods: RuleName['methods']): string {
  const found = methods.filter((method) => ofGuest.includes(method));
  if (found.length === 0) return '';
  if (found.length === methods.length) return ' Not with `forward`.';
  const others = methods.filter((method) => !found.includes(method));
  const shorter = found.length <= others.length ? `for ${found.join(', ')}` : `but for ${others.join(', ')}`;
  return ` Not with \`forward\`, ${shorter}.`;
}

/** Returns tables of the fields of `container`, `peer` and so on, and of their nested records. */
function recordTables(): readonly string[] {
  const records = new Map<string, string>();
  const add = (
    name: RuleName['name'],
    type: ReturnType<RuleName['typeFor']>,
    methods: RuleName['methods'],
  ): void => {
    if (type.kind !== 'record' || records.has(name)) return;
    const rows = [...type.fields].map(([key, field]) => [
      code(`${name}.${key}`),
      typeText(field.type),
      `${field.doc}${field.optional === true ? ' Optional.' : ''}${withForward(field, methods)}`,
    ]);
    records.set(name, `\nFields of ${code(name)}:\n\n${markdownTable(['name', 'type', 'meaning'], rows)}`);
    for (const [key, field] of type.fields) {
      if (field.type.kind === 'list' && field.type.element.kind === 'record')
        add(field.type.element.name, field.type.element, methods);
      add(`${name}.${key}`, field.type, methods);
    }
  };
  for (const name of ruleNames) {
    const [first] = name.methods;
    if (first !== undefined) add(name.name, name.typeFor(first), name.methods);
  }
  return [...records.values()];
}

function methodText(method: MethodName): string {
  const message = requests.get(method);
  const { description, expression, passes, refused } = ruleExamples[method];
  const short = ruleNames.filter(
    ({ methods, name }) =>
      name !== 'request' && methods.length < methodNames.length && methods.includes(method),
  );
  const fields = message === undefined ? [] : fieldRows(message);
  return [
    `\n### ${method}\n\n${endpoints[method].purpose}`,
    short.length === 0 ? '' : ` Names of this method: ${short.map(({ name }) => code(name)).join(', ')}.`,
    '\n\n',
    fields.length === 0
      ? `\`${message?.name ?? method}\` has no fields.\n`
      : markdownTable([code(message?.name ?? method), 'type'], fields),
    `\n${description}\n\n\`\`\`cel\n${expression}\n\`\`\`\n\n`,
    `True for ${callText(passes)}; false for ${callText(refused)}.\n`,
  ].join('');
}

const longest = 90;

function callText(call: ExampleCall): string {
  const parts = [
    ...(call.request === undefined ? [] : [`request: ${JSON.stringify(call.request)}`]),
    ...(call.container === undefined ? [] : [`container: ${JSON.stringify(call.container)}`]),
    ...(call.listener === undefined ? [] : [`listener: ${JSON.stringify(call.listener)}`]),
    ...(call.cid === undefined ? [] : [`peer.cid: ${call.cid}`]),
    ...(call.containers === undefined ? [] : [`sandbox.containers: ${JSON.stringify(call.containers)}`]),
  ];
  const text = parts.length === 0 ? 'an empty request' : parts.join(', ');
  if (parts.length === 0) return text;
  return code(text.length > longest ? `${text.slice(0, longest)}…` : text);
}

/** Formats with a comma between thousands. */
function grouped(count: number): string {
  return count.toLocaleString('en');
}

/** Messages that are fields of requests, each once, outer ones first. */
export function innerMessages(): readonly DescMessage[] {
  const found = new Set<DescMessage>(requests.values());
  // A Set is iterated in insertion order, including elements that are added during the iteration.
  for (const message of found)
    for (const field of message.fields) {
      const inner = innerMessage(field);
      if (inner !== undefined) found.add(inner);
    }
  const outer = new Set(requests.values());
  return [...found].filter((message) => !outer.has(message));
}

/** Returns the fields of a message as table rows: name, type. */
function fieldRows(message: DescMessage): readonly (readonly [string, string])[] {
  return message.fields.map((field) => [code(field.name), fieldType(field)]);
}

/** Returns the type of a name, with a link if it is a message. */
function typeText(type: Type): string {
  switch (type.kind) {
    case 'message':
      return link(type.message);
    case 'list':
      return `list of ${typeText(type.element)}`;
    case 'map':
      return `map from ${typeText(type.key)} to ${typeText(type.value)}`;
    default:
      return showType(type);
  }
}

function fieldType(field: DescField): string {
  switch (field.fieldKind) {
    case 'list':
      return `list of ${elementType(field)}`;
    case 'map':
      return `map from ${scalarName(field.mapKey)} to ${elementType(field)}`;
    default:
      return elementType(field);
  }
}

function elementType(field: DescField): string {
  const message = innerMessage(field);
  if (message !== undefined) return link(message);
  if (field.enum !== undefined) {
    const values = field.enum.values.map(({ name, number }) => `${number} ${name}`);
    return `int (${values.join(', ')})`;
  }
  return field.scalar === undefined ? 'message' : scalarName(field.scalar);
}

function innerMessage(field: DescField): DescMessage | undefined {
  return field.message;
}

/** CEL has one signed and one unsigned integer type. */
function scalarName(scalar: ScalarType): string {
  switch (scalar) {
    case ScalarType.BOOL:
      return 'bool';
    case ScalarType.STRING:
      return 'string';
    case ScalarType.BYTES:
      return 'bytes';
    case ScalarType.UINT32:
    case ScalarType.UINT64:
      return 'uint';
    case ScalarType.INT32:
    case ScalarType.INT64:
      return 'int';
    default:
      throw new TypeError(`the field type ${ScalarType[scalar]} is not supported: no request used it before`);
  }
}

function link(message: DescMessage): string {
  return `[${message.name}](#${message.name.toLowerCase()})`;
}
