import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { NatsServer, type NatsServerOptions } from './nats-server.js';
import { guestIdentity, RawGuest, type RawGuestOptions } from './raw-guest.js';
import { RealmOperator } from './realm-operator.js';
import { RealmHome, RealmProcess } from './realm-process.js';
import { TcpBalancer } from './tcp-balancer.js';

/** The authorization file of `setUpReplicas`. */
export const replicasAuthorization: string = `
[[guest]]
name = "web"
configurations = ["sha256:${'1'.repeat(64)}"]

[[guest]]
name = "many"
configurations = ["*"]
max = 100

[[operator]]
peers = ["cn:alice"]
guests = ["*"]
verbs = ["list", "connect", "audit", "revoke"]
methods = ["@exec", "GetGuestDetails"]
release = "4.1"
`;

interface ReplicasOptions {
  readonly authorization?: string;
  readonly nats?: NatsServerOptions;
  /** Returns the options of replicas, where they are not those of NATS itself. */
  readonly optionsOf?: (nats: NatsServer) => readonly (readonly string[])[];
}

export interface ReplicasSetup {
  readonly nats: NatsServer;
  readonly home: RealmHome;
  readonly homes: readonly RealmHome[];
  readonly replicas: RealmProcess[];
  readonly balancer: TcpBalancer;
  readonly alice: RealmOperator;
}

/** Starts a `nats-server`, and replicas of a realm with it. */
export async function setUpReplicas(
  t: Pick<TestContext, 'after'>,
  count = 2,
  { authorization = replicasAuthorization, nats: natsOptions, optionsOf = () => [] }: ReplicasOptions = {},
): Promise<ReplicasSetup> {
  const nats = await NatsServer.start(natsOptions);
  const home = new RealmHome(authorization);
  const homes = Array.from({ length: count }, (_, index) => home.replica(`store${index}`));
  const replicas: RealmProcess[] = [];
  const balancer = await TcpBalancer.start();
  t.after(async () => {
    for (const replica of replicas) {
      replica.process.kill('SIGCONT');
      await replica.stop('SIGKILL');
    }
    balancer.close();
    await nats.remove();
    home.remove();
  });
  const options = optionsOf(nats);
  for (const [index, each] of homes.entries())
    replicas.push(await RealmProcess.start(each, options[index] ?? nats.options));
  balancer.targets = homes.map(({ ports }) => ports.guests);
  const alice = new RealmOperator(home, home.operators.client({ commonNames: ['alice'] }));
  return { nats, home, homes, replicas, balancer, alice };
}

/** A guest whose further connections echo what they get. */
export async function echoGuest({
  port,
  relayPort = port,
  ...more
}: Partial<RawGuestOptions> & { readonly port: number; readonly relayPort?: number }): Promise<RawGuest> {
  const identity = more.identity ?? (await guestIdentity());
  return await RawGuest.serve({
    port,
    identity,
    relay: {
      openConnection: async ({ token }) => {
        const further = await RawGuest.dial({ port: relayPort, identity });
        const header = `Kata-Agent-Connection: ${Buffer.from(token).toString('hex')}\r\n`;
        const answer = await further.upgrade('kata-agent-relay/1', header);
        assert.match(answer, /^HTTP\/1.1 101 /);
        further.socket.pipe(further.socket);
        return {};
      },
    },
    ...more,
  });
}

/** Returns the guests that a replica shows. */
export async function listed(
  { alice, homes }: ReplicasSetup,
  index: number,
): Promise<readonly { name: string; id: string }[]> {
  const { status, body } = await alice.request(homes[index]?.ports.operators ?? 0, '/v1/guests');
  assert.equal(status, 200, body);
  return (JSON.parse(body) as { guests: { name: string; id: string }[] }).guests;
}
