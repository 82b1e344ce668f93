import { attestationAgentSocket, dataHubSocket, initdataDirectory } from '@kata-agent/catalogue';
import type { AgentSettings } from '@kata-agent/config';
import { existsSync } from 'node:fs';
import { builtInPlan, ocicryptConfig } from './built-in-plan.js';
import { levelOf } from './built-in-programs.js';
import { type Component, extensionRoot } from './component.js';
import type { Manifest } from './manifest.js';

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
