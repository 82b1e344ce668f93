import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';

/** The server of the router, which answers each connection with the received text. */
const server = `
require('net')
  .createServer({ allowHalfOpen: true }, (socket) => {
    let received = '';
    socket.on('error', () => socket.destroy());
    socket.on('data', (data) => { received += data; if (received.endsWith('\\n')) socket.end('heard ' + received); });
  })
  .listen(7791, '10.231.1.1', () => console.log('ready'));
`;

/** The other end of a pod's network interface: a network namespace with a server. */
export class Router {
  static readonly address: string = '10.231.1.1';
  static readonly mac: string = '02:00:00:00:0b:01';
  readonly #process: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#process = child;
  }

  /** Creates a veth pair whose end in the agent's network namespace has a fixed MAC address and a temporary name. */
  static async join(agent: number): Promise<Router> {
    const script = 'ip link set lo up; echo in; read -r go; exec "$0" -e "$1"';
    const child = spawn('unshare', ['--net', 'sh', '-c', script, process.execPath, server], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    const router = new Router(child);
    const peer = ['peer', 'name', 'ens3', 'address', Router.mac, 'netns', String(agent)];
    router.run('ip', 'link', 'add', 'cable', 'type', 'veth', ...peer);
    router.run('ip', 'address', 'add', `${Router.address}/24`, 'dev', 'cable');
    router.run('ip', 'link', 'set', 'cable', 'up');
    child.stdin.write('\n');
    await once(child.stdout, 'data');
    return router;
  }

  /** Runs a program in the router's network namespace. */
  run(...command: readonly string[]): string {
    const pid = String(this.#process.pid ?? assert.fail('the router has no pid'));
    return execFileSync('nsenter', ['--net', '--target', pid, ...command], { encoding: 'utf8' });
  }

  close(): void {
    this.#process.kill('SIGKILL');
  }
}
