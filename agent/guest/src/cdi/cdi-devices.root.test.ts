import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { OciSpec } from '../request/oci-spec.js';
import { skip } from '../testing/real-guest.js';
import { CdiDevices, CdiSpecFiles } from './cdi-devices.js';

let root = '';
let specs = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cdi-'));
  specs = join(root, 'specs');
  mkdirSync(specs, { mode: 0o755 });
});
afterEach(() => rmSync(root, { recursive: true }));

const text = (value: string, device = '0'): string =>
  JSON.stringify({
    cdiVersion: '0.6.0',
    kind: 'kata.com/gpu',
    devices: [{ name: device, containerEdits: { env: [`VALUE=${value}`] } }],
  });

const noYaml = (): never => assert.fail('no file is YAML');

/** Returns why a file, or the directory, is not used; undefined: it is. */
function problem(): string | undefined {
  const [file] = new CdiSpecFiles([specs]).read(noYaml);
  const content = file?.content ?? assert.fail('nothing was read');
  return 'problem' in content ? content.problem : undefined;
}

const changes: Readonly<Record<string, (file: string) => void>> = {
  'belongs to another user': (file) => chownSync(file, 1000, 0),
  'is writable by its group': (file) => chmodSync(file, 0o664),
  'is writable by all': (file) => chmodSync(file, 0o646),
  'is a symbolic link': (file) => {
    writeFileSync(join(root, 'elsewhere.json'), text('x'), { mode: 0o644 });
    rmSync(file);
    symlinkSync(join(root, 'elsewhere.json'), file);
  },
  'is a named pipe': (file) => {
    rmSync(file);
    execFileSync('mkfifo', [file]);
  },
  'is a directory': (file) => {
    rmSync(file);
    mkdirSync(file);
  },
  'is too large': (file) => writeFileSync(file, text('x').padEnd(5 * 1024 * 1024)),
  'is half written': (file) => writeFileSync(file, text('x').slice(0, 40)),
  'is in a directory that all can write to': () => chmodSync(specs, 0o777),
  'is in a directory of another user': () => chownSync(specs, 1000, 0),
};

for (const [what, change] of Object.entries(changes)) {
  test(`a specification that ${what} is not used`, { skip }, () => {
    const file = join(specs, 'gpu.json');
    writeFileSync(file, text('x'), { mode: 0o644 });
    assert.equal(problem(), undefined);
    change(file);
    assert.notEqual(problem(), undefined);
  });
}

const request: OciSpec = {
  ociVersion: '1.0.2',
  annotations: { 'cdi.k8s.io/x': 'kata.com/gpu=0' },
};
const access = { privileged: 'allow', devices: [] } as const;

function value(devices: CdiDevices): string | undefined {
  return devices.edits(request).flatMap(({ edits }) => edits.env)[0];
}

test('a later directory has precedence, one directory must not define a device twice, and changes are seen', {
  skip,
}, async () => {
  const later = join(root, 'later');
  mkdirSync(later, { mode: 0o755 });
  const options = {
    directories: [specs, later, join(root, 'absent')],
    timeoutSeconds: 1,
    visibleDevices: false,
  };
  const devices = new CdiDevices(options, access);
  await devices.prepare(request);
  assert.throws(() => devices.edits(request), { kind: 'not-found', message: /"kata\.com\/gpu=0"/ });
  writeFileSync(join(specs, 'a.json'), text('first'), { mode: 0o644 });
  assert.equal(value(devices), 'VALUE=first');
  writeFileSync(join(later, 'a.json'), text('later'), { mode: 0o644 });
  assert.equal(value(devices), 'VALUE=later');
  writeFileSync(join(later, 'a.json'), text('changed'));
  assert.equal(value(devices), 'VALUE=changed');
  writeFileSync(join(later, 'b.json'), text('second'), { mode: 0o644 });
  assert.throws(() => value(devices), {
    kind: 'precondition',
    message: /defined twice, in .*a\.json and .*b\.json/,
  });
  rmSync(join(later, 'b.json'));
  rmSync(join(later, 'a.json'));
  writeFileSync(join(specs, 'a.json'), text('other', '1'));
  assert.throws(() => value(devices), { kind: 'not-found', message: /"kata\.com\/gpu=0" does not exist/ });
});
