import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Descriptor, RecordingSyscalls } from '../index.js';

function owned(): { fake: RecordingSyscalls; descriptor: Descriptor; fd: number } {
  const fake = new RecordingSyscalls();
  const fd = fake.socket(1, 1, 0);
  return { fake, descriptor: new Descriptor(fake, fd), fd };
}

test('closing twice calls close(2) once', () => {
  const { fake, descriptor, fd } = owned();
  descriptor.close();
  descriptor.close();
  assert.deepEqual(fake.argumentsOf('close'), [[fd]]);
  assert.equal(descriptor.open, false);
});

test('a taken descriptor is neither closed nor usable here', () => {
  const { fake, descriptor, fd } = owned();
  assert.equal(descriptor.take(), fd);
  descriptor.close();
  assert.deepEqual(fake.argumentsOf('close'), []);
  assert.throws(() => descriptor.fd, /already closed or taken/);
  assert.throws(() => descriptor.take(), /already closed or taken/);
});

test('a failed close(2) is not repeated', () => {
  const { fake, descriptor } = owned();
  fake.fail('close', 'EIO');
  assert.throws(() => descriptor.close(), { code: 'EIO' });
  descriptor.close();
  assert.equal(fake.argumentsOf('close').length, 1);
});

test('a duplicate is closed on its own', () => {
  const { fake, descriptor, fd } = owned();
  const second = descriptor.duplicate();
  descriptor.close();
  assert.equal(second.open, true);
  assert.deepEqual(fake.argumentsOf('duplicate'), [[fd]]);
  second.close();
  assert.equal(fake.openDescriptors.size, 0);
});
