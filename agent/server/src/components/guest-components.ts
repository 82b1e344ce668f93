import type { Configuration } from '@kata-agent/config';
import { existsSync } from 'node:fs';
import { CannotApply } from '../cannot-apply.js';
import type { Log } from '../log.js';
import { type Component, type GuestComponents, warnOfMissing } from './load-guest-components.js';
import type { DataHubClient } from './data-hub-client.js';
import { readExtension } from './manifest.js';
import { planOf } from './plan.js';
import { RunningComponent } from './running-component.js';

/** As in Kata's plan, and in its extension image. */
const dataHubId = 'confidential-data-hub';

/**
 * Starts the guest components that a configuration requests, one after the other, as Kata's agent does
 * (docs/records/coco-facts.md, "Starting the components"). If a program is missing none is started: the image was not made for them.
 *
 * @throws CannotApply if one does not become ready in time; those before it are stopped.
 */
export async function startGuestComponents(configuration: Configuration, log: Log): Promise<GuestComponents> {
  const { settings, image, initdata, initdataTexts, values } = configuration;
  const manifest = readExtension();
  const plan = planOf(settings, {
    manifest,
    initdata: initdata !== undefined && initdataTexts.has('initdata.toml'),
    // PID 1 has words of the host's kernel command line in its environment (S23).
    attesterVariant: process.pid === 1 ? undefined : process.env['KATA_ATTESTER_VARIANT'],
  });
  const missing = plan.filter(({ path }) => !existsSync(path)).map(({ path }) => path);
  if (missing.length > 0) warnOfMissing(missing, { all: missing.length === plan.length, values }, log);
  // Loaded only with a data hub, and before the sockets of the programs are looked at: after a stat of a socket, import() of Node.js 20
  // follows no links (realpathSync of lib/fs.js with a cache), so that the packages of a checkout would be loaded a second time.
  const client =
    missing.length === 0 && plan.some(({ id }) => id === dataHubId)
      ? await import('./data-hub-client.js')
      : undefined;
  const running = missing.length > 0 ? [] : await startAll(plan, log);
  const hub = running.find(({ id }) => id === dataHubId);
  if (image.puller === 'cdh' && hub === undefined) {
    await stopAll(running);
    const why =
      missing.length > 0 ? `${missing.join(', ')} is missing` : 'the extension image does not have it';
    throw new CannotApply(`[image] puller is "cdh", and the confidential data hub is not started: ${why}`, {
      help: 'add the guest components to the image, or remove puller',
    });
  }
  const dataHub = hub && client && clientOf(hub, client, configuration);
  return {
    started: running.map(({ id }) => id),
    missing,
    dataHub,
    puller: image.puller === 'cdh' || hasNoDocument(configuration) ? dataHub : undefined,
    pauseBundle: manifest?.paths.get('pause-bundle'),
    stop: async () => {
      await dataHub?.close();
      await stopAll(running);
    },
  };
}

async function startAll(plan: readonly Component[], log: Log): Promise<readonly RunningComponent[]> {
  const running: RunningComponent[] = [];
  try {
    for (const component of plan) running.push(await RunningComponent.start(component, log));
    return running;
  } catch (error) {
    await stopAll(running);
    throw error;
  }
}

async function stopAll(running: readonly RunningComponent[]): Promise<void> {
  for (const component of running.toReversed()) await component.stop();
}

/** Without a document the data hub pulls images, and mounts a disk for them that a container brings, as with Kata's agent. */
function hasNoDocument({ documents }: Pick<Configuration, 'documents'>): boolean {
  return documents.length === 0;
}

function clientOf(
  hub: RunningComponent,
  { DataHubClient }: typeof import('./data-hub-client.js'),
  configuration: Pick<Configuration, 'settings' | 'image' | 'documents'>,
): DataHubClient {
  const { settings, image } = configuration;
  const { cdhApiTimeout, imagePullTimeout, secureStorageIntegrity } = settings;
  const withoutDocument = hasNoDocument(configuration) ? 'if-attached' : undefined;
  return new DataHubClient({
    timeoutMs: cdhApiTimeout * 1000,
    pullTimeoutMs: imagePullTimeout * 1000,
    integrity: secureStorageIntegrity,
    sharedStore: image.store === 'encrypted-disk' ? 'required' : withoutDocument,
    unavailable: () => (hub.end === undefined ? undefined : `${dataHubId} has ended: ${hub.end}`),
  });
}
