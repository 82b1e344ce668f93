import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { guestAccess } from '@kata-agent/agent/requests';
import {
  type ExpectedCall,
  expectedCalls,
  generate,
  type ImageConfigs,
  type Judge,
  judgeOf,
  parseImageConfig,
  readWorkloads,
  renderPlan,
  type RuntimeSetup,
  type Workload,
} from '@kata-agent/analysis';
import { type Configuration, loadConfiguration, renderDiagnostic } from '@kata-agent/config';
import type { GuestAccess } from '@kata-agent/guest';
import { compileRules, createRuleChecker } from '@kata-agent/gate/rules';
import { repository } from '../harness/repository.js';

export const setups: readonly RuntimeSetup[] = [
  { runtime: 'go', guest: 'shared-fs' },
  { runtime: 'rs', guest: 'shared-fs' },
  { runtime: 'go', guest: 'confidential' },
  { runtime: 'rs', guest: 'confidential' },
];

const folder = join(repository, 'examples', 'workloads');

/** The files of the example workloads. */
export const workloadFiles: readonly string[] = readdirSync(folder).filter((name) => name.endsWith('.yaml'));

const images: ImageConfigs = new Map(
  ['docker.io/library/nginx:1.27', 'docker.io/library/postgres:17', 'docker.io/library/redis:7.4']
    .concat('docker.io/library/busybox:1.37', 'docker.io/library/python:3.13', 'registry.example/server:1')
    .map((name) => {
      const file = join(folder, 'images', `${basename(name).split(':')[0] ?? ''}.json`);
      return [name, parseImageConfig(readFileSync(file, 'utf8'))];
    }),
);

/** A workload in one set-up: the calls of a pod of it, and who decides about them. */
export interface Expected {
  readonly name: string;
  readonly setup: RuntimeSetup;
  readonly workload: Workload;
  readonly calls: readonly ExpectedCall[];
  readonly judge: Judge;
  /** What the configuration opens of the guest. */
  readonly access: GuestAccess;
}

/** The generated configuration of a file's workloads decides. */
export async function expectedOf(file: string, setup: RuntimeSetup): Promise<readonly Expected[]> {
  const workloads = readWorkloads([{ file, text: readFileSync(join(folder, file), 'utf8') }]);
  const configuration = await loaded(renderPlan(generate(workloads, { setup, images }), []));
  const judge = judgeWith(configuration);
  return workloads.map((workload) => ({
    name: `${file} ${workload.name}, ${setup.runtime}, ${setup.guest}`,
    setup,
    workload,
    calls: expectedCalls(workload, setup, images),
    judge,
    access: guestAccess(configuration),
  }));
}

export function judgeWith(configuration: Configuration): Judge {
  const rules = configuration.api.documents.flatMap((document) => document.rules);
  return judgeOf(configuration, compileRules(rules));
}

export async function loaded(text: string): Promise<Configuration> {
  const bytes = Buffer.from(text);
  const result = await loadConfiguration({
    flags: {},
    configFlag: 'config.toml',
    environment: {},
    files: { read: () => ({ ok: true, bytes }) },
    rules: async () => createRuleChecker(),
    delivery: [],
    hostData: () => ({ ok: false, message: 'there is none', help: 'bind it otherwise' }),
  });
  assert.ok(result.ok, result.ok ? '' : result.diagnostics.map((each) => renderDiagnostic(each)).join('\n'));
  return result.configuration;
}
