import { ImageProcess } from '../../entrypoint/image-process.js';
import type { RuleName } from './rule-name.js';

/**
 * What `runs_image_entrypoint()` compares. A rule cannot write this name: it is not an identifier.
 */
export const imageProcessName: RuleName = {
  name: 'runs_image_entrypoint()',
  methods: ['CreateContainer'],
  ofGuest: ['CreateContainer'],
  doc: 'The process of the call, and what its image declares.',
  example: 'runs_image_entrypoint()',
  typeFor: () => ({ kind: 'record', name: 'image process', fields: new Map() }),
  read: (request, context) => new ImageProcess(request, context),
};
