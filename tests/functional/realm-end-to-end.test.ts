import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AgentProcess } from '../harness/agent-process.js';
import { guestConfig } from '../harness/realm-guest.js';
import { RealmHome, RealmProcess, until } from '../harness/realm-process.js';
import { ctlProgram } from '../harness/repository.js';

const authorization = `version = 1
[[guest]]
name = "direct"
configurations = ["*"]
max = 2

[[operator]]
peers = ["uri:spiffe://example/ops/alice"]
guests = ["*"]
verbs = ["list", "connect", "audit", "revoke"]
methods = ["GetGuestDetails", "Describe", "ReseedRandomDev"]
release = "4.1"

[[operator]]
peers = ["uri:spiffe://example/ops/bob"]
guests = ["*"]
verbs = ["list"]
`;

type Relay = 'operator-tls' | 'trusted';

interface GuestJson {
  readonly name: string;
  readonly id: string;
  readonly relay: Relay;
  readonly attested: boolean;
  readonly log: { readonly state: string } | null;
}

describe('an operator, a realm and an agent: three programs', () => {
  const home = new RealmHome(authorization);
  const agents = new Map<Relay, AgentProcess>();
  const guests = new Map<Relay, GuestJson>();
  let realm: RealmProcess;

  before(async () => {
    realm = await RealmProcess.start(home);
    for (const name of ['alice', 'bob']) {
      const { cert, key } = home.operators.client({
        commonNames: [name],
        uris: [`spiffe://example/ops/${name}`],
      });
      home.write(`${name}.pem`, cert);
      home.write(`${name}.key`, key);
    }
    home.write('ca.pem', home.ca.pem);
    for (const relay of ['operator-tls', 'trusted'] as const) {
      const config = guestConfig(
        home,
        relay === 'trusted' ? {} : { operators: ['uri:spiffe://example/ops/*'] },
      );
      agents.set(relay, await AgentProcess.start({ config, sharesNetwork: true }));
    }
    await until('both are listed', async () => {
      const { stdout } = await ctl('alice', '', 'realm', 'guests', '--format', 'json');
      const listed = (JSON.parse(stdout) as { guests: readonly GuestJson[] }).guests;
      for (const guest of listed) guests.set(guest.relay, guest);
      return guests.size === 2;
    });
  });
  after(async () => {
    for (const agent of agents.values()) await agent.dispose();
    await realm.stop();
    home.remove();
  });

  function ctl(
    operator: string,
    guest: string,
    ...args: readonly string[]
  ): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
    const at = (name: string): string => join(home.directory, name);
    const address = `realm://localhost:${home.ports.operators}${guest === '' ? '' : `/${guest}`}`;
    const files = [
      '--cert',
      at(`${operator}.pem`),
      '--key',
      at(`${operator}.key`),
      '--realm-ca',
      at('ca.pem'),
    ];
    const child = spawn(process.execPath, [ctlProgram, ...args, '-a', address, ...files], {
      env: { ...process.env, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const)
      child[name].on('data', (chunk: Buffer) => {
        output[name] += chunk.toString();
      });
    return new Promise((resolve) => child.once('close', (code) => resolve({ code, ...output })));
  }

  /** Returns a guest as an address names it, and the option that it needs. */
  const target = (relay: Relay): readonly [guest: string, options: readonly string[]] => {
    const { id } = guests.get(relay) ?? assert.fail();
    return relay === 'trusted' ? [id, ['--relay', 'trusted']] : [id, []];
  };

  for (const relay of ['operator-tls', 'trusted'] as const) {
    it(`${relay}: calls that guest and realm allow, and no others`, async () => {
      const [guest, options] = target(relay);
      const described = await ctl('alice', guest, 'describe', ...options);
      assert.equal(described.code, 0, described.stderr);
      assert.match(described.stdout, /listener realm at https:[^]*GetGuestDetails/);
      assert.equal((await ctl('alice', guest, 'guest', ...options)).code, 0);
      const denied = await ctl('alice', guest, 'call', 'ReseedRandomDev', ...options);
      assert.equal(denied.code, 1);
      assert.match(denied.stderr, /UNIMPLEMENTED|not served|KA\d{4}/);
      const lister = await ctl('bob', guest, 'guest', ...options);
      assert.equal(lister.code, 1, lister.stderr);
      assert.match(lister.stderr, /denies this request: you lack the verb connect/);
      const records = readFileSync(agents.get(relay)?.auditLog ?? '', 'utf8');
      assert.match(records, relay === 'trusted' ? /claimedOperator[^\n]*ops\/alice/ : /ops\/alice/);
    });

    it(`${relay}: the stored audit log is the guest's`, async () => {
      const [guest] = target(relay);
      const own = (): string => readFileSync(agents.get(relay)?.auditLog ?? '', 'utf8');
      let copy = '';
      await until('the log is stored', async () => {
        const { code, stdout, stderr } = await ctl('alice', guest, 'realm', 'audit', '--format', 'json');
        assert.equal(code, 0, stderr);
        copy = stdout;
        return copy === own();
      });
      assert.equal((await ctl('bob', guest, 'realm', 'audit')).code, 1);
    });
  }

  it('a weaker relay than asked for is left, and a name that two guests share is none', async () => {
    const { id } = guests.get('trusted') ?? assert.fail();
    const weaker = await ctl('alice', id, 'guest');
    assert.equal(weaker.code, 3);
    assert.match(weaker.stderr, /the realm would make the calls itself/);
    assert.equal((await ctl('alice', 'direct', 'guest', '--relay', 'trusted')).code, 3);
    const { name } = guests.get('trusted') ?? assert.fail();
    assert.equal((await ctl('alice', name, 'guest', '--relay', 'trusted')).code, 0);
  });

  it('a revocation of an operator ends its use of the guest', async () => {
    const [guest] = target('operator-tls');
    const revoked = await ctl('alice', guest, 'realm', 'revoke', 'uri:spiffe://example/ops/alice');
    assert.equal(revoked.code, 0, revoked.stderr);
    const refused = await ctl('alice', guest, 'guest');
    assert.equal(refused.code, 3, refused.stderr);
    assert.match(refused.stderr, /closed the connection before it answered/);
  });

  it('the realm’s own log has who did what', () => {
    const text = JSON.stringify(home.decisions());
    assert.match(text, /uri:spiffe:\/\/example\/ops\/alice/);
    assert.match(text, /uri:spiffe:\/\/example\/ops\/bob/);
    assert.match(text, /lacks the verb connect/);
  });

  it('the guest’s log remains after its end', async () => {
    const [guest] = target('trusted');
    await agents.get('trusted')?.stop();
    await until('it is not listed', async () => {
      const { stdout } = await ctl('alice', '', 'realm', 'guests');
      return !stdout.includes(guest.slice(0, 12));
    });
    assert.equal((await ctl('alice', guest, 'guest', '--relay', 'trusted')).code, 3);
    const stored = await ctl('alice', guest, 'realm', 'audit', '--format', 'json');
    assert.equal(stored.code, 0, stored.stderr);
    assert.ok(stored.stdout.length > 0);
  });
});
