import {
  type CommandDefinition,
  CommandError,
  ExitCode,
  plainText,
  printReport,
  renderTable,
  styleFor,
} from '@kata-agent/cli';
import { guestPath, jsonOfRealm, realmAddressOf } from './with-realm.js';

/** A guest as a realm sends it. No type is believed. */
interface Fields {
  readonly name?: unknown;
  readonly id?: unknown;
  readonly attested?: unknown;
  readonly relay?: unknown;
  readonly configuration_digest?: unknown;
  readonly log?: unknown;
  readonly connected_at?: unknown;
}

const idDigits = 12;

export const realmGuests: CommandDefinition = {
  path: 'realm guests',
  summary: 'list the guests that are connected to a realm',
  details: [
    'Lists the guests that this operator may list; with GUEST in the address, that guest. NO under ATTESTED means that name, digest and version are unverified.',
    'The ID of a guest is the hash of its public key: --format json prints all of it. Use it as --pin only if you believe the realm about it, or have compared it with evidence of the guest.',
  ],
  examples: [
    {
      line: 'kata-agent-ctl realm guests -a realm://realm.example --cert me.pem --key me.key --realm-ca realm-ca.pem',
      description: 'Lists all guests.',
    },
    {
      line: "kata-agent-ctl realm guests -a realm://realm.example --cert me.pem --key me.key --realm-ca realm-ca.pem --format json | jq -r '.guests[] | [.name, .id] | @tsv'",
      description: 'Prints names and whole IDs.',
    },
  ],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const address = realmAddressOf(invocation);
    const path = address.guest === undefined ? '/v1/guests' : guestPath(address, '');
    const answer = await jsonOfRealm(invocation, address, { method: 'GET', path });
    const guests = guestsOf(address.guest === undefined ? answer : { guests: [answer] });
    const { red, bold, enabled } = styleFor(invocation.io.stdout, invocation.io.environment);
    await printReport(invocation, answer, () =>
      renderTable([heading, ...guests.map(rowOf)], (padded, row, column) => {
        if (!enabled) return padded;
        if (row === 0) return bold(padded);
        return column === attestedColumn && padded.startsWith('NO') ? red(padded) : padded;
      }),
    );
    return ExitCode.Success;
  },
};

const heading = ['NAME', 'ID', 'ATTESTED', 'RELAY', 'DIGEST', 'LOG', 'CONNECTED SINCE'];
const attestedColumn = heading.indexOf('ATTESTED');

function guestsOf(answer: unknown): readonly Fields[] {
  const { guests } = (answer ?? {}) as { guests?: unknown };
  if (Array.isArray(guests) && guests.every((guest) => typeof guest === 'object' && guest !== null))
    return guests as readonly Fields[];
  throw new CommandError(ExitCode.CannotApply, 'the answer of the realm is not a list of guests', {
    help: ['use a kata-agent-ctl of the same version as the realm'],
  });
}

function rowOf(guest: Fields): readonly string[] {
  return [
    text(guest.name),
    text(guest.id).slice(0, idDigits),
    guest.attested === true ? 'yes' : 'NO',
    text(guest.relay),
    text(guest.configuration_digest).slice(0, 'sha256:'.length + idDigits),
    logText(guest.log),
    text(guest.connected_at),
  ];
}

function logText(log: unknown): string {
  if (typeof log !== 'object' || log === null) return '-';
  const { state, last, silent } = log as {
    readonly state?: unknown;
    readonly last?: unknown;
    readonly silent?: unknown;
  };
  return `${text(state)} ${typeof last === 'number' ? last : ''}${silent === true ? ' silent' : ''}`.trim();
}

/** A guest chooses some of these texts. */
function text(value: unknown): string {
  return typeof value === 'string' && value !== '' ? plainText(value) : '-';
}
