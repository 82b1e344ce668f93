import { methodNames } from '@kata-agent/catalogue';
import {
  type EntryKeyRow,
  listenerKeys,
  type Loaded,
  loadConfiguration,
  renderDiagnostic,
  ruleKeys,
  settings,
} from '@kata-agent/config';
import { compileGate } from '@kata-agent/gate';
import { createRuleChecker } from '@kata-agent/gate/rules';

import { mutateBytes, mutateText } from '../mutate.js';
import type { Random } from '../random.js';
import type { Target } from '../target.js';

const checker = createRuleChecker();
const keys = [
  ...settings.map(({ key }) => key),
  ...Object.values<EntryKeyRow>(ruleKeys).map(({ key }) => key),
  ...Object.values<EntryKeyRow>(listenerKeys).map(({ key }) => key),
];
/** Words with a meaning in TOML, in our documents, or in JavaScript. */
const words = [
  ...keys,
  ...keys.map((key) => `${key} = `),
  ...methodNames.slice(0, 12),
  ...'@pod @stdio @exec * " """ \' [ ] [[ { } = , . # \\u0000 \\'.split(' '),
  ...'[agent] [api] [audit] [limits] [[listener]] [delivery] [measurement] [[api.rule]] __proto__ constructor'.split(
    ' ',
  ),
  ...'true false 0 -1 1e400 nan 0x7fffffffffffffff 9223372036854775808 1979-05-27'.split(' '),
  'version = 1',
  '\u0000',
  '\ufeff',
];
const whole = [
  '[agent]\nlog_level = "debug"\nserver_addr = "unix:///run/a"\nlock = true\n',
  '[api]\nrelease = "3.21"\nallowed_endpoints = ["@pod", "ReadStdout", "ReadStderr"]\nblocked_endpoints = ["ReseedRandomDev"]\n',
  '[api]\nallowed_endpoints = []\n',
  '[api]\nallowed_endpoints = ["@exec"]\n[[api.rule]]\nname = "r"\nendpoints = ["ExecProcess"]\nexpression = \'args[0] in ["/bin/true"] && !terminal\'\nmessage = "no"\n',
  '[api]\nallowed_endpoints = ["*"]\n[[listener]]\nname = "host"\naddress = "vsock://-1:1024"\npeers = ["host"]\nallowed_endpoints = ["@pod"]\n',
  '[api]\nblocked_endpoints = []\n[delivery]\naccept = ["drop_ins"]\nbind = "none"\nrequired = false\n[measurement]\ntpm = "try"\n',
  'version = 1\n[audit]\nfile = "/run/x.log"\nmax_size = "16MiB"\nkeep = 4\n[limits]\nconnections = 64\n',
];

/** Documents with changes in a few places, documents generated from keys and values, or random bytes. */
export const config: Target = {
  name: 'config',
  promise: 'a document is loaded as written or rejected with reasons, and never serves more than its lists',
  async run(random) {
    const bytes = documentBytes(random);
    const loaded = await load(bytes);
    if (loaded.ok) checkLoaded(loaded, bytes);
    else checkRefused(loaded);
  },
};

function documentBytes(random: Random): Uint8Array {
  const choice = random.below(8);
  if (choice === 0) return random.bytes(random.below(80));
  const text = choice < 5 ? mutateText(random, random.pick(whole), words) : assembled(random);
  return choice === 1 ? mutateBytes(random, Buffer.from(text)) : Buffer.from(text);
}

/** Sections with keys that may belong there, and plausible values. */
function assembled(random: Random): string {
  const lines: string[] = [];
  for (let sections = 1 + random.below(3); sections > 0; sections -= 1) {
    const section = random.pick(['agent', 'api', 'delivery', 'measurement', 'audit', 'limits'] as const);
    lines.push(`[${section}]`);
    const own = settings.filter((row) => row.section === section).map(({ key }) => key);
    for (let entries = random.below(4); entries > 0; entries -= 1) {
      lines.push(`${random.once(8) ? random.pick(keys) : random.pick(own)} = ${value(random)}`);
    }
  }
  return lines.join('\n');
}

function value(random: Random): string {
  switch (random.below(6)) {
    case 0:
      return random.pick(['true', 'false']);
    case 1:
      return String((random.bits() | 0) >> random.below(32));
    case 2:
      return `[${Array.from({ length: random.below(4) }, () => `"${random.pick([...methodNames, '@pod', '*'])}"`).join(', ')}]`;
    case 3:
      return `"${random.pick(['info', 'default', '3.21', 'vsock://-1:1024', '16MiB', 'error', 'eof', 'refuse-all', ''])}"`;
    case 4:
      return `{ a = ${random.below(9)} }`;
    default:
      return random.pick(words);
  }
}

async function load(bytes: Uint8Array): Promise<Loaded> {
  return loadConfiguration({
    flags: {},
    environment: {},
    configFlag: '/config.toml',
    files: { read: () => ({ ok: true, bytes }) },
    rules: async () => checker,
    delivery: [{ name: 'drop_ins', collect: () => ({ ok: true, documents: [] }) }],
    hostData: () => ({ ok: false, message: 'there is none', help: 'none is needed' }),
  });
}

function checkLoaded({ configuration }: Loaded & { readonly ok: true }, bytes: Uint8Array): void {
  if (!Object.isFrozen(configuration)) throw new Error('the configuration is not frozen');
  for (const warning of configuration.warnings) renderDiagnostic(warning);
  const text = Buffer.from(bytes).toString();
  const served = compileGate(configuration, { listeners: ['default'] }).served('default');
  for (const method of served) {
    // A served method must be listed by name, by a group or by the star, unless there is only a block-list.
    const named =
      text.includes(method) || text.includes('@') || text.includes('*') || text.includes('blocked_endpoints');
    if (!named) throw new Error(`${method} is served, and the document does not list it`);
  }
  if (served.length > 0 && !text.includes('_endpoints'))
    throw new Error('there is no list, but a method is served');
}

function checkRefused({ diagnostics, exitCode }: Loaded & { readonly ok: false }): void {
  // The delivery that [delivery] requires does not arrive here.
  if (exitCode === 3 && !diagnostics.some(({ message }) => /takes no documents|is required/.test(message)))
    throw new Error('it cannot be applied, but no delivery is reported missing');
  if (!diagnostics.some(({ severity }) => severity === 'error')) throw new Error('rejected without an error');
  for (const diagnostic of diagnostics) {
    const text = renderDiagnostic(diagnostic);
    if (diagnostic.message === '' || text === '') throw new Error('a diagnostic without a message');
    // Text from a document must not control a terminal (S18).
    if (/[\x00-\x08\x0b-\x1f\x7f]/.test(text))
      throw new Error(`a control character in ${JSON.stringify(text)}`);
  }
}
