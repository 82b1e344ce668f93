// The part `remote`: pods whose machine is beside the node, as peer pods have it. The Go shim with its remote hypervisor; the guest
// takes the pause container from its own /pause_bundle and pulls the image from a registry.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Checks, type PartContext, type TestResult } from '../plan/part.js';
import { cgroupParent } from '../cri/containerd.js';
import { imageName } from '../cri/image.js';
import { manifests, pod, withPeerNode } from '../peer-pods/peer-node.js';
import { runDeniedPod, runPeerPod, runPodTwice } from '../peer-pods/peer-pod-checks.js';
import { recordingOf } from '../peer-pods/remote-calls.js';
import { generatedConfiguration } from '../workloads/generated-configuration.js';

const openConfiguration = '[agent]\n\n[api]\nallowed_endpoints = ["*"]\n';

/**
 * Runs four pods: with the agent's own socket, behind a forwarder with a generated configuration, with another image, and with a
 * registry that hangs.
 */
export function runRemote(context: PartContext): Promise<readonly TestResult[]> {
  return withPeerNode(context, async (node) => {
    const generated = (directory: string): string => {
      const configuration = generatedConfiguration(pod, manifests, directory, {
        runtime: 'remote',
        image: node.image,
      });
      if ('refused' in configuration) throw new Error(configuration.refused);
      return configuration.text;
    };
    const open = new Checks('without a forwarder: ');
    const direct = node.pod({ name: 'direct', forwarded: false, configuration: () => openConfiguration });
    await runPeerPod(open, node, direct);
    const restricted = new Checks('with a forwarder: ');
    const forwarded = node.pod({ name: 'forwarded', forwarded: true, configuration: generated });
    await runPeerPod(restricted, node, forwarded);
    // tests/root/peer-pod.test.ts has a copy.
    writeFileSync(
      join(context.work, 'peer-pod.json'),
      recordingOf(restricted.hasStopped ? [] : (forwarded.machine().forwarder?.calls ?? []), [
        [node.image, 'IMAGE'],
        [context.work, '/work'],
        [`/${cgroupParent}`, '/CGROUP'],
      ]),
    );
    const denied = new Checks('with another image: ');
    const other = node.pod({ name: 'other', forwarded: true, configuration: generated, image: imageName });
    await runDeniedPod(denied, node, other, /rule "create-container-images" refused it/);
    const repeated = new Checks('with a registry that hangs: ');
    const again = node.pod({
      name: 'again',
      forwarded: true,
      configuration: () =>
        openConfiguration.replace('[agent]\n', '[agent]\nnetwork_namespaces = ["/run/netns/podns"]\n'),
      annotations: { 'io.katacontainers.config.runtime.create_container_timeout': '10' },
    });
    await runPodTwice(repeated, node, again);
    return [open, restricted, denied, repeated].flatMap(({ results }) => results);
  });
}
