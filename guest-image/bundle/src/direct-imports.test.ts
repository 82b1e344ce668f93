import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { withDirectImports } from './direct-imports.js';

test('a name is imported from the module that defines it', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'kata-imports-'));
  t.after(() => rmSync(root, { recursive: true }));
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  write('packages/x/package.json', '{"name":"@kata-agent/x","exports":{".":"./dist/index.js"}}');
  write(
    'packages/x/dist/index.js',
    "export { a, b as c, } from './ab.js';\nexport { d } from './more/index.js';\nexport const own = 1;\n",
  );
  write('packages/x/dist/ab.js', 'export const a = 1, b = 2;\n');
  write('packages/x/dist/more/e.js', 'export const e = 3;\n');
  write('packages/x/dist/more/index.js', "export { e as d } from './e.js';\n");
  write('node_modules/@kata-agent/empty', '');
  symlinkSync(join(root, 'packages/x'), join(root, 'node_modules/@kata-agent/x'));
  const path = join(root, 'packages/y/dist/y.js');
  const direct = (text: string): string => withDirectImports(text, path);
  assert.equal(
    direct("import { a, c as z, d } from '@kata-agent/x';\nuse(a);\n"),
    'import { a as a } from "../../x/dist/ab.js"; import { b as z } from "../../x/dist/ab.js"; import { e as d } from "../../x/dist/more/e.js";\nuse(a);\n',
  );
  for (const unchanged of [
    "import { own } from '@kata-agent/x';",
    "import { a, own } from '@kata-agent/x';",
    "import * as x from '@kata-agent/x';",
    "import { join } from 'node:path';",
    "import { a } from './a.js';",
  ])
    assert.equal(direct(unchanged), unchanged);
});
