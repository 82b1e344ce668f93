import { deliverySources, loadConfiguration, renderDiagnostic, settings } from '@kata-agent/config';
import { createRuleChecker } from '@kata-agent/gate/rules';

import { mutateText } from '../mutate.js';
import type { Random } from '../random.js';
import type { Target } from '../target.js';

const restricted = Buffer.from('[api]\nrelease = "4.1"\nallowed_endpoints = ["@pod"]\n');
const names = [
  ...settings.map(({ key }) => `agent.${key}`),
  ...'agent.log agent.devmode agent.trace agent.config_file agent.config_b64 agent.config_digest agent.server_addr agent.nope agent.'.split(
    ' ',
  ),
  ...'systemd.unified_cgroup_hierarchy cgroup_no_v1 quiet init -- NODE_OPTIONS'.split(' '),
];
const values = [
  '',
  '1',
  'true',
  'false',
  'debug',
  '-1',
  '99999999999',
  '/etc/x',
  '"a b"',
  '"',
  'vsock://-1:1024',
  'ä',
];

/** Kernel command lines of known, nearly known and unknown words, with a document that restricts the API. */
export const kernelCommandLine: Target = {
  name: 'kernel-command-line',
  promise: 'no kernel command line allows what the document denies',
  async run(random) {
    const line = kernelWords(random);
    const loaded = await loadConfiguration({
      flags: {},
      environment: {},
      kernelCommandLine: line,
      configFlag: '/config.toml',
      files: { read: () => ({ ok: true, bytes: restricted }) },
      rules: async () => createRuleChecker(),
      delivery: deliverySources({ kernelCommandLine: line }).filter(({ name }) => name === 'kernel_line'),
      hostData: () => ({ ok: false, message: 'there is none', help: 'none is needed' }),
    });
    if (!loaded.ok) {
      if (loaded.diagnostics.length === 0) throw new Error('rejected without a reason');
      for (const diagnostic of loaded.diagnostics) renderDiagnostic(diagnostic);
      return;
    }
    const { configuration } = loaded;
    for (const warning of configuration.warnings) renderDiagnostic(warning);
    const { debugConsole, devMode, debugConsoleVport, tracing } = configuration.settings;
    if (debugConsole || devMode || tracing || debugConsoleVport !== 0) {
      throw new Error(`the line ${JSON.stringify(line)} opened the guest`);
    }
    if (configuration.settings.serverAddr !== 'vsock://-1:1024')
      throw new Error(`the line ${JSON.stringify(line)} moved the API`);
    if (configuration.documents.length !== 1) throw new Error('a document arrived that was not requested');
    if (!configuration.restricted)
      throw new Error(`the line ${JSON.stringify(line)} removed the restriction`);
  },
};

function kernelWords(random: Random): string {
  const words = Array.from({ length: random.below(8) }, () => {
    const name = random.pick(names);
    return random.once(4) ? name : `${name}=${random.pick(values)}`;
  });
  const line = words.join(random.pick([' ', ' ', '  ', '\t', '\n']));
  return random.once(3) ? mutateText(random, line, [...names, ...values]) : line;
}
