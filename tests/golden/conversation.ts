import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { root } from '../interop/artifacts.js';

/** One frame with its header, in hexadecimal, and its sender. */
export interface GoldenFrame {
  readonly from: 'client' | 'server';
  readonly hex: string;
}

/** The frames between Go's client and server in one scenario (capture/scripts.go). */
export interface Conversation {
  readonly name: string;
  readonly about: string;
  readonly frames: readonly GoldenFrame[];
}

/** The captured conversations, in the order of the capture. */
export function goldenConversations(): readonly Conversation[] {
  const conversations = JSON.parse(
    readFileSync(`${root}/tests/golden/frames.json`, 'utf8'),
  ) as readonly Conversation[];
  assert.ok(conversations.length > 0, 'tests/golden/frames.json is empty');
  return conversations;
}
