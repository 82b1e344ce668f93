import { defaultRelay, type OperatorGrant, type PeerList, type Relay } from '../listener.js';
import type { Span } from '../diagnostics/diagnostic.js';
import { quote } from '../diagnostics/display-text.js';
import type { Report } from '../diagnostics/report.js';
import type { SettableKey } from '../value-types/may-set.js';
import { limitsWithoutEffect, type OwnLimits, type TlsKeys, tlsPemKeys } from './listener-keys.js';
import { dialledAddress, listenerPlace } from './listener-place.js';
import { peerThatNeverConnects } from '../value-types/peers.js';
import type { Located } from '../document/entry-key.js';

/** The keys of a listener of the base document that depend on its address. */
interface Transport {
  /** Absent: `may_set` names it, which allows https:// only. */
  readonly address: Located<string> | undefined;
  readonly peers: Located<PeerList> | undefined;
  readonly tls: Located<TlsKeys> | undefined;
  readonly limits: Located<Partial<OwnLimits>> | undefined;
  readonly operators: Located<readonly OperatorGrant[]> | undefined;
  readonly relay: Located<Relay> | undefined;
  readonly proxy: Located<string> | undefined;
  /** The keys that a delivered document sets. */
  readonly settable: ReadonlySet<SettableKey>;
}

/**
 * Reports what a listener lacks at its address, and what has no effect there.
 *
 * @param name the position of the listener's name.
 */
export function checkTransport(transport: Transport, name: Span, report: Report): void {
  const { peers, limits, operators, relay, proxy } = transport;
  const address = transport.address?.value ?? dialledAddress;
  const place = listenerPlace(address, relay?.value);
  const strange =
    peers === undefined
      ? undefined
      : peerThatNeverConnects(address, relay?.value ?? defaultRelay, peers.value);
  if (peers !== undefined && strange !== undefined)
    report.error('KA1401', peers.span, strange.message, strange.help);
  if (place === 'tls' || place === 'local')
    for (const [key, value] of Object.entries({ relay, proxy }))
      if (value !== undefined)
        report.error('KA1405', value.span, `${key} has no effect at ${quote(address)}`, 'remove it');
  if (operators !== undefined && place !== 'operator-tls')
    report.error(
      'KA1405',
      operators.span,
      `operators has no effect at ${place === 'trusted' ? 'https:// with relay = "trusted": the server decides what they may do' : quote(address)}`,
      place === 'trusted' ? 'remove it, or write relay = "operator-tls"' : 'remove it',
    );
  if (place === 'tls') checkListening(transport, name, report);
  else if (place !== 'local') checkDialling(transport, place, name, report);
  else if (transport.tls !== undefined)
    report.error('KA1405', transport.tls.span, `tls has no effect at ${quote(address)}`, elsewhere);
  if (limits === undefined) return;
  for (const key of limitsWithoutEffect(place, limits.value))
    report.error(
      'KA1405',
      limits.span,
      `the limit ${key} has no effect at ${place === 'trusted' ? trustedPlace : quote(address)}`,
      place === 'trusted' ? 'remove it' : elsewhere,
    );
}

const elsewhere = 'remove it, or listen at a tls:// address';
const trustedPlace = 'https:// with relay = "trusted": there is one connection, and the agent makes it';

function checkListening({ peers, tls, settable }: Transport, name: Span, report: Report): void {
  const help = 'name the CA of the callers: tls = { client_ca = "/etc/kata-agent/tenant-ca.pem" }';
  if (tls !== undefined && (tls.value.serverCa ?? tls.value.pins) !== undefined)
    report.error('KA1405', tls.span, 'server_ca and pins have no effect at tls://', help);
  else if (tls?.value.clientCa === undefined && !settable.has('tls.client_ca'))
    report.error('KA1404', tls?.span ?? name, 'a listener at tls:// must have tls.client_ca', help);
  if (peers === undefined && !settable.has('peers'))
    report.error(
      'KA1404',
      name,
      'a listener at tls:// must have peers',
      'name certificates: peers = ["uri:spiffe://example/ops/*"]; ["*"] is every certificate of the CA',
    );
}

function checkDialling(transport: Transport, relay: Relay, name: Span, report: Report): void {
  const { tls, settable } = transport;
  if (tls?.value.serverCa === undefined && !settable.has('tls.server_ca'))
    report.error(
      'KA1404',
      tls?.span ?? name,
      'a listener at https:// must have tls.server_ca',
      'name the CA of the server: tls = { server_ca = "/etc/kata-agent/realm-ca.pem" }',
    );
  // A key beside server_ca is found when tls is read.
  if (tls?.value.key !== undefined)
    report.error('KA1405', tls.span, 'a static key has no effect at https://', elsewhere);
  if (relay === 'operator-tls') checkOperators(transport, name, report);
  else if (tls !== undefined) checkTrusted(tls, report);
}

/** Operators have no connections of their own: a key that promised to verify them would deceive. */
function checkTrusted(tls: Located<TlsKeys>, report: Report): void {
  for (const key of ['clientCa', 'clientCrl'] as const)
    if (tls.value[key] !== undefined)
      report.error(
        'KA1405',
        tls.span,
        `${tlsPemKeys[key]} has no effect with relay = "trusted": the server makes the calls of operators, whose certificates the agent does not see`,
        'remove it, or write relay = "operator-tls"',
      );
}

function checkOperators({ tls, peers, settable }: Transport, name: Span, report: Report): void {
  const instead = 'to believe the server with each call instead, write relay = "trusted"';
  if (tls?.value.clientCa === undefined && !settable.has('tls.client_ca'))
    report.error(
      'KA1404',
      tls?.span ?? name,
      'a listener at https:// with relay = "operator-tls", the default, must have tls.client_ca',
      `name the CA of the operators: client_ca = "/etc/kata-agent/tenant-ca.pem"; ${instead}`,
    );
  if (peers === undefined && !settable.has('peers'))
    report.error(
      'KA1404',
      name,
      'a listener at https:// with relay = "operator-tls", the default, must have peers',
      `name the operators: peers = ["uri:spiffe://example/ops/*"]; ["*"] is every certificate of the CA; ${instead}`,
    );
}
