import { isRecord } from '@kata-agent/base';
import { cellText } from '@kata-agent/cli';
import { formatPlatform, type Platform, samePlatform } from '@kata-agent/registry';

/**
 * Says for which other platform an image is, by its configuration: JSON of OCI, or what `docker inspect` prints. Undefined: it is for this
 * one, or does not say. Tools leave the variant out of configurations, so an absent one fits.
 */
export function otherPlatform(configuration: string, platform: Platform): string | undefined {
  const document: unknown = JSON.parse(configuration);
  if (!isRecord(document)) return undefined;
  const text = (...names: readonly string[]): string | undefined =>
    names.map((name) => document[name]).find((value) => typeof value === 'string' && value !== '') as
      | string
      | undefined;
  const variant = text('variant', 'Variant') ?? platform.variant;
  const own: Platform = {
    os: text('os', 'Os') ?? platform.os,
    architecture: text('architecture', 'Architecture') ?? platform.architecture,
    ...(variant === undefined ? {} : { variant }),
  };
  return samePlatform(own, platform)
    ? undefined
    : `it is for ${cellText(formatPlatform(own))}, not for ${formatPlatform(platform)}`;
}
