// The allowed imports between packages. docs/architecture.md has the same tables; a test compares them.

/** The packages that each package in packages/ may import. */
export const mayImport: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  catalogue: ['protocol'],
  ttrpc: [],
  config: ['catalogue', 'tlog', 'x509'],
  gate: ['protocol', 'catalogue', 'config'],
  workloads: ['protocol', 'catalogue', 'config', 'gate'],
  analysis: ['protocol', 'catalogue', 'config', 'gate', 'audit', 'workloads'],
  audit: ['gate', 'tlog'],
  linux: [],
  x509: [],
  admission: [],
  tlog: [],
  measurement: ['linux'],
  guest: ['catalogue', 'linux'],
  agent: [
    'protocol',
    'catalogue',
    'ttrpc',
    'config',
    'gate',
    'audit',
    'linux',
    'x509',
    'measurement',
    'guest',
    'admission',
    'tlog',
  ],
  realm: ['protocol', 'catalogue', 'ttrpc', 'config', 'audit', 'x509', 'admission', 'tlog'],
  ctl: [
    'protocol',
    'catalogue',
    'ttrpc',
    'config',
    'gate',
    'workloads',
    'analysis',
    'audit',
    'linux',
    'x509',
    'realm',
    'tlog',
  ],
};

/** The tools that each tool in tools/ may import. Tools may import all packages; no package may import a tool. */
export const toolsMayImport: Readonly<Record<string, readonly string[]>> = {
  command: [],
  bundle: ['command'],
  image: ['command', 'bundle'],
  vm: ['command', 'image'],
  kata: ['command'],
  repository: ['command', 'image'],
};
