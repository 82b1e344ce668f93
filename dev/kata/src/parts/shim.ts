// The part `shim`: the life cycle of a pod through Kata's Go shim under containerd.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Checks, expect, type PartContext, type TestResult } from '../plan/part.js';
import { cgroupParent, type Containerd } from '../cri/containerd.js';
import { runtimeHandler } from '../cri/containerd-configuration.js';
import { ContainerState, NamespaceMode, type PodSandboxConfigSchema, RuntimeService } from '../gen/cri_pb.js';
import { deadlineExceeded, type GrpcConnection, GrpcError } from '../cri/grpc.js';
import { imageName } from '../cri/image.js';
import { shimProgram, withShim } from '../cri/with-shim.js';

/** Runs the life cycle of a pod through the shim. */
export function runShim(context: PartContext): Promise<readonly TestResult[]> {
  return withShim(context, 'shim', (cri, containerd, directory) => runPod(cri, containerd, directory));
}

async function runPod(
  cri: GrpcConnection,
  containerd: Containerd,
  directory: string,
): Promise<readonly TestResult[]> {
  const checks = new Checks();
  const { method } = RuntimeService;
  const linux = { securityContext: { namespaceOptions: { network: NamespaceMode.POD } } };
  const pod: MessageInitShape<typeof PodSandboxConfigSchema> = {
    metadata: { name: 'pod', uid: 'pod-uid', namespace: 'default' },
    hostname: 'pod',
    logDirectory: join(directory, 'logs'),
    linux: { cgroupParent: `/${cgroupParent}`, ...linux },
  };
  await checks.run('version', async () => {
    const { runtimeName } = await cri.call(method.version, {});
    expect(runtimeName === 'containerd', `the runtime is ${runtimeName}`);
  });
  const sandbox =
    (await checks.run(
      'sandbox starts',
      async () => (await cri.call(method.runPodSandbox, { config: pod, runtimeHandler })).podSandboxId,
      { required: true },
    )) ?? '';
  const create = async (name: string, command: string): Promise<string> => {
    const config = {
      metadata: { name },
      image: { image: imageName },
      command: ['/bin/sh', '-c', command],
      envs: [{ key: 'COLOR', value: 'green' }],
      logPath: `${name}.log`,
      linux: { resources: { memoryLimitInBytes: 64n << 20n, cpuShares: 512n }, ...linux },
    };
    return (await cri.call(method.createContainer, { podSandboxId: sandbox, config, sandboxConfig: pod }))
      .containerId;
  };
  const exec = (containerId: string, command: string, timeout = 0n) =>
    cri.call(method.execSync, { containerId, cmd: ['/bin/sh', '-c', command], timeout });
  const status = async (containerId: string) =>
    (await cri.call(method.containerStatus, { containerId })).status;
  const exited = async (containerId: string): Promise<number> => {
    for (let tries = 0; tries < 300; tries += 1) {
      const now = await status(containerId);
      if (now?.state === ContainerState.CONTAINER_EXITED) return now.exitCode;
      await sleep(100);
    }
    throw new Error('the container did not exit within 30 s');
  };

  const init =
    (await checks.run('init container is created', () => create('init', 'echo init; exit 7'))) ?? '';
  await checks.run('init container exits with its code', async () => {
    await cri.call(method.startContainer, { containerId: init });
    const code = await exited(init);
    expect(code === 7, `the exit code is ${code}`);
  });
  await checks.run('init container is removed', () =>
    cri.call(method.removeContainer, { containerId: init }),
  );

  const command = 'trap "exit 3" TERM; echo started $COLOR; while :; do sleep 0.1; done';
  const main =
    (await checks.run('main container is created', () => create('main', command), { required: true })) ?? '';
  await checks.run('main container starts', () => cri.call(method.startContainer, { containerId: main }), {
    required: true,
  });
  await checks.run('main container runs', async () => {
    const state = (await status(main))?.state;
    expect(state === ContainerState.CONTAINER_RUNNING, `the state is ${state}`);
  });
  await checks.run('log has the output, with the environment', async () => {
    const log = join(directory, 'logs', 'main.log');
    for (let tries = 0; tries < 100 && !(existsSync(log) && readFileSync(log, 'utf8') !== ''); tries += 1)
      await sleep(100);
    expect(readFileSync(log, 'utf8').includes('stdout F started green'), 'the line is not in the log');
  });
  await checks.run('exec returns stdout, stderr and the exit code', async () => {
    const { stdout, stderr, exitCode } = await exec(main, 'echo out; echo err >&2; exit 5');
    const got = [Buffer.from(stdout).toString(), Buffer.from(stderr).toString(), exitCode].join();
    expect(got === 'out\n,err\n,5', `the reply is ${JSON.stringify(got)}`);
  });
  await checks.run('exec returns 3 MB of output', async () => {
    const { stdout } = await exec(main, 'dd if=/dev/zero bs=1000 count=3000 2>/dev/null');
    expect(stdout.length === 3_000_000, `${stdout.length} bytes`);
  });
  await checks.run('exec sees the name of the pod', async () => {
    const { stdout } = await exec(main, 'hostname');
    expect(Buffer.from(stdout).toString() === 'pod\n', Buffer.from(stdout).toString());
  });
  await checks.run('exec ends at its time limit', async () => {
    try {
      await exec(main, 'sleep 60', 2n);
    } catch (error) {
      if (error instanceof GrpcError && error.code === deadlineExceeded) return;
      throw error;
    }
    throw new Error('exec returned without an error');
  });
  await checks.run('exec of a missing program fails', async () => {
    const call = cri.call(method.execSync, { containerId: main, cmd: ['/bin/missing'], timeout: 0n });
    const failed = await call.then(
      () => false,
      (error: unknown) => error instanceof GrpcError && /missing|no such file|not found/i.test(error.message),
    );
    expect(failed, 'the call did not fail with the name of the program');
  });
  await checks.run('stats have the memory in use', async () => {
    const { stats } = await cri.call(method.containerStats, { containerId: main });
    expect((stats?.memory?.workingSetBytes?.value ?? 0n) > 0n, 'the working set is 0');
  });
  await checks.run('resources are updated', () =>
    cri.call(method.updateContainerResources, {
      containerId: main,
      linux: { memoryLimitInBytes: 96n << 20n },
    }),
  );
  await checks.run('stop sends SIGTERM, and the exit code is that of the process', async () => {
    await cri.call(method.stopContainer, { containerId: main, timeout: 20n });
    const code = await exited(main);
    expect(code === 3, `the exit code is ${code}`);
  });
  await checks.run('main container is removed', () =>
    cri.call(method.removeContainer, { containerId: main }),
  );
  const stubborn = await checks.run('stop kills a process that ignores SIGTERM', async () => {
    const containerId = await create('stubborn', 'trap "" TERM; while :; do sleep 0.1; done');
    await cri.call(method.startContainer, { containerId });
    await cri.call(method.stopContainer, { containerId, timeout: 1n });
    const code = await exited(containerId);
    expect(code === 137, `the exit code is ${code}`);
    return containerId;
  });
  if (stubborn !== undefined)
    await checks.run('killed container is removed', () =>
      cri.call(method.removeContainer, { containerId: stubborn }),
    );
  await checks.run('sandbox stops', () => cri.call(method.stopPodSandbox, { podSandboxId: sandbox }));
  await checks.run('sandbox is removed', () => cri.call(method.removePodSandbox, { podSandboxId: sandbox }));
  await checks.run('no shim and no agent is left', async () => {
    await sleep(1000);
    const left = [...containerd.processes(shimProgram), ...containerd.processes('kata-agent.mjs')];
    expect(left.length === 0, left.join('; '));
  });
  return checks.results;
}
