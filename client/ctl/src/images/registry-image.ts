import { readFileSync } from 'node:fs';
import {
  chooseManifest,
  defaultTransportLimits,
  type Digest,
  EndpointClient,
  endpointsOf,
  ImageError,
  parseReference,
  type Platform,
  Registry,
  Transport,
} from '@kata-agent/registry';
import { CommandError, ExitCode, reasonOf, version } from '@kata-agent/cli';
import { programName } from '../program-name.js';
import { environmentProxy } from './environment-proxy.js';
import { registryCredentials } from './registry-credentials.js';

/** What a registry says of an image: some kilobytes, without its layers. */
export interface RegistryImage {
  /** Of the index, or of the manifest if there is none: what `NAME@DIGEST` has. */
  readonly digest: Digest;
  /** Of the manifest for the platform. */
  readonly manifestDigest: Digest;
  /** The OCI configuration. */
  readonly configuration: string;
}

interface RegistryAccess {
  readonly platform: Platform;
  /** Files of PEM; empty: the CAs of Node.js. */
  readonly ca: readonly string[];
}

const timeoutMilliseconds = 120_000;

/** Reads manifest and configuration of an image from its registry, and verifies their digests. Rejects with a CommandError. */
export async function registryImage(image: string, { platform, ca }: RegistryAccess): Promise<RegistryImage> {
  try {
    const reference = parseReference(image);
    const transport = new Transport({
      ca: ca.map(readCa),
      proxyOf: environmentProxy(process.env),
      limits: defaultTransportLimits,
      userAgent: `${programName}/${version}`,
      signal: AbortSignal.timeout(timeoutMilliseconds),
    });
    const credentials = await registryCredentials(reference.registry);
    const endpoints = endpointsOf(reference, { credentials, tokenHosts: {}, mirrors: {}, isOpen: true });
    const registry = new Registry(endpoints.map((endpoint) => new EndpointClient(endpoint, transport)));
    const { manifest, fetched, objects } = await chooseManifest(registry, reference, platform);
    const configuration = await registry.document(manifest.config, 'the configuration');
    return {
      digest: objects[0]?.digest ?? fetched.digest,
      manifestDigest: fetched.digest,
      configuration: configuration.toString('utf8'),
    };
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    throw new CommandError(ExitCode.CannotApply, `image ${image}: ${error.message}`, {
      help: [error.remedy],
      cause: error,
    });
  }
}

function readCa(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CommandError(ExitCode.CannotApply, `cannot read ${file}: ${reasonOf(error)}`, { cause: error });
  }
}
