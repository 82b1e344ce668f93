import { guestVerbs } from '@kata-agent/catalogue';
import type {
  CallerSettings,
  Configuration,
  ListenerSettings,
  PeerList,
  SettableKey,
} from '@kata-agent/config';
import type { Difference } from './difference.js';

/** Returns differences of the listeners themselves; served methods are separate differences. */
export function listenerDifferences(
  pairs: readonly ListenerPair[],
  configurations: { readonly before: Configuration; readonly after: Configuration },
): readonly Difference[] {
  return pairs.flatMap(({ before, after }): readonly Difference[] => {
    if (before === undefined) {
      const why = 'the listener is added';
      return [{ effect: 'opens', about: 'listener', name: after.name, after: textOf(after), why }];
    }
    if (after === undefined) {
      const why = 'the listener is removed';
      return [{ effect: 'closes', about: 'listener', name: before.name, before: textOf(before), why }];
    }
    return [
      ...renaming(before, after),
      ...awaiting(before, after),
      ...moving(before, after),
      ...admitting(before, after),
      ...managing(before, after),
      ...granting(before, after),
      ...verifying(before, after),
      ...dialling(before, after),
      ...tuning(
        { listener: before, configuration: configurations.before },
        { listener: after, configuration: configurations.after },
      ),
    ];
  });
}

function renaming(before: ListenerSettings, after: ListenerSettings): readonly Difference[] {
  if (before.name === after.name) return [];
  const why = 'the listener is renamed; rules that use `listener` see the new name';
  return [
    {
      effect: 'changes',
      about: 'listener',
      name: after.name,
      before: before.name,
      after: after.name,
      why,
    },
  ];
}

/** Compares what delivered documents set in the guest, which is not known here. */
function awaiting(before: ListenerSettings, after: ListenerSettings): readonly Difference[] {
  const [was, is] = [before.awaited ?? [], after.awaited ?? []];
  const changed = [
    ...is
      .filter((key) => !was.includes(key))
      .map((key) => [key, 'of this document', 'of a delivered document']),
    ...was
      .filter((key) => !is.includes(key))
      .map((key) => [key, 'of a delivered document', 'of this document']),
  ];
  return changed.map(([key, from, to]): Difference => {
    const why = 'what a delivered document sets is unknown: counts as opening';
    return {
      effect: 'opens',
      about: 'listener',
      name: after.name,
      before: `${key} ${from}`,
      after: `${key} ${to}`,
      why,
    };
  });
}

/** Reports whether a key of one of two listeners is not known here, which is a difference of its own or none. */
function isAwaited(key: SettableKey, ...listeners: readonly ListenerSettings[]): boolean {
  return listeners.some(({ awaited }) => awaited?.includes(key) === true);
}

function moving(before: ListenerSettings, after: ListenerSettings): readonly Difference[] {
  if (before.address === after.address || isAwaited('address', before, after)) return [];
  return [
    {
      effect: 'opens',
      about: 'listener',
      name: after.name,
      before: before.address,
      after: after.address,
      why: 'who can reach the new address is unknown: counts as opening',
    },
  ];
}

function admitting(before: ListenerSettings, after: ListenerSettings): readonly Difference[] {
  // Only the server calls through a trusted relay: `dialling` compares that. `awaiting` compares peers that are not known here.
  if (before.peers.length === 0 || after.peers.length === 0) return [];
  const narrower = admitsNoMore(after.peers, before.peers);
  if (narrower && admitsNoMore(before.peers, after.peers)) return [];
  const texts = { before: peersText(before), after: peersText(after) };
  const row = { about: 'listener', name: after.name, ...texts } as const;
  if (narrower) {
    const removed = missing(before.peers, after.peers);
    const why =
      removed.length > 0 ? `${removed.join(', ')} can no longer connect` : 'fewer peers can connect';
    return [{ ...row, effect: 'closes', why }];
  }
  const added = missing(after.peers, before.peers);
  const why = added.length > 0 ? `${added.join(', ')} can connect` : 'more peers can connect';
  return [{ ...row, effect: 'opens', why }];
}

/** Compares the TLS of two listeners. PEM texts are compared as texts: what another CA signs is unknown. */
function verifying(before: ListenerSettings, after: ListenerSettings): readonly Difference[] {
  const row = { about: 'listener', name: after.name } as const;
  const parts = [
    ['clientCa', 'client_ca', 'the certificates of the other CA are unknown: counts as opening'],
    [
      'clientCrl',
      'client_crl',
      'the certificates that the other list revokes are unknown: counts as opening',
    ],
  ] as const;
  const changed = parts.flatMap(([key, name, why]): readonly Difference[] => {
    const [was, is] = [callersOf(before)?.[key], callersOf(after)?.[key]];
    if (was === is || isAwaited(`tls.${name}`, before, after)) return [];
    return [
      { ...row, effect: 'opens', before: `${name} ${presence(was)}`, after: `${name} ${presence(is)}`, why },
    ];
  });
  const [had, has] = [before, after].map(({ tls }) => tls?.staticIdentity !== undefined);
  if (had === has) return changed;
  const keyOf = (isStatic = false): string => (isStatic ? 'a static key' : 'a key made at boot');
  const why =
    has === true ? 'each reader of the image has the key of the agent' : 'the agent makes its key at boot';
  const effect = has === true ? 'opens' : 'closes';
  return [...changed, { ...row, effect, before: keyOf(had), after: keyOf(has), why }];
}

/** Compares the servers of two listeners that dial. */
function dialling(before: ListenerSettings, after: ListenerSettings): readonly Difference[] {
  const { dial: was } = before;
  const { name, dial: is } = after;
  const row = { about: 'listener', name } as const;
  if (was === undefined || is === undefined) {
    if (is === undefined) return [];
    const texts = { before: 'listens', after: `relay = "${is.relay.kind}"` };
    return [{ ...row, ...texts, effect: 'opens', why: relayReasons[is.relay.kind] }];
  }
  const found: Difference[] = [];
  if (was.relay.kind !== is.relay.kind) {
    const texts = { before: `relay = "${was.relay.kind}"`, after: `relay = "${is.relay.kind}"` };
    found.push({ ...row, ...texts, effect: 'opens', why: relayReasons[is.relay.kind] });
  }
  if (was.serverCa !== is.serverCa && !isAwaited('tls.server_ca', before, after)) {
    const texts = {
      before: `server_ca ${presence(was.serverCa)}`,
      after: `server_ca ${presence(is.serverCa)}`,
    };
    const why = 'the servers of the other CA are unknown: counts as opening';
    found.push({ ...row, ...texts, effect: 'opens', why });
  }
  if (was.proxy !== is.proxy) {
    const textOf = (proxy = 'none'): string => `proxy = ${proxy}`;
    const texts = { before: textOf(was.proxy), after: textOf(is.proxy) };
    const why =
      is.proxy === undefined
        ? 'no proxy sees when and how much is sent'
        : 'the proxy sees when and how much is sent';
    found.push({ ...row, ...texts, effect: is.proxy === undefined ? 'closes' : 'opens', why });
  }
  if (isAwaited('tls.pins', before, after) || was.pins.toSorted().join() === is.pins.toSorted().join())
    return found;
  const closes =
    was.pins.length === 0 || (is.pins.length > 0 && is.pins.every((pin) => was.pins.includes(pin)));
  const texts = { before: `pins = ${JSON.stringify(was.pins)}`, after: `pins = ${JSON.stringify(is.pins)}` };
  const why = closes ? 'fewer keys of the server are accepted' : 'other keys of the server are accepted';
  return [...found, { ...row, ...texts, effect: closes ? 'closes' : 'opens', why }];
}

const relayReasons = {
  trusted: 'the server is believed with each call',
  'operator-tls':
    'operators of client_ca can connect through the server, which calls nothing but management itself',
} as const;

/** How callers with certificates are verified, at `tls://` or through a server. */
function callersOf({ tls, dial }: ListenerSettings): CallerSettings | undefined {
  return dial?.relay.kind === 'operator-tls' ? dial.relay.callers : tls;
}

function presence(pem: string | undefined): string {
  return pem === undefined ? 'absent' : `of ${pem.length} bytes`;
}

function managing(before: ListenerSettings, after: ListenerSettings): readonly Difference[] {
  const row = (effect: 'opens' | 'closes', names: readonly string[]): readonly Difference[] =>
    names.length === 0
      ? []
      : [
          {
            effect,
            about: 'listener',
            name: after.name,
            before: `management = ${JSON.stringify(before.management)}`,
            after: `management = ${JSON.stringify(after.management)}`,
            why: `${names.join(', ')} of the management service ${effect === 'opens' ? 'can' : 'can no longer'} be called`,
          },
        ];
  return [
    ...row(
      'opens',
      after.management.filter((name) => !before.management.includes(name)),
    ),
    ...row(
      'closes',
      before.management.filter((name) => !after.management.includes(name)),
    ),
  ];
}

/**
 * Compares what operators may do through a server. Without `operators` they have `connect` for AgentService alone: writing the first
 * grants opens methods of management, and can take AgentService from some of them.
 */
function granting(before: ListenerSettings, after: ListenerSettings): readonly Difference[] {
  const [was, is] = [grantsOf(before), grantsOf(after)];
  if (was === undefined || is === undefined) return [];
  const [old, now] = [new Set(was), new Set(is)];
  const row = (effect: 'opens' | 'closes', changed: readonly string[]): readonly Difference[] =>
    changed.length === 0
      ? []
      : [
          {
            effect,
            about: 'listener',
            name: after.name,
            before: `operators: ${was.join('; ') || 'none'}`,
            after: `operators: ${is.join('; ') || 'none'}`,
            why: `${changed.join('; ')} ${effect === 'opens' ? 'is given' : 'is no longer given'} to operators`,
          },
        ];
  return [
    ...row(
      'opens',
      is.filter((grant) => !old.has(grant)),
    ),
    ...row(
      'closes',
      was.filter((grant) => !now.has(grant)),
    ),
  ];
}

/** Each verb with each peer; undefined where there are no operators. */
function grantsOf({ dial }: ListenerSettings): readonly string[] | undefined {
  if (dial?.relay.kind !== 'operator-tls') return undefined;
  const { operators } = dial.relay;
  if (operators === undefined) return ['connect (without management) to *'];
  const given = guestVerbs.flatMap((verb) =>
    operators
      .filter(({ verbs }) => verbs.includes(verb))
      .flatMap(({ peers }) => peers.map((peer) => `${verb} to ${peer}`)),
  );
  return [...new Set(given)].toSorted();
}

/** Reports whether each peer that matches all of `lists` certainly matches all of `others`. */
function admitsNoMore(lists: readonly PeerList[], others: readonly PeerList[]): boolean {
  const within = (list: PeerList, other: PeerList): boolean => list.every((peer) => other.includes(peer));
  return others.every((other) => other.includes('any') || lists.some((list) => within(list, other)));
}

function missing(from: readonly PeerList[], lists: readonly PeerList[]): readonly string[] {
  const there = new Set(lists.flat());
  return from.flat().filter((peer) => !there.has(peer));
}

/** Compares what a listener has of its own; `[limits]` and `[api]` are settings. */
function tuning(before: Side, after: Side): readonly Difference[] {
  const row = { about: 'listener', name: after.listener.name } as const;
  const found: Difference[] = [];
  const was = before.listener.limits.connections;
  const is = after.listener.limits.connections;
  if (was !== is && (hasOwnLimit(before) || hasOwnLimit(after))) {
    const texts = { before: `connections = ${was}`, after: `connections = ${is}` };
    found.push(
      is > was
        ? { ...row, ...texts, effect: 'opens', why: 'more connections can be open' }
        : { ...row, ...texts, effect: 'closes', why: 'fewer connections can be open' },
    );
  }
  const old = before.listener.onDeniedRead;
  const now = after.listener.onDeniedRead;
  if (old !== now && (hasOwnAnswer(before) || hasOwnAnswer(after))) {
    const texts = { before: `on_denied_read = "${old}"`, after: `on_denied_read = "${now}"` };
    found.push({ ...row, ...texts, effect: 'changes', why: 'the answer to a denied read' });
  }
  return found;
}

/** A listener and its configuration. */
interface Side {
  readonly listener: ListenerSettings;
  readonly configuration: Configuration;
}

function hasOwnLimit({ listener, configuration }: Side): boolean {
  return listener.limits.connections !== configuration.limits.connections;
}

function hasOwnAnswer({ listener, configuration }: Side): boolean {
  return listener.onDeniedRead !== configuration.api.onDeniedRead;
}

function textOf(settings: ListenerSettings): string {
  const { awaited = [] } = settings;
  if (awaited.length > 0) return `${settings.address}, ${awaited.join(', ')} set by a delivered document`;
  if (settings.dial?.relay.kind === 'trusted') return settings.address;
  return `${settings.address}, peers ${peersText(settings)}`;
}

function peersText({ peers }: ListenerSettings): string {
  return peers.map((list) => list.join(', ')).join(' and ');
}

/** A listener before and after; one is absent if it was added or removed. */
export type ListenerPair =
  | { readonly before: ListenerSettings; readonly after: ListenerSettings }
  | { readonly before: ListenerSettings; readonly after: undefined }
  | { readonly before: undefined; readonly after: ListenerSettings };

/**
 * Pairs the listeners of two configurations by name, else by address; if one is left on each side, they are a pair too.
 */
export function pairListeners(
  before: readonly ListenerSettings[],
  after: readonly ListenerSettings[],
): readonly ListenerPair[] {
  const old = new Set(before);
  const paired = new Map<ListenerSettings, ListenerSettings>();
  for (const key of ['name', 'address'] as const) {
    for (const listener of after) {
      if (paired.has(listener)) continue;
      const match = [...old].find((candidate) => candidate[key] === listener[key]);
      if (match === undefined) continue;
      paired.set(listener, match);
      old.delete(match);
    }
  }
  const [left, ...others] = old;
  const [added, ...more] = after.filter((listener) => !paired.has(listener));
  if (left !== undefined && added !== undefined && others.length + more.length === 0) {
    paired.set(added, left);
    old.delete(left);
  }
  return [
    ...after.map((listener): ListenerPair => {
      const match = paired.get(listener);
      return match === undefined
        ? { before: undefined, after: listener }
        : { before: match, after: listener };
    }),
    ...[...old].map((listener): ListenerPair => ({ before: listener, after: undefined })),
  ];
}
