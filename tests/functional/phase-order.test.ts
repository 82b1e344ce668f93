// The order of what creates a container, and of the agent's start: docs/request-lifecycle.md.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { repository as root } from '../harness/repository.js';

/** A file with a list of phases: comment, then `.add('name', function)`. */
interface List {
  readonly package: string;
  readonly file: string;
  /** Its section in docs/request-lifecycle.md. */
  readonly section: string;
  /** Earlier phase, later phase, and what depends on that order. */
  readonly security: readonly (readonly [earlier: string, later: string, why: string])[];
}

const lists: readonly List[] = [
  {
    package: 'agent/guest',
    file: 'src/create/create-container.ts',
    section: 'Creating a container',
    security: [
      ['decided', 'network', 'a refused request has no effect'],
      ['recorded', 'attached', 'a successor can undo all that outlives the agent'],
      ['attached', 'used', 'a disk is registered before it is opened'],
      ['reserved', 'opened', 'no CopyFile changes a source between its check and its use'],
      ['opened', 'rootfs', 'no root of another container is mounted'],
      ['rootfs', 'resolved', 'links of the root are resolved in it'],
      ['staged', 'built', 'the runtime mounts copies of what was checked'],
      ['attached', 'built', "device rules are compared with the guest's devices"],
      ['built', 'sysctls', 'the request was checked whole before the pod is changed'],
      ['built', 'configured', 'the runtime reads the spec that was checked'],
      ['configured', 'first', 'the runtime reads the spec that was checked'],
      ['ancestors', 'first', 'no cgroup of another container is joined'],
      ['first', 'ownSysctls', 'what is restricted exists'],
      ['ownSysctls', 'shared', 'a container that was too wide gets no mount of another one'],
      ['linksRefused', 'shared', 'a mount of another container is no link of this one'],
    ],
  },
  {
    package: 'agent/server',
    file: 'src/start.ts',
    section: 'Before the first request',
    security: [
      ['clock', 'measured', 'nothing is recorded or verified by a clock below its floor'],
      ['state', 'separated', 'one agent uses a state directory'],
      ['separated', 'served', 'no mount of a request reaches the files of the agent'],
      ['measured', 'delivered', 'the configuration takes effect after it is measured'],
      ['measured', 'extensions', 'the configuration takes effect after it is measured'],
      ['measured', 'started', 'guest components run after the configuration is measured'],
      ['hardened', 'started', 'no program runs before the kernel is hardened'],
      ['opened', 'started', 'no program runs before the audit log is open'],
      ['opened', 'listening', 'no call is accepted before the audit log is open'],
      ['witnesses', 'recorded', 'the first record can be demanded of witnesses'],
      ['recorded', 'served', 'no container is restored before the first record is on disk'],
      ['recorded', 'listening', 'the first record is on disk before a call is accepted'],
      ['inForce', 'served', 'policies of before a crash hold for restored containers'],
      ['inForce', 'listening', 'policies of before a crash hold from the first call on'],
      ['serve', 'listening', 'a call passes gate, rules and audit log'],
      ['listening', 'dialled', 'no pod waits for a server that does not answer'],
    ],
  },
];

/** A line of the list with the comment above it. */
const phase = /(?: {2}\/\/ .*\n)+ {2}\.add\('(\w+)', \w+\);?\n/g;

for (const { package: directory, file, section, security } of lists) {
  const path = join(root, directory, file);
  const text = readFileSync(path, 'utf8');
  const phases = [...text.matchAll(phase)];
  const names = phases.map(([, name = '']) => name);

  test(`${file}: each phase says why it stands where it stands`, () => {
    assert.ok(names.length > 10);
    assert.equal(names.length, text.match(/^ {2}\.add\(/gm)?.length);
  });

  test(`${file}: what depends on the order for security`, () => {
    for (const [earlier, later, why] of security) {
      for (const name of [earlier, later]) assert.ok(names.includes(name), name);
      assert.ok(names.indexOf(earlier) < names.indexOf(later), `${earlier}, ${later}: ${why}`);
    }
  });

  test(`docs/request-lifecycle.md has the phases in order: ${section}`, () => {
    const page = readFileSync(join(root, 'docs/request-lifecycle.md'), 'utf8');
    const [, part = ''] = page.split(new RegExp(`^## ${section}$`, 'm'));
    const [before = ''] = part.split(/^## /m);
    const listed = [...before.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name);
    assert.deepEqual(listed, names);
  });

  test(`${file}: no two phases that change place compile`, () => {
    const place = mkdtempSync(join(root, directory, 'dist/phase-order-'));
    try {
      const variants = phases.slice(0, -1).map((earlier, index) => {
        const later = phases[index + 1];
        assert.ok(later !== undefined);
        const swapped = `${later[0].replace(/;\n$/, '\n')}${earlier[0]}`;
        const name = `${names[index]}-${names[index + 1]}`;
        const variant = join(place, dirname(file).replace(/^src\/?/, ''), `${name}.ts`);
        mkdirSync(dirname(variant), { recursive: true });
        writeFileSync(variant, text.replace(`${earlier[0]}${later[0]}`, swapped));
        return name;
      });
      writeFileSync(join(place, dirname(file).replace(/^src\/?/, ''), 'as-it-is.ts'), text);
      const settings = {
        extends: join(root, 'tsconfig.base.json'),
        compilerOptions: {
          noEmit: true,
          composite: false,
          noUnusedLocals: false,
          rootDir: join(root, directory),
          rootDirs: [join(root, directory, 'src'), place],
        },
        include: [place],
      };
      writeFileSync(join(place, 'tsconfig.json'), JSON.stringify(settings));
      const { stdout } = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', place, '--pretty', 'false'], {
        encoding: 'utf8',
        cwd: place,
      });
      const wrong = new Set(
        [...stdout.matchAll(/([\w-]+)\.ts\(\d+,\d+\): error TS2345/g)].map(([, name]) => name),
      );
      assert.deepEqual(
        [...variants, 'as-it-is'].filter((name) => !wrong.has(name)),
        ['as-it-is'],
        stdout,
      );
    } finally {
      rmSync(place, { recursive: true });
    }
  });
}
