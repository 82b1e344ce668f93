import { attestationAgentSocket, dataHubSocket, initdataDirectory } from '@kata-agent/catalogue';
import type { AgentSettings } from '@kata-agent/config';
import type { Component } from './component.js';

/** The guest components in the order in which they are started; each level includes those before it. */
const levels = ['none', 'attestation-agent', 'confidential-data-hub', 'api-server-rest'] as const;

/** Paths in Kata's images. */
const programs = '/usr/local/bin';

/** Where the data hub's key provider is configured, without an extension. */
const ocicryptConfig = '/etc/ocicrypt_config.json';

/** What the plan depends on, besides the level. */
export interface PlanSettings {
  readonly restApi: AgentSettings['guestComponentsRestApi'];
  readonly launchTimeoutMs: number;
  /** Initdata was written for the components. */
  readonly initdata: boolean;
}

/** Returns the number of a level: the components up to it are started. */
export function levelOf(requested: AgentSettings['guestComponentsProcs']): number {
  return levels.indexOf(requested);
}

/** Returns the components of an image without an extension, as Kata's agent starts them (4.1, src/agent/src/main.rs). */
export function builtInPlan(
  level: number,
  { restApi, launchTimeoutMs, initdata }: PlanSettings,
): readonly Component[] {
  const initdataArgs = initdata ? ['--initdata-toml', `${initdataDirectory}/initdata.toml`] : [];
  const plan: readonly Component[] = [
    {
      id: 'attestation-agent',
      path: `${programs}/attestation-agent`,
      args: ['--attestation_sock', `unix://${attestationAgentSocket}`, ...initdataArgs],
      config: `${initdataDirectory}/aa.toml`,
      env: {},
      waitSocket: attestationAgentSocket,
      timeoutMs: launchTimeoutMs,
    },
    {
      id: 'confidential-data-hub',
      path: `${programs}/confidential-data-hub`,
      args: [],
      config: `${initdataDirectory}/cdh.toml`,
      env: { OCICRYPT_KEYPROVIDER_CONFIG: ocicryptConfig },
      waitSocket: dataHubSocket,
      timeoutMs: launchTimeoutMs,
    },
    {
      id: 'api-server-rest',
      path: `${programs}/api-server-rest`,
      args: ['--features', restApi],
      config: undefined,
      env: {},
      waitSocket: undefined,
      timeoutMs: 0,
    },
  ];
  return plan.slice(0, level);
}
