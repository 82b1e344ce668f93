import type { PeerList } from './listener.js';
import type { Span } from '../diagnostics/diagnostic.js';
import { quote } from '../diagnostics/display-text.js';
import type { Report } from '../diagnostics/report.js';
import { dialAddress } from '../value-types/dial-address.js';
import { tlsAddress } from '../value-types/listener-address.js';
import type { Relay } from './listener-keys.js';
import { limitsWithoutEffect, type OwnLimits } from './listener-limits.js';
import { peerThatNeverConnects } from './peer-that-never-connects.js';
import type { TlsKeys } from './tls-keys.js';
import type { Written } from './written.js';

/** The keys of a listener of the base document that depend on its address. */
interface Transport {
  readonly address: Written<string>;
  readonly peers: Written<PeerList> | undefined;
  readonly tls: Written<TlsKeys> | undefined;
  readonly limits: Written<Partial<OwnLimits>> | undefined;
  readonly relay: Written<Relay> | undefined;
}

/**
 * Reports what a listener lacks at its address, and what has no effect there.
 *
 * @param name the position of the listener's name.
 */
export function checkTransport(transport: Transport, name: Span, report: Report): void {
  const { address, peers, limits, relay } = transport;
  const kind = kindOf(address.value);
  const strange = peers === undefined ? undefined : peerThatNeverConnects(address.value, peers.value);
  if (peers !== undefined && strange !== undefined)
    report.error('KA1401', peers.span, strange.message, strange.help);
  if (kind !== 'https' && relay !== undefined)
    report.error('KA1405', relay.span, `relay has no effect at ${quote(address.value)}`, 'remove it');
  if (kind === 'tls') checkListening(transport, name, report);
  else if (kind === 'https') checkDialling(transport, name, report);
  else if (transport.tls !== undefined)
    report.error('KA1405', transport.tls.span, `tls has no effect at ${quote(address.value)}`, elsewhere);
  if (limits === undefined) return;
  for (const key of limitsWithoutEffect(address.value, limits.value))
    report.error(
      'KA1405',
      limits.span,
      `the limit ${key} has no effect at ${quote(address.value)}`,
      elsewhere,
    );
}

const elsewhere = 'remove it, or listen at a tls:// address';

function kindOf(address: string): 'tls' | 'https' | 'local' {
  if (tlsAddress(address) !== undefined) return 'tls';
  return dialAddress(address) === undefined ? 'local' : 'https';
}

function checkListening({ peers, tls }: Transport, name: Span, report: Report): void {
  const help = 'name the CA of the callers: tls = { client_ca = "/etc/kata-agent/tenant-ca.pem" }';
  if (tls === undefined) report.error('KA1404', name, 'a listener at tls:// must have tls', help);
  else if (tls.value.serverCa !== undefined)
    report.error('KA1405', tls.span, 'server_ca has no effect at tls://', help);
  if (peers === undefined)
    report.error(
      'KA1404',
      name,
      'a listener at tls:// must have peers',
      'name certificates: peers = ["uri:spiffe://example/ops/*"]; ["*"] is every certificate of the CA',
    );
}

function checkDialling({ tls, relay }: Transport, name: Span, report: Report): void {
  const help = 'name the CA of the server: tls = { server_ca = "/etc/kata-agent/realm-ca.pem" }';
  if (tls === undefined) report.error('KA1404', name, 'a listener at https:// must have tls', help);
  else if (tls.value.serverCa === undefined)
    report.error('KA1405', tls.span, 'client_ca has no effect at https://', help);
  // The default is the stronger one: it must not be replaced silently.
  if (relay?.value !== 'trusted')
    report.error(
      'KA1105',
      relay?.span ?? name,
      `relay = "operator-tls"${relay === undefined ? ', the default,' : ''} is not built yet`,
      'to believe the server with each call, write relay = "trusted"; otherwise listen instead of dialling',
    );
}
