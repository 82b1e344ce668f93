import { migrate, offlineAuthorizer, parseSuite, runSuite } from '@kata-agent/analysis';
import type { Code, CodeExample } from '@kata-agent/catalogue/codes';
import {
  type Configuration,
  type DeliverySource,
  type Diagnostic,
  deliverySources,
  type Inputs,
  type Loaded,
  loadConfiguration,
  openDocument,
  parseApiFragment,
  parseInitdata,
} from '@kata-agent/config';
import { authorizerOf, type Decision } from '@kata-agent/gate';
import { compileRules, createRuleChecker } from '@kata-agent/gate/rules';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const pod = '[api]\nallowed_endpoints = ["@pod"]\n';
const delivering = (way: string, more = ''): string => `${pod}[delivery]\naccept = ["${way}"]\n${more}`;

/** A diagnostic, or the decision on a call. */
interface Caused {
  readonly code: Code | undefined;
  readonly message: string;
}

/** Returns the diagnostics of an example that can be loaded, according to its kind. */
export async function causedBy(example: CodeExample): Promise<readonly Caused[]> {
  switch (example.kind) {
    case 'document': {
      const { document, further, kernelCommandLine = '' } = example;
      const inputs = { configFlag: 'config.toml', files: filesOf(document), kernelCommandLine };
      const later = further === undefined ? [] : [{ file: 'further.toml', bytes: Buffer.from(further) }];
      return load({ ...inputs, offline: { later, sense: 'error' } });
    }
    case 'call': {
      const { document, method, request } = example;
      const configuration = await configurationOf(document);
      const rules = compileRules(configuration.api.documents.flatMap((each) => each.rules));
      const test = { name: 'a', method, expect: 'deny', request };
      const parsed = parseSuite(JSON.stringify({ tests: [test] }), 'a.test.json');
      if (!parsed.ok) return parsed.diagnostics;
      return runSuite(parsed.suite, offlineAuthorizer(configuration, rules)).map(({ decision }) =>
        caused(decision),
      );
    }
    case 'policy': {
      const parsed = await parseApiFragment(example.text, 'SetPolicy', { rules: checker });
      return parsed.ok ? parsed.warnings : parsed.diagnostics;
    }
    case 'kata':
      return migrated({ 'agent.toml': example.text });
    case 'suite': {
      const parsed = parseSuite(example.text, 'a.test.yaml');
      return parsed.ok ? [] : parsed.diagnostics;
    }
    case 'described':
      return [];
  }
}

/** The causes of situations that an example can only describe. */
export const situations: Readonly<Partial<Record<Code, () => Promise<readonly Caused[]>>>> = {
  KA1001: () => loadText('#'.repeat(300_000)),
  KA1002: () => loadText('\ufeff[api]\n'),
  KA1007: () =>
    loadText(`[agent]\n${Array.from({ length: 200 }, (_, index) => `key${index} = 1\n`).join('')}`),
  KA1204: () =>
    load({
      configFlag: 'config.toml',
      files: filesOf('[api]\nallowed_endpoints = ["@pod", "ExecProcess"]\n'),
      handlers: new Set(['CreateSandbox']),
    }),
  KA1314: async () => {
    const parsed = await parseApiFragment(`${pod}[[api.rule]]\n`, 'SetPolicy');
    return parsed.ok ? [] : parsed.diagnostics;
  },
  KA1601: () => load({ requireConfig: true }),
  KA1603: () => load({ configFlag: '/nowhere/misspelt.toml', files: openDocument() }),
  KA1604: () =>
    inDirectory((directory) => {
      const configFlag = join(directory, 'config.toml');
      writeFileSync(configFlag, pod);
      chmodSync(configFlag, 0o666);
      return load({ configFlag, files: openDocument() });
    }),
  KA1605: () => loadText(pod, { relaxedPermissions: true }),
  KA1606: () =>
    inDirectory((root) => {
      const dropIns = join(root, 'etc/kata-agent/conf.d');
      mkdirSync(dropIns, { recursive: true });
      writeFileSync(join(dropIns, '10-narrow.tmol'), pod);
      const delivery = deliverySources({ kernelCommandLine: '', root, relaxedPermissions: true });
      return loadText(delivering('drop_ins'), { delivery });
    }),
  KA1702: () => loadText(delivering('fw_cfg')),
  KA1703: () => {
    const kernelCommandLine = 'agent.config_b64=not-base64';
    return loadText(delivering('kernel_line'), {
      kernelCommandLine,
      delivery: deliverySources({ kernelCommandLine }),
    });
  },
  KA1704: () => loadText(delivering('initdata'), { delivery: [source('initdata')] }),
  KA1705: () =>
    loadText(delivering('initdata', `bind = "sha256:${'0'.repeat(64)}"\n`), {
      delivery: [source('initdata', pod)],
    }),
  KA1706: () => loadText(delivering('initdata'), { delivery: [source('initdata', pod)] }),
  KA1707: () => loadText(delivering('initdata', 'bind = "none"\n'), { delivery: [source('initdata', pod)] }),
  KA1712: () => {
    const parsed = parseInitdata(Buffer.from('version = "0.1.0"\nalgorithm = "md5"\n[data]\n'), 'initdata');
    return Promise.resolve(parsed.ok ? [] : parsed.diagnostics);
  },
  KA1713: () =>
    loadText(delivering('initdata', 'bind = "none"\n'), {
      delivery: [initdata({ 'policy.rego': 'package agent_policy\nallow := true\n' })],
    }),
  KA1714: () => loadText(pod, { delivery: [initdata({ 'kata-agent.toml': pod })] }),
  KA1718: () =>
    loadText(`${delivering('initdata', 'bind = "none"\n')}[image]\npuller = "cdh"\n`, {
      delivery: [initdata({ 'kata-agent.toml': pod, 'cdh.toml': '' })],
    }),
  KA3004: async () => {
    const authorizer = authorizerOf(await configurationOf(pod), { builtIn: new Set() });
    return [caused(authorizer.decide('server_addr', 'ExecProcess'))];
  },
  KA3006: async () => {
    const authorizer = authorizerOf(await configurationOf(pod));
    return [caused(authorizer.decide('server_addr', 'Frobnicate'))];
  },
  KA1907: () => Promise.resolve(migrated({ 'a.toml': 'tracing = true\n', 'b.toml': 'tracing = true\n' })),
};

/** Codes that only a running agent gives, each with the test that shows it. */
export const inAgent: Readonly<Partial<Record<Code, string>>> = {
  KA3007: 'tests/functional/management.test.ts',
  KA3008: 'tests/functional/relay.test.ts',
  KA3009: 'tests/functional/operator-rights.test.ts',
  KA3104: 'tests/functional/audit-witness.test.ts',
  KA3201: 'agent/server/src/startup/fault-log.test.ts',
  KA3202: 'tests/functional/rules.test.ts',
  KA3203: 'tests/functional/tls-listener.test.ts',
  KA3204: 'tests/functional/dial-out.test.ts',
  KA3301: 'tests/functional/realm-guests.test.ts',
  KA3302: 'tests/functional/realm-service.test.ts',
  KA3303: 'realm/server/src/operators/decision-log.test.ts',
};

async function inDirectory(
  ask: (directory: string) => Promise<readonly Diagnostic[]>,
): Promise<readonly Diagnostic[]> {
  const directory = mkdtempSync(join(tmpdir(), 'codes-'));
  try {
    return await ask(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function load(inputs: Partial<Inputs>): Promise<readonly Diagnostic[]> {
  const loaded = await loadedWith(inputs);
  return loaded.ok ? loaded.configuration.warnings : loaded.diagnostics;
}

async function configurationOf(document: string): Promise<Configuration> {
  const loaded = await loadedWith({ configFlag: 'config.toml', files: filesOf(document) });
  if (!loaded.ok) throw new Error(loaded.diagnostics.map(({ message }) => message).join('\n'));
  return loaded.configuration;
}

function caused({ code, reason }: Decision): Caused {
  return { code, message: reason };
}

function loadedWith(inputs: Partial<Inputs>): Promise<Loaded> {
  return loadConfiguration({
    flags: {},
    environment: {},
    files: filesOf(pod),
    rules: checker,
    delivery: [],
    hostData: () => ({ ok: false, message: 'there is no report', help: 'start a confidential guest' }),
    ...inputs,
  });
}

function loadText(document: string, inputs: Partial<Inputs> = {}): Promise<readonly Diagnostic[]> {
  return load({ configFlag: 'config.toml', files: filesOf(document), ...inputs });
}

const checker = (): ReturnType<Inputs['rules']> => Promise.resolve(createRuleChecker());

function filesOf(document: string): Inputs['files'] {
  return { read: () => ({ ok: true, bytes: Buffer.from(document) }) };
}

function source(name: DeliverySource['name'], document?: string): DeliverySource {
  const bytes = Buffer.from(document ?? '');
  const delivered = { file: name, bytes, envelope: bytes, algorithm: 'sha-256' } as const;
  return { name, collect: () => ({ ok: true, documents: document === undefined ? [] : [delivered] }) };
}

function initdata(files: Readonly<Record<string, string>>): DeliverySource {
  const device = { file: 'initdata', envelope: Buffer.from(''), algorithm: 'sha-256' } as const;
  return {
    name: 'initdata',
    collect: () => ({
      ok: true,
      documents: [],
      initdata: { ...device, files: new Map(Object.entries(files)) },
    }),
  };
}

function migrated(files: Readonly<Record<string, string>>): readonly Diagnostic[] {
  const result = migrate(Object.entries(files).map(([file, text]) => ({ file, bytes: Buffer.from(text) })));
  return result.ok ? result.notes : result.diagnostics;
}
