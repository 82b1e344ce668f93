import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { writeInitdataImage } from '@kata-agent/config';
import { DeliverySources } from '../harness/delivery-sources.js';
import { repository } from '../harness/repository.js';
import { whyNoContainers } from '../harness/rootfs.js';
import { client, type Outcome, replayWorkload, sampleFailures } from './scenario-replay.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-agent-annotated-'));
after(() => rmSync(directory, { recursive: true }));

const base = `${repository}examples/initdata/base.toml`;
const image = `docker.io/library/nginx:1.27=${repository}examples/workloads/images/nginx.json`;
const options = ['--runtime', 'go', '--guest', 'shared-fs', '--image-config', image];

/** Returns the initdata of the only pod of a file, as the runtime delivers it. */
async function initdataOf(manifest: string): Promise<Uint8Array> {
  const { stdout } = await client('annotate', '-f', manifest, '--base', base, ...options, '--format', 'json');
  const { workloads } = JSON.parse(stdout) as {
    readonly workloads: readonly {
      readonly initdata: { readonly text: string };
      readonly changed: boolean;
    }[];
  };
  const [only] = workloads;
  assert.equal(only?.changed, false, 'the annotation is up to date');
  return Buffer.from(only.initdata.text);
}

/** Replays a manifest on an agent whose base document accepts the initdata of another one. */
async function replayed(manifest: string, name: string, initdata: Uint8Array): Promise<Outcome> {
  const digest = createHash('sha256').update(initdata).digest();
  const guest = new DeliverySources()
    .disk(writeInitdataImage(initdata))
    .mrConfigId(Buffer.concat([digest, Buffer.alloc(16)]));
  try {
    // AgentProcess sets the address, which no document may under lock.
    const config = readFileSync(base, 'utf8').replace(
      '[agent]\n',
      '[agent]\nserver_addr = "vsock://-1:1024"\n',
    );
    return await replayWorkload(['--pod', manifest, ...options], name, {
      config,
      setup: { runtime: 'go', guest: 'shared-fs' },
      guestSetup: guest.setup,
    });
  } finally {
    guest.dispose();
  }
}

describe('an annotated pod on an agent that has its initdata', {
  skip: whyNoContainers('util-linux') ?? false,
}, () => {
  it('runs, and another one is refused', async () => {
    const manifest = `${repository}examples/workloads/web-server.yaml`;
    const { stdout, stderr, code } = await client('annotate', '-f', manifest, '--base', base, ...options);
    assert.equal(code, 0, stderr);
    const annotated = join(directory, 'annotated.yaml');
    writeFileSync(annotated, stdout);
    const initdata = await initdataOf(annotated);
    const { name } = JSON.parse(
      (await client('config', 'show', annotated, '--format', 'json')).stdout,
    )[0] as { readonly name: string };
    const own = await replayed(annotated, name, initdata);
    assert.deepEqual(own.refused, []);
    const failed = own.failed.map(
      ({ method, status, serverMessage }) => `${method}: ${status}: ${serverMessage}`,
    );
    assert.deepEqual(
      failed.filter((text) => !sampleFailures.some((pattern) => pattern.test(text))),
      [],
    );
    assert.ok(own.calls.length > 10);

    const other = join(directory, 'other.yaml');
    writeFileSync(other, stdout.replace(/image: (\S+):(\S+)/, 'image: $1:other'));
    const changed = await replayed(other, name, initdata);
    assert.match(
      changed.refused.map(({ serverMessage }) => serverMessage).join('\n'),
      /rule "create-container-commands" refused it \(initdata/,
    );
  });
});
