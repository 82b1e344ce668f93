import { endpoints, type MethodName, methodNames } from '@kata-agent/catalogue';
import { privilegedReasons } from '@kata-agent/gate';
import { type RuleName, ruleFunctions, ruleLimits, ruleNames } from '@kata-agent/gate/rules';
import { code, markdownTable, pageHead } from '../markdown.js';
import type { ExampleCall } from './rule-example.js';
import { ruleExamples } from './rule-examples.js';
import { fieldRows, innerMessages, requests, typeText } from './rule-fields.js';

/** docs/reference/rules.md */
export function rulesPage(): string {
  return [
    pageHead(
      'Rules',
      'the descriptors of packages/protocol, the names and functions of packages/gate, and the examples in packages/ctl/src/reference/rules',
    ),
    '\nFor whoever decides not only which methods are served, but for which requests. A rule is one expression in ',
    '[CEL](https://cel.dev) that must be true of a request to the methods that it names:\n\n',
    beginning,
    '\nReady-made rules lie in [examples/rules](../../examples/rules), each with tests of what it lets through. ',
    '`kata-agent-ctl config generate --pod POD.yaml` writes those of a workload, `config learn` those of a record, and ',
    '`config test` tries rules on requests.\n',
    behaviour(),
    '\n## Names\n\nBeside these an expression has the names that its macros bring, such as `s` in `list.all(s, …)`.\n\n',
    markdownTable(
      ['name', 'type', 'what it is', 'where', 'for example'],
      ruleNames.map((name) => [
        code(name.name),
        nameType(name),
        name.doc,
        methodsText(name.methods),
        code(name.example),
      ]),
    ),
    ...recordTables(),
    privilegedTable(),
    '\n## Functions\n\n',
    markdownTable(
      ['written', 'what it gives'],
      [...ruleFunctions, matches].map(({ form, doc }) => [form.split(', ').map(code).join(', '), doc]),
    ),
    language,
    '\n## Requests\n\nWhat `request` is, method by method. Names are those of the .proto file, large letters and small. ',
    'What a request does not say reads as empty, 0 or false.\n',
    ...methodNames.map(methodText),
    '\n## Messages\n\nWhat stands within requests.\n',
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

/** The one function that is no row of a table: its pattern is compiled with the rule. */
const matches = {
  form: 'text.matches("pattern")',
  doc: 'Whether some part of a text matches a regular expression of RE2. Write `^` and `$` to mean the whole.',
};

const language = `
## Operators and macros

\`!\` \`-\` \`*\` \`/\` \`%\` \`+\` \`<\` \`<=\` \`>\` \`>=\` \`==\` \`!=\` \`in\` \`&&\` \`||\` \`? :\` \`[ ]\`, as in CEL. Numbers of both kinds can be compared with each other, but not added.

| macro | true when |
| --- | --- |
| \`has(a.b)\` | the request says \`b\`; it also guards a field that only some of a rule's methods have |
| \`list.all(x, …)\` | it holds for every element, or key of a map |
| \`list.exists(x, …)\` | it holds for at least one |
| \`list.exists_one(x, …)\` | it holds for exactly one |
| \`list.filter(x, …)\`, \`list.map(x, …)\` | (they make a list) |
`;

function behaviour(): string {
  const { source, nodes, nesting, steps } = ruleLimits;
  return [
    '\n## How a rule behaves\n\n',
    '- It stands between decoding and everything else: a request that it refuses has no effect, is answered with `PERMISSION_DENIED` and the name and message of the rule, and is recorded.\n',
    '- All rules of a method must be true. A method that is not served stays so, whatever rules say.\n',
    '- Names, fields and types are checked when the document is loaded: a misspelt field is an error with its line and column. A rule for several methods must be right for each; `has()` guards what only some of them have.\n',
    '- An error while it is evaluated refuses the request: an index beyond the end, a number too large, a text that is no UTF-8.\n',
    `- It is bounded: ${grouped(source)} characters, ${grouped(nodes)} parts, brackets ${nesting} deep, and ${grouped(steps)} steps for one evaluation. What is more, refuses, and no \`||\` can absorb it. Regular expressions take time in proportion to the text.\n`,
    '- It has no clock, no state and no effects.\n',
    '- `enforcement = "audit"` records what it would refuse, and refuses nothing.\n',
    '- For `ReadStdout` and `ReadStderr`, `on_denied_read = "eof"` answers with the end of the file in the stead of an error.\n',
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
    'What makes a container privileged. Neither runtime of Kata sends any of it for a pod that does not ask for it. With ',
    '`privileged_containers = "refuse"`, the default as soon as there is a configuration, the agent itself refuses such a ',
    'request before it asks a rule, and names the reasons; a key in the last column opens a single thing. ',
    'An exec has `capabilities` and `oom-score` alone.\n\n',
    'No seccomp profile is not among them: Kata sends none by default (`disable_guest_seccomp`), nor does the kubelet ask ',
    'for one. Where all pods have one, a rule can ask for it: `has(request.OCI.Linux.Seccomp)`.\n\n',
    markdownTable(
      ['reason', 'what the request has', 'asked for by', 'opened by'],
      Object.entries(privilegedReasons).map(([name, { says, pods, opens }]) => [
        code(name),
        says,
        pods,
        opens === undefined ? '' : code(opens),
      ]),
    ),
  ].join('');
}

/** What `container`, `peer` and the like have, and what these have again. */
function recordTables(): readonly string[] {
  const records = new Map<string, string>();
  const add = (name: RuleName['name'], type: ReturnType<RuleName['typeFor']>): void => {
    if (type.kind !== 'record' || records.has(name)) return;
    const rows = [...type.fields].map(([key, field]) => [
      code(`${name}.${key}`),
      typeText(field.type),
      `${field.doc}${field.optional === true ? ' Not always there.' : ''}`,
    ]);
    records.set(name, `\nWhat ${code(name)} has:\n\n${markdownTable(['name', 'type', 'what it is'], rows)}`);
    for (const [key, field] of type.fields) {
      if (field.type.kind === 'list') add('member', field.type.element);
      add(`${name}.${key}`, field.type);
    }
  };
  for (const name of ruleNames) {
    const [first] = name.methods;
    if (first !== undefined) add(name.name, name.typeFor(first));
  }
  return [...records.values()];
}

function methodText(method: MethodName): string {
  const message = requests.get(method);
  const { says, expression, passes, refused } = ruleExamples[method];
  const short = ruleNames.filter(
    ({ methods, name }) =>
      name !== 'request' && methods.length < methodNames.length && methods.includes(method),
  );
  const fields = message === undefined ? [] : fieldRows(message);
  return [
    `\n### ${method}\n\n${endpoints[method].purpose}`,
    short.length === 0 ? '' : ` Names of its own: ${short.map(({ name }) => code(name)).join(', ')}.`,
    '\n\n',
    fields.length === 0
      ? `\`${message?.name ?? method}\` has no fields.\n`
      : markdownTable([code(message?.name ?? method), 'type'], fields),
    `\n${says}\n\n\`\`\`cel\n${expression}\n\`\`\`\n\n`,
    `True of ${callText(passes)}; false of ${callText(refused)}.\n`,
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

/** With a comma between thousands. */
function grouped(count: number): string {
  return count.toLocaleString('en');
}
