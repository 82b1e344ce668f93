// Which package may import which others. docs/architecture.md has the same as a table; a test compares the two.
export const mayImport = {
  protocol: [],
  catalogue: ['protocol'],
  ttrpc: [],
  config: ['catalogue'],
  gate: ['protocol', 'catalogue', 'config'],
  analysis: ['protocol', 'catalogue', 'config', 'gate', 'audit'],
  audit: ['gate'],
  linux: [],
  measurement: ['linux'],
  guest: ['linux'],
  agent: ['protocol', 'catalogue', 'ttrpc', 'config', 'gate', 'audit', 'linux', 'measurement', 'guest'],
  ctl: ['protocol', 'catalogue', 'ttrpc', 'config', 'gate', 'analysis', 'audit', 'linux'],
};
