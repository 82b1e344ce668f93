import type { MethodName } from '@kata-agent/catalogue';

/** A Kubernetes feature beyond running pods, and the methods that it needs. */
export interface Ability {
  readonly name: string;
  readonly needs: readonly MethodName[];
}

/** In the order of output. `kubectl port-forward` and network policies need no method of the agent. */
export const abilities: readonly Ability[] = [
  { name: 'kubectl logs', needs: ['ReadStdout', 'ReadStderr'] },
  { name: 'kubectl exec', needs: ['ExecProcess', 'WaitProcess', 'ReadStdout', 'ReadStderr'] },
  {
    name: 'kubectl exec -it',
    needs: ['ExecProcess', 'WaitProcess', 'ReadStdout', 'WriteStdin', 'TtyWinResize'],
  },
  { name: 'kubectl attach', needs: ['ReadStdout', 'ReadStderr'] },
  { name: 'kubectl attach -i', needs: ['ReadStdout', 'ReadStderr', 'WriteStdin'] },
  {
    name: 'kubectl cp',
    needs: ['ExecProcess', 'WaitProcess', 'ReadStdout', 'ReadStderr', 'WriteStdin', 'CloseStdin'],
  },
  { name: 'kubectl top', needs: ['StatsContainer'] },
  { name: 'exec probes', needs: ['ExecProcess', 'WaitProcess'] },
  { name: 'exec hooks', needs: ['ExecProcess', 'WaitProcess'] },
  { name: 'standard input', needs: ['WriteStdin', 'CloseStdin'] },
  { name: 'terminals', needs: ['TtyWinResize', 'WriteStdin', 'ReadStdout'] },
  { name: 'configmaps and secrets without a shared filesystem', needs: ['CopyFile'] },
  { name: 'termination messages without a shared filesystem', needs: ['GetDiagnosticData'] },
  { name: 'exit codes', needs: ['WaitProcess'] },
  { name: 'OOM events', needs: ['GetOOMEvent'] },
  { name: 'resizing of running containers', needs: ['UpdateContainer', 'OnlineCPUMem'] },
  { name: 'resizing of volumes', needs: ['ResizeVolume'] },
  { name: 'usage of volumes', needs: ['GetVolumeStats'] },
  { name: 'guest metrics', needs: ['GetMetrics'] },
  { name: 'pausing of containers', needs: ['PauseContainer', 'ResumeContainer'] },
  { name: 'guest swap', needs: ['AddSwap', 'AddSwapPath'] },
  { name: 'service meshes that set iptables rules', needs: ['GetIPTables', 'SetIPTables'] },
  { name: 'VM templates', needs: ['ReseedRandomDev', 'SetGuestDateTime'] },
  { name: 'policies of pods', needs: ['SetPolicy'] },
];
