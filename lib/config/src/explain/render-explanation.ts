import { guestVerbs, managementOf, operatorVerbTable } from '@kata-agent/catalogue';
import { listenerLimits } from '../listener/listener-keys.js';
import { managementList, pins } from '../value-types/peers.js';
import type { SectionName, SettingValue } from '../configuration.js';
import { auditSettings } from '../settings/audit-settings.js';
import { displayText } from '../diagnostics/display-text.js';
import { sectionNames } from '../document/top-level.js';
import {
  type ExpandedRule,
  type ExplainedSetting,
  type Explanation,
  renderSecrets,
  renderWitnesses,
} from './explain-configuration.js';
import { type ExplainedEndpoint, renderMatrix } from './explain-endpoint.js';
import type { OperatorGrant } from '../listener.js';
import type { ExplainedListener } from './explain-listener.js';
import { renderProfile } from './explain-profile.js';

/** Renders an explanation as text: documents, settings by section, endpoints. */
export function renderExplanation(explanation: Explanation): string {
  const { documents, digest, initdata, listeners, settings, rules, expansions } = explanation;
  const { endpoints, matrix, ignoredOverrides, witnesses, forward } = explanation;
  const parts = [
    [
      ...documents.map(
        ({ file, source, sha256, binding }) =>
          `document ${file} (${source})\n  sha256 ${sha256}${binding === undefined ? '' : `\n  bound by ${binding}`}`,
      ),
      ...(documents.length === 0 ? [withoutDocument(initdata)] : []),
      ...(initdata === undefined ? [] : initdataLines(initdata)),
      `configuration digest ${digest}`,
    ].join('\n'),
    ...(forward === undefined ? [] : [renderForward(forward)]),
    ...sectionNames.map((section) => renderSection(section, settings)),
    ...expansions.map(({ list, listener, entry, source, methods }) => {
      const of = listener === undefined ? '' : ` of listener "${listener}"`;
      return `${entry} in ${list}${of} (${source})\n  ${methods.join(', ')}`;
    }),
    ...explanation.profiles.map(renderProfile),
    ...rules.map(renderRule),
    renderSecrets(explanation.secrets, documents.length > 0),
    ...(witnesses === undefined ? [] : [renderWitnesses(witnesses, quorumOf(settings))]),
    ...(matrix === undefined ? [] : [renderMatrix(matrix)]),
    ...listeners.map((listener) =>
      renderEndpoints(
        renderListener(listener),
        endpoints.filter((endpoint) => endpoint.listener === listener.name),
      ),
    ),
  ];
  if (ignoredOverrides.length > 0) {
    const lines = ignoredOverrides.map(
      ({ source, value, reason }) => `  ${source}${value === '' ? '' : ` = ${value}`}: ${reason}`,
    );
    parts.push(`ignored overrides\n${lines.join('\n')}`);
  }
  return parts.map((part) => part.split('\n').map(displayText).join('\n')).join('\n\n');
}

function quorumOf(all: readonly ExplainedSetting[]): Parameters<typeof renderWitnesses>[1] {
  const valueOf = (key: string): SettingValue =>
    all.find((setting) => setting.section === 'audit' && setting.key === key)?.value;
  const within = valueOf(auditSettings.requiredWithin.key);
  return {
    quorum: Number(valueOf(auditSettings.witnessQuorum.key)),
    requiredWithin: typeof within === 'number' ? within : 'off',
  };
}

function renderForward({ address, unclaimed }: NonNullable<Explanation['forward']>): string {
  return [
    `forward mode: calls are forwarded to the agent at ${address}, which does the work`,
    'not claimed, since it depends on that agent (docs/forward-mode.md):',
    ...unclaimed.map(({ id, what }) => `  ${id.padEnd(4)}${what}`),
  ].join('\n');
}

function withoutDocument(initdata: Explanation['initdata']): string {
  const applied = initdata?.files.some(({ outcome }) => outcome === 'applied') === true;
  return `no document: ${applied ? 'only the policy in initdata restricts the API' : 'the full API is served'}`;
}

function initdataLines({ file, files, unlisted }: NonNullable<Explanation['initdata']>): readonly string[] {
  return [
    `files of ${file}`,
    ...files.map(
      ({ name, outcome, reason }) =>
        `  ${displayText(name)}: ${outcome}${reason === undefined ? '' : `: ${reason}`}`,
    ),
    ...(unlisted === undefined ? [] : [`  ${unlisted} more: ignored`]),
  ];
}

function renderSection(section: SectionName, all: readonly ExplainedSetting[]): string {
  const settings = all.filter((setting) => setting.section === section);
  const values = settings.map(({ key, written }) => `${key} = ${written}`);
  const width = columnWidth(values);
  const lines = settings.flatMap(({ source, others }, index) => [
    `  ${(values[index] ?? '').padEnd(width)}  # ${source}`,
    ...others.map(({ value, source, reason }) => `    ${source} has ${writeValue(value)}: ${reason}`),
  ]);
  return `[${section}]\n${lines.join('\n')}`;
}

function writeValue(value: SettingValue): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function renderRule({ name, source, enforcement, expression, endpoints }: ExpandedRule): string {
  const kind = enforcement === 'audit' ? ', which only records' : '';
  return `rule ${name} (${source})${kind}\n  for ${endpoints.join(', ')}\n  ${expression.trim().replaceAll(/\s*\n\s*/g, ' ')}`;
}

function renderListener(listener: ExplainedListener): string {
  const { onDeniedRead, limits, management, tls, dial, delivered = {}, awaited = [] } = listener;
  return [
    titleOf(listener),
    ...(onDeniedRead === undefined ? [] : [`on_denied_read = "${onDeniedRead}"`]),
    ...(limits === undefined ? [] : [`limits = { connections = ${limits.connections} }`]),
    ...(management === undefined ? [] : [`management = ${managementList.write(management)}`]),
    ...(tls === undefined
      ? []
      : [
          `TLS: key ${tls.key}, ${tls.crl ? 'with' : 'without'} a CRL, limits = ${listenerLimits.write(tls.limits)}`,
        ]),
    ...(dial === undefined ? [] : dialLines(dial, management ?? [])),
    ...Object.entries(delivered).map(([key, source]) => `${key}: set by a delivered document, ${source}`),
    ...awaited.map((key) => `${key}: a delivered document sets it in the guest (may_set)`),
  ].join('\n');
}

function titleOf({ name, address, peers, alsoPeers = [], dial, awaited = [] }: ExplainedListener): string {
  const lists = [peers, ...alsoPeers].map((list) => list.join(', ')).join(' that are also ');
  const callers = ` for ${awaited.includes('peers') ? 'peers that are not known here' : lists}`;
  if (dial === undefined) return `listener ${name} at ${address}${callers}`;
  const server = awaited.includes('address') ? 'a server that is not known here' : address;
  return `listener ${name}, which dials ${server}${dial.relay === 'trusted' ? '' : callers}`;
}

function dialLines(
  dial: NonNullable<ExplainedListener['dial']>,
  management: NonNullable<ExplainedListener['management']>,
): readonly string[] {
  const { pins: list, relay, proxy } = dial;
  const server = [
    `the server: of server_ca, with the name in the address${list.length === 0 ? '' : `, pins = ${pins.write(list)}`}`,
    ...(proxy === undefined
      ? []
      : [`proxy = "${proxy}": it sees when and how much is sent to which server, not what`]),
  ];
  if (relay === 'trusted')
    return [
      ...server,
      `relay = "${relay}": the server is trusted with each call, and so is the operator that it names; each holder of its key can call what is served here`,
    ];
  const may = management.length === 0 ? 'no method of the management service' : management.join(', ');
  return [
    ...server,
    `relay = "${relay}": the server can call ${may}, and refuse its service; only operators, by TLS inside its connections, call what is served here`,
    `operators: of client_ca, ${dial.crl ? 'with' : 'without'} a CRL, limits = ${listenerLimits.write(dial.limits)}`,
    ...grantLines(dial.operators),
  ];
}

/** What operators may do in the guest, whatever the server allows. */
function grantLines(grants: readonly OperatorGrant[] | undefined): readonly string[] {
  if (grants === undefined)
    return ['operators may call what is served here, and no method of the management service'];
  return guestVerbs.map((verb) => {
    const peers = new Set(grants.filter(({ verbs }) => verbs.includes(verb)).flatMap((each) => each.peers));
    const opened = [
      ...(operatorVerbTable[verb].opensAgent ? ['what is served here'] : []),
      ...managementOf([verb]),
    ];
    return `operators with ${verb} (${opened.join(', ')}): ${peers.size === 0 ? 'none' : [...peers].join(', ')}`;
  });
}

function renderEndpoints(title: string, endpoints: readonly ExplainedEndpoint[]): string {
  const width = Math.max(...endpoints.map(({ method }) => method.length));
  const lines = endpoints.flatMap(({ method, served, reason, findings, rules }) => {
    const status = served ? 'served    ' : 'not served';
    return [
      `  ${method.padEnd(width)}  ${status}  ${reason}`,
      ...findings.filter(({ decides }) => !decides).map(({ source, text }) => `    ${source}: ${text}`),
      ...(served ? rules.map(({ name, source }) => `    and rule ${name} (${source}) must be true`) : []),
    ];
  });
  const served = endpoints.filter(({ served }) => served).length;
  return `${title}\nendpoints: ${served} of ${endpoints.length} served\n${lines.join('\n')}`;
}

/** Returns the width of the widest value that is not a long list. */
function columnWidth(values: readonly string[]): number {
  return Math.max(...values.map((value) => value.length).filter((length) => length <= 50), 0);
}
