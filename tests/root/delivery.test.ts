import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { writeInitdata, writeInitdataImage } from '@kata-agent/config';
import { AgentProcess } from '../harness/agent-process.js';
import { DeliverySources } from '../harness/delivery-sources.js';
import { whyNoContainers } from '../harness/rootfs.js';

const narrow = Buffer.from('[api]\nblocked_endpoints = ["ExecProcess"]\n\n[limits]\ncontainers = 5\n');
const envelope = Buffer.from(writeInitdata(narrow, 'sha-384'));
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const pin = (bytes: Uint8Array): string => `sha256:${sha256(bytes)}`;
const kernelParameter = (bytes: Uint8Array): string =>
  `agent.config_b64=${Buffer.from(bytes).toString('base64')}`;

/** Returns a base document that serves more than the delivered one allows. */
const base = (delivery: string): string =>
  `[api]\nallowed_endpoints = ["@pod", "ExecProcess"]\n\n[delivery]\n${delivery}\n`;

const accepting = (source: string, bind: string): string => base(`accept = ["${source}"]\nbind = "${bind}"`);

interface Explained {
  readonly settings: readonly { readonly key: string; readonly value: unknown }[];
  readonly endpoints: readonly { readonly method: string; readonly served: boolean }[];
}

async function withGuest<T>(work: (guest: DeliverySources) => Promise<T>): Promise<T> {
  const guest = new DeliverySources();
  try {
    return await work(guest);
  } finally {
    guest.dispose();
  }
}

/**
 * Returns the effective configuration of a real agent: settings except those of the delivery and of the harness, and served
 * methods.
 */
async function effective(guest: DeliverySources, config?: string): Promise<string> {
  const { code, stdout, stderr } = await AgentProcess.run({
    ...(config === undefined ? {} : { config }),
    args: ['--explain', '--format', 'json'],
    setup: guest.setup,
  });
  assert.equal(code, 0, stderr);
  const { settings, endpoints } = JSON.parse(stdout) as Explained;
  const ofDelivery = ['server_addr', 'guest_paths', 'file', 'accept', 'bind', 'required', 'drop_in_dir'];
  const omitted = [...ofDelivery, 'oci_runtime'];
  return JSON.stringify([
    settings.filter(({ key }) => !omitted.includes(key)).map(({ key, value }) => [key, value]),
    endpoints.map(({ method, served }) => [method, served]),
  ]);
}

/** Checks that an agent exits with a code and a message before it listens. */
async function assertRejected(
  guest: DeliverySources,
  config: string | undefined,
  message: RegExp,
  expected: 1 | 3 = 3,
): Promise<void> {
  const { code, stderr } = await AgentProcess.run({
    ...(config === undefined ? {} : { config }),
    setup: guest.setup,
  });
  assert.match(stderr, message);
  assert.match(stderr, /help: /);
  assert.equal(code, expected, stderr);
  assert.doesNotMatch(stderr, /"msg":"listening"/);
  assert.doesNotMatch(stderr, /\n {4}at /);
}

/** Each delivery source, with the base document that accepts it and pins the document. */
const sources: readonly (readonly [string, (guest: DeliverySources) => string])[] = [
  ['initdata', (guest) => guest.disk(writeInitdataImage(envelope)) && accepting('initdata', pin(envelope))],
  ['fw_cfg', (guest) => guest.fwCfg(narrow) && accepting('fw_cfg', pin(narrow))],
  [
    'base64',
    (guest) =>
      guest.kernelCommandLine(`quiet ${kernelParameter(narrow)} ro`) && accepting('kernel_line', pin(narrow)),
  ],
  [
    'gzip',
    (guest) =>
      guest.kernelCommandLine(kernelParameter(gzipSync(narrow))) && accepting('kernel_line', pin(narrow)),
  ],
  [
    'file',
    (guest) =>
      base(`accept = ["drop_ins"]\ndrop_in_dir = "${guest.dropIn('10-narrow.toml', narrow.toString())}"`),
  ],
];

describe('delivered documents (R8)', { skip: whyNoContainers() ?? false }, () => {
  it('all delivery sources give the same effective configuration', async () => {
    const seen = new Map<string, string>();
    for (const [name, deliver] of sources) {
      await withGuest(async (guest) => seen.set(name, await effective(guest, deliver(guest))));
    }
    const all = new Set(seen.values());
    assert.equal(all.size, 1, Array.from(seen, ([name, text]) => `${name}: ${text}`).join('\n'));
    const [text = ''] = all;
    assert.ok(text.includes('["containers",5]') && text.includes('["ExecProcess",false]'), text);
    assert.ok(text.includes('["CreateContainer",true]'), text);
  });

  it('a delivered document applies before the agent listens, and its binding is in the boot record', async () => {
    const bindings: (readonly (string | undefined)[])[] = [];
    for (const [name, deliver] of sources) {
      await withGuest(async (guest) => {
        const agent = await AgentProcess.start({ config: deliver(guest), setup: guest.setup });
        try {
          const { agent: client } = await agent.connect();
          await assert.rejects(client.execProcess({}), { name: /.*/, message: /ExecProcess/ }, name);
          const facts = agent.records()[0]?.['facts'] as {
            readonly documents: readonly { readonly binding?: string; readonly sha256: string }[];
          };
          bindings.push(facts.documents.map(({ binding }) => binding));
          assert.equal(facts.documents[1]?.sha256, sha256(name === 'initdata' ? envelope : narrow), name);
        } finally {
          await agent.dispose();
        }
      });
    }
    const own = [undefined, 'own root'];
    const pinned = [undefined, 'pin'];
    assert.deepEqual(bindings, [pinned, pinned, pinned, pinned, own]);
  });

  it('a pinned document on the kernel command line has the effect of a base document with the same text', async () => {
    const document = Buffer.from('[api]\nallowed_endpoints = ["@pod"]\n');
    const asFile = await withGuest((guest) => effective(guest, document.toString()));
    for (const bytes of [document, gzipSync(document)]) {
      await withGuest(async (guest) => {
        guest.kernelCommandLine(`${kernelParameter(bytes)} agent.config_digest=${pin(document)}`);
        assert.equal(await effective(guest), asFile);
      });
    }
  });

  it('initdata must match the digest in MRCONFIGID', async () => {
    const field = createHash('sha384').update(envelope).digest();
    await withGuest(async (guest) => {
      guest.disk(writeInitdataImage(envelope)).mrConfigId(field);
      await effective(guest, accepting('initdata', 'host_data'));
    });
    await withGuest(async (guest) => {
      const changed = Buffer.from(writeInitdata(Buffer.from(`${narrow.toString()}#`), 'sha-384'));
      guest.disk(writeInitdataImage(changed)).mrConfigId(field);
      await assertRejected(
        guest,
        accepting('initdata', 'host_data'),
        /is not the document that the report names in MRCONFIGID/,
      );
    });
  });
});

describe('rejected deliveries (R8, R17, S25)', {
  skip: whyNoContainers() ?? false,
}, () => {
  const cases: readonly (readonly [string, (guest: DeliverySources) => string | undefined, RegExp])[] = [
    [
      'a changed byte of initdata',
      (guest) => {
        const changed = Buffer.from(
          writeInitdata(Buffer.from(narrow.toString().replace('5', '6')), 'sha-384'),
        );
        guest.disk(writeInitdataImage(changed));
        return accepting('initdata', pin(envelope));
      },
      /initdata \(\/dev\/vdb\) is not the pinned document/,
    ],
    [
      'a changed byte of an image',
      (guest) => {
        const image = Buffer.from(writeInitdataImage(envelope));
        image[60] = (image[60] ?? 0) ^ 1;
        guest.disk(image);
        return accepting('initdata', pin(envelope));
      },
      /initdata \(\/dev\/vdb\) cannot be unpacked/,
    ],
    [
      'a changed byte of fw_cfg',
      (guest) =>
        guest.fwCfg(Buffer.from(narrow.toString().replace('5', '6'))) && accepting('fw_cfg', pin(narrow)),
      /fw_cfg \(.*\) is not the pinned document/,
    ],
    [
      'a kernel command line that was truncated in the document',
      (guest) => {
        const long = Buffer.concat([narrow, Buffer.from('# comment\n'.repeat(300))]);
        guest.kernelCommandLine(`quiet ${kernelParameter(long)}`.slice(0, 2047));
        return accepting('kernel_line', pin(long));
      },
      /ends where the kernel truncates its command line \(2047 bytes\)[^]*initdata or by fw_cfg/,
    ],
    [
      'a truncated gzip document',
      (guest) => {
        const text = kernelParameter(gzipSync(narrow));
        guest.kernelCommandLine(
          text.slice(0, text.length - 12 - ((text.length - 'agent.config_b64='.length) % 4)),
        );
        return accepting('kernel_line', pin(narrow));
      },
      /its gzip data is truncated[^]*initdata or by fw_cfg/,
    ],
    [
      'a kernel command line that was truncated before the digest',
      (guest) => {
        guest.kernelCommandLine(kernelParameter(narrow));
        return undefined;
      },
      /agent\.config_b64 delivers a document that is not bound/,
    ],
    [
      'a wrong pin on the kernel command line',
      (guest) => {
        guest.kernelCommandLine(`${kernelParameter(narrow)} agent.config_digest=${pin(envelope)}`);
        return undefined;
      },
      /is not the pinned document/,
    ],
    [
      'a wrong pin in the base document',
      (guest) => guest.fwCfg(narrow) && accepting('fw_cfg', pin(envelope)),
      /is not the pinned document/,
    ],
    [
      'bind = "host_data" on a machine without it',
      (guest) => guest.fwCfg(narrow) && accepting('fw_cfg', 'host_data'),
      /cannot be bound by host_data: HOSTDATA or MRCONFIGID cannot be read/,
    ],
    [
      'a required document is missing',
      (guest) => guest.disk(Buffer.alloc(4096)) && accepting('initdata', 'host_data'),
      /a further document is required/,
    ],
  ];
  for (const [name, deliver, message] of cases) {
    it(`the agent does not listen: ${name}`, () =>
      withGuest((guest) => assertRejected(guest, deliver(guest), message)));
  }

  it('a pinned document sets the CA and the peers of a tls:// listener, and without it the agent does not listen', () =>
    withGuest(async (guest) => {
      const names = ['listener.tenant.peers', 'listener.tenant.tls.client_ca'];
      const listener = (text: string): string => `[[listener]]\nname = "tenant"\n${text}`;
      const document = (bytes: Uint8Array): string =>
        `${accepting('fw_cfg', pin(bytes))}\nmay_set = ${JSON.stringify(names)}\n${listener('address = "tls://127.0.0.1:18443"\n')}`;
      const ca = readFileSync(new URL('../../../examples/one-image/tenant.toml', import.meta.url), 'utf8');
      const pem = /-----BEGIN[^]*?END CERTIFICATE-----/.exec(ca)?.[0] ?? '';
      const values = Buffer.from(
        listener(`peers = ["cn:a"]\ntls.client_ca = ${JSON.stringify(`${pem}\n`)}\n`),
      );
      guest.fwCfg(values);
      const agent = await AgentProcess.start({ config: document(values), setup: guest.setup });
      await agent.dispose();
      assert.match(agent.log.join('\n'), /tls:\/\/127\.0\.0\.1:18443/);
      guest.fwCfg(narrow);
      await assertRejected(guest, document(narrow), /KA1717.*listener\.tenant\.peers/, 1);
    }));

  it('the agent starts with a warning if bind = "none"', () =>
    withGuest(async (guest) => {
      guest.fwCfg(narrow);
      const agent = await AgentProcess.start({ config: accepting('fw_cfg', 'none'), setup: guest.setup });
      await agent.dispose();
      assert.match(agent.log.join('\n'), /NOT BOUND/);
    }));

  it('a document from a source that is not accepted is not read', () =>
    withGuest(async (guest) => {
      guest.fwCfg(Buffer.from('not even TOML'));
      const text = await effective(guest, '[api]\nallowed_endpoints = ["@pod", "ExecProcess"]\n');
      assert.ok(text.includes('["ExecProcess",true]'));
    }));
});
