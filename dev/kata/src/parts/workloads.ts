// The part `workloads`: the pods of Kata's Kubernetes tests through Kata's Go shim, without Kubernetes.
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '@kata-agent/tool-command/command-line';
import type { Containerd } from '../cri/containerd.js';
import type { GrpcConnection } from '../cri/grpc.js';
import { withShim } from '../cri/with-shim.js';
import { given, type PartContext, type TestResult } from '../plan/part.js';
import { generatedConfiguration } from '../workloads/generated-configuration.js';
import { readManifests } from '../workloads/manifests.js';
import { RunningPod } from '../workloads/running-pod.js';
import { notHere, type Workload, workloads, writeHostFile } from '../workloads/workloads.js';

const manifests = 'tests/integration/kubernetes/runtimeclass_workloads';

/** Runs each pod twice: with an agent that serves everything, and with the configuration that is generated for the pod. */
export async function runWorkloads(context: PartContext): Promise<readonly TestResult[]> {
  const directory = join(given(context.source, '--source'), manifests);
  // Before the root of containerd is made, which shows what is there then.
  const removeHostFile = writeHostFile();
  try {
    return await withShim(context, 'workloads', async (cri, containerd, work) => {
      const results: TestResult[] = [];
      const chosen = workloads.filter(
        ({ name }) => context.workloads.length === 0 || context.workloads.includes(name),
      );
      for (const workload of chosen) {
        context.printProgress(workload.name);
        results.push(...(await runWorkload(workload, directory, { cri, containerd, work })));
      }
      return [...results, ...skippedFiles(directory)];
    });
  } finally {
    removeHostFile();
  }
}

interface Machine {
  readonly cri: GrpcConnection;
  readonly containerd: Containerd;
  /** The directory of the part. */
  readonly work: string;
}

async function runWorkload(
  workload: Workload,
  directory: string,
  machine: Machine,
): Promise<readonly TestResult[]> {
  const { name, uses = [], configMaps = {}, secrets = {}, values = {} } = workload;
  const file = (base: string): string => join(directory, `${base}.yaml`);
  if (!existsSync(file(name))) return [{ name, outcome: 'skipped', reason: 'this release has no such file' }];
  const read = readManifests([name, ...uses].map(file), values);
  const [pod] = read.pods;
  if (pod === undefined) throw new Error(`${file(name)} has no pod`);
  const objects = {
    pods: read.pods,
    configMaps: new Map([...read.configMaps, ...Object.entries(configMaps)]),
    secrets: new Map([...read.secrets, ...Object.entries(secrets)]),
  };
  const open = await runPod(
    name,
    workload.check,
    new RunningPod(pod, objects, machine.cri, machine.containerd, join(machine.work, name)),
  );
  const restrictedName = `${name}, generated configuration`;
  const restricted = join(machine.work, `${name}-restricted`);
  mkdirSync(restricted);
  const configuration = generatedConfiguration(pod, objects, restricted);
  if ('refused' in configuration)
    return [open, { name: restrictedName, outcome: 'skipped', reason: configuration.refused }];
  const { guestConfiguration } = machine.containerd;
  writeFileSync(guestConfiguration, configuration.text);
  try {
    return [
      open,
      await runPod(
        restrictedName,
        workload.checkRestricted ?? workload.check,
        new RunningPod(pod, objects, machine.cri, machine.containerd, restricted),
      ),
    ];
  } finally {
    rmSync(guestConfiguration);
  }
}

async function runPod(name: string, check: Workload['check'], pod: RunningPod): Promise<TestResult> {
  const problems: string[] = [];
  const attempt = (task: Promise<void>): Promise<void> =>
    task.catch((error: unknown) => void problems.push(messageOf(error)));
  await attempt(pod.start().then(() => check(pod)));
  await attempt(pod.remove());
  return problems.length === 0
    ? { name, outcome: 'passed' }
    : { name, outcome: 'failed', reason: problems.join('; ') };
}

/** Names the manifests that are not run, each with its reason. */
function skippedFiles(directory: string): readonly TestResult[] {
  const known = new Set(workloads.flatMap(({ name, uses = [] }) => [name, ...uses]));
  return readdirSync(directory)
    .filter((file) => !known.has(file.replace(/\.yaml$/, '')))
    .map((name) => ({
      name,
      outcome: 'skipped',
      reason: notHere.find(([names]) => names.test(name))?.[1] ?? 'not tried',
    }));
}
