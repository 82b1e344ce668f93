import { createAccount, createOperator, createUser, type KeyPair } from '@nats-io/nkeys';

/** Permissions of a user of NATS. */
export interface NatsPermissions {
  readonly pub: readonly string[];
  readonly sub: readonly string[];
}

/** The lists of `$REPLICA` in the text of examples/realm/nats-server.conf. */
export function replicaPermissions(text: string): NatsPermissions {
  const [pub, sub] = ['publish', 'subscribe'].map((kind) => {
    const list = new RegExp(`${kind}: \\{\\s+allow: \\[([^\\]]+)\\]`).exec(text)?.[1] ?? '';
    return [...list.matchAll(/"([^"]+)"/g)].map(([, subject]) => subject ?? '');
  });
  return { pub: pub ?? [], sub: sub ?? [] };
}

/** An operator of NATS, an account of a realm, and a user of a replica: what `nsc` makes of them. */
export function natsCredentials({ pub, sub }: NatsPermissions): {
  /** For the configuration of the server. */
  readonly lines: string;
  /** The file of `--bus-creds`. */
  readonly creds: string;
} {
  const [operator, system, account, user] = [
    createOperator(),
    createAccount(),
    createAccount(),
    createUser(),
  ];
  const plain = {
    wildcards: true,
    ...unlimited('subs', 'data', 'payload', 'imports', 'exports', 'conn', 'leaf'),
  };
  const withJetStream = { ...plain, ...unlimited('mem_storage', 'disk_storage', 'streams', 'consumer') };
  const preload = {
    [system.getPublicKey()]: token(operator, system, 'SYS', { type: 'account', limits: plain }),
    [account.getPublicKey()]: token(operator, account, 'realm', { type: 'account', limits: withJetStream }),
  };
  const permissions = {
    pub: { allow: pub },
    sub: { allow: sub },
    ...unlimited('subs', 'data', 'payload'),
  };
  const userToken = token(account, user, 'replica', { type: 'user', ...permissions });
  const seed = new TextDecoder().decode(user.getSeed());
  return {
    lines: [
      `operator: "${token(operator, operator, 'operator', { type: 'operator' })}"`,
      `system_account: "${system.getPublicKey()}"`,
      'resolver: MEMORY',
      `resolver_preload: { ${Object.entries(preload)
        .map(([key, jwt]) => `${key}: "${jwt}"`)
        .join(', ')} }`,
    ].join('\n'),
    creds: `-----BEGIN NATS USER JWT-----\n${userToken}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`,
  };
}

function unlimited(...names: readonly string[]): Readonly<Record<string, number>> {
  return Object.fromEntries(names.map((name) => [name, -1]));
}

function token(issuer: KeyPair, subject: KeyPair, name: string, nats: object): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const body = `${encode({ typ: 'JWT', alg: 'ed25519-nkey' })}.${encode({
    jti: name,
    iat: 1_700_000_000,
    iss: issuer.getPublicKey(),
    sub: subject.getPublicKey(),
    name,
    nats: { ...nats, version: 2 },
  })}`;
  return `${body}.${Buffer.from(issuer.sign(Buffer.from(body))).toString('base64url')}`;
}
