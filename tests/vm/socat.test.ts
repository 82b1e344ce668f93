import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { AgentService } from '@kata-agent/protocol/agent';
import { type Channel, type Client, Code, TtrpcError } from '@kata-agent/ttrpc';
import { guideBlocks } from '../harness/guide.js';
import { repository } from '../harness/repository.js';
import {
  agentIn,
  boot,
  imageOf,
  type ImageFile,
  listening,
  type Machine,
  serves,
  shell,
  stop,
  whyNoMachine,
} from './machine.js';

/** `SOCAT=1`: a boot and a download of 8 MB more than CI needs, for what no release of Node.js has made necessary yet. */
const skip = process.env['SOCAT'] === undefined ? 'SOCAT is not set' : (whyNoMachine() ?? false);
const heading = 'When vsock does not work';
const packages = ['socat', 'libwrap0', 'libssl3t64', 'zlib1g', 'libzstd1', 'libc6'];

/** What the scripts export; they are JavaScript. */
interface Scripts {
  readonly resolvePackages: (names: readonly string[]) => readonly object[];
  readonly unpackPackages: (
    resolved: readonly object[],
    cache: string,
    say: (text: string) => void,
  ) => readonly object[];
  readonly programs: (packages: readonly object[], parts: readonly object[]) => readonly ImageFile[];
}

/** Debian's socat, and the libraries that it needs. */
async function socat(): Promise<readonly ImageFile[]> {
  const names = ['image-packages', 'image-tree'];
  const modules = names.map(
    (name) => import(`${repository}scripts/${name}.mjs`) as Promise<Partial<Scripts>>,
  );
  const scripts = Object.assign({}, ...(await Promise.all(modules))) as Scripts;
  const cache = join(repository, 'build', 'image-cache', 'packages');
  const unpacked = scripts.unpackPackages(scripts.resolvePackages(packages), cache, () => undefined);
  return scripts.programs(unpacked, [{ name: 'socat', files: ['/usr/bin/socat1'] }]);
}

describe('a guest whose Node.js does not serve vsock, by the guide', { skip }, () => {
  let folder = '';
  let machine: Machine;
  let agent: Client<typeof AgentService>;
  let channel: Channel;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kata-vm-socat-'));
    const config = join(folder, 'config.toml');
    writeFileSync(config, guideBlocks(heading, 'toml').join(''));
    const image = await imageOf('socat', { config, asItIs: true });
    machine = await boot(image, folder, { overlay: await socat() });
    await serves(machine);
    const [command = ''] = guideBlocks(heading, 'sh');
    await shell(machine, `${command.trim().replace('socat', 'socat1')} > /dev/console 2>&1 &`);
    ({ agent, channel } = await agentIn(machine));
  });

  after(async () => {
    channel?.close();
    await machine?.kill();
    rmSync(folder, { recursive: true, force: true });
  });

  it('serves what the configuration allows, and nothing else', async () => {
    await agent.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
    await assert.rejects(
      agent.getMetrics({}),
      (error: unknown) => error instanceof TtrpcError && error.code === Code.Unimplemented,
    );
  });

  it('takes everybody for root, as the guide says', async () => {
    assert.match(await shell(machine, 'cat /run/kata-agent/audit.log'), /"peer":"pid \d+ uid 0"/);
  });

  it('has no listener on vsock of the agent’s own', async () => {
    const listeners = machine.lines.filter((line) => listening.test(line));
    assert.equal(listeners.length, 1);
    assert.match(listeners[0] ?? '', /unix:\/\/\/run\/kata-agent\/agent\.sock/);
    await stop(machine);
  });
});
