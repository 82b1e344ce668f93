import { Health, HealthCheckResponse_ServingStatus as Status } from '@kata-agent/protocol/health';
import { type CommandDefinition, ExitCode, print, withAgent } from '@kata-agent/cli';

export const answerMs = 10_000;

export const check: CommandDefinition = {
  path: 'check',
  summary: 'check the health of an agent',
  details: [
    'Calls Health.Check, which every configuration serves. Exits with 0 if the agent is serving, else with 1.',
  ],
  examples: [
    { line: 'kata-agent-ctl check -a unix:///run/agent.sock', description: 'Prints "serving".' },
    {
      line: 'kata-agent-ctl check -a hvsock:///run/vm.sock:1024',
      description: 'The same through the vsock socket of a VMM.',
    },
    {
      line: 'kata-agent-ctl check -a tls://10.0.0.7:8443 --cert me.pem --key me.key --pin spki:sha256:HEX',
      description: 'The same through a tls:// listener, as the operator of the certificate.',
    },
  ],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const { status } = await withAgent(invocation, (agent) =>
      agent.call(Health.method.check, {}, { timeoutMs: answerMs }),
    );
    const word = (Status[status] ?? `status ${status}`).toLowerCase().replace('_', ' ');
    await print(invocation, { status: Status[status] ?? status }, () => `${word}\n`);
    return status === Status.SERVING ? ExitCode.Success : ExitCode.Failed;
  },
};
