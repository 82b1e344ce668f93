import type { Report } from '../diagnostics/report.js';
import { type GivenSection, textOf } from '../settings/read-section.js';
import { agentSettings } from '../settings/agent-settings-table.js';
import { imageSettings } from '../settings/image-settings.js';
import { isResource } from '../value-types/sources.js';

/** The levels of guest components that include the data hub. */
const withDataHub: readonly unknown[] = ['confidential-data-hub', 'api-server-rest'];

interface Sections {
  readonly image: GivenSection;
  readonly agent: GivenSection;
}

/** Reports keys of `[image]` without effect, and what depends on a data hub that would not be there. */
export function checkImage({ image, agent }: Sections, report: Report): void {
  const puller = image.get(imageSettings.puller.key);
  if (puller?.value !== 'built-in') checkUnused(image, report);
  checkLayers(image, report);
  checkCredentials(image, report);
  const { key, default: unset } = agentSettings.guestComponentsProcs;
  const level = agent.get(key)?.value ?? unset;
  if (withDataHub.includes(level)) return;
  const help = `write ${key} = "confidential-data-hub" in [agent]`;
  const absent = `with ${key} = ${JSON.stringify(level)}: the confidential data hub would not be started`;
  if (puller?.value === 'cdh') report.error('KA1111', puller.span, `puller = "cdh" ${absent}`, help);
  for (const { key: name } of [imageSettings.credentials, imageSettings.decryptionKeys]) {
    const given = image.get(name);
    if (given !== undefined && isResource(textOf(given) ?? ''))
      report.error('KA1111', given.span, `${name} is a resource ${absent}`, help);
  }
}

/** Without the built-in puller its keys would look like a policy that is enforced. The data hub can have a store, too. */
function checkUnused(image: GivenSection, report: Report): void {
  for (const [key, { span }] of image) {
    if (report.full) break;
    if (key === imageSettings.puller.key || key === imageSettings.layers.key) continue;
    const isStore = key === imageSettings.store.key;
    if (isStore && image.get(imageSettings.puller.key)?.value === 'cdh') continue;
    const pullers = isStore ? '"built-in" or "cdh"' : '"built-in"';
    report.error(
      'KA1113',
      span,
      `${key} has no effect without puller = ${pullers}: another puller follows its own policy`,
      `write puller = ${pullers}, or remove it`,
    );
  }
}

/** Roots of verified layers and roots that are pulled exclude each other. */
function checkLayers(image: GivenSection, report: Report): void {
  const layers = image.get(imageSettings.layers.key);
  const puller = image.get(imageSettings.puller.key);
  if (layers?.value !== 'verified' || puller === undefined || puller.value === 'none') return;
  report.error(
    'KA1116',
    puller.span,
    `puller = ${JSON.stringify(puller.value)} has no effect with layers = "verified": images that are pulled are refused`,
    'remove one of them',
  );
}

function checkCredentials(image: GivenSection, report: Report): void {
  const credentials = image.get(imageSettings.credentials.key);
  const insecure = image.get(imageSettings.insecureStaticCredentials.key);
  const isFile = credentials !== undefined && !isResource(textOf(credentials) ?? '');
  if (isFile && insecure?.value !== true)
    report.error(
      'KA1114',
      credentials.span,
      'credentials is a file, which each reader of the guest image has',
      'name a resource, "kbs:///default/credential/registry", or write insecure_static_credentials = true',
    );
  if (!isFile && insecure?.value === true)
    report.error(
      'KA1114',
      insecure.span,
      'insecure_static_credentials has no effect: credentials is no file',
      'remove it',
    );
}
