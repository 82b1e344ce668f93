import type { IncomingMessage } from 'node:http';
import {
  addressOf,
  askRealm,
  CommandError,
  connectRealm,
  ExitCode,
  formatAddress,
  type Invocation,
  type RealmAddress,
  realmItself,
  type RealmRequest,
  timeoutOf,
  within,
} from '@kata-agent/cli';

/** The most bytes of an answer in JSON: some 50,000 guests. */
const maxJsonBytes = 32 * 1024 * 1024;

/** Returns the address of the realm. Throws a CommandError for an address of another kind. */
export function realmAddressOf(invocation: Invocation): RealmAddress {
  const address = addressOf(invocation);
  if (address.kind === 'realm') return address;
  throw new CommandError(ExitCode.Usage, `address '${formatAddress(address)}': it is not that of a realm`, {
    help: ['pass --address realm://HOST[:PORT], or realm://HOST[:PORT]/GUEST'],
  });
}

/** Returns the HTTP path of the guest of an address. Throws a CommandError if the address names no guest. */
export function guestPath(address: RealmAddress, rest: string): string {
  if (address.guest !== undefined) return `/v1/guests/${address.guest}${rest}`;
  throw new CommandError(ExitCode.Usage, `address '${formatAddress(address)}': the guest is missing`, {
    help: ['append /GUEST: its name or its ID; kata-agent-ctl realm guests lists them'],
  });
}

/** Sends a request and resolves with the answer, of which the body is still to be read. Rejects with a CommandError. */
export async function requestRealm(
  invocation: Invocation,
  address: RealmAddress,
  asked: RealmRequest,
): Promise<IncomingMessage> {
  return await ask(invocation, address, asked, (message) => Promise.resolve(message));
}

/** Sends a request, and resolves with the JSON of the answer. Rejects with a CommandError. */
export async function jsonOfRealm(
  invocation: Invocation,
  address: RealmAddress,
  asked: RealmRequest,
): Promise<unknown> {
  return await ask(invocation, address, asked, readJson);
}

async function ask<T>(
  invocation: Invocation,
  address: RealmAddress,
  asked: RealmRequest,
  read: (message: IncomingMessage) => Promise<T>,
): Promise<T> {
  const credentials = await realmItself(invocation.options);
  return await within(timeoutOf(invocation), address, 'a realm', async (leave) => {
    const socket = await connectRealm(address, credentials, leave);
    const { message } = await askRealm(socket, address, asked);
    return await read(message);
  });
}

async function readJson(message: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of message as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > maxJsonBytes) throw new Error(`the answer has more than ${maxJsonBytes} bytes`);
    parts.push(part);
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString());
  } catch (error) {
    throw new Error('the answer is not JSON', { cause: error });
  }
}
