import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ociRuntime, RealGuest, runtimeName, settled, skip } from './testing/real-guest.js';
import { execProcess, writeStdin } from './perform/processes.js';

// One guest at a time: each reaps all children of this process.

test('limits of containers and execs', { skip }, async () => {
  const small = await RealGuest.open({ limits: { containers: 1, execsPerContainer: 2 } });
  try {
    const id = await small.run(['sleep', '1000']);
    await assert.rejects(small.run(['true']), { kind: 'exhausted', message: /limits.containers/ });
    const exec = (execId: string, args: readonly string[]) =>
      execProcess(small.guest, { containerId: id, execId, process: small.process(args) });
    await exec('a', ['true']);
    await exec('b', ['sleep', '1000']);
    await assert.rejects(exec('c', ['true']), { kind: 'exhausted' });
    await small.wait(id, 'a');
    await exec('c', ['true']);
    await assert.rejects(small.wait(id, 'a'), { kind: 'not-found' }, 'its record made room');
    await assert.rejects(exec('', ['true']), { kind: 'invalid' });
    await assert.rejects(
      execProcess(small.guest, { containerId: 'no', execId: 'x', process: small.process(['true']) }),
      {
        kind: 'invalid',
        message: /Invalid container id/,
      },
    );
  } finally {
    await small.close();
  }
});

test('one of several callers leaves execs to others, and to the runtime', { skip }, async () => {
  const real = await RealGuest.open({ limits: { execsPerContainer: 8 } });
  try {
    const id = await real.run(['sleep', '1000']);
    let count = 0;
    const exec = async (caller: string | undefined, args = ['sleep', '1000']): Promise<string> => {
      const execId = `e${(count += 1)}`;
      const call = { check: () => undefined, begin: async () => undefined, signal: real.signal, caller };
      await execProcess(real.guest.forCall(call), { containerId: id, execId, process: real.process(args) });
      return execId;
    };
    const shared = { kind: 'exhausted', message: /^this caller has \d of the \d processes.*help: wait for/ };
    // Of one, ended processes count until somebody has waited for them.
    const first = await exec('one', ['true']);
    for (let n = 0; n < 2; n += 1) await exec('one');
    await exec('one');
    await assert.rejects(exec('one'), shared);
    for (let n = 0; n < 2; n += 1) await exec('two');
    await assert.rejects(exec('two'), shared);
    await exec('three');
    await assert.rejects(exec('four'), shared);
    await exec(undefined);
    await assert.rejects(exec(undefined), { kind: 'exhausted', message: /^container .* has 8 processes/ });
    await real.wait(id, first);
    await exec(undefined);
    await assert.rejects(exec('one'), shared);
  } finally {
    await real.close();
  }
});

test('output that no client may read does not block a workload; its last bytes are kept', {
  skip,
}, async () => {
  const output = { readable: () => false, unreadable: { bytes: 1024 } };
  const quiet = await RealGuest.open({ output, limits: { streamBuffer: 4096 } });
  try {
    const id = await quiet.run(['sh', '-c', 'head -c 3000000 /dev/zero; echo the end']);
    assert.equal(await quiet.wait(id), 0);
    await quiet.readAll(id);
    const file = join(quiet.state, 'output', `${id}-${id}.stdout`);
    // The agent reads the pipe to its end, also after the process has ended.
    for (let looks = 0; looks < 2_000 && !readFileSync(file, 'utf8').endsWith('the end\n'); looks += 1)
      await delay(5);
    const kept = readFileSync(file, 'utf8');
    assert.ok(kept.endsWith('the end\n') && kept.length <= 1024);
    await quiet.remove(id);
    assert.deepEqual(readdirSync(join(quiet.state, 'output')), []);
  } finally {
    await quiet.close();
  }
});

/** Kills a process with a guest in which a container runs; the next guest in the same directories. */
async function afterKill(
  args: readonly string[],
  between: (directory: string, id: string) => void = () => undefined,
): Promise<{ readonly next: RealGuest; readonly id: string }> {
  const module = JSON.stringify(new URL('testing/real-guest.js', import.meta.url).href);
  const program = `
    import { RealGuest } from ${module};
    const real = await RealGuest.open();
    const id = await real.run(${JSON.stringify(args)});
    console.log(real.directory, id);
  `;
  const doomed = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line]: Buffer[] = await once(doomed.stdout, 'data');
  const [directory = '', id = ''] = String(line).trim().split(' ');
  const exit = once(doomed, 'exit');
  doomed.kill('SIGKILL');
  await exit;
  assert.ok(existsSync(join(directory, 'state/bundles', id)), 'it was killed while its container ran');
  between(directory, id);
  return { next: await RealGuest.open({}, directory), id };
}

test('a container that outlives its agent continues under the next one, with its pipes and exit code', {
  skip,
}, async () => {
  // Its stdin is at its end while no agent runs, so it reads only after the next one has started.
  const script = 'until [ -e /tmp/go ]; do sleep 0.01; done; read line; echo "got $line"; exit 7';
  const { next, id } = await afterKill(['sh', '-c', script]);
  try {
    assert.deepEqual(next.guest.sandboxStatus.containers, [id]);
    assert.equal(next.guest.containerStatus(id)?.state, 'running');
    writeFileSync(join(next.rootfs, 'tmp/go'), '');
    await writeStdin(next.guest, { containerId: id, execId: '', data: Buffer.from('a line\n') });
    assert.equal((await next.readAll(id)).toString(), 'got a line\n');
    assert.equal(await next.wait(id), 7);
    await next.remove(id);
    await settled();
    assert.deepEqual(next.traces().mounts, []);
    assert.deepEqual(next.traces().cgroups, []);
    assert.deepEqual(readdirSync(join(next.state, 'containers')), []);
  } finally {
    await next.close();
  }
});

test('a container without a state file is removed by the next agent', { skip }, async () => {
  const { next, id } = await afterKill(['sleep', '1000'], (directory, name) =>
    rmSync(join(directory, 'state', 'containers', `${name}.json`)),
  );
  try {
    assert.deepEqual(readdirSync(join(next.state, runtimeName)), []);
    assert.ok(!existsSync(join(next.state, 'bundles', id)));
    assert.equal(
      execFileSync(String(ociRuntime), ['--root', join(next.state, runtimeName), 'list', '-q']).toString(),
      '',
    );
    assert.ok(next.log.some((entry) => entry.includes(`container ${id} was left unfinished by an earlier`)));
    assert.deepEqual(next.traces().mounts, []);
    assert.deepEqual(next.traces().cgroups, []);
  } finally {
    await next.close();
  }
});
