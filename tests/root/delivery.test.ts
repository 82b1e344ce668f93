import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { writeInitdata, writeInitdataImage } from '@kata-agent/config';
import { AgentProcess } from '../harness/agent-process.js';
import { DeliveringGuest } from '../harness/delivering-guest.js';
import { whyNoContainers } from '../harness/rootfs.js';

const narrow = Buffer.from('[api]\nblocked_endpoints = ["ExecProcess"]\n\n[limits]\ncontainers = 5\n');
const envelope = Buffer.from(writeInitdata(narrow, 'sha-384'));
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const pin = (bytes: Uint8Array): string => `sha256:${sha256(bytes)}`;
const word = (bytes: Uint8Array): string => `agent.config_b64=${Buffer.from(bytes).toString('base64')}`;

/** A base document that serves more than the delivered one leaves. */
const base = (delivery: string): string =>
  `[api]\nallowed_endpoints = ["@pod", "ExecProcess"]\n\n[delivery]\n${delivery}\n`;

const asking = (way: string, bind: string): string => base(`accept = ["${way}"]\nbind = "${bind}"`);

interface Explained {
  readonly settings: readonly { readonly key: string; readonly value: unknown }[];
  readonly endpoints: readonly { readonly method: string; readonly served: boolean }[];
}

async function withGuest<T>(work: (guest: DeliveringGuest) => Promise<T>): Promise<T> {
  const guest = new DeliveringGuest();
  try {
    return await work(guest);
  } finally {
    guest.dispose();
  }
}

/** What a real agent has in force: its settings but for the delivery itself, and what it serves. */
async function effective(guest: DeliveringGuest, config?: string): Promise<string> {
  const { code, stdout, stderr } = await AgentProcess.run({
    ...(config === undefined ? {} : { config }),
    args: ['--explain', '--format', 'json'],
    setup: guest.setup,
  });
  assert.equal(code, 0, stderr);
  const { settings, endpoints } = JSON.parse(stdout) as Explained;
  const apart = ['server_addr', 'guest_paths', 'file', 'accept', 'bind', 'required', 'drop_in_dir'];
  return JSON.stringify([
    settings.filter(({ key }) => !apart.includes(key)).map(({ key, value }) => [key, value]),
    endpoints.map(({ method, served }) => [method, served]),
  ]);
}

/** Starts an agent that must end with exit 3 and a message, before it listens. */
async function refused(
  guest: DeliveringGuest,
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

/** Each way, with the base document that asks for it and pins what comes. */
const ways: readonly (readonly [string, (guest: DeliveringGuest) => string])[] = [
  ['initdata', (guest) => guest.disk(writeInitdataImage(envelope)) && asking('initdata', pin(envelope))],
  ['fw_cfg', (guest) => guest.fwCfg(narrow) && asking('fw_cfg', pin(narrow))],
  ['base64', (guest) => guest.kernelLine(`quiet ${word(narrow)} ro`) && asking('kernel_line', pin(narrow))],
  ['gzip', (guest) => guest.kernelLine(word(gzipSync(narrow))) && asking('kernel_line', pin(narrow))],
  [
    'file',
    (guest) =>
      base(`accept = ["drop_ins"]\ndrop_in_dir = "${guest.dropIn('10-narrow.toml', narrow.toString())}"`),
  ],
];

describe('documents that are delivered to a running agent (R8)', { skip: whyNoContainers() ?? false }, () => {
  it('initdata, fw_cfg, base64, gzip and a file give the same effective configuration', async () => {
    const seen = new Map<string, string>();
    for (const [name, give] of ways) {
      await withGuest(async (guest) => seen.set(name, await effective(guest, give(guest))));
    }
    const all = new Set(seen.values());
    assert.equal(all.size, 1, Array.from(seen, ([name, text]) => `${name}: ${text}`).join('\n'));
    const [text = ''] = all;
    assert.ok(text.includes('["containers",5]') && text.includes('["ExecProcess",false]'), text);
    assert.ok(text.includes('["CreateContainer",true]'), text);
  });

  it('each is in force before the agent listens, and its binding is in the first record', async () => {
    const bindings: (readonly (string | undefined)[])[] = [];
    for (const [name, give] of ways) {
      await withGuest(async (guest) => {
        const agent = await AgentProcess.start({ config: give(guest), setup: guest.setup });
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

  it('without a base document, a pinned kernel line is as good as the same file', async () => {
    const document = Buffer.from('[api]\nallowed_endpoints = ["@pod"]\n');
    const asFile = await withGuest((guest) => effective(guest, document.toString()));
    for (const bytes of [document, gzipSync(document)]) {
      await withGuest(async (guest) => {
        guest.kernelLine(`${word(bytes)} agent.config_digest=${pin(document)}`);
        assert.equal(await effective(guest), asFile);
      });
    }
  });

  it('initdata is bound by MRCONFIGID, its digest padded or cut', async () => {
    const field = createHash('sha384').update(envelope).digest();
    await withGuest(async (guest) => {
      guest.disk(writeInitdataImage(envelope)).mrConfigId(field);
      await effective(guest, asking('initdata', 'host_data'));
    });
    await withGuest(async (guest) => {
      const changed = Buffer.from(writeInitdata(Buffer.from(`${narrow.toString()}#`), 'sha-384'));
      guest.disk(writeInitdataImage(changed)).mrConfigId(field);
      await refused(
        guest,
        asking('initdata', 'host_data'),
        /is not the document that MRCONFIGID vouches for/,
      );
    });
  });
});

describe('a delivery that cannot be trusted keeps the agent from listening (R8, R17, S25)', {
  skip: whyNoContainers() ?? false,
}, () => {
  const cases: readonly (readonly [string, (guest: DeliveringGuest) => string | undefined, RegExp])[] = [
    [
      'a changed byte of initdata',
      (guest) => {
        const changed = Buffer.from(
          writeInitdata(Buffer.from(narrow.toString().replace('5', '6')), 'sha-384'),
        );
        guest.disk(writeInitdataImage(changed));
        return asking('initdata', pin(envelope));
      },
      /initdata \(\/dev\/vdb\) kata-agent\.toml is not the document that was pinned/,
    ],
    [
      'a changed byte of an image',
      (guest) => {
        const image = Buffer.from(writeInitdataImage(envelope));
        image[60] = (image[60] ?? 0) ^ 1;
        guest.disk(image);
        return asking('initdata', pin(envelope));
      },
      /initdata \(\/dev\/vdb\) cannot be unpacked/,
    ],
    [
      'a changed byte of fw_cfg',
      (guest) =>
        guest.fwCfg(Buffer.from(narrow.toString().replace('5', '6'))) && asking('fw_cfg', pin(narrow)),
      /fw_cfg \(.*\) is not the document that was pinned/,
    ],
    [
      'a kernel command line that was cut in the document',
      (guest) => {
        const long = Buffer.concat([narrow, Buffer.from('# comment\n'.repeat(300))]);
        guest.kernelLine(`quiet ${word(long)}`.slice(0, 2047));
        return asking('kernel_line', pin(long));
      },
      /ends where the kernel cuts its command line \(2047 bytes\)[^]*initdata or by fw_cfg/,
    ],
    [
      'a gzip document that was cut',
      (guest) => {
        const text = word(gzipSync(narrow));
        guest.kernelLine(text.slice(0, text.length - 12 - ((text.length - 'agent.config_b64='.length) % 4)));
        return asking('kernel_line', pin(narrow));
      },
      /its gzip data ends too early: it was cut off[^]*initdata or by fw_cfg/,
    ],
    [
      'a kernel command line that was cut before the digest',
      (guest) => {
        guest.kernelLine(word(narrow));
        return undefined;
      },
      /agent\.config_b64 brings a document that nothing vouches for/,
    ],
    [
      'a wrong pin on the kernel line',
      (guest) => {
        guest.kernelLine(`${word(narrow)} agent.config_digest=${pin(envelope)}`);
        return undefined;
      },
      /is not the document that was pinned/,
    ],
    [
      'a wrong pin in the base document',
      (guest) => guest.fwCfg(narrow) && asking('fw_cfg', pin(envelope)),
      /is not the document that was pinned/,
    ],
    [
      'host_data on a machine that has none',
      (guest) => guest.fwCfg(narrow) && asking('fw_cfg', 'host_data'),
      /cannot be bound by host_data: HOSTDATA or MRCONFIGID cannot be read/,
    ],
    [
      'nothing delivered, while one is required',
      (guest) => guest.disk(Buffer.alloc(4096)) && asking('initdata', 'host_data'),
      /a further document is required/,
    ],
  ];
  for (const [name, give, message] of cases) {
    it(name, () => withGuest((guest) => refused(guest, give(guest), message)));
  }

  it('bind = "none" is said loudly, and starts', () =>
    withGuest(async (guest) => {
      guest.fwCfg(narrow);
      const agent = await AgentProcess.start({ config: asking('fw_cfg', 'none'), setup: guest.setup });
      await agent.dispose();
      assert.match(agent.log.join('\n'), /BOUND BY NOTHING/);
    }));

  it('what is delivered without being asked for is not read', () =>
    withGuest(async (guest) => {
      guest.fwCfg(Buffer.from('not even TOML'));
      const text = await effective(guest, '[api]\nallowed_endpoints = ["@pod", "ExecProcess"]\n');
      assert.ok(text.includes('["ExecProcess",true]'));
    }));
});
