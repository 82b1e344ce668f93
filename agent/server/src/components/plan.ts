import { attestationAgentSocket, dataHubSocket, initdataDirectory } from '@kata-agent/catalogue';
import type { AgentSettings } from '@kata-agent/config';
import { existsSync } from 'node:fs';
import { builtInProgram, type Component, extensionRoot, levelOf } from './load-guest-components.js';
import type { Manifest } from './manifest.js';

/** Where the data hub's key provider is configured, without an extension. */
const ocicryptConfig: string = '/etc/ocicrypt_config.json';

type PlanSettings = Pick<
  AgentSettings,
  'guestComponentsProcs' | 'guestComponentsRestApi' | 'launchProcessTimeout'
>;

/**
 * Returns the components that the settings request, in the order in which they are started: those of an extension image, or else
 * those of the guest image.
 *
 * @throws CannotApply if the manifest is wrong.
 */
export function planOf(
  settings: PlanSettings,
  guest: {
    readonly manifest: Manifest | undefined;
    /** Initdata was written for the components. */
    readonly initdata: boolean;
    /** The variable KATA_ATTESTER_VARIANT, which selects a build of the attestation agent; undefined: the default. */
    readonly attesterVariant: string | undefined;
  },
): readonly Component[] {
  const { guestComponentsRestApi: restApi, launchProcessTimeout } = settings;
  const level = levelOf(settings.guestComponentsProcs);
  const { manifest, initdata } = guest;
  if (manifest === undefined)
    return builtInPlan(level, {
      restApi,
      launchTimeoutMs: launchProcessTimeout * 1000,
      initdata,
      hasOcicryptConfig: existsSync(ocicryptConfig),
    });
  const ocicrypt = manifest.paths.get('ocicrypt-config');
  return manifest.plan(level, {
    aa_attestation_uri: `unix://${attestationAgentSocket}`,
    aa_attestation_socket: attestationAgentSocket,
    aa_config_path: `${initdataDirectory}/aa.toml`,
    cdh_config_path: `${initdataDirectory}/cdh.toml`,
    cdh_socket: dataHubSocket,
    ...(ocicrypt === undefined ? {} : { ocicrypt_config_path: ocicrypt }),
    rest_api_features: restApi,
    launch_process_timeout: String(launchProcessTimeout),
    initdata_toml_path: initdata ? `${initdataDirectory}/initdata.toml` : '',
    extension_root: extensionRoot,
    attester_variant: guest.attesterVariant || 'default',
  });
}

/** What the plan depends on, besides the level. */
interface BuiltInPlanSettings {
  readonly restApi: AgentSettings['guestComponentsRestApi'];
  readonly launchTimeoutMs: number;
  /** Initdata was written for the components. */
  readonly initdata: boolean;
  /** The image has `ocicryptConfig`. A data hub without a file writes its own. */
  readonly hasOcicryptConfig: boolean;
}

/** Returns the components of an image without an extension, as Kata's agent starts them (4.1, src/agent/src/main.rs). */
function builtInPlan(
  level: number,
  { restApi, launchTimeoutMs, initdata, hasOcicryptConfig }: BuiltInPlanSettings,
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
