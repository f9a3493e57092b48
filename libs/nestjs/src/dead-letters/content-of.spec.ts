import { describe, expect, it } from 'vitest';
import { contentOf } from './content-of.js';

const of = (contentType: string, payload: Uint8Array | string): unknown =>
  contentOf({ contentType, payload: Buffer.from(payload) });

describe('the payload of a dead letter, for people', () => {
  it.each([
    ['application/json', '{"a":[1,"ä"]}', { a: [1, 'ä'] }],
    ['application/cloudevents+json; charset=utf-8', '7', 7],
    ['APPLICATION/JSON', 'null', null],
    ['text/plain', 'two words', 'two words'],
  ])('of %s is read: %s', (contentType, payload, content) => {
    expect(of(contentType, payload)).toEqual(content);
  });

  it.each([
    ['application/json', '{"a":'],
    ['application/json', Buffer.from([0xff, 0xfe])],
    ['text/plain', Buffer.from([0xc3])],
    ['application/octet-stream', 'bytes'],
    ['', 'anything'],
  ])('of %s is nothing where it cannot be read', (contentType, payload) => {
    expect(of(contentType, payload)).toBeNull();
  });
});
