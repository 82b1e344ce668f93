import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { OwnIdentity } from '@kata-agent/agent/tls';
import { parseVerifier, WitnessVerifier } from '@kata-agent/tlog';
import { type BootOptions, GuestLog } from './guest-log.js';
import { guestIdentity, RawGuest } from './raw-guest.js';
import { type RealmHome, until } from './realm-process.js';
import { realmProgram } from './repository.js';
import { askWitness, type WitnessAnswer, type WitnessRequestOptions } from './witness-client.js';

/** Makes the key of a witness, as an operator does. */
export function witnessKey(
  home: RealmHome,
  name = 'realm.example/w1',
): { verifier: WitnessVerifier; file: string } {
  const file = join(home.directory, 'witness.key');
  const args = [realmProgram, 'witness-key', '--name', name, '--out', file];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const verifier = parseVerifier(stdout.trim());
  assert.ok(verifier instanceof WitnessVerifier && verifier.name === name);
  const again = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.equal(again.status, 3, again.stderr);
  return { verifier, file };
}

/** A guest of a realm, its log, and its requests to the witness. */
export class WitnessedGuest {
  readonly home: RealmHome;
  readonly identity: OwnIdentity;
  readonly log: GuestLog;
  connection: RawGuest | undefined;

  constructor(home: RealmHome, identity: OwnIdentity, log: GuestLog = GuestLog.boot(identity.pin)) {
    this.home = home;
    this.identity = identity;
    this.log = log;
  }

  get id(): string {
    return this.identity.pin.replace('spki:sha256:', '');
  }

  async connect(): Promise<this> {
    this.connection = await RawGuest.serve({
      port: this.home.ports.guests,
      identity: this.identity,
      management: { watchAudit: this.log.watch },
    });
    return this;
  }

  ask(oldSize: number, size?: number): Promise<WitnessAnswer> {
    return this.post(this.log.request(oldSize, size));
  }

  post(body: string | Buffer, more: WitnessRequestOptions = {}): Promise<WitnessAnswer> {
    return askWitness(this.home.ports.guests, this.identity, body, more);
  }

  /** Waits until the realm has all records. */
  async stored(): Promise<void> {
    await until('the log is stored', () => {
      const text = this.home.logs(this.id).map((path) => readFileSync(path, 'latin1'));
      return text.join('') === this.log.lines.map((line) => `${line}\n`).join('');
    });
  }

  close(): void {
    this.connection?.socket.destroy();
  }
}

export function stateFile({ home, log }: WitnessedGuest, kind: 'checkpoint' | 'fork'): string {
  return join(home.store, 'witness', `${log.origin.slice('kata-agent/'.length)}.${kind}`);
}

export async function newGuest(home: RealmHome, more: BootOptions = {}): Promise<WitnessedGuest> {
  const identity = await guestIdentity();
  return new WitnessedGuest(home, identity, GuestLog.boot(identity.pin, more));
}
