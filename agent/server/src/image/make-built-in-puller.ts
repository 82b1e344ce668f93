import { type Configuration, type ImageConfiguration, proxyAddress } from '@kata-agent/config';
import {
  checkKeylessSettings,
  childProgram,
  packProgram,
  parseDecryptionKeys,
  parseSignaturePolicy,
  type PullSettings,
} from '@kata-agent/puller';
import {
  checkEndpointSettings,
  ImageError,
  parseCredentials,
  parseReferencePattern,
} from '@kata-agent/registry';
import { CannotApply } from '../cannot-apply.js';
import { cannotPull } from './cannot-pull.js';
import { BuiltInPuller, type PullerOptions } from './built-in-puller.js';
import type { PullerParts } from '../optional-parts.js';

/** Makes the built-in puller of a configuration, whose names, keys and static credentials are parsed now. @throws CannotApply */
export async function makeBuiltInPuller(
  { image, settings }: Pick<Configuration, 'image' | 'settings'>,
  { syscalls, components, log }: PullerParts,
): Promise<BuiltInPuller> {
  const packs = image.store === 'encrypted-disk';
  checkProgram();
  if (packs) checkPackProgram();
  await checkKeyless(image);
  return new BuiltInPuller({
    syscalls,
    settings: checked(() => pullSettings(image)),
    credentials: checked(() => credentialsOf(image, components)),
    decryptionKeys: decryptionKeysOf(image, components),
    proxy: image.proxy === undefined ? undefined : proxyAddress(image.proxy),
    packs,
    timeoutMs: settings.imagePullTimeout * 1000,
    log,
  });
}

function checkProgram(): void {
  try {
    childProgram();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw cannotPull(why, { cause: error });
  }
}

function checkPackProgram(): void {
  try {
    packProgram();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CannotApply(`[image] store is "encrypted-disk", and this guest cannot store images: ${why}`, {
      cause: error,
      help: 'install erofs-utils, or use an image with --with image-disk',
    });
  }
}

/** Parses by the rules of the puller what the document has in the right form. */
function pullSettings(image: ImageConfiguration): PullerOptions['settings'] {
  const { registries, signatures, registryCa, tokenHosts, mirrors, requireDigest, maxSize } = image;
  const settings: Omit<PullSettings, 'credentials'> = {
    registries,
    requireDigest,
    registryCa: registryCa === undefined ? [] : [registryCa],
    tokenHosts,
    mirrors,
    signatures,
    decryptionKeys: [],
    maxBytes: maxSize,
  };
  registries.flat().forEach(parseReferencePattern);
  parseSignaturePolicy(signatures.flatMap(({ entries }) => entries));
  checkEndpointSettings({ credentials: [], tokenHosts, mirrors });
  return settings;
}

/** @throws CannotApply */
async function checkKeyless({ signatures }: ImageConfiguration): Promise<void> {
  try {
    await checkKeylessSettings(signatures.flatMap(({ entries }) => entries));
  } catch (error) {
    throw settingsFailure(error);
  }
}

function credentialsOf(
  { credentials, staticCredentials }: ImageConfiguration,
  { dataHub, missing }: PullerParts['components'],
): PullerOptions['credentials'] {
  if (staticCredentials !== undefined) {
    const parsed = parseCredentials(Buffer.from(staticCredentials, 'latin1'));
    return () => Promise.resolve(parsed);
  }
  if (credentials === undefined) return () => Promise.resolve([]);
  if (dataHub === undefined) throw withoutDataHub('credentials', credentials, missing);
  return async (signal) => parseCredentials(await dataHub.resource(credentials, signal));
}

function decryptionKeysOf(
  { decryptionKeys }: ImageConfiguration,
  { dataHub, missing }: PullerParts['components'],
): PullerOptions['decryptionKeys'] {
  if (decryptionKeys === undefined) return () => Promise.resolve([]);
  if (dataHub === undefined) throw withoutDataHub('decryption_keys', decryptionKeys, missing);
  return async (signal) =>
    parseDecryptionKeys(Buffer.from(await dataHub.resource(decryptionKeys, signal)).toString('latin1'));
}

function withoutDataHub(key: string, value: string, missing: readonly string[]): CannotApply {
  return new CannotApply(
    `[image] ${key} is ${value}, and the confidential data hub is not started: ${missing.join(', ')} is missing`,
    { help: `add the guest components to the image, or remove ${key}` },
  );
}

function checked<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw settingsFailure(error);
  }
}

function settingsFailure(error: unknown): unknown {
  if (!(error instanceof ImageError)) return error;
  return new CannotApply(`[image]: ${error.message}`, { cause: error, help: error.remedy });
}
