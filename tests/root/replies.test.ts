import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import {
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  StorageSchema,
} from '@kata-agent/protocol/agent';
import { MountSchema } from '@kata-agent/protocol/oci';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { containerRequest } from '../harness/container-request.js';
import { readUntil } from '../harness/container-client.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const kata = '/run/kata-containers';
const app = `app-${process.pid}`;
const local = `${kata}/shared/containers/${app}/rootfs/local/data`;
const memory = `${kata}/sandbox/ephemeral/data`;

describe('replies tell the host nothing that it may not read (S40)', {
  skip: whyNoContainers() ?? false,
}, () => {
  let directory = '';
  let rootfs = '';
  let agent: AgentProcess;
  let client: AgentConnection['agent'];

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-replies-'));
    rootfs = makeRootfs(directory);
    agent = await AgentProcess.start({ config: '[api]\nallowed_endpoints = ["*"]\nrelease = "4.1"\n' });
    ({ agent: client } = await agent.connect());
    await client.createSandbox({ sandboxId: app });
    const script =
      'busybox mkdir -p /local/keys /memory/keys /keys; echo secret > /local/keys/one; echo ready; sleep 600';
    await client.createContainer(withVolumes(app, ['sh', '-c', script]));
    await client.startContainer({ containerId: app });
    await readUntil(client, app, 'ready');
  });
  after(async () => {
    await client.removeContainer({ containerId: app });
    await agent.dispose();
    rmSync(directory, { recursive: true });
  });

  function withVolumes(id: string, args: readonly string[]): CreateContainerRequest {
    const request = create(CreateContainerRequestSchema, containerRequest({ id, rootfs, args }));
    request.storages.push(
      create(StorageSchema, {
        driver: 'local',
        source: 'local',
        fstype: 'local',
        options: ['mode=0777'],
        mountPoint: local,
      }),
      create(StorageSchema, { driver: 'ephemeral', source: 'tmpfs', fstype: 'tmpfs', mountPoint: memory }),
    );
    for (const [destination, source] of [
      ['/local', local],
      ['/memory', memory],
    ] as const)
      request.OCI?.Mounts.push(
        create(MountSchema, { destination, type: 'bind', source, options: ['rbind'] }),
      );
    return request;
  }

  it('rules of the packet filter that look at payload are denied; counters are 0', async () => {
    const set = (rules: string, isIpv6 = false) => client.setIPTables({ isIpv6, data: Buffer.from(rules) });
    for (const isIpv6 of [false, true])
      for (const rule of [
        '-A INPUT -i lo -m string --algo bm --string secret -j ACCEPT',
        '-A OUTPUT -m u32 --u32 "0>>22&0x3C@0=0x53" -j ACCEPT',
        '-A OUTPUT -m bpf --bytecode "1,6 0 0 1" -j ACCEPT',
        '-A OUTPUT -p tcp -j LOG',
      ]) {
        const { code, message } = await answerOf(set(`*filter\n${rule}\nCOMMIT\n`, isIpv6));
        assert.equal(code, 'PERMISSION_DENIED', rule);
        assert.match(message, /rules, line 2: (?:match|target) .* is refused/);
      }
    await set('*filter\n:INPUT ACCEPT [7:700]\n-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\nCOMMIT\n');
    const rules = Buffer.from((await client.getIPTables({ isIpv6: false })).data).toString();
    assert.match(rules, /^:INPUT ACCEPT \[0:0\]$/m);
    assert.match(rules, /-A INPUT -i lo -j ACCEPT\n-A INPUT -p tcp/, 'loopback comes first');
  });

  it('metrics and statistics have no counters of loopback', async () => {
    assert.doesNotMatch((await client.getMetrics({})).metrics, /interface="lo"/);
    const { networkStats } = await client.statsContainer({ containerId: app });
    assert.ok(networkStats.every(({ name }) => name !== 'lo'));
  });

  it('GetVolumeStats and ResizeVolume do not tell whether a path exists in a volume, a bundle or a root', async () => {
    const answers = async (path: string, method: 'stats' | 'resize' = 'stats') => {
      const call =
        method === 'stats'
          ? client.getVolumeStats({ volumeGuestPath: path })
          : client.resizeVolume({ volumeGuestPath: path, size: 1n });
      const { code, message } = await answerOf(call);
      return `${code}: ${message.replaceAll(path, 'PATH')}`;
    };
    for (const volume of [local, memory, `${memory}/`]) assert.match(await answers(volume), /^OK/, volume);
    for (const method of ['stats', 'resize'] as const)
      for (const place of [local, memory, `${kata}/${app}/rootfs`, `${kata}/${app}`])
        for (const written of [place, place.replace(kata, `${kata}/`), place.replace(kata, `${kata}/.`)]) {
          const [there, missing] = [
            await answers(`${written}/keys`, method),
            await answers(`${written}/none`, method),
          ];
          assert.equal(there, missing, `${method} ${written}`);
          assert.match(there, /^PERMISSION_DENIED/);
        }
  });

  it('GetDiagnosticData reads no file of a volume of the pod', async () => {
    for (const [index, source] of [
      `${local}/keys/one`,
      `${memory}/keys`,
      `${kata}/${app}/config.json`,
    ].entries()) {
      const id = `log-${index}-${process.pid}`;
      const annotations = { 'io.kubernetes.container.terminationMessagePath': '/log' };
      const request = create(
        CreateContainerRequestSchema,
        containerRequest({ id, rootfs, args: ['true'], annotations }),
      );
      request.OCI?.Mounts.push(
        create(MountSchema, { destination: '/log', type: 'bind', source, options: ['rbind'] }),
      );
      const created = await answerOf(client.createContainer(request));
      const read = await answerOf(client.getDiagnosticData({ containerId: id, logType: 'termination_log' }));
      assert.notEqual(read.code, 'OK', source);
      assert.doesNotMatch(read.message, /secret/);
      if (created.code === 'OK') await client.removeContainer({ containerId: id });
    }
  });

  it('an error of the OCI runtime has no text of a file of the container', async () => {
    const script =
      'echo "root:very-secret-hash:0:0" > /etc/passwd; printf "#!/very-secret-interpreter\\n" > /x; busybox chmod 755 /x; echo ready; sleep 600';
    const id = `texts-${process.pid}`;
    await client.createContainer(withVolumes(id, ['sh', '-c', script]));
    await client.startContainer({ containerId: id });
    await readUntil(client, id, 'ready');
    for (const args of [['/x'], ['/etc/passwd'], ['/none']]) {
      const process = {
        Args: args,
        Cwd: '/',
        User: { UID: 0, GID: 0, Username: 'nobody' },
        NoNewPrivileges: true,
      };
      const { message } = await answerOf(
        client.execProcess({ containerId: id, execId: args.join(), process }),
      );
      assert.doesNotMatch(message, /very-secret/, args[0]);
    }
    await client.removeContainer({ containerId: id });
  });
});
