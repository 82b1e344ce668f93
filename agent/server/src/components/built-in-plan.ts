import { attestationAgentSocket, dataHubSocket, initdataDirectory } from '@kata-agent/catalogue';
import type { AgentSettings } from '@kata-agent/config';
import { builtInProgram } from './built-in-programs.js';
import type { Component } from './component.js';

/** Where the data hub's key provider is configured, without an extension. */
export const ocicryptConfig: string = '/etc/ocicrypt_config.json';

/** What the plan depends on, besides the level. */
export interface PlanSettings {
  readonly restApi: AgentSettings['guestComponentsRestApi'];
  readonly launchTimeoutMs: number;
  /** Initdata was written for the components. */
  readonly initdata: boolean;
  /** The image has `ocicryptConfig`. A data hub without a file writes its own. */
  readonly hasOcicryptConfig: boolean;
}

/** Returns the components of an image without an extension, as Kata's agent starts them (4.1, src/agent/src/main.rs). */
export function builtInPlan(
  level: number,
  { restApi, launchTimeoutMs, initdata, hasOcicryptConfig }: PlanSettings,
): readonly Component[] {
  const initdataArgs = initdata ? ['--initdata-toml', `${initdataDirectory}/initdata.toml`] : [];
  const plan: readonly Component[] = [
    {
      id: 'attestation-agent',
      path: builtInProgram('attestation-agent'),
      args: ['--attestation_sock', `unix://${attestationAgentSocket}`, ...initdataArgs],
      config: `${initdataDirectory}/aa.toml`,
      env: {},
      waitSocket: attestationAgentSocket,
      timeoutMs: launchTimeoutMs,
    },
    {
      id: 'confidential-data-hub',
      path: builtInProgram('confidential-data-hub'),
      args: [],
      config: `${initdataDirectory}/cdh.toml`,
      env: hasOcicryptConfig ? { OCICRYPT_KEYPROVIDER_CONFIG: ocicryptConfig } : {},
      waitSocket: dataHubSocket,
      timeoutMs: launchTimeoutMs,
    },
    {
      id: 'api-server-rest',
      path: builtInProgram('api-server-rest'),
      args: ['--features', restApi],
      config: undefined,
      env: {},
      waitSocket: undefined,
      timeoutMs: 0,
    },
  ];
  return plan.slice(0, level);
}
