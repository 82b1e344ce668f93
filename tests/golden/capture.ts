// Captures Go's frames again: node tests/dist/golden/capture.js
import { writeFileSync } from 'node:fs';

import { build, root } from '../interop/artifacts.js';
import { output } from '../interop/child.js';

const built = build('interop.binpb', 'capture');
if (!built.ok) throw new Error(built.missing);
writeFileSync(`${root}/tests/golden/frames.json`, await output(built.path('capture'), [built.path('interop.binpb')]));
